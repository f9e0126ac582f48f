"""One run: its lock and limits, its batches, what it has done, and the record that stays of it."""
