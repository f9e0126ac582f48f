"""What people see of the log, in words and without HTML: permissions, changes, values, search."""
