"""Prepares the log for its readers: permissions, changes, values, search; words without HTML."""
