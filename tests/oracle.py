"""The oracle: notes ``str(instance)`` at each change while it happens, for comparison."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import DatabaseError, connections, transaction
from django.db.models import Model, QuerySet
from hypothesis import HealthCheck, settings

from auditrepr.models import AuditLog, Fidelity
from auditrepr.reprs import Outcome, build
from auditrepr.utils.table_names import log_name
from auditrepr.vendors import get_vendor
from auditrepr.vendors.types import BEGINNING, Event
from tests.sizes import examples, size

#: What may change an object: statements that begin so, contain this, and are not about the log.
VERBS = {"INSERT", "UPDATE", "DELETE", "WITH", "TRUNCATE"}
CHANGES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|TRUNCATE|MERGE)\b", re.IGNORECASE)
OWN = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?auditrepr_', re.IGNORECASE)
#: How many histories a state machine tries, and how long each is.
HISTORIES = settings(
    **examples(quick=2, full=20, named="TRUTH_EXAMPLES"),
    stateful_step_count=size(20, 30),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

Key = tuple[str, str]  # the table as the log has it, and the object in it
Said = dict[Key, "str | Pair"]


class Pair(NamedTuple):
    """What is said of a row of an automatic many-to-many table, and of what."""

    owner: Model
    field: Any
    other: Model
    said: tuple[str, str]  # of both, when this was made

    @classmethod
    def of(cls, row: Any) -> Pair:
        fields = row._meta.auto_created._meta.local_many_to_many
        (field,) = (field for field in fields if field.remote_field.through is type(row))
        names = field.m2m_field_name(), field.m2m_reverse_field_name()
        owner, other = (getattr(row, name) for name in names)
        return cls(owner, field, other, (str(owner), str(other)))

    def now(self) -> Pair:
        """The same objects, as they are called after a statement that has separated them."""
        for one in (self.owner, self.other):
            one.refresh_from_db()
        return self._replace(said=(str(self.owner), str(self.other)))

    def told(self, *signed: str) -> str:
        """``owner: field``, and what is to follow."""
        return " ".join([f"{self.said[0]}: {self.field.verbose_name}", *signed])


def _told(action: str, before: str | Pair | None, after: str | Pair | None) -> str | None:
    """What an event says: of a pair that it was made, or separated, or both."""
    match action, before, after:
        case "I", _, Pair():
            return after.told("+", after.said[1])
        case "D", Pair(), _:
            return before.told("-", before.said[1])
        case "U", Pair(), Pair():
            lost = before.now()
            if lost.owner == after.owner:
                return lost.told("-", lost.said[1], "+", after.said[1])
            return f"{lost.told('-', lost.said[1])}; {after.told('+', after.said[1])}"
    said = before if action == AuditLog.Action.DELETE else after
    return None if isinstance(said, Pair) else said


def _leaves_objects(sql: str) -> bool:
    """Whether a statement writes to a table of auditrepr's alone, or reads one."""
    # Another one that seems to read may call a function that writes.
    reads = CHANGES.search(sql) is None and "auditrepr_" in sql
    return reads or OWN.match(sql) is not None


class Raised(str):
    """The name of the exception that was raised in place of a text."""


