"""A log that is attached to another one: a view of that log's table has its name.

The log's own table is empty, and stands aside until the log is detached. Its columns are the
view's: so migrations change it, and the view is made from it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from django.db import Error, transaction

from ..conf import get_settings
from ..exceptions import IndexesMissing, LogAttached, ViewMissing
from ..models import AuditLog
from ..sources import Source, find
from ..sources.excluding import excluded_columns
from ..sources.tables.attached_keys import find_keys
from ..vendors import get_vendor
from ..vendors.attach_types import Attachment, Keys, LogView, ViewFacts

#: Settings about keeping a log of our own.
OWN_SETTINGS = ("APPEND_ONLY", "SEAL", "RETENTION")


class Refreshed(NamedTuple):
    """What a view is now."""

    source: str
    indexes: list[str]  # statements for indexes that the other log's table now lacks


def attached(using: str) -> Attachment | None:
    """Return to what the log of this database is attached; None if it is our own."""
    return get_vendor(using).attachment()


def refuse(using: str, what: str) -> None:
    """Check that the log is our own.

    :param what: what cannot be done, and where it can.
    :raises LogAttached: if it is attached.
    :raises ViewMissing: if it is, and a migration was interrupted.
    """
    found = attached(using)
    if found is not None and not found.in_place:
        raise ViewMissing(alias=using, source=found.source)
    if found is not None:
        raise LogAttached(alias=using, source=found.source, what=what)


def view_of(using: str, source: Source, known: Any = None) -> LogView:
    """Return the source as the view has it: without the excluded columns."""
    return replace(source.view(using, known), excluded=excluded_columns(using))


def own_settings() -> str:
    """Return the settings that are about keeping a log of our own, if there are any."""
    settings = get_settings()
    return ", ".join(f'AUDITREPR["{name}"]' for name in OWN_SETTINGS if getattr(settings, name))


def problem(using: str, found: Attachment) -> ViewMissing | IndexesMissing | None:
    """Return what keeps an attached log from being read, or from being read in time."""
    if not found.in_place:
        return ViewMissing(alias=using, source=found.source)
    with transaction.atomic(using):
        facts = get_vendor(using).view_facts(found.version)
    if not facts.indexes or not AuditLog.objects.using(using).exists():
        return None
    return lacking(facts)


def lacking(facts: ViewFacts) -> IndexesMissing:
    """Return the error that says which indexes the other log's table lacks."""
    statements = "\n".join(f"{sql};" for sql in facts.indexes)
    return IndexesMissing(table=", ".join(facts.tables), statements=statements)


def put_back(using: str) -> None:
    """Make the view again after its table stood aside, with the keys that it had."""
    if found := attached(using):
        view = view_of(using, find(found.source), found.known)
        get_vendor(using).attach(found.source, view, found.keys, found.version)


def refresh(using: str) -> Refreshed | None:
    """Make the view again if the log's columns, the settings or the tables' keys have changed.

    :returns: None if nothing has changed.
    """
    vendor, found = get_vendor(using), attached(using)
    if found is None:
        return None
    source = find(found.source)
    view = view_of(using, source, found.known)
    known = _known(found.keys)
    today = find_keys(using, known, found.keys.bare, view.key_types)
    wanted = _kept(found.keys, today)
    same = found.in_place and wanted == found.keys
    if same and found.digest == vendor.view_digest(view, wanted, found.version):
        return None
    with transaction.atomic(using):
        changed = list(_changed(found.keys, wanted))
        stays = not changed or (found.in_place and _unwritten(using, found.keys, changed))
        version = found.version if stays else found.version + 1
        vendor.attach(source.name, view, wanted, version)
        indexes = list(vendor.view_facts(version).indexes)
    return Refreshed(source.name, indexes)


def _known(keys: Keys) -> list[tuple[str, str]]:
    return [
        (schema, table)
        for found in (keys.names, keys.spans)
        for schema, tables in found.items()
        for table in tables
    ]


def _kept(old: Keys, new: Keys) -> Keys:
    """Return the new keys, with the old ones of tables that are gone: their events are not."""
    names = {schema: dict(tables) for schema, tables in new.names.items()}
    spans = {schema: dict(tables) for schema, tables in new.spans.items()}
    for schema, tables in old.spans.items():
        for table, before in tables.items():
            now = spans.get(schema, {}).get(table)
            if now is not None and not any(one.columns for one in now):
                spans[schema][table] = before
    return Keys(old.bare, names, spans)


def _changed(old: Keys, new: Keys) -> Iterable[tuple[str, str]]:
    """Yield the tables of which something else is known than before."""
    for schema, table in dict.fromkeys([*_known(old), *_known(new)]):
        if any(
            before.get(schema, {}).get(table) != after.get(schema, {}).get(table)
            for before, after in ((old.names, new.names), (old.spans, new.spans))
        ):
            yield schema, table


def _unwritten(using: str, old: Keys, tables: Iterable[tuple[str, str]]) -> bool:
    """Return whether there is, and will be, no event of these tables in this transaction.

    Then no index has a value of the function that changes.
    """
    names = [
        old.names.get(schema, {}).get(table) or old.usual_name(schema, table)
        for schema, table in tables
    ]
    try:
        with transaction.atomic(using):
            get_vendor(using).stop_writers()
    except Error:  # not our table: only its owner may lock it
        return False
    return not AuditLog.objects.using(using).filter(table_name__in=names).exists()
