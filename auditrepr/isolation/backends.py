"""Guards every cache object: the code of an event that uses it gets a cache of that event.

It does not matter who has made the object, or how long a module has held it: the guard is on the
class, where Python looks up all of its attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

from django.core.cache import CacheHandler, caches
from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from .stand_ins import StandIn
from .state import Isolation, current, isolation_now

_aliases: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
#: Classes of caches that are not subclasses of Django's.
_others: set[type] = set()


def connect() -> None:
    """Remember the alias of each cache: each thread has objects of its own for it."""
    for alias in caches:
        if hasattr(caches._connections, alias):  # type: ignore[attr-defined]
            _remember(caches[alias], alias)
    if not hasattr(CacheHandler.create_connection, "__wrapped__"):
        remembering: Any = _remembering(CacheHandler.create_connection)
        CacheHandler.create_connection = remembering  # type: ignore[method-assign]


def _remembering(create: Callable[[CacheHandler, str], Any]) -> Callable[[CacheHandler, str], Any]:
    @wraps(create)
    def create_connection(handler: CacheHandler, alias: str) -> Any:
        # It outlives the event whose code has asked for it first.
        token = isolation_now.set(None)
        try:
            backend = create(handler, alias)
        finally:
            isolation_now.reset(token)
        _remember(backend, alias)
        return backend

    return create_connection


def _remember(backend: Any, alias: str) -> None:
    if not isinstance(backend, BaseCache):
        _others.add(type(backend))
    with suppress(TypeError):  # of a class whose objects take no weak reference
        _aliases[backend] = alias


def guards() -> Iterator[tuple[type, str, Any]]:
    """Return the classes of all caches, and the guarded lookup of their objects' attributes."""
    yield BaseCache, _LOOK_UP, _guarded(BaseCache)
    for kind in [*_subclasses(BaseCache), *_configured(), *_others]:
        if _looks_up_otherwise(kind):
            yield kind, _LOOK_UP, _guarded(kind)


def _configured() -> Iterator[type]:
    for alias in caches:
        with suppress(ImportError):  # Django raises it when the cache is used
            kind = import_string(caches.settings[alias]["BACKEND"])
            if isinstance(kind, type):
                yield kind


_LOOK_UP = "__getattribute__"


def _subclasses(kind: type) -> Iterator[type]:
    one: type
    for one in kind.__subclasses__():
        yield one
        yield from _subclasses(one)


def _looks_up_otherwise(kind: type) -> bool:
    """Return whether no guard reaches it yet, with that of `BaseCache` in place."""
    return not issubclass(kind, StandIn) and not hasattr(kind.__getattribute__, "guarded")


def _guarded(kind: type) -> Callable[[Any, str], Any]:
    look_up: Callable[[Any, str], Any] = kind.__getattribute__  # type: ignore[assignment]

    def look_up_guarded(backend: Any, name: str) -> Any:
        isolation = current()
        # Python's own names describe the object, not its content.
        if isolation is None or name.startswith("__"):
            return look_up(backend, name)
        return getattr(_stand_in(isolation, backend), name)

    look_up_guarded.guarded = True  # type: ignore[attr-defined]
    return look_up_guarded


def _stand_in(isolation: Isolation, backend: Any) -> StandIn:
    store = isolation.now()
    try:
        key: Any = _aliases.get(backend) or id(backend)
    except TypeError:
        key = id(backend)
    found = store.caches.get(key)
    if found is None:
        found = store.caches.setdefault(key, StandIn(backend, store))
    return found  # type: ignore[no-any-return]
