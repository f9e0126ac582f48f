"""What monitoring and the admin show of a database: its status, and what it lacks."""
