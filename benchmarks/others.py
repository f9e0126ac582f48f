"""The triggers of others, on their own copies of the tables: there only while they are measured.

The job asks more of a database with triggers that are not its own, because they may change rows
for a statement that names others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.db import connection

from . import data

_TRIGGERS = {
    "postgresql": r"""
SELECT concat(quote_ident(tgname), ' ON ', tgrelid::regclass) FROM pg_trigger
WHERE NOT tgisinternal AND tgname NOT LIKE '%%auditrepr\_%%'""",
    "sqlite": """
SELECT name FROM sqlite_master WHERE type = 'trigger' AND name NOT LIKE '%%auditrepr%%'""",
}


def uninstall() -> None:
    """Drop every trigger but auditrepr's."""
    for (trigger,) in data.rows(_TRIGGERS[connection.vendor]):
        data.run(f"DROP TRIGGER {trigger}")


@contextmanager
def installed() -> Iterator[None]:
    """Have django-pghistory's triggers meanwhile, and those that are created inside."""
    if apps.is_installed("benchmarks.peers"):
        import pgtrigger

        pgtrigger.install()
    try:
        yield
    finally:
        uninstall()
