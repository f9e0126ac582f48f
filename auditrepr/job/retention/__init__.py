"""How long events are kept: which are due, what deletes them, and what is overdue."""
