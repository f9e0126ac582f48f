"""Several sites, each with a schema of its own in one database."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import connection

TABLES = {("app", "author"), ("app", "tag")}


class Shop:
    """A site with two tables in one database, and nothing of Django's own."""

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        if db != "default":
            return False
        return app_label == "auditrepr" or (app_label, model_name) in TABLES


def execute(*statements: str) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def at(*schemas: str) -> Iterator[None]:
    """A connection of the site whose search path this is."""
    path = ", ".join(connection.ops.quote_name(schema) for schema in schemas)
    execute(f"SET search_path = {path}")
    try:
        yield
    finally:
        execute("RESET search_path")


def run(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def migrate(*schemas: str) -> None:
    with at(*schemas):
        run("migrate", "--run-syncdb", "-v0")


@pytest.fixture
def schemas(settings) -> Iterator[list[str]]:
    """Names of schemas that are there, empty; all of it is gone afterwards."""
    settings.DATABASE_ROUTERS = [Shop()]
    names = ["one", "two", "common"]
    execute(*(f"CREATE SCHEMA {name}" for name in names))
    try:
        yield names
    finally:
        connection.close()
        mine = "nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')"
        for (name,) in execute(f"SELECT nspname FROM pg_namespace WHERE {mine}"):
            execute(f'DROP SCHEMA "{name}" CASCADE')
