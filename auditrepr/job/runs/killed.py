"""Decides which runs without an end were killed, or ran on a host that failed.

A run records itself when it holds its lock or a share, and its end before it releases them. In
between, each batch renews its sign of life, and so does a worker that waits for others. A run on
another host is therefore killed once it holds nothing and has been silent for longer than any part
of a run takes. One on this host is killed as soon as its process has ended.

A process that works on, such as a Celery worker, may have lost the database at the end of a run. It
holds what it holds for the newest of its runs only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import Max
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_noop as _

from ...conf import get_settings
from ...models import BackfillRun
from ...vendors import get_vendor
from ..locks.process import Process

#: What stands in place of the stop reason that a killed run could not record.
KILLED = "killed"
#: The same in a sentence, for people.
TOLD = _("The process was killed, or its host failed: no end is recorded.")
#: Seconds that a worker may wait for the run's lock when a round is over, and some.
PATIENCE = 90.0
#: When a run without an end was last seen.
SEEN = Coalesce("seen_at", "started_at")


def among(using: str, runs: Iterable[BackfillRun], holders: Sequence[Process]) -> frozenset[int]:
    """Return the keys of those of these runs that were killed; at most two queries.

    :param holders: who held the lock or a share right before the runs were read.
    """
    lost: set[int] = set()
    doubtful: set[int] = set()
    holding: list[BackfillRun] = []
    for run in runs:
        if run.ended_at is not None:
            continue
        process = Process.of(run.holder) or Process(run.host, run.pid, "")
        if process.is_dead():
            lost.add(run.pk)
        elif any(map(process.is_same, holders)):
            holding.append(run)
        else:
            doubtful.add(run.pk)
    doubtful |= _outdated(using, holding)
    return frozenset(lost | _silent(using, doubtful))


def _outdated(using: str, runs: Sequence[BackfillRun]) -> set[int]:
    """Return those of these runs whose process has begun another one since.

    If that has threads, they may still run.
    """
    if not runs:
        return set()
    records = BackfillRun.objects.using(using)
    its = records.filter(host__in={run.host for run in runs}, pid__in={run.pid for run in runs})
    newest = its.order_by().values("host", "pid").annotate(newest=Max("pk"))
    current = set(newest.values_list("newest", flat=True))
    return {run.pk for run in runs} - current


def _silent(using: str, keys: set[int]) -> set[int]:
    """Return those of these runs that have shown no sign of life for too long."""
    if not keys:
        return set()
    settings = get_settings()
    silence = settings.LEASE_SECONDS + settings.ROW_SECONDS + PATIENCE
    runs = BackfillRun.objects.using(using).filter(pk__in=keys, ended_at=None)
    old = runs.alias(seen=SEEN)
    return set(old.filter(seen__lte=get_vendor(using).clock(-silence)).values_list("pk", flat=True))
