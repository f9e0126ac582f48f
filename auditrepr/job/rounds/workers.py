"""The processes that work on a round."""

from __future__ import annotations

from ...models import BackfillRun, Share
from ...vendors import get_vendor
from ..locks.process import Process
from ..runs import killed


def holding(using: str, command: str) -> list[Process]:
    """Return the processes, of any host, that hold shares and may still run."""
    held = Share.objects.using(using).filter(command=command).exclude(token=None)
    live = held.filter(expires_at__gt=get_vendor(using).clock())
    found = map(Process.of, live.values_list("holder", flat=True))
    return [one for one in found if one and not one.is_dead()]


def at_work(using: str, command: str) -> list[Process]:
    """Return the processes that work on the command's round, if there is one.

    Between two shares, a worker holds none: then the record of its run shows that it works.
    """
    if not Share.objects.using(using).filter(command=command).exists():
        return []
    held = holding(using, command)
    runs = list(BackfillRun.objects.using(using).filter(command=command, ended_at=None))
    lost = killed.among(using, runs, held)
    found = (Process.of(run.holder) for run in runs if run.pk not in lost)
    return held + [one for one in found if one]
