"""What is asked of an erasure, and what is reported of it."""
