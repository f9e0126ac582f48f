"""Small helpers that know no database and no app."""
