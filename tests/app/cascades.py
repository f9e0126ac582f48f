"""Tables whose foreign keys the database itself cascades; tests create them with ``created()``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, models


def on_delete(name: str) -> Any:
    """Django's own option for it, which came with 6.1; before, Django leaves it to the database."""
    return getattr(models, name, models.DO_NOTHING)


class Base(models.Model):
    """Refers to itself, and is referred to in every way that a database knows."""

    name = models.CharField(max_length=20)
    rank = models.IntegerField(default=0)
    boss = models.ForeignKey("self", on_delete("DB_CASCADE"), null=True, related_name="staff")

    class Meta:
        managed = False

    def __str__(self) -> str:
        def names(related: Any) -> str:
            return ",".join(f"{one.name}{one.rank}" for one in related.order_by("pk"))

        boss = f"{self.boss.name}{self.boss.rank}" if self.boss_id else "-"
        return f"{self.name}{self.rank}<{boss}>({names(self.staff)})[{names(self.parts)}]"


class Part(models.Model):
    name = models.CharField(max_length=20)
    rank = models.IntegerField(default=0)
    base = models.ForeignKey(Base, on_delete("DB_CASCADE"), related_name="parts")
    other = models.ForeignKey(Base, on_delete("DB_SET_NULL"), null=True, related_name="+")

    class Meta:
        managed = False

    def __str__(self) -> str:
        other = f"{self.other.name}{self.other.rank}" if self.other_id else "-"
        return f"{self.name}{self.rank} of {self.base.name}{self.base.rank}, {other}"


class Guest(models.Model):
    name = models.CharField(max_length=20)
    base = models.ForeignKey(Base, on_delete("DB_SET_DEFAULT"), db_default=1, related_name="+")
    part = models.ForeignKey(Part, on_delete("DB_SET_NULL"), null=True, related_name="guests")

    class Meta:
        managed = False

    def __str__(self) -> str:
        part = f"{self.part.name} ({self.part.guests.count()})" if self.part_id else "-"
        return f"{self.name} at {self.base.name}{self.base.rank}, {part}"


MODELS: list[type[models.Model]] = [Base, Part, Guest]
_KEY = {"sqlite": "integer PRIMARY KEY AUTOINCREMENT", "postgresql": "bigserial PRIMARY KEY"}
_LATE = "DEFERRABLE INITIALLY DEFERRED"
_TABLES = """
CREATE TABLE app_base (id {key}, name varchar(20) NOT NULL, rank integer NOT NULL,
    boss_id bigint REFERENCES app_base ON DELETE CASCADE {late});
CREATE TABLE app_part (id {key}, name varchar(20) NOT NULL, rank integer NOT NULL,
    base_id bigint NOT NULL REFERENCES app_base ON DELETE CASCADE {late},
    other_id bigint REFERENCES app_base ON DELETE SET NULL {late});
CREATE TABLE app_guest (id {key}, name varchar(20) NOT NULL,
    base_id bigint NOT NULL DEFAULT 1 REFERENCES app_base ON DELETE SET DEFAULT {late},
    part_id bigint REFERENCES app_part ON DELETE SET NULL {late})"""


@contextmanager
def created(*, by_django: bool) -> Iterator[None]:
    """The tables are there, made by Django's schema editor or by SQL."""
    if by_django:
        with connection.schema_editor(atomic=False) as editor:
            for model in MODELS:
                editor.create_model(model)
    else:
        with connection.cursor() as cursor:
            for sql in _TABLES.format(key=_KEY[connection.vendor], late=_LATE).split(";"):
                cursor.execute(sql)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for model in reversed(MODELS):
                cursor.execute(f"DROP TABLE {model._meta.db_table}")
