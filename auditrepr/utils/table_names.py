"""Tables and their models by name: text alone, no database."""

from __future__ import annotations

from django.apps import apps
from django.db.models import Model


def split_name(db_table: str) -> tuple[str | None, str]:
    """Return the schema, if one is named, and the table: ``'app"."order'`` is ``("app", "order")``.

    That is how ``db_table`` names a table outside the search path: Django puts quotes around the
    whole, or leaves it alone if it has quotes already.
    """
    schema, separator, table = db_table.removeprefix('"').removesuffix('"').partition('"."')
    return (schema, table) if separator else (None, schema)


def log_name(db_table: str) -> str:
    """Return the value of ``AuditLog.table_name``: the table, after its schema if one is named."""
    schema, table = split_name(db_table)
    return f"{schema}.{table}" if schema else table


def model_for_table(table_name: str) -> type[Model] | None:
    """Return the installed model whose rows the log keeps under this name, audited or not."""
    found = [
        model
        for model in apps.get_models(include_auto_created=True)
        # The cheap comparisons first: a page asks this for every name on it.
        if ((name := model._meta.db_table) == table_name or '"' in name)
        and not model._meta.proxy
        and log_name(name) == table_name
    ]
    return min(found, key=lambda model: not model._meta.managed, default=None)


def model_labeled(label: str) -> type[Model]:
    """Return the installed model with this label, such as ``"shop.Order"``.

    :raises LookupError: if there is none.
    """
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        message = f'No installed model has the label {label!r}. Use "app_label.Model".'
        raise LookupError(message) from None
