"""What the library keeps in the database that is upgraded."""
