"""Errors that say, in their first line, what is wrong and what to do.

Each subclass has its text in `message`, with ``{placeholders}`` for what the raiser knows. It is
an attribute and not the docstring, because ``python -OO`` drops docstrings.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar


class AuditReprError(Exception):
    """The base class of auditrepr's errors."""

    message: ClassVar[str] = "auditrepr cannot continue."

    def __init__(self, **details: Any) -> None:
        self.details = details
        super().__init__(self.message.format(**details))

    def __reduce__(self) -> tuple[Any, ...]:
        # From one process to another, as between those of a Celery worker.
        return partial(type(self), **self.details), ()
