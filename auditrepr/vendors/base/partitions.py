"""The partition facet: a log that is a table partitioned by ranges of event IDs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from .facet import Facet


class LogPartition(NamedTuple):
    """A partition of the log: the IDs in ``[lower, upper)``."""

    name: str
    lower: int | None  # None: from the beginning
    upper: int | None  # None: to the end; the open partition


class Ahead(NamedTuple):
    """What making partitions ahead has done."""

    ahead: int  # partitions that no event has reached yet, without the open one
    made: int | None  # tables; None: the open partition has rows, so that its owner must close it
    locked: float  # seconds that the log was locked


class PartitionFacet(Facet, ABC):
    """Partitions the log, its representations and its failures, which have the same bounds."""

    # Whether the log can be partitioned.
    can_partition: bool

    @abstractmethod
    def log_partitions(self) -> list[LogPartition]:
        """Return the partitions of the log, the lowest first; none if it is not partitioned."""

    @abstractmethod
    def next_event(self) -> int:
        """Return an ID that no event has reached: all that are there, or handed out, are lower."""

    @abstractmethod
    def partition_obstacles(self) -> list[str]:
        """Return what keeps the tables from being partitioned, in words."""

    @abstractmethod
    def may_partition(self) -> bool:
        """Return whether this connection has the rights of the owner of the log."""

    @abstractmethod
    def adopt_as_partition(self) -> float:
        """Make each of the tables the open partition of one that takes its name.

        :returns: the seconds that they were locked.
        """

    @abstractmethod
    def support_partitions(self, size: int | None = None) -> None:
        """Create or replace what makes partitions, and bring all partitions up to date.

        :param size: event IDs in each partition; None: as before.
        """

    @abstractmethod
    def drop_partition_support(self) -> None:
        """Drop what :meth:`support_partitions` has created; harmless if there is nothing."""

    @abstractmethod
    def partition_size(self) -> int | None:
        """Return how many event IDs a new partition has; None if none can be made."""

    @abstractmethod
    def make_partitions(self, close_at: int | None = None) -> Ahead:
        """Make partitions ahead of the log, in a short transaction that waits for no lock for long.

        :param close_at: also close the open one, which begins with this ID from then on. If it is
            large, :meth:`bound_open_partition` has proven that no row lies beyond, and the next
            event gets this ID.
        :raises django.db.IntegrityError: if a row lies beyond.
        """

    @abstractmethod
    def open_partition_is_large(self) -> bool:
        """Return whether one of the open partitions has too many rows to read under a lock.

        Of a log that is not partitioned, it is the table itself.
        """

    @abstractmethod
    def bound_open_partition(self, upto: int) -> float:
        """Prove, for as long as it is in force, that the open partitions end before this ID.

        It refuses rows from there on: drop it at once if nothing follows.

        :returns: the seconds for which one was locked at the longest.
        """

    @abstractmethod
    def bounded_at(self) -> int | None:
        """Return from where the open partition refuses events, if it does."""

    @abstractmethod
    def unbound_open_partition(self) -> None:
        """Drop what :meth:`bound_open_partition` has added, if it is there."""

    @abstractmethod
    def analyze_partitioned(self) -> None:
        """Let the planner know the tables as a whole: the server itself only knows partitions."""

    @abstractmethod
    def empty_partition(self, partition: LogPartition) -> None:
        """Remove all rows of a partition at once, and those with the same bounds of other tables.

        No writer to another partition waits. Call it in a transaction.
        """

    @abstractmethod
    def merge_partitions(self, lower: LogPartition, upper: LogPartition) -> None:
        """Replace two adjacent partitions that have no rows by one."""
