"""A log that is partitioned by ranges of event IDs: made, kept ahead of the events, dropped."""
