"""A database of an earlier version is upgraded: nothing is lost, and recording does not stop."""
