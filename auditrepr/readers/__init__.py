"""What people see of the log, without HTML."""
