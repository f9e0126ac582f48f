"""The ``__dict__`` of an instance: code that reads it finds what live code would find.

Python looks up an attribute in it without calling the methods here. So what auditrepr puts there
works although no method shows it, and Django still loads an attribute that is not there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from django.db.models import Model

if TYPE_CHECKING:
    from .loader import Loader


class Hidden:
    """The base of what auditrepr puts into an instance besides its values."""

    __slots__ = ()


class Attributes(dict[str, Any]):
    """The attributes of an instance, without what is :class:`Hidden`."""

    __slots__ = ()

    def shown(self) -> dict[str, Any]:
        """Return what code may see."""
        return {name: one for name, one in dict.items(self) if not isinstance(one, Hidden)}

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, name) and not isinstance(
            dict.__getitem__(self, str(name)), Hidden
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.shown())

    def __reversed__(self) -> Iterator[str]:
        return reversed(self.shown())

    def __len__(self) -> int:
        return len(self.shown())

    def __repr__(self) -> str:
        return repr(self.shown())

    def __eq__(self, other: object) -> bool:
        return self.shown() == other

    def __ne__(self, other: object) -> bool:
        return self.shown() != other

    def __or__(self, other: Any) -> Any:
        return self.shown() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.shown()

    def keys(self) -> Any:
        return self.shown().keys()

    def values(self) -> Any:
        return self.shown().values()

    def items(self) -> Any:
        return self.shown().items()

    def copy(self) -> dict[str, Any]:
        """Return what code may see; all of it to Django, which copies the instance."""
        return dict(dict.items(self)) if _by_django() else self.shown()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (self.shown(),)


class IncompleteAttributes(Attributes):
    """The attributes of an instance some of whose columns have no known value.

    Code that reads them finds placeholders.
    """

    __slots__ = ("loader",)

    loader: Loader

    def shown(self) -> dict[str, Any]:
        self._fill(*self.loader.without_value)
        self._arrange()
        return super().shown()

    def __contains__(self, name: object) -> bool:
        self._fill(name)
        return super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        self._fill(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._fill(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self._fill(name)
        return super().pop(name, *default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        self._fill(name)
        return super().setdefault(name, default)

    def _fill(self, *names: object) -> None:
        """Give these attributes placeholders, if they lack a value."""
        lacking = [str(name) for name in names if self.loader.lacks(name)]
        if lacking and not _by_django():
            self.loader.fill(lacking)

    def _arrange(self) -> None:
        """Put the fields in their order, as Django does when it makes an instance."""
        every = dict(dict.items(self))
        first = [name for name in ("_state", *self.loader.names) if name in every]
        dict.clear(self)
        dict.update(self, {name: every.pop(name) for name in first} | every)


class Deferred(Hidden):
    """A ``get_deferred_fields`` that omits fields whose values are only missing from the log.

    :param loader: of the instance.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def __call__(self) -> set[str]:
        instance = self.loader.instance
        deferred = type(instance).get_deferred_fields(instance)
        return deferred if _by_django() else deferred - self.loader.without_value.keys()

    def __deepcopy__(self, memo: dict[int, Any]) -> Deferred:
        return Deferred(deepcopy(self.loader, memo))

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave behind what reads the log."""
        return getattr, (self.loader.instance, "get_deferred_fields")


def attributes_of(instance: Model) -> dict[str, Any]:
    """Return the instance's attributes, which from now on hide what is :class:`Hidden`."""
    there = instance.__dict__
    if type(there) is dict:
        there = Attributes(there)
        object.__setattr__(instance, "__dict__", there)
    return there


def make_incomplete(instance: Model, loader: Loader) -> None:
    """Have the loader provide the attributes that lack a value."""
    there = instance.__dict__
    if type(there) in (dict, Attributes):
        there = IncompleteAttributes(there)
        there.loader = loader
        object.__setattr__(instance, "__dict__", there)
    there["refresh_from_db"] = loader
    there["get_deferred_fields"] = Deferred(loader)


def _by_django() -> bool:
    """Return whether Django's models, or auditrepr, have called the method that asks."""
    frame = sys._getframe(1)
    while frame.f_globals is globals() and frame.f_back is not None:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__")).startswith(("django.db.models.", "auditrepr."))
