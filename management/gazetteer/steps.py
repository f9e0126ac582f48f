"""The parts of the demo, in order; each runs once, in its own transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.db import transaction

import auditrepr

from . import history, load, people
from .models import Step


class Part(NamedTuple):
    """A part of the demo; the history's have an editor, and the reason of the change."""

    name: str
    apply: Callable[[], None]
    by: people.Editor | None = None
    why: str | None = None


PREPARATIONS = [
    Part("add the editors: Ada, Luc and Sofia", people.add_editors),
    Part("load the countries and their subdivisions", load.load_countries),
    Part("load the languages", load.load_languages),
    Part("load the organizations", load.load_organizations),
]
PROMOTION = Part(
    "today: Sofia becomes an administrator", people.promote, people.ADA, "stands in for Ada in July"
)


def remaining() -> Iterator[Part]:
    """Yield the parts that are not done yet, so that an interrupted demo continues."""
    done = set(Step.objects.values_list("name", flat=True))
    replayed = [
        Part(f"{change.when}: {change.what}", change.apply, change.by, change.why)
        for change in history.changes()
    ]
    every = [*PREPARATIONS, *replayed, PROMOTION]
    return (part for part in every if part.name not in done)


def take(part: Part) -> None:
    """Do one part as its editor, and record it: both or neither."""
    with transaction.atomic():
        Step.objects.create(name=part.name)
        if part.by is None:
            part.apply()
            return
        editor = get_user_model().objects.get(username=part.by.username)
        with auditrepr.context(user=editor, reason=part.why):
            part.apply()
