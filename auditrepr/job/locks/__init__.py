"""Keep two runs apart."""
