"""Upgrades a database of an earlier version: nothing is lost, and recording does not stop."""
