"""Where the state of a row at a moment is recorded: by which event, and how certain that is."""
