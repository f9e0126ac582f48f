"""The parts of the demo, in order; each runs once, in its own transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import transaction

from . import history, load
from .models import Step


def remaining() -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the parts that are not done yet, so that an interrupted demo continues."""
    done = set(Step.objects.values_list("name", flat=True))
    steps = [
        ("load the countries and their subdivisions", load.load_countries),
        ("load the languages", load.load_languages),
        *((f"{change.when}: {change.what}", change.apply) for change in history.changes()),
    ]
    return ((name, apply) for name, apply in steps if name not in done)


def take(name: str, apply: Callable[[], None]) -> None:
    """Do one step and record it: both or neither."""
    with transaction.atomic():
        Step.objects.create(name=name)
        apply()
