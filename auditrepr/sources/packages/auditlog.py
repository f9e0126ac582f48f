"""django-auditlog: one table of entries about all models."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.apps import apps
from django.conf import settings
from django.db import connections, router
from django.db.models import Count, IntegerField, Model
from django.utils.module_loading import import_string

from ...exceptions import SourceUnavailable
from ...lineage import recent_renames
from ...tracking import tracked_tables
from ...utils.model_meta import concrete, key_parts, own_fields
from ...utils.table_names import log_name, model_for_table
from ...vendors import get_vendor
from ...vendors.import_types import Cell, Form, Serialized
from ..base import Facts, Order, Part, Source
from ..quoting import text
from .auditlog_changes import changes_of, said_of
from .serialized import form, is_set_by_saving
from .sql import as_context_value, cases, column, named_since, transaction

ACTIONS = {0: "I", 1: "U", 2: "D"}

SELECT = """
SELECT {position} AS position, CASE event.content_type_id {tables} END AS table_name,
    CASE event.content_type_id {keys} END AS object_id,
    CASE event.action {actions} END AS action,
    CASE event.content_type_id {rows} END AS row_data, {kept} AS row_kept, {context} AS context,
    event.timestamp AS occurred_at, event.object_repr AS text{transaction}
FROM {entries} AS event
WHERE event.action IN ({chosen}) AND event.content_type_id IN ({types})
"""
_ROW = "CASE WHEN event.serialized_data IS NOT NULL THEN {} END"

#: Fields of an entry that its context gets, with their names there.
_CONTEXT = {
    "actor": "user", "actor_email": "actor_email", "cid": "cid", "remote_addr": "remote_addr",
    "remote_port": "remote_port",
}  # fmt: skip
#: Keys that Python's ``str()`` writes as the triggers do, or as the vendor can read.
_KEYS = (Form.INTEGER, Form.TEXT, Form.UUID, Form.DATE)
#: Keys of fields that have no form are read as they are, unless they are of these.
_AMBIGUOUS = frozenset(
    {
        "ArrayField", "BigIntegerRangeField", "BinaryField", "BooleanField", "DateRangeField",
        "DateTimeField", "DateTimeRangeField", "DecimalField", "DecimalRangeField", "DurationField",
        "FloatField", "HStoreField", "IntegerRangeField", "JSONField", "TimeField",
    }
)  # fmt: skip


class Auditlog(Source):
    """The log entries of django-auditlog.

    An entry has a row if the model's data was serialized; what cannot be read from that exactly,
    and what was masked, is not recorded. Its text is what ``str()`` said.
    """

    name = "auditlog"
    unattachable = "it has texts of values, as Django wrote them, and not rows"
    title = "django-auditlog"
    facts = Facts(Order.WHOLE, deletes=True, before_images=False, whole_rows=False, texts=True)

    def parts(self, using: str, tables: Collection[str] | None = None) -> list[Part]:
        entries = self._entries(using)
        kinds = [one for one in _kinds(entries, using) if tables is None or one.table in tables]
        if not kinds:
            reason = "it has no entries of these models"
            raise SourceUnavailable(source=self.name, alias=using, reason=reason)
        since = named_since(self.name, using)
        number = entries._meta.pk
        ordered = isinstance(number, IntegerField)
        position = column(using, "event", number)
        changes = changes_of(entries, using)
        select = SELECT.format(
            position=position if ordered else get_vendor(using).row_number("event", position),
            tables=cases((one.content_type, text(one.table)) for one in kinds),
            keys=cases((one.content_type, one.key(using)) for one in kinds),
            actions=cases((number, text(action)) for number, action in ACTIONS.items()),
            rows=cases((one.content_type, one.row(using, since, changes)) for one in kinds),
            kept=get_vendor(using).holds_object(changes),
            context=_context(entries, kinds, using, changes),
            entries=connections[using].ops.quote_name(entries._meta.db_table),
            chosen=", ".join(map(str, ACTIONS)),
            types=", ".join(str(one.content_type) for one in kinds),
            transaction=transaction(using),
        )
        return [Part("", select, not ordered)]

    def left_out(self, using: str, tables: Collection[str] | None = None) -> dict[str, int]:
        entries = self._entries(using)
        read = {one.content_type: one.table for one in _kinds(entries, using)}
        found: dict[str, int] = {}
        rows = entries._base_manager.using(using).order_by()
        counted = rows.values_list("content_type_id", "action").annotate(number=Count("pk"))
        for content_type, action, number in counted:
            known = content_type in read
            if tables is not None and read.get(content_type) not in tables:
                continue
            if not known or action not in ACTIONS:
                what = "other actions" if known else "models that are not known"
                found[what] = found.get(what, 0) + number
        return found

    def _entries(self, using: str) -> Any:
        if not apps.is_installed("auditlog"):
            reason = '"auditlog" is not in INSTALLED_APPS'
            raise SourceUnavailable(source=self.name, alias=using, reason=reason)
        return apps.get_model(getattr(settings, "AUDITLOG_LOGENTRY_MODEL", "auditlog.LogEntry"))


class _Kind(NamedTuple):
    """A content type of which there are entries."""

    content_type: int
    table: str  # as the log has it
    model: type[Model] | None  # None: it is gone
    has_rows: bool  # whether entries may have serialized data

    def key(self, using: str) -> str:
        """Return SQL for the key of an entry's object."""
        known = form(self.model._meta.pk) if self.model else None
        return get_vendor(using).serialized_key("event.object_pk", known)

    def row(self, using: str, since: Mapping[str, Mapping[str, datetime]], changes: str) -> str:
        """Return SQL for the row that an entry has serialized.

        :param since: since when columns have their names, by table.
        :param changes: SQL for what has changed.
        """
        names = since.get(self.table, {})
        values = list(self._values(using, names, changes)) if self.has_rows else []
        if not values:
            return "NULL"
        return _ROW.format(get_vendor(using).deserialized("event.serialized_data", values))

    def _values(
        self, using: str, since: Mapping[str, datetime], changes: str
    ) -> Iterator[Serialized]:
        masked = _masked(self.model)
        for field in own_fields(self.model) if self.model else ():
            kind = form(field)
            if kind is not None and field.name not in masked:
                # An update is serialized before it is saved.
                known = ["event.action <> 1"] if is_set_by_saving(field) else []
                if at := since.get(field.column):
                    known.append(f"event.timestamp >= {get_vendor(using).time_sql(at)}")
                path = ("pk",) if field.primary_key else ("fields", field.name)
                places = getattr(field, "decimal_places", None)
                said = said_of(changes, field, using) if kind is Form.TEXT else "NULL"
                yield Serialized(field.column, path, kind, places, " AND ".join(known), said)


