"""The only package that distinguishes one kind of database from another."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..exceptions import DatabaseUndefined, UnsupportedDatabase
from .base import Vendor

__all__ = ["Vendor", "get_vendor", "supports"]

#: The vendors, by Django's names for them.
_CLASSES = {
    "postgresql": "postgresql.PostgreSQL",
    "sqlite": "sqlite.SQLite",
}

#: What Django takes for the engine of a database that has none.
_EMPTY = "django.db.backends.dummy"


def supports(connection: BaseDatabaseWrapper) -> bool:
    """Return whether auditrepr works on this connection's database."""
    return connection.vendor in _CLASSES


def get_vendor(using: str) -> Vendor:
    """Return the vendor that serves this database: one object for each alias.

    :raises UnsupportedDatabase: if it is neither PostgreSQL nor SQLite.
    :raises DatabaseUndefined: if the settings do not say what it is.
    """
    connection = connections[using]
    if not supports(connection):
        others = ", ".join(alias for alias in connections if supports(connections[alias]))
        if others and connection.settings_dict["ENGINE"] == _EMPTY:
            raise DatabaseUndefined(alias=using, others=f"--database {others}")
        raise UnsupportedDatabase(alias=using, vendor=connection.vendor)
    # Tests may give the alias to a database of another vendor.
    return _made(using, connection.vendor)


@cache
def _made(using: str, name: str) -> Vendor:
    module, _, class_name = _CLASSES[name].partition(".")
    vendor: type[Vendor] = getattr(import_module(f".{module}", __name__), class_name)
    return vendor(using)
