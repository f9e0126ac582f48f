"""What the commands' options take."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connections
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ..conf import AUTO, MOST, Asked
from ..utils.text import visible

USAGE = 2


def add_databases(parser: CommandParser) -> None:
    """Let the command line name one database or several."""
    parser.add_argument(
        "--database",
        action="append",
        metavar="ALIAS",
        help="Database to work on; may be repeated. Default: every database that has an audit log.",
    )


def known_databases(asked: str | Sequence[str]) -> list[str]:
    """Return the databases that were asked for, each once.

    :raises CommandError: with exit code 2, if ``DATABASES`` does not define one of them.
    """
    aliases = list(dict.fromkeys([asked] if isinstance(asked, str) else asked))
    for alias in aliases:
        if alias not in connections:
            known = ", ".join(connections)
            raise CommandError(
                f'Unknown database "{visible(str(alias))}". DATABASES defines: {known}.',
                returncode=USAGE,
            )
    return aliases


def whole_number(text: Any, least: int = 1) -> int:
    """An option's value.

    :raises ArgumentTypeError: if it is not a whole number, less than `least`, or out of all reason.
    """
    try:
        number = int(str(text))
    except ValueError:
        number = least - 1
    if number > MOST:
        raise ArgumentTypeError(f"{text!r} is more than {MOST}")
    if number < least:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return number


def batch_size(text: Any) -> Asked:
    """How many rows make a batch."""
    return AUTO if text == AUTO else whole_number(text)


def count(text: Any) -> int:
    """A whole number, 0 included."""
    return whole_number(text, least=0)


def seconds(text: Any) -> float:
    """A span of time.

    :raises ArgumentTypeError: if it is not a number, or below 0, or has no end.
    """
    try:
        span = float(str(text))
    except ValueError:
        span = -1
    if not 0 <= span < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return span


def moment(text: Any) -> datetime:
    """A point in time, from ``2026-01-31`` or ``2026-01-31T12:00+01:00``, or from the like.

    A day begins at midnight; without an offset, ``TIME_ZONE`` counts.

    :raises ArgumentTypeError: if it is none, or lies in the future.
    """
    try:
        day = parse_date(str(text))
        found = datetime.combine(day, time()) if day else parse_datetime(str(text))
        aware = timezone.make_aware(found) if found and timezone.is_naive(found) else found
        if aware:
            aware.astimezone(UTC)  # which the first and the last day may be beyond
    except (ValueError, OverflowError):
        aware = None
    if aware is None:
        raise ArgumentTypeError(
            f"{str(text)!r} is no date: write 2026-01-31 or 2026-01-31T12:00:00+01:00"
        )
    if aware > datetime.now(aware.tzinfo):
        raise ArgumentTypeError(f"{str(text)!r} is in the future")
    return aware if settings.USE_TZ else timezone.make_naive(aware)
