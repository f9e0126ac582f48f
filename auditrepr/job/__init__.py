"""What runs every two minutes, and what else works on the whole log."""
