"""Who changes something, and why: what the log keeps beside every event.

Nothing here talks to a database: :mod:`auditrepr.attribution.propagation` does, when something is
written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from functools import wraps
from inspect import iscoroutinefunction
from math import isfinite
from typing import Any, ParamSpec, TypeVar, cast

from ..conf import get_settings
from ..utils.text import clean

P = ParamSpec("P")
R = TypeVar("R")

#: Characters of what a client may choose freely.
LONGEST = 1000

_current: ContextVar[Mapping[str, Any]] = ContextVar("auditrepr_context")
_NOTHING: Mapping[str, Any] = {}


class context:  # noqa: N801 - reads as contextlib's own context managers do
    """Everything written inside, or by the decorated function, is logged with this.

    ``with context(user=request.user, reason="import"):`` or ``@context(reason="import")``, the
    latter for functions and coroutine functions. A nested context adds to the one around it; its
    values win, and None takes one away.

    :param what: anything. ``user`` may be a user, whose primary key and name are kept, or a text.
        A function without parameters is called when something is written.
    """

    def __init__(self, **what: Any) -> None:
        self._what = {name: _lasting(name, value) for name, value in what.items()}
        self._outer: list[Token[Mapping[str, Any]]] = []

    def __enter__(self) -> None:
        self._outer.append(_current.set({**_current.get(_NOTHING), **self._what}))

    def __exit__(self, *error: object) -> None:
        _current.reset(self._outer.pop())

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if iscoroutinefunction(function):

            @wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self._again():
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", awaited)

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._again():
                return function(*args, **kwargs)

        return called

    def _again(self) -> context:
        """One of its own for each call: calls may overlap."""
        return context(**self._what)


def is_known() -> bool:
    """Is there any context now?"""
    return bool(_current.get(_NOTHING))


def as_json() -> str | None:
    """The context as it is now, as JSON that every database takes; None if it says nothing."""
    what = dict(_current.get(_NOTHING))
    # Whatever is called now may query and write: that is not part of what is going on.
    token = _current.set(_NOTHING)
    try:
        user = what.pop("user", None)
        said = {**_user(_value(user)), **{name: _plain(_value(v)) for name, v in what.items()}}
    finally:
        _current.reset(token)
    said = {name: value for name, value in said.items() if value is not None}
    return json.dumps(said) if said else None


def _lasting(name: str, value: Any) -> Any:
    """The value as it is now, so that what cannot be kept is an error where it is given."""
    return value if name == "user" or callable(value) else _plain(value)


def _value(value: Any) -> Any:
    return value() if callable(value) else value


def _user(user: Any) -> dict[str, Any]:
    if user is None or not getattr(user, "is_authenticated", True):
        return {}
    key = getattr(user, "pk", None)
    if key is None:
        return {"user": clean(str(user))}
    name = user.get_username() if hasattr(user, "get_username") else user
    return {"user": clean(str(key)), "user_name": clean(str(name))}


def _plain(value: Any) -> Any:
    """The value as JSON knows it; what JSON does not know as text."""
    match value:
        case None | bool() | int():
            return value
        case float() if isfinite(value):
            return value
        case str():
            return clean(value)
        case Mapping():
            return {clean(str(key)): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
    return clean(str(value))


def tells(name: str) -> bool:
    """Does the project want this in the context of what runs by itself?"""
    return name in get_settings().CONTEXT
