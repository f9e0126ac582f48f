"""Finds the entry of ``RETENTION`` that says how long a model's events are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.apps import apps
from django.db.models import Model

from ..exceptions import UnknownModel

#: The entry for all that has none of its own, also for tables without a model.
EVERY = "*"


def entry_of(model: type[Model], among: Collection[str]) -> str | None:
    """Return the most specific of these entries for the model's table; None if there is none.

    The table of a many-to-many field without an entry belongs to the model of the field.
    """
    entries = {label.lower(): label for label in among}
    owner = model._meta.auto_created
    models = [model, *_proxies(model), *([owner] if isinstance(owner, type) else [])]
    for one in models:
        if found := entries.get(one._meta.label_lower):
            return found
    for one in models:
        if found := entries.get(f"{one._meta.app_label}.*".lower()):
            return found
    return entries.get(EVERY)


def models_of(entry: str) -> Iterable[type[Model]]:
    """Return the models that an entry names.

    :raises UnknownModel: if there are none.
    """
    app_label, _, name = entry.lower().partition(".")
    installed = apps.get_models(include_auto_created=True)
    if entry == EVERY:
        return installed
    if name == "*" and app_label in {config.label.lower() for config in apps.get_app_configs()}:
        return [model for model in installed if model._meta.app_label.lower() == app_label]
    found = [model for model in installed if model._meta.label_lower == f"{app_label}.{name}"]
    if not found:
        raise UnknownModel(setting="RETENTION", name=entry)
    return found


def _proxies(model: type[Model]) -> list[type[Model]]:
    return [
        one for one in apps.get_models() if one._meta.proxy and one._meta.concrete_model is model
    ]
