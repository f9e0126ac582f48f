"""Other audit logs, whose events `import_audit_log` brings into auditrepr's own.

A source is one SELECT, or several, in the words of auditrepr's log: see :mod:`.contract`.
"""

from __future__ import annotations

from .base import Facts, Order, Part, Source
from .registry import find, names, title

__all__ = ["Facts", "Order", "Part", "Source", "find", "names", "title"]
