"""What digests are made of, and what entries of the chain hold; nothing here asks a database."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from ...models import SealEntry

#: The version of all forms here, and of the columns in the digest of a row.
FORMAT = 1
#: An event, and the digest of its row.
Row = tuple[int, bytes]
#: The first bytes of a row's digest: enough to name the one row that differs.
MARK = 4
_ID = struct.Struct(">q")
_RECORD = _ID.size + 32
_REPLACED = _RECORD + 32


class Touched(NamedTuple):
    """A row that was pruned or erased: its ID, the digest that it had, and what it has since."""

    event: int
    former: bytes
    since: bytes | None = None  # None: the row is gone


def framed(values: Iterable[Any]) -> bytes:
    """Return the values in one: a length in bytes, a colon, and the text; a colon for None.

    >>> framed([12, "ü", None, ""])
    b'2:122:\\xc3\\xbc:0:'
    """
    texts = (None if value is None else str(value).encode() for value in values)
    return b"".join(b":" if text is None else b"%d:%b" % (len(text), text) for text in texts)


def digest_of(entry: SealEntry, previous: bytes | None) -> bytes:
    """Return the digest of an entry that comes after the one with this digest."""
    content = None if entry.content is None else bytes(entry.content).hex()
    form = framed(
        [
            entry.format, entry.number, previous and previous.hex(), entry.kind, entry.after_id,
            entry.upto_id, entry.amends, entry.import_id, entry.events, content, entry.sealed_at,
        ]
    )  # fmt: skip
    return sha256(form).digest()


def content_of(rows: Iterable[Row]) -> bytes:
    """Return the digest of a range: that of its rows' digests, one after the other."""
    return sha256(b"".join(digest for _, digest in rows)).digest()


def now() -> str:
    """Return the time as entries have it: ``2026-01-31T12:00:00.000000Z``."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def moment(sealed_at: str) -> datetime:
    """Return the time of an entry."""
    return datetime.fromisoformat(sealed_at)


def marks_of(rows: Sequence[Row]) -> bytes:
    """Return the IDs of the rows, as steps that compress well, and the marks of their digests."""
    ids = [event for event, _ in rows]
    steps = array("q", [after - before for before, after in pairwise([0, *ids])])
    packed = zlib.compress(steps.tobytes())
    marks = b"".join(digest[:MARK] for _, digest in rows)
    return b"".join([_ID.pack(len(packed)), packed, marks])


def read_marks(marks: bytes) -> dict[int, bytes]:
    """Return the mark of each event; empty if they were tampered with."""
    try:
        (length,) = _ID.unpack_from(marks)
        steps = array("q", zlib.decompress(marks[_ID.size : _ID.size + length]))
    except (struct.error, zlib.error, ValueError):
        return {}
    rest = marks[_ID.size + length :]
    each = (rest[n : n + MARK] for n in range(0, len(rest), MARK))
    return dict(zip(accumulate(steps), each, strict=False))


def touched_of(rows: Iterable[Row]) -> bytes:
    """Return what an entry holds of rows that are pruned."""
    return b"".join(_ID.pack(event) + former for event, former in rows)


def replaced_of(rows: Iterable[tuple[Row, Row]]) -> bytes:
    """Return what an entry holds of rows that are erased, from each before and after that."""
    return b"".join(_ID.pack(event) + former + since for (event, former), (_, since) in rows)


def read_touched(touched: bytes, kind: str = SealEntry.Kind.PRUNED) -> Iterator[Touched]:
    """Yield what an entry of this kind holds of rows that were pruned or erased."""
    size = _REPLACED if kind == SealEntry.Kind.ERASED else _RECORD
    for n in range(0, len(touched) - size + 1, size):
        record = touched[n : n + size]
        former, since = record[_ID.size : _RECORD], record[_RECORD:]
        yield Touched(_ID.unpack_from(record)[0], former, since or None)
