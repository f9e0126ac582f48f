"""Finds the people whom the log knows, by what they are or were called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import Error, connections
from django.db.models import CharField, Q, TextField

from ..models import AuditLog
from ..models.log_queryset import ACTOR_LENGTH

#: Maximum number of people that one search offers.
MOST = 20
#: Users, and actors of the log, that it reads.
LOOKED_AT = 500
#: Fields of users, besides the one by which they log in, that hold names.
NAMES = ("first_name", "last_name", "full_name", "name", "email")

# The actors one after the other, each by one look-up in the index by actor.
KNOWN_SQL = """
WITH RECURSIVE known (actor, n) AS (
    SELECT min(actor), 1 FROM auditrepr_auditlog WHERE actor IS NOT NULL
    UNION ALL
    SELECT (SELECT min(log.actor) FROM auditrepr_auditlog log WHERE log.actor > known.actor), n + 1
    FROM known WHERE known.actor IS NOT NULL AND n <= %s
)
"""
NEWEST_SQL = """
SELECT (SELECT max(log.id) FROM auditrepr_auditlog log WHERE log.actor = known.actor)
FROM known WHERE known.actor IS NOT NULL
"""


@dataclass(frozen=True)
class Person:
    """A person who is an actor in the log."""

    key: str
    name: str = ""  # when they last did something
    alike: bool = False  # another person has the same name

    def __str__(self) -> str:
        return f"{self.name} ({self.key})" if self.name and self.alike else self.name or self.key


@dataclass(frozen=True)
class Found:
    """The result of a search for people."""

    people: Sequence[Person]
    whole: bool  # or else there may be more


def person(key: str, using: str) -> Person:
    """Return the person with this key, by the name that the log has last."""
    newest = AuditLog.objects.using(using).filter(actor=key).order_by("actor", "-pk").first()
    return Person(key, _name(newest.context) if newest else "")


def called(part: str, using: str) -> Found:
    """Return the people of the log whose name, as recorded last or as it is now, has this part."""
    users, all_users = _users(part)
    known = _named(using, *_given(list(users)))
    actors = _named(using, KNOWN_SQL, [LOOKED_AT])
    wanted = part.casefold()
    found = {key: name for key, name in actors.items() if wanted in (name or key).casefold()}
    found |= {key: name or users[key] for key, name in known.items()}
    ordered = sorted(found.items(), key=lambda pair: (pair[1].casefold(), pair[0]))
    people = [Person(key, name) for key, name in ordered[:MOST]]
    whole = all_users and len(actors) < LOOKED_AT and len(found) <= MOST
    return Found(_told_apart(people), whole)


def _users(part: str) -> tuple[dict[str, str], bool]:
    """Return the users with such a name, by key, and whether these are all."""
    model: Any = get_user_model()
    condition = Q()
    for name in {model.USERNAME_FIELD, *NAMES}:
        if _holds_text(model, name):
            condition |= Q(**{f"{name}__icontains": part})
    try:
        found = list(model._default_manager.filter(condition)[: LOOKED_AT + 1]) if condition else []
    except Error:  # the project's own manager, or a table that this process may not read
        found = []
    users = {str(user.pk)[:ACTOR_LENGTH]: str(user.get_username()) for user in found[:LOOKED_AT]}
    return users, len(found) <= LOOKED_AT


def _holds_text(model: Any, name: str) -> bool:
    try:
        return isinstance(model._meta.get_field(name), CharField | TextField)
    except FieldDoesNotExist:
        return False


def _given(keys: Sequence[str]) -> tuple[str, Sequence[Any]]:
    """Return the head of a query that reads these actors."""
    if not keys:
        return "", []
    return f"WITH known (actor) AS (VALUES {', '.join(['(%s)'] * len(keys))})", keys


def _named(using: str, head: str, parameters: Sequence[Any]) -> dict[str, str]:
    """Return the actors that the head of a query selects, with the names that they had last."""
    if not head:
        return {}
    with connections[using].cursor() as cursor:
        cursor.execute(head + NEWEST_SQL, parameters)
        ids = [pk for (pk,) in cursor.fetchall() if pk is not None]
    events = AuditLog.objects.using(using).filter(pk__in=ids).values_list("actor", "context")
    return {actor: _name(context) for actor, context in events}


def _name(context: Any) -> str:
    name = context.get("user_name") if isinstance(context, Mapping) else None
    return "" if name is None else str(name)


def _told_apart(people: Iterable[Person]) -> list[Person]:
    """Return the people, with their keys where two have the same name."""
    people = list(people)
    names = [person.name for person in people]
    return [replace(person, alike=names.count(person.name) > 1) for person in people]
