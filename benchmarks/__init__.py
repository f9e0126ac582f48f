"""What auditrepr costs, compared with alternatives: ``python -m benchmarks --help``."""
