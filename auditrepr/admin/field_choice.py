"""The fields of an object that a reader chooses to put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import Error
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ..restoration import Restoration
from ..restoration.plan import Fields, restored_fields
from ..utils.time_limit import OutOfTime
from .editing import Editor

#: The parameter with the fields to put back; it is empty once, so that it is always there.
CHOICE = "fields"
#: The button that shows what the chosen fields come to.
PREVIEW = "preview"


def chosen(request: HttpRequest, model: type[Model]) -> Fields:
    """Return the fields that the form of the preview names; None: all of them."""
    if not (given := request.POST.getlist(CHOICE)):
        return None
    return tuple(field.name for field in restored_fields(model) if field.name in given)


def misunderstood(request: HttpRequest, fields: Fields, doing: Restoration) -> Iterator[str]:
    """Yield what is wrong with the fields that the request names."""
    if fields is None:
        return
    for name in request.POST.getlist(CHOICE):
        if name and name not in fields:
            yield _("There is no field “%(name)s” to put back.") % {"name": name}
    if not fields:
        yield _("No field is chosen.")
    elif not doing.changes and not doing.reasons:
        yield _("Nothing to put back: the object already has these values.")


def in_the_way(editor: Editor, planned: Restoration, now: Model | None) -> list[str]:
    """Return why this cannot be put back, or not by this user."""
    return [*planned.reasons, *editor.obstacles(planned, now)]


def is_offered(
    editor: Editor,
    planned: Restoration,
    now: Model | None,
    alone: Callable[[Fields], Restoration],
) -> bool:
    """Return whether a choice of fields can do what the whole cannot.

    That is so for a single field, too, if what is in the way is not about it.

    :param alone: returns the plan for these fields only.
    """
    if planned.recreates or len(planned.changes) != 1:
        return len(planned.changes) > 1 and not planned.recreates
    if not in_the_way(editor, planned, now):
        return False  # nothing is left to choose
    [change] = planned.changes
    try:
        return not in_the_way(editor, alone((change.field.name,)), now)
    except (OutOfTime, Error):
        return False  # the page says why the whole is refused
