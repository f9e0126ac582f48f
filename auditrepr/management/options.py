"""Parses and checks the values of the commands' options."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ..conf import AUTO, MOST, Asked
from ..job.rounds import shares
from ..readers.export import START
from ..utils.text import event_id, visible
from ..vendors.types import BEGINNING


def whole_number(text: Any, least: int = 1, most: int = MOST) -> int:
    """Return the option's value as a number.

    :raises ArgumentTypeError: if it is not a whole number, less than `least`, or above `most`.
    """
    try:
        number = int(str(text))
    except ValueError:
        number = least - 1
    if number > most:
        raise ArgumentTypeError(f"{text!r} is too large: the maximum is {most}")
    if number < least:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return number


def batch_size(text: Any) -> Asked:
    """Return the number of events per batch, or ``"auto"``."""
    return AUTO if text == AUTO else whole_number(text)


def number_upto(most: int) -> Callable[[Any], int]:
    """Return what checks that a value is a whole number of at least one, and at most this one."""

    def checked(text: Any) -> int:
        return whole_number(text, most=most)

    return checked


def worker_count(text: Any) -> int:
    """Return a number of workers.

    :raises ArgumentTypeError: if it is not one, or more than can have a share of a round.
    """
    number = whole_number(text)
    if number > shares.MOST:
        raise ArgumentTypeError(
            f"{text!r} is too large: the maximum is {shares.MOST}. Use no more workers than the"
            " host has cores for."
        )
    return number


def count(text: Any) -> int:
    """Return a whole number; 0 is allowed."""
    return whole_number(text, least=0)


def start_after(text: Any) -> int:
    """Return an event ID, or the beginning of the log for ``start``.

    :raises ArgumentTypeError: if it is neither.
    """
    found = BEGINNING if text == START else event_id(str(text))
    if found is None:
        raise ArgumentTypeError(f"{text!r} is neither an event ID nor {START!r}")
    return found


def some(text: Any) -> Any:
    """Return the value; an unset variable of a shell must not select everything.

    :raises ArgumentTypeError: if it is empty.
    """
    if text == "":
        raise ArgumentTypeError("the value is empty")
    return text


def one_of(choices: Iterable[str]) -> Callable[[Any], str]:
    """Return what checks that a value is one of these, as the parser does."""
    known = tuple(choices)

    def checked(text: Any) -> str:
        if text not in known:
            listed = ", ".join(map(repr, known))
            raise ArgumentTypeError(f"invalid choice: {text!r} (choose from {listed})")
        return str(text)

    return checked


def seconds(text: Any) -> float:
    """Return a number of seconds.

    :raises ArgumentTypeError: if it is not a number, negative, or infinite.
    """
    try:
        span = float(str(text))
    except ValueError:
        span = -1
    if not 0 <= span < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds (0 or more)")
    return span


def moment(text: Any) -> datetime:
    """Return the time that ``2026-01-31`` or ``2026-01-31T12:00+01:00`` means.

    A date means midnight; without an offset, ``TIME_ZONE`` applies.

    :raises ArgumentTypeError: if the text is not a date or time, or lies in the future.
    """
    aware = _aware(text, timedelta(0))
    if aware > datetime.now(aware.tzinfo):
        raise ArgumentTypeError(f"{str(text)!r} is in the future")
    return aware if settings.USE_TZ else timezone.make_naive(aware)


def end(text: Any) -> datetime:
    """Return the time likewise, but for a date the end of that day; it may be in the future.

    :raises ArgumentTypeError: if the text is not a date or time.
    """
    aware = _aware(text, timedelta(days=1))
    return aware if settings.USE_TZ else timezone.make_naive(aware)


def _aware(text: Any, into_day: timedelta) -> datetime:
    try:
        day = parse_date(str(text))
        begin = datetime.combine(day, time()) + into_day if day else None
        found = begin or parse_datetime(str(text))
        aware = timezone.make_aware(found) if found and timezone.is_naive(found) else found
        if aware:
            aware.astimezone(UTC)  # which the first and the last day may be beyond
    except (ValueError, OverflowError):
        aware = None
    if aware is None:
        raise ArgumentTypeError(
            f"{str(text)!r} is not a date: use 2026-01-31 or 2026-01-31T12:00:00+01:00"
        )
    return aware


def database_alias(text: Any) -> str:
    """Return the alias of a database.

    :raises ArgumentTypeError: if DATABASES does not define it.
    """
    alias = str(text)
    if alias not in connections:
        known = ", ".join(connections)
        raise ArgumentTypeError(f'Unknown database "{visible(alias)}". DATABASES defines: {known}.')
    return alias


def database_aliases(asked: Any) -> list[str]:
    """Return the aliases of one database or of several, each once.

    :raises ArgumentTypeError: if DATABASES does not define one of them.
    """
    return list(dict.fromkeys(map(database_alias, listed(asked))))


def listed(given: Any) -> list[Any]:
    """Return the values of an option that may be repeated: Python may give one, or several."""
    return list(given) if isinstance(given, list | tuple | set | frozenset) else [given]


def add_database(parser: CommandParser, what: str) -> None:
    """Add the option that names one database.

    :param what: the first words of its help.
    """
    parser.add_argument(
        "--database",
        default=DEFAULT_DB_ALIAS,
        type=database_alias,
        metavar="ALIAS",
        help=f"{what} Default: %(default)s.",
    )


def add_databases(parser: CommandParser) -> None:
    """Add the option that names one database or several."""
    parser.add_argument(
        "--database",
        action="append",
        type=database_alias,
        metavar="ALIAS",
        help="Database to work on; may be repeated. Default: every database that has an audit log.",
    )


def add_no_input(parser: CommandParser) -> None:
    """Add the option that answers the question in advance."""
    parser.add_argument(
        "--no-input",
        "--noinput",
        action="store_false",
        dest="interactive",
        help="Do not ask for confirmation.",
    )
