"""An application that uses auditrepr, with a test suite of its own; test_flush.py runs it."""