class Oracle:
    """Notes, for every event of these models, the texts of their objects at that moment.

    For a delete, this is the state before its statement; for others, the state after it.

    :param rehearse: try each delete and roll it back first, to ask only the objects that it
        removes, where otherwise all are asked. For large tables, and one connection.
    """

    def __init__(
        self, models: Sequence[type[Model]], using: str = "default", rehearse: bool = False
    ) -> None:
        self.models = models
        self.using = using
        self.rehearse = rehearse
        self.vendor = get_vendor(using)
        self.expected: dict[int, str] = {}
        self._noting = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Note every statement inside that changes something, whatever causes it."""
        wrappers = connections[self.using].execute_wrappers
        wrappers.insert(0, self._execute)  # before a context is added to the statement
        try:
            yield
        finally:
            wrappers.remove(self._execute)

    def _execute(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        verb = sql.lstrip().split(" ", 1)[0].upper()
        if self._noting or verb not in VERBS or _leaves_objects(sql):
            return execute(sql, params, many, context)
        self._noting = True
        try:
            # The objects of a delete must be read before it; others can be read afterwards.
            before: Said = {}
            if verb not in {"INSERT", "UPDATE"} or (verb == "UPDATE" and self._updates_pairs(sql)):
                before = self._said(self._removed(lambda: execute(sql, params, many, context)))
            highest = self._highest()
            result = execute(sql, params, many, context)
            self._note(before, highest)
        finally:
            self._noting = False
        return result

    def _removed(self, statement: Callable[[], Any]) -> set[Key] | None:
        """Return the objects that a statement would change; unknown without a rehearsal."""
        if not self.rehearse:
            return None
        with transaction.atomic(self.using):
            highest = self._highest()
            statement()
            keys = {_key(row) for row in self._own(highest)}
            transaction.set_rollback(True, self.using)
        return keys

    def _note(self, before: Said, highest: int) -> None:
        rows = list(self._own(highest))
        deleted = AuditLog.Action.DELETE
        after = self._said({_key(row) for row in rows if row.action != deleted})
        for row in rows:
            self.expected.pop(row.pk, None)  # SQLite gives a rolled-back id again
            told = _told(row.action, before.get(_key(row)), after.get(_key(row)))
            if told is not None:
                self.expected[row.pk] = told

    def _updates_pairs(self, sql: str) -> bool:
        """Whether a pair may be separated by it, whose names are to be read before."""
        tables = (model._meta.db_table for model in self.models if model._meta.auto_created)
        return any(table in sql for table in tables)

    def _own(self, highest: int) -> QuerySet[AuditLog]:
        """Return the statement's events, without those that other connections have committed."""
        rows = AuditLog.objects.using(self.using).filter(pk__gt=highest)
        connection = connections[self.using]
        if connection.vendor == "postgresql" and connection.in_atomic_block:
            return rows.extra(where=["transaction_id = txid_current()"])
        return rows

    def _highest(self) -> int:
        rows = AuditLog.objects.using(self.using).order_by("-pk")
        last = rows.values_list("pk", flat=True).first()
        return BEGINNING if last is None else last

    def _said(self, wanted: set[Key] | None = None) -> Said:
        """Return the current texts of these objects, by default of all."""
        said: Said = {}
        tables = None if wanted is None else {table for table, _ in wanted}
        for model in self.models:
            table = log_name(model._meta.db_table)
            if tables is not None and table not in tables:
                continue
            instances = list(QuerySet(model, using=self.using))
            keys = self.vendor.key_texts(model._meta.pk, [one.pk for one in instances])
            for key, instance in zip(keys, instances, strict=True):
                if wanted is None or (table, key) in wanted:
                    said[table, key] = _said(instance)
        return said


def _key(row: AuditLog) -> Key:
    return row.table_name, row.object_id or ""


def _said(instance: Any) -> str | Pair:
    try:
        return Pair.of(instance) if instance._meta.auto_created else str(instance)
    except DatabaseError:
        raise  # the transaction cannot go on
    except Exception as error:
        return Raised(type(error).__name__)


def built() -> dict[int, Outcome]:
    events = [Event.of(row) for row in AuditLog.objects.exclude(action="T").order_by("id")]
    return {outcome.id: outcome for outcome in build(events, "default")}


def assert_true(oracle: Oracle, doubt: str = "") -> None:
    """Everything is represented, exact or in this doubt, and as it was said."""
    outcomes = built()
    assert oracle.expected
    failed = {pk: outcomes[pk].failure for pk in oracle.expected if outcomes[pk].failure}
    assert not failed, "\n".join(failure.traceback for failure in failed.values())
    assert {pk: outcomes[pk].text for pk in oracle.expected} == oracle.expected
    mixed = {pk: o for pk, o in outcomes.items() if o.fidelity == Fidelity.MIXED}
    assert not {pk: o for pk, o in mixed.items() if pk in oracle.expected and o.reason != doubt}
