"""Seals as lines of JSON, to keep out of reach of all who may write to the database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...exceptions import ExportUnreadable, NothingSealed, SealUnknown
from ...models import SealEntry
from . import chain

#: Characters of a line: an entry has some 500.
LONGEST = 10_000


class Kept(NamedTuple):
    """An entry in an export."""

    number: int
    digest: str


def lines(using: str, after: int = 0) -> Iterator[bytes]:
    """Yield the entries after this number, each as a line.

    :raises NothingSealed: if there are none at all.
    :raises SealUnknown: if there is none with this number.
    """
    last = chain.last(using)
    if last is None:
        raise NothingSealed(alias=using)
    before = chain.entries(using).filter(number=after).first()
    if after and before is None:
        raise SealUnknown(number=after, last=last.number)
    for entry in chain.walk(using, after):
        yield json.dumps(_document(entry, before)).encode() + b"\n"
        before = entry


def read(path: Path) -> Iterator[Kept]:
    """Yield the entries of an export.

    :raises ExportUnreadable: if it is none.
    """
    before = None
    try:
        with path.open(encoding="utf-8") as file:
            for n, text in enumerate(iter(lambda: file.readline(LONGEST), ""), start=1):
                kept = _kept(text)
                if kept is None or (before and kept.number != before.number + 1):
                    raise ExportUnreadable(path=path, reason=f"line {n} is not its next seal")
                yield kept
                before = kept
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text"
        raise ExportUnreadable(path=path, reason=reason) from error
    if before is None:
        raise ExportUnreadable(path=path, reason="the file is empty")


class Comparison:
    """Compares the chain with an export of it, entry by entry."""

    def __init__(self, kept: Iterable[Kept]) -> None:
        self._kept = iter(kept)
        self._next = next(self._kept, None)
        self.first = self._next.number if self._next else 0
        self.last = 0  # number of the last entry that both have

    def problem(self, entry: SealEntry) -> str:
        """Return how the entry differs from that in the export, in words; empty if it does not."""
        while self._next and self._next.number < entry.number:
            self._next = next(self._kept, None)
        if self._next is None or self._next.number > entry.number:
            return ""  # the export begins later, or ends earlier
        kept, self._next = self._next, next(self._kept, None)
        self.last = kept.number
        if kept.digest == bytes(entry.digest).hex():
            return ""
        return f"seal {entry.number} is another one than in the export"

    def missing(self) -> int:
        """Return how many entries the export has after the last one of the chain."""
        return sum(1 for _ in self._kept) + 1 if self._next else 0


def _document(entry: SealEntry, before: SealEntry | None) -> dict[str, Any]:
    return {
        "number": entry.number,
        "format": entry.format,
        "kind": entry.kind,
        "after": entry.after_id,
        "upto": entry.upto_id,
        "amends": entry.amends,
        "import": entry.import_id,
        "events": entry.events,
        "content": None if entry.content is None else bytes(entry.content).hex(),
        "sealed_at": entry.sealed_at,
        "previous": before and bytes(before.digest).hex(),
        "digest": bytes(entry.digest).hex(),
    }


def _kept(text: str) -> Kept | None:
    try:
        found = json.loads(text)
        kept = Kept(found["number"], found["digest"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return kept if type(kept.number) is int and isinstance(kept.digest, str) else None
