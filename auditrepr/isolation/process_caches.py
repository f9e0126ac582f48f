"""Isolates what Django keeps in the process: content types and sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from types import FunctionType
from typing import Any

from django.apps import apps
from django.db.models import QuerySet

from .state import Isolation, current


def guards() -> Iterator[tuple[Any, str, Any]]:
    """Return the classes that keep something, and what replaces how they do it."""
    if apps.is_installed("django.contrib.contenttypes"):
        from django.contrib.contenttypes.models import ContentTypeManager

        yield ContentTypeManager, "_cache", _TypesOfWhoAsks()
    if apps.is_installed("django.contrib.sites"):
        from django.contrib.sites.models import SiteManager

        for name in ("_get_site_by_id", "_get_site_by_request", "clear_cache"):
            method = vars(SiteManager)[name]
            if isinstance(method, FunctionType) and "SITE_CACHE" in method.__globals__:
                yield SiteManager, name, _with_sites_of_its_own(method)


class _TypesOfWhoAsks:
    """The attribute in which the manager of content types keeps them."""

    def __get__(self, manager: Any, owner: type | None = None) -> Any:
        isolation = current()
        if isolation is None:
            return manager.__dict__["_cache"]
        if isolation.types is None:
            isolation.types = _Types(isolation)
        return isolation.types

    def __set__(self, manager: Any, value: Any) -> None:
        manager.__dict__["_cache"] = value


class _Types(dict[str, dict[Any, Any]]):
    """All content types of a database, read on first use.

    They are taken to be the same at every event: one query serves all events of a batch.
    """

    def __init__(self, isolation: Isolation) -> None:
        super().__init__()
        self._isolation = isolation

    def __missing__(self, using: str) -> dict[Any, Any]:
        from django.contrib.contenttypes.models import ContentType

        with self._isolation.own_queries():
            there: list[Any] = list(QuerySet(ContentType, using=using))
        by_name: dict[Any, Any] = {(one.app_label, one.model): one for one in there}
        self[using] = by_name | {one.pk: one for one in there}
        return self[using]


def _with_sites_of_its_own(method: FunctionType) -> Callable[..., Any]:
    """Return the method with the event's own dictionary in place of the module's."""

    @wraps(method)
    def with_sites(*args: Any, **kwargs: Any) -> Any:
        isolation = current()
        if isolation is None:
            return method(*args, **kwargs)
        store = isolation.now()
        if store.sites is None:
            store.sites = {**method.__globals__, "SITE_CACHE": {}}
        own = FunctionType(method.__code__, store.sites, method.__name__, method.__defaults__)
        return own(*args, **kwargs)

    return with_sites
