"""What happened to organizations of countries: each change is a request by their editor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from django.urls import reverse

from . import people, source
from .load import members
from .models import Organization


class Change(NamedTuple):
    """A change of an organization, and how to make it."""

    day: str
    what: str
    why: str
    apply: Callable[[], None]


def changes() -> list[Change]:
    """Return the changes of memberships, and the ends of organizations."""
    return [
        *(Change(one.day, _words(one), one.why, partial(_join, one)) for one in source.MEMBERSHIPS),
        *(
            Change(end.day, f"{end.organization} ends", end.why, partial(_dissolve, end))
            for end in source.DISSOLUTIONS
        ),
    ]


def _words(one: source.Membership) -> str:
    signed = [f"+{code}" for code in one.joined.split()] + [f"-{code}" for code in one.left.split()]
    return f"{one.organization} {' '.join(signed)}"


def _join(one: source.Membership) -> None:
    def change() -> None:
        organization, _ = Organization.objects.get_or_create(name=one.organization)
        organization.members.add(*members(one.joined))
        organization.members.remove(*members(one.left))

    there = Organization.objects.filter(name=one.organization).first()
    people.by_request(people.SOFIA, _page("change", there.pk) if there else _page("add"), change)


def _dissolve(one: source.Dissolution) -> None:
    organization = Organization.objects.get(name=one.organization)
    people.by_request(people.SOFIA, _page("delete", organization.pk), organization.delete)


def _page(name: str, *key: Any) -> str:
    return reverse(f"admin:gazetteer_organization_{name}", args=key)
