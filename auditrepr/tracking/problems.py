"""Finds everything that is wrong with the settings and with ``@auditrepr.track``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.db.models import Model
from django.utils.module_loading import import_string

from ..conf import Settings
from ..exceptions import Misconfigured, UnknownModel, UnusableRepr, UnusableSource
from ..utils.text import one_line
from . import retention
from .decorator import MARKED
from .registry import auditable, concrete_models, excluded_fields, excluding, is_exception, matching
from .related import named, relation_links


def problems() -> Iterator[Misconfigured]:
    """Yield all problems, so that users need not correct one to see the next."""
    settings, unreadable = Settings.read(getattr(django_settings, "AUDITREPR", {}))
    yield from unreadable
    for pattern in settings.MODELS:
        yield from _raised(partial(_named, pattern))
    yield from _of_decorators()
    for pattern, names in settings.EXCLUDE.items():
        yield from _exclusions(pattern, partial(excluding, pattern), names)
    for label, name in sorted(named(settings)):
        yield from _raised(partial(relation_links, label, name))
    for entry in settings.RETENTION:
        yield from _raised(partial(retention.models_of, entry))
    yield from _of_functions(settings)


def _of_decorators() -> Iterator[Misconfigured]:
    for model, mark in MARKED.items():
        yield from _raised(partial(_tracked, model))
        yield from _exclusions(model._meta.label, partial(concrete_models, model), mark.exclude)
        for concrete in concrete_models(model) if mark.repr is not None else ():
            yield from _repr("@auditrepr.track(repr=...)", concrete, mark.repr)


def _of_functions(settings: Settings) -> Iterator[Misconfigured]:
    """Yield what is wrong with settings that name functions."""
    if settings.REPR:
        for label, way in django_settings.AUDITREPR["REPR"].items():
            yield from _repr_of(label, way)
    for source, way in settings.SOURCES.items():
        if isinstance(way, str) and (reason := _why_not_callable(way)):
            yield UnusableSource(source=source, way=way, reason=reason)


def _raised(check: Callable[[], Iterable[object]]) -> Iterator[Misconfigured]:
    try:
        for _ in check():
            pass
    except Misconfigured as error:
        yield error


def _named(pattern: str) -> Iterable[type[Model]]:
    models = matching(pattern)
    return models if is_exception(pattern) else auditable(models, 'AUDITREPR["MODELS"]')


def _tracked(model: type[Model]) -> Iterable[type[Model]]:
    return auditable(concrete_models(model), "@auditrepr.track")


def _exclusions(
    label: str, models: Callable[[], list[type[Model]]], names: Iterable[str]
) -> Iterator[Misconfigured]:
    unknown = list(_raised(models))
    yield from unknown
    for name in () if unknown else names:
        yield from _raised(partial(excluded_fields, label, models(), name))


def _repr_of(label: str, way: object) -> Iterator[Misconfigured]:
    """Yield what is wrong with one entry of ``REPR``; its keys are models, not patterns."""
    installed = apps.get_models(include_auto_created=True)
    found = [model for model in installed if model._meta.label.lower() == label.lower()]
    if not found:
        yield UnknownModel(setting="REPR", name=label)
    for model in found:
        yield from _repr('AUDITREPR["REPR"]', model, way)


def _repr(setting: str, model: type[Model], way: object) -> Iterator[Misconfigured]:
    if reason := _why_not(setting, model, way):
        yield UnusableRepr(setting=setting, way=way, model=model._meta.label, reason=reason)


def _why_not(setting: str, model: type[Model], way: Any) -> str:
    if callable(way):
        return ""
    if not isinstance(way, str):
        return "cannot be called"
    if "." in way and setting.startswith("AUDITREPR"):
        return _why_not_callable(way)
    if not hasattr(model, way):
        return "does not exist there"
    return "" if callable(getattr(model, way)) else "is not a method"


def _why_not_callable(path: str) -> str:
    """Return what is wrong with the dotted path of a function; empty if nothing is."""
    try:
        found = import_string(path)
    except Exception as error:  # whatever the module raises
        return f"cannot be imported ({one_line(error)})"
    return "" if callable(found) else "cannot be called"
