"""Models with the field types that only PostgreSQL has."""
