"""The context: who changes something and why, as recorded with every event.

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

#: Maximum length of values that a client may choose freely.
LONGEST = 1000

_current: ContextVar[Mapping[str, Any]] = ContextVar("auditrepr_context")
_NOTHING: Mapping[str, Any] = {}


class context:  # noqa: N801 - reads as contextlib's own context managers do
    """Record this context with every change made inside the block or the decorated function.

    ``with context(user=request.user, reason="import"):`` or ``@context(reason="import")``, the
    latter for functions and coroutine functions. A nested context adds to the outer one; its values
    take precedence, and None removes a value.

    :param what: any values. ``user`` may be a user, whose primary key and name are kept, or a text.
        A function without parameters is called when a change is written.
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
        """Return a copy for each call of the decorated function, because calls may overlap."""
        return context(**self._what)


def is_known() -> bool:
    """Return whether there is a context now."""
    return bool(_current.get(_NOTHING))


def why(reason: str) -> context:
    """Return the context in which this is the reason, next to that of the context around it."""
    outer = _value(_current.get(_NOTHING).get("reason"))
    return context(reason=f"{outer} ({reason})" if outer else reason)


def as_json() -> str | None:
    """Return the current context as JSON that every database accepts; None if it is empty."""
    what = dict(_current.get(_NOTHING))
    # The callables may query and write: run them outside the context.
    token = _current.set(_NOTHING)
    try:
        user = what.pop("user", None)
        said = {**_user(_value(user)), **{name: _plain(_value(v)) for name, v in what.items()}}
    finally:
        _current.reset(token)
    said = {name: value for name, value in said.items() if value is not None}
    return json.dumps(said) if said else None


def _lasting(name: str, value: Any) -> Any:
    """Convert the value to JSON now, so that an unusable value raises where the context is created.

    Users and callables are evaluated later, when a change is written.
    """
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
    """Return the value as JSON types; other types become text."""
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
    """Return whether the setting CONTEXT includes this name."""
    return name in get_settings().CONTEXT
