"""An example over real data: the world's countries, their subdivisions, and its languages."""
