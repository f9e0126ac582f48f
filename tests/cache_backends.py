"""Cache backends as projects write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache


class Shelf(BaseCache):
    """Keeps values in a dictionary of the class, and has a method of its own."""

    shelf: dict[str, Any] = {}

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.namespace = "mine"
        self._place = location

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self.shelf.get(self.make_key(key, version), default)

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        self.shelf[self.make_key(key, version)] = value

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return self.shelf.setdefault(self.make_key(key, version), value) is value

    def clear(self) -> None:
        self.shelf.clear()

    def remembered(self, name: str, make: Callable[[], Any]) -> Any:
        return self.get_or_set(f"{self.namespace}-{name}", make)

    @property
    def place(self) -> str:
        return self._place


class Bag:
    """No subclass of Django's, with what is asked of it here."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value

    def get_or_set(self, key: str, default: Any) -> Any:
        return self.values.setdefault(key, default)

    def clear(self) -> None:
        self.values.clear()

    def close(self) -> None:
        """As Django asks for at the end of a request."""


class Slow(Shelf):
    """Looks its attributes up in its own way."""

    def __getattribute__(self, name: str) -> Any:
        return super().__getattribute__(name)
