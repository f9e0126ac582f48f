"""The object that a page is asked for, by its table and the text of its key."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Model
from django.http import Http404, HttpRequest
from django.utils.translation import gettext as _

from ..asof.asked import key_from_text
from ..utils.table_names import model_for_table


class AskedObject(NamedTuple):
    """An object, and how the request names it."""

    model: type[Model]
    key: Any
    table_name: str
    text: str  # of the key


def asked_object(request: HttpRequest, using: str) -> AskedObject:
    """Return the object that the request names.

    :raises Http404: if there can be no such object.
    """
    table_name, text = (request.GET.get(name, "") for name in ("table_name", "object_id"))
    model = model_for_table(table_name)
    key = key_from_text(model, text, using) if model else None
    if model is None or key is None:
        raise Http404(_("No such object."))
    return AskedObject(model, key, table_name, text)
