"""Logs of Django packages, which their models describe."""
