"""Objects put back as they were: :func:`restore`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Model

from ..asof.asked import When, checked_key, event_or_time, key_from_text, wanted
from ..asof.former import Asked
from ..lineage import recent_renames
from ..models import AuditLog
from ..utils.arguments import named
from ..utils.model_meta import concrete
from ..utils.table_names import log_name
from ..utils.time_limit import TimeLimit
from . import writing
from .plan import Fields, Restoration, plan, restored_fields


def restore(
    what: Model | type[Model],
    moment: When,
    /,
    *,
    pk: Any = None,
    before: bool = False,
    fields: Iterable[str] | None = None,
    dry_run: bool = False,
    state: str | None = None,
    using: str | None = None,
) -> Restoration:
    """Put an object back as it was at a moment, and return what that has changed.

    ``restore(book, event)``, ``restore(Book, event)`` for the event's own object, or
    ``restore(Book, time, pk=5)``. An object that exists is saved with its former values, a deleted
    one is added again with its key, both by the model's ``save()``. Only the object's own fields
    are put back: no many-to-many rows, and nothing that was deleted with it.

    :param moment: as of :func:`auditrepr.as_of`; of a deletion, right before it.
    :param before: as it was right before the event, not right after it.
    :param fields: names of the only fields to put back, of an object that exists.
    :param dry_run: write nothing; the result says what would change, or why it is refused.
    :param state: the ``state`` of an earlier dry run: if anything differs from it, it is refused.
    :param using: the database, by default the object's own.
    :raises NotRestored: if it is refused; the text says why.
    :raises TypeError: if it is neither an instance nor a model, the moment is none, or there is
        no pk.
    :raises ValidationError: if the pk cannot be a key of this model.
    :raises ValueError: if the model has no such fields to put back, or there is no such database.
    :raises AuditLog.DoesNotExist: if there is no such event.
    """
    model, key, using = wanted(what, moment, pk, using, "restore()")
    when = event_or_time(moment, using, "restore()")
    model = concrete(model)
    if key is None and isinstance(what, type) and isinstance(when, AuditLog):
        key = _key_of_event(model, when, using)
    asked = Asked(model, checked_key(model, key, using, "restore()"), when, before)
    chosen = None if fields is None else _known(model, fields)
    return carried_out(asked, using, fields=chosen, dry_run=dry_run, state=state)


def carried_out(
    asked: Asked,
    using: str,
    *,
    fields: Fields = None,
    dry_run: bool = False,
    state: str | None = None,
    limit: TimeLimit | None = None,
) -> Restoration:
    """Return the plan, and carry it out unless this is a dry run; see :func:`restore`."""
    planned = plan(asked, using, limit or TimeLimit.from_settings(), fields)
    if dry_run:
        return planned
    if state is not None and state != planned.state:
        raise writing.refused(planned, [writing.changed_since()])
    if planned.reasons:
        raise writing.refused(planned, list(planned.reasons))
    return writing.write(asked, planned) if planned.possible else planned


def _known(model: type[Model], fields: Iterable[str]) -> tuple[str, ...]:
    """Return the names of these fields, if all of them can be put back."""
    if not isinstance(fields, Iterable):
        raise TypeError(f"restore() requires a list of names as fields, not {named(fields)}")
    names = (fields,) if isinstance(fields, str) else tuple(fields)
    known = [field.name for field in restored_fields(model)]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"restore() cannot put back {', '.join(map(repr, unknown))}:"
            f" the fields of {model._meta.label} are {', '.join(known)}"
        )
    return names


def _key_of_event(model: type[Model], event: AuditLog, using: str) -> Any:
    """Return the key of the event's own object, if it is one of this model."""
    table = recent_renames(using).table(event.table_name, event.occurred_at)
    if table != log_name(model._meta.db_table) or event.object_id is None:
        return None
    return key_from_text(model, event.object_id, using)
