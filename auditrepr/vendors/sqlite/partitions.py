"""SQLite's part of partitions: it has none."""

from __future__ import annotations

from ..base import PartitionFacet
from ..base.partitions import Ahead, LogPartition


class Partitioning(PartitionFacet):
    """Says that the log has no partitions."""

    can_partition = False

    def log_partitions(self) -> list[LogPartition]:
        return []

    def next_event(self) -> int:
        raise NotImplementedError

    def partition_obstacles(self) -> list[str]:
        raise NotImplementedError

    def may_partition(self) -> bool:
        return False

    def adopt_as_partition(self) -> float:
        raise NotImplementedError

    def support_partitions(self, size: int | None = None) -> None:
        pass

    def drop_partition_support(self) -> None:
        pass

    def partition_size(self) -> int | None:
        return None

    def make_partitions(self, close_at: int | None = None) -> Ahead:
        return Ahead(0, 0, 0.0)

    def open_partition_is_large(self) -> bool:
        return False

    def bound_open_partition(self, upto: int) -> float:
        raise NotImplementedError

    def bounded_at(self) -> int | None:
        return None

    def unbound_open_partition(self) -> None:
        pass

    def analyze_partitioned(self) -> None:
        pass

    def empty_partition(self, partition: LogPartition) -> None:
        raise NotImplementedError

    def merge_partitions(self, lower: LogPartition, upper: LogPartition) -> None:
        raise NotImplementedError
