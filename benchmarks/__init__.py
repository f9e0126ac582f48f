"""What auditrepr costs, beside what else one could do: ``python -m benchmarks --help``."""
