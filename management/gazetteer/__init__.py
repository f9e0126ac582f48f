"""An example with real data: the world's countries, their subdivisions, and languages."""
