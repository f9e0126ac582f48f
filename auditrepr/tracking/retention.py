"""Finds the entry of ``RETENTION`` that says how long a model's events are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.apps import apps
from django.db.models import Model

from ..exceptions import UnknownModel
from ..utils.table_names import log_name

#: The entry for all that has none of its own, also for tables without a model.
EVERY = "*"


def entry_of(model: type[Model], among: Collection[str]) -> str | None:
    """Return the most specific of these entries for the model's table; None if there is none.

    The table of a many-to-many field without an entry belongs to the model of the field. A proxy,
    or another model of the same table, may be named; its app does not decide.
    """
    entries = {label.lower(): label for label in among}
    owner = model._meta.auto_created
    owners = [model, *([owner] if isinstance(owner, type) else [])]
    labels = [one._meta.label_lower for one in (model, *_others(model), *owners)]
    apps_of = [f"{one._meta.app_label}.*".lower() for one in owners]
    return next((entries[name] for name in (*labels, *apps_of, EVERY) if name in entries), None)


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


def _others(model: type[Model]) -> list[type[Model]]:
    """Return the other models of the same table: proxies, and unmanaged ones."""
    table = log_name(model._meta.db_table)
    return [
        one
        for one in apps.get_models()
        if one is not model and log_name(one._meta.db_table) == table
    ]