def _kinds(entries: Any, using: str) -> list[_Kind]:
    """Return the content types of which there are entries, and whose table and key are known."""
    from django.contrib.contenttypes.models import ContentType

    rows = entries._base_manager.using(using).order_by()
    ids = list(rows.values_list("content_type_id", flat=True).distinct())
    serialized = any(field.name == "serialized_data" for field in entries._meta.local_fields)
    found = []
    for one in ContentType.objects.using(using).filter(pk__in=ids).order_by("pk"):
        model = one.model_class()
        if model is None:
            # What Django calls a table by default, unless another model has it.
            table = f"{one.app_label}_{one.model}"
            if model_for_table(table) is None:
                found.append(_Kind(one.pk, table, None, serialized))
            continue
        model = concrete(model)
        own = model._meta.pk
        here = router.allow_migrate_model(using, model)
        if here and len(key_parts(own)) == 1 and _is_readable(own):
            found.append(_Kind(one.pk, log_name(model._meta.db_table), model, serialized))
    return found


def _is_readable(key: Any) -> bool:
    """Return whether the text that an entry has of a key says which one it is."""
    if (known := form(key)) is not None:
        return known in _KEYS
    while key.is_relation:
        key = key.target_field
    return key.get_internal_type() not in _AMBIGUOUS


def _masked(model: type[Model] | None) -> set[str]:
    """Return the fields whose values django-auditlog masks."""
    registry = import_string("auditlog.registry.auditlog")
    known = model is not None and registry.contains(model)
    return set(registry.get_model_fields(model)["mask_fields"]) if known else set()


def _context(entries: Any, kinds: Sequence[_Kind], using: str, changes: str) -> str:
    """Return SQL for what an entry says next to the row: who, from where, and what has changed."""
    fields = {field.name: field for field in entries._meta.local_concrete_fields}
    cells = [
        Cell(said, sql, f"{sql} IS NOT NULL")
        for name, said in _CONTEXT.items()
        if name in fields
        for sql in [as_context_value(using, "event", fields[name])]
    ]
    excluded = _excluded(kinds, using)
    if excluded:
        without = get_vendor(using).import_dialect().without
        each = {kind: without(changes, names) for kind, names in excluded.items()}
        changes = f"CASE event.content_type_id {cases(each, changes)} END"
    more = get_vendor(using).json_value(column(using, "event", fields["additional_data"]))
    for said, sql in (("changes", changes), ("additional_data", more)):
        cells.append(Cell(said, sql, f"{sql} IS NOT NULL", is_json=True))
    return get_vendor(using).document(cells)


def _excluded(kinds: Sequence[_Kind], using: str) -> dict[int, list[str]]:
    """Return the fields of each content type that never come into the log, by all their names."""
    columns = {table.name: table.excluded for table in tracked_tables(using) if table.excluded}
    renames, found = recent_renames(using), {}
    for one in kinds:
        lineage, excluded = renames.lineage(one.table), columns.get(one.table, ())
        fields = [f for f in own_fields(one.model) if f.column in excluded] if one.model else []
        former = [name for field in fields for name in lineage.columns(field.column)]
        # What a relation was called is not recorded, only its column.
        names = {f.name for f in fields} | {*former} | {name.removesuffix("_id") for name in former}
        if names:
            found[one.content_type] = sorted(names)
    return found
