"""Erases: under the job's lock, in short transactions, and so that it can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeVar

from django.db import transaction
from django.utils import timezone

from ...conf import get_settings
from ...models import AuditLog, Erasure, InstanceRepr, ReprFailure
from ...vendors import get_vendor
from ...vendors.types import Writers
from ..locks.base import Lock
from ..rounds.alone import working_alone
from ..seals import erasing as seals
from ..windows import start_of, windows
from . import changes, rebuilding, records, texts
from .changes import Change, change_of, of_others
from .checking import check
from .known import Known
from .known import known as known_of
from .target import ObjectTarget, Target

T = TypeVar("T")

#: Events that are changed in one transaction.
BATCH_SIZE = 200


@dataclass(frozen=True)
class Asked:
    """What is asked for."""

    target: Target
    also: frozenset[str] = frozenset()  # texts to search for besides
    but: frozenset[str] = frozenset()  # texts not to search for
    ignore_seals: bool = False


@dataclass
class Erased:
    """What was erased; also in runs before that were cut short."""

    record: Erasure
    known: Known
    open_transactions: bool = False  # from before it began, which may add more
    stopped: bool = False


def erase(
    asked: Asked,
    *,
    lock: Lock,
    batch_size: int = BATCH_SIZE,
    on_batch: Callable[[Erasure], None] = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
) -> Erased:
    """Erase what is asked for; each batch is a transaction of its own.

    If it is cut short, call it again: the next call finds what is left to erase.

    :param lock: the job's lock: a run could store what has just been erased.
    :param stop: called after each batch; true ends the work.
    :raises NothingCommitted: if the project's settings turn Django's transactions off.
    :raises MigrationsPending: if one of auditrepr's own migrations is not applied.
    :raises MayNotErase: if this connection lacks the rights.
    :raises GuardOutdated: if append-only triggers of an earlier version are in the way.
    :raises EraseDuringImport: if an import is unfinished.
    :raises StillCurrent: if the object's current row still has such values, and may not keep them.
    :raises NothingToErase: if the log has no event of the target.
    :raises LockHeld: if a run holds the lock.
    :raises LeaseLost: if a run has taken over the lock: the last batch is rolled back.
    :raises SealBroken: if what would be changed is no longer what was sealed.
    """
    check(asked.target)
    with working_alone(asked.target.using, lock):
        return _Run(asked, lock, batch_size, on_batch, stop).work()


class _Run:
    """One run; ``record`` counts what it and those before it have done."""

    def __init__(
        self,
        asked: Asked,
        lock: Lock,
        size: int,
        on_batch: Callable[[Erasure], None],
        stop: Callable[[], bool],
    ) -> None:
        self.asked, self.target, self.using = asked, asked.target, asked.target.using
        self.lock, self.size, self.on_batch, self.stop = lock, size, on_batch, stop
        self.vendor = get_vendor(self.using)
        self.day = timezone.now().date().isoformat()
        self.stopped = False

    @cached_property
    def known(self) -> Known:
        return known_of(self.target, also=set(self.asked.also), but=set(self.asked.but))

    def work(self) -> Erased:
        writers = self.vendor.writers()
        self.record = records.unfinished(self.target) or records.begin(self.target)
        top = self.vendor.reach().visible
        self.own = set(self.target.events().values_list("pk", flat=True))
        for step in (self._elsewhere, self._others, self._own, self._rebuild):
            if not self.stopped:
                step(top)
        if not self.stopped:
            self.vendor.tidy_search()
            records.finish(self.record)
        return Erased(self.record, self.known, self._still_open(writers), self.stopped)

    def _still_open(self, writers: Writers) -> bool:
        now = self.vendor.writers()
        return bool(writers.names) and now.include_any_of(writers)

    def _replacement(self, key: str) -> str:
        return records.replacement(self.record, key)

    def _elsewhere(self, top: int) -> None:
        """Erase in the tables whose rows are about no event."""
        if rows := texts.others(self.using, self.known.needles, self.record):
            with self._batch(others=len(rows)):
                texts.erase_others(self.using, rows, self.known.needles)

    def _others(self, top: int) -> None:
        """Erase what is not its own, part by part of the log; its own values are still needed."""
        needles = self.known.needles
        for after, upto in parts(self.using, top) if needles else ():
            said = InstanceRepr.objects.using(self.using)
            said = said.filter(audit_log_id__gt=after, audit_log_id__lte=upto)
            # Its own are erased last: a run that continues this one finds other texts by them.
            self._mark([pk for pk in texts.representations(said, needles) if pk not in self.own])
            failed = ReprFailure.objects.using(self.using)
            failed = failed.filter(audit_log_id__gt=after, audit_log_id__lte=upto)
            self._fail(texts.failures(failed, needles))
            self._change(of_others(self.target, needles, self.own, after, upto))
            if self.stopped:
                return

    def _own(self, top: int) -> None:
        """Erase in its own events."""
        self._replace_keys()
        for ids in self._own_in_order():
            if self.stopped:
                return
            rows = InstanceRepr.objects.using(self.using).filter(pk__in=ids)
            self._mark(texts.representations(rows, self.known.needles))
            if isinstance(self.target, ObjectTarget):
                self._mark(texts.representations(rows, self.known.words))
                failed = ReprFailure.objects.using(self.using).filter(pk__in=ids)
                self._fail(texts.own_failures(failed))
            events = AuditLog.objects.using(self.using).filter(pk__in=ids).order_by("pk")
            needles = self.known.needles
            found = [change_of(e, self.target, needles, self._replacement) for e in events]
            self._change((change for change in found if change), max(self.size, len(ids)))

    def _replace_keys(self) -> None:
        """Replace its keys where other events are about it; the log still says which they are."""
        if not isinstance(self.target, ObjectTarget):
            return
        found = []
        for tables, keys in self.target.keys_by_tables():
            if texts.about(self.using, tables, keys).exists():
                found.append((tables, {key: self._replacement(key) for key in keys}))
        if found:
            with self._batch():
                for tables, replacements in found:
                    texts.replace_keys(self.using, tables, replacements)

    def _own_in_order(self) -> Iterator[Sequence[int]]:
        """Yield its own events in portions, at last and at once those that changed its key.

        They lead from the key that was asked for to all events under its other keys.
        """
        rekeyed = self.target.events().filter(previous_object_id__in=self.target.keys)
        last = set(rekeyed.values_list("pk", flat=True)) if self.target.keys else set()
        yield from _portions(sorted(self.own - last), self.size)
        if last:
            yield sorted(last)

    def _rebuild(self, top: int) -> None:
        """Build again what was marked, and its own representations."""
        own: set[int] = set()
        if isinstance(self.target, ObjectTarget):
            own = self.own | self.target.replaced(self._replacement)
        marked = set(texts.waiting(self.using).values_list("pk", flat=True))
        for ids in _portions(sorted(own | marked), self.size):
            rows = rebuilding.again(self.using, ids, self.known.needles, own, self.day)
            new = [pk for pk, *_ in rows if pk not in marked]
            if rows:
                with self._batch(representations=len(new)):
                    self.vendor.replace(rows)
            if self.stopped:
                return

    def _mark(self, ids: Sequence[int]) -> None:
        for some in _portions(ids, self.size):
            with self._batch(representations=len(some)):
                texts.mark(self.using, some)

    def _fail(self, ids: Sequence[int]) -> None:
        for some in _portions(ids, self.size):
            with self._batch(failures=len(some)):
                texts.erase_failures(self.using, some, self.known.needles)

    def _change(self, found: Iterator[Change], size: int | None = None) -> None:
        while some := list(islice(found, size or self.size)):
            events = sum(bool(one.chosen or one.keys) for one in some)
            ids = {one.event.pk for one in some}
            # Before the transaction, which other writers may wait for.
            sealed = seals.checked(self.using, ids, ignore=self.asked.ignore_seals)
            with self._batch(events=events, contexts=sum(bool(one.said) for one in some)):
                changes.write(self.using, some, self.day, sealed)
            if self.stopped:
                return

    @contextmanager
    def _batch(self, **counts: int) -> Iterator[None]:
        """Do what is inside in a transaction, and count it."""
        with transaction.atomic(self.using):
            self.vendor.end_if_idle(get_settings().LEASE_SECONDS / 2)
            # Begin with a write: SQLite cannot upgrade a read transaction while others write.
            records.count(self.record, **counts)
            yield
            self.lock.renew()
        self.on_batch(self.record)
        self.stopped = self.stopped or self.stop()


def parts(using: str, top: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of the log up to this ID that have events."""
    after = start_of(using, top)
    while after < top:
        for begin, end in windows(using, after, top):
            yield begin, end
            after = end


def _portions(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for n in range(0, len(items), size):
        yield items[n : n + size]
