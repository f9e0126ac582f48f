"""A model whose ``__str__`` does what no ``__str__`` should do."""

from __future__ import annotations

import time

from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy

import auditrepr


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("not even this")


def query(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def hang_in_database():
    if connection.vendor == "postgresql":
        return query("SELECT pg_sleep(600)")
    return query(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000000000)"
        " SELECT max(i) FROM n"
    )


def hang_in_python():
    try:
        time.sleep(600)
    except Exception:
        return "it was not to be stopped"


def own_transaction():
    with transaction.atomic():
        return "in a transaction"


@auditrepr.track
class Troubled(models.Model):
    does = models.CharField(max_length=30)

    WAYS = {
        "fine": lambda self: "fine",
        "raises": lambda self: 1 / 0,
        "exits": lambda self: exit(3),
        "interrupts": lambda self: (_ for _ in ()).throw(KeyboardInterrupt()),
        "recurses": lambda self: str(self),
        "no memory": lambda self: (_ for _ in ()).throw(MemoryError()),
        "unprintable": lambda self: (_ for _ in ()).throw(Unprintable()),
        "number": lambda self: 5,
        "lazy": lambda self: gettext_lazy("Yes"),
        "nul": lambda self: "a\0b",
        "surrogate": lambda self: "a\ud800b",
        "long": lambda self: "x" * 1_000_000,
        "bidi": lambda self: "a\u202eb\x1b[31m",
        "sleeps": lambda self: hang_in_python(),
        "slow query": lambda self: str(hang_in_database()),
        "bad query": lambda self: str(query("SELECT 1 FROM nowhere")),
        "writes": lambda self: str(Troubled.objects.create(does="fine").pk),
        "closes": lambda self: connection.close() or "closed",
        "own transaction": lambda self: own_transaction(),
        "time": lambda self: f"{timezone.localtime(timezone.now()).tzinfo}",
    }

    def __str__(self):
        return self.WAYS[self.does](self)
