"""Relations of objects as of a moment, to one object or to several."""
