"""Logs that triggers write into one table: supa_audit's, and logged actions."""
