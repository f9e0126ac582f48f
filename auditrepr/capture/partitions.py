"""Whether rows may have come or gone with a partition, without an event.

A partition that is made as one comes empty, and what happens to its rows is recorded. One that is
attached brings rows, and one that is detached or dropped takes rows away. A TRUNCATE that names a
partition is recorded by the guard on it; without a guard, its file shows whether there was one.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ..models import AuditLog
from ..utils.table_names import log_name

if TYPE_CHECKING:
    from ..vendors.capture_types import Installed, Partition

LOG = log_name(AuditLog._meta.db_table)


def record(installed: Installed, before: str = "") -> str:
    """Return what coverage keeps of a table's triggers and partitions.

    :param before: what it has kept until now; a table that had partitions has none now.
    """
    if not installed.partitions and "\n" not in before:
        return installed.identity
    return f"{installed.identity}\n{json.dumps(_identities(installed), sort_keys=True)}"


def _identities(installed: Installed) -> dict[str, str]:
    return {key: partition.identity for key, partition in installed.partitions.items()}


def _recorded(installed: Installed, recorded: str) -> dict[str, str]:
    """Return the identities of the partitions in this record of the table.

    A version that knew no partitions has recorded none. Those that it found, it has guarded.
    """
    _, found, known = recorded.partition("\n")
    if found:
        return dict(json.loads(known))
    there = installed.partitions.items()
    return {key: partition.identity for key, partition in there if partition.guarded}


def unguarded(installed: Installed) -> list[str]:
    """Return the names of the partitions that may be emptied unrecorded."""
    found = installed.partitions.values()
    return sorted(one.name for one in found if one.recorded and not one.guarded)


def unrecorded(installed: Installed) -> bool:
    """Return whether something is below the table whose changes no trigger can record."""
    return not all(partition.recorded for partition in installed.partitions.values())


def swallowed(installed: Installed) -> bool:
    """Return whether the log's own table loses events: it then stands below each audited one."""
    found = installed.partitions.values()
    return any(one.name.endswith(LOG) for one in found if not one.recorded)


def emptied(installed: Installed) -> bool:
    """Return whether a partition without a guard may have been emptied."""
    found = installed.partitions.values()
    return any(one.recorded and not (one.guarded or one.original) for one in found)


def changed(installed: Installed, recorded: str) -> bool:
    """Return whether rows may have come or gone with a partition since this record."""
    if not installed.is_where(recorded):
        return False  # restored elsewhere: it starts with what it finds
    known = _recorded(installed, recorded)
    return _differ(_identities(installed), known) or _brought_rows(installed.partitions, known)


def changed_between(before: Installed, after: Installed) -> bool:
    """Return the same of the time between two looks, with triggers re-created in between."""
    was, now = before.partitions, after.partitions
    links = [{key: one.link for key, one in found.items()} for found in (now, was)]
    guarded_now = [key for key, one in was.items() if key in now and not one.guarded]
    return (
        _differ(*links)
        or _brought_rows(now, was)
        or not all(now[key].original for key in guarded_now)
    )


def _differ(there: Mapping[str, str], known: Mapping[str, str]) -> bool:
    """Return whether one of the known is gone, or no longer the same."""
    return any(there.get(key) != identity for key, identity in known.items())


def _brought_rows(there: Mapping[str, Partition], known: Collection[str]) -> bool:
    """Return whether one that is not known may have had rows when it came."""

    def made_here(key: str) -> bool:
        above = there[key].parent
        return there[key].born and (above not in there or above in known or made_here(above))

    return any(not (there[key].empty or made_here(key)) for key in there.keys() - known)
