"""Transactions around code of the project."""

from __future__ import annotations

from django.db import transaction


def unnoticed(using: str) -> transaction.Atomic:
    """Return a block inside which code may open durable ones, as if there was no block around."""
    block = transaction.atomic(using)
    # As the blocks of Django's TestCase, which are around code that is tested.
    setattr(block, "_from_testcase", True)  # noqa: B010 - not in Django's stubs
    return block
