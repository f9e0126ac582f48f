"""The demo's parts, in order, each done in a transaction of its own and never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import transaction

from . import history, load
from .models import Step


def remaining() -> Iterator[tuple[str, Callable[[], None]]]:
    """What has not been done yet, so that an interrupted demo goes on where it was."""
    done = set(Step.objects.values_list("name", flat=True))
    steps = [
        ("load the countries and their subdivisions", load.load_countries),
        ("load the languages", load.load_languages),
        *((f"{change.when}: {change.what}", change.apply) for change in history.changes()),
    ]
    return ((name, apply) for name, apply in steps if name not in done)


def take(name: str, apply: Callable[[], None]) -> None:
    """Do one step and remember it: both or neither."""
    with transaction.atomic():
        Step.objects.create(name=name)
        apply()
