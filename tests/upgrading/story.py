"""The events of the library while the earlier version was installed.

A dump in ``before/`` is what an empty database holds after this story, told by that version: it is
on ``PYTHONPATH`` before this repository, with ``tests/upgrading`` in it. See ``before/README.md``.
"""

from __future__ import annotations

import django
from django.core.management import call_command
from django.db import connection


def tell() -> None:
    """Make the database, change its rows, let the job run, and leave work to do."""
    import auditrepr
    from tests.upgrading.library.models import Author, Book, Tag

    call_command("migrate", verbosity=0)
    with auditrepr.context(user="ann", reason="import"):
        ann, bea = (Author.objects.create(name=name) for name in ("Ann", "Bea"))
        poems, prose = (Tag.objects.create(label=label) for label in ("poems", "prose"))
        book = Book.objects.create(title="First", author=ann, price="12.50")
        book.tags.add(poems, prose)
    Author.objects.filter(pk=bea.pk).update(id=200)  # another primary key
    Author.objects.create(name="?")  # fails
    Author.objects.filter(pk=ann.pk).update(name="Anna")
    lose(Tag._meta.db_table)
    Tag.objects.create(label="unseen")
    call_command("audit_triggers", "install", verbosity=0)
    for _ in range(3):  # the second and the third have nothing to do
        call_command("backfill_reprs", verbosity=0)
    call_command("rebuild_reprs", batch_size=1, max_seconds=0.001, verbosity=0)
    # What the next version finds to do.
    Tag.objects.filter(pk=prose.pk).delete()
    Book.objects.update(title="Second")
    Author.objects.filter(pk=200).delete()


def lose(table: str) -> None:
    """Leave one trigger out of those that record the table."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"DROP TRIGGER auditrepr_insert_{table}")
        else:
            cursor.execute(f"DROP TRIGGER auditrepr_insert ON {table}")


if __name__ == "__main__":
    django.setup()
    tell()
