"""Finds where the state of a row at a moment is recorded, and how certain that is."""
