"""What monitoring and the admin are told of a database: its status, and what it lacks."""
