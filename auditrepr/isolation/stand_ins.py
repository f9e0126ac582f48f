"""The cache that the code of an event reaches in place of any other."""

from __future__ import annotations

import io
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from inspect import getattr_static
from threading import Lock
from types import FrameType, FunctionType
from typing import Any
from weakref import WeakValueDictionary

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.db.models import Model, QuerySet
from django.utils.functional import cached_property

from ..exceptions import CacheOutOfReach
from .state import Store

#: How many entries the code of one event may need.
MOST = 100_000
#: Types whose values refer to no live object.
PLAIN = (str, bytes, int, float, bool, tuple, frozenset, type(None))
_ABSENT = object()
_OWN = ("default_timeout", "key_prefix", "version", "key_func")


class StandIn(LocMemCache):
    """An empty cache in memory, with the keys, the version and the timeouts of another one.

    It has no part in what live caches share. A method that the class of the other one adds to
    Django's works on what is in here. Where the other one keeps nothing, neither does this one.
    """

    # Caches are guarded by this method; but this one is what their guard leads to.
    __getattribute__ = object.__getattribute__

    def __init__(self, backend: Any, store: Store) -> None:
        self._backend = backend
        self._store = store
        BaseCache.__init__(self, {})
        held = _attributes(backend)
        self.__dict__.update({name: held[name] for name in _OWN if name in held})
        self._max_entries = MOST
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._expire_info: dict[str, float | None] = {}
        self._lock = Lock()

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        frozen = _frozen(value, self._store)
        with self._lock:
            made = self.make_and_validate_key(key, version=version)
            if not self._has_expired(made):
                return False
            self._set(made, frozen, timeout)
            return True

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        frozen = _frozen(value, self._store)
        with self._lock:
            self._set(self.make_and_validate_key(key, version=version), frozen, timeout)

    def _set(self, key: str, value: bytes, timeout: Any = DEFAULT_TIMEOUT) -> None:
        if not isinstance(self._backend, DummyCache):
            super()._set(key, value, timeout)  # type: ignore[misc]

    def __getattr__(self, name: str) -> Any:
        """Return what the other cache has beyond Django's.

        :raises CacheOutOfReach: for what would lead to the values that it holds.
        """
        backend = self._backend
        if _is_being_made(backend, sys._getframe(1)):
            return object.__getattribute__(backend, name)
        there = _attributes(backend)
        kind = type(backend)
        found = there[name] if name in there else getattr_static(kind, name, _ABSENT)
        if found is _ABSENT:
            raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")
        if isinstance(found, PLAIN) and not (name in there and name.startswith("_")):
            return found
        if name not in there and isinstance(found, FunctionType | classmethod | staticmethod):
            return found.__get__(self, kind)
        if name not in there and isinstance(found, property | cached_property):
            get: Any = found.fget if isinstance(found, property) else found.func
            return get(self)
        raise CacheOutOfReach(backend=kind.__qualname__, name=name)


def _attributes(backend: Any) -> dict[str, Any]:
    there: dict[str, Any] = getattr(backend, "__dict__", {})
    return there


def _is_being_made(backend: Any, frame: FrameType | None) -> bool:
    """Return whether its ``__init__`` runs: what that sets up outlives the event."""
    while frame is not None:
        code = frame.f_code
        myself = code.co_varnames[:1] if code.co_name == "__init__" else ()
        if any(frame.f_locals.get(name) is backend for name in myself):
            return True
        frame = frame.f_back
    return False


def _frozen(value: Any, store: Store) -> bytes:
    """Return the value as it is now, whatever its owner does with it later."""
    try:
        with io.BytesIO() as written:
            _Freezer(written, store).dump(value)
            return written.getvalue()
    except Exception:  # another backend may take what cannot be pickled
        with io.BytesIO() as written:
            _Freezer(written, store, whole=value).dump(_Whole())
            return written.getvalue()


class _Whole:
    """Stands for a value that cannot be copied."""


class _Freezer(pickle.Pickler):
    """Copies values, but not objects as of a moment: a copy would read current relations."""

    def __init__(self, written: io.BytesIO, store: Store, whole: Any = None) -> None:
        super().__init__(written, pickle.HIGHEST_PROTOCOL)
        self._store = store
        self._whole = whole

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, QuerySet):
            value._fetch_all()
        if isinstance(value, Model | QuerySet):
            return self._kept(value)
        if isinstance(value, _Whole):
            return self._kept(self._whole)
        return NotImplemented

    def _kept(self, value: Any) -> tuple[Callable[..., Any], tuple[int, int]]:
        store = self._store
        _stores[id(store)] = store
        store.kept.append(value)
        return _recall, (id(store), len(store.kept) - 1)


_stores: WeakValueDictionary[int, Store] = WeakValueDictionary()


def _recall(store: int, index: int) -> Any:
    return _stores[store].kept[index]
