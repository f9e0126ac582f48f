"""The only package that distinguishes one kind of database from another."""

from __future__ import annotations

from importlib import import_module

from django.db import connections

from ..exceptions import UnsupportedDatabase
from .base import Vendor

__all__ = ["Vendor", "get_vendor", "supports"]

_CLASSES = {
    "postgresql": "postgresql.PostgreSQL",
    "sqlite": "sqlite.SQLite",
}


def supports(vendor: str) -> bool:
    """Return whether auditrepr supports databases of this kind, by Django's name for it."""
    return vendor in _CLASSES


def get_vendor(using: str) -> Vendor:
    """Return the vendor for this database.

    :raises UnsupportedDatabase: if it is neither PostgreSQL nor SQLite.
    """
    vendor = connections[using].vendor
    try:
        module, _, name = _CLASSES[vendor].partition(".")
    except KeyError:
        raise UnsupportedDatabase(alias=using, vendor=vendor) from None
    found: type[Vendor] = getattr(import_module(f".{module}", __name__), name)
    return found(using)
