"""Selections of events."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.apps import apps
from django.db import connections, models, router
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.expressions import Combinable

from ..exceptions import NoUser
from ..lineage import recent_renames
from ..utils.arguments import model_of, named, saved_instance, start_of, too_long
from ..utils.table_names import log_name, model_labeled
from ..vendors import get_vendor, supports
from ..vendors.types import BEGINNING
from .related import ids_about
from .reprs import InstanceRepr, ReprFailure

if TYPE_CHECKING:
    from .log import AuditLog

#: Characters by which a user's events are found: an index of PostgreSQL takes some 2 700 bytes.
ACTOR_LENGTH = 200


class AuditLogQuerySet(models.QuerySet["AuditLog"]):
    """Selections of events."""

    def for_object(self, instance: models.Model, *, related: bool = False) -> AuditLogQuerySet:
        """Return the events of this object, and those of its parents' tables if the model inherits.

        They include an update that took the object's key away and gave it another, and changes of
        many-to-many fields, from either side. Unless the selection names a database, they come from
        the log of the object's own database.

        :param related: also the events of what belongs to the object: the relations that the
            setting ``RELATED`` and ``AuditHistoryMixin.related`` name.
        :raises TypeError: if it is not an instance, or has no key.
        """
        instance = saved_instance(instance, "for_object()", "use for_model()")
        named = getattr(self, "_db", None)  # by using()
        log = self if named else self.using(home(instance.__class__, instance._state.db))
        renames = recent_renames(log.db)
        vendor = get_vendor(log.db)
        chosen, keys = models.Q(), {}
        for model in (instance.__class__, *instance._meta.all_parents):
            pk = model._meta.pk
            if not model._meta.proxy:
                (key,) = vendor.key_texts(pk, [instance._get_pk_val(model._meta)])
                keys[name := log_name(model._meta.db_table)] = key
                table = renames.lineage(name).events()
                chosen |= table & (models.Q(object_id=key) | models.Q(previous_object_id=key))
        every = self.model.objects.using(log.db)
        others = ids_about(every, keys, related=related)
        if not others:
            return log.filter(chosen)
        # Not joined by OR: each part is read by its own index.
        return log.filter(pk__in=every.filter(chosen).values("pk").union(*others))

    def for_model(self, model: type[models.Model] | str) -> AuditLogQuerySet:
        """Return the events of this model's own table, under every name that it had.

        :param model: the model, or its label: ``"shop.Order"``.
        :raises LookupError: if no installed model has the label.
        :raises TypeError: if it is neither a label nor a model.
        """
        model = model_labeled(model) if isinstance(model, str) else model
        if model_of(model, "for_model()", "a model class, or its label") is not model:
            raise TypeError("for_model() requires a model, not an instance: use for_object()")
        return self.filter(recent_renames(self.db).lineage(log_name(model._meta.db_table)).events())

    def by(self, user: Any) -> AuditLogQuerySet:
        """Return the events whose context names this user: a user, a primary key, or a text.

        :raises NoUser: if it is something else, such as another object, or a user without a key.
        """
        return self.filter(actor=_actor(user)[:ACTOR_LENGTH])

    def between(self, begin: date | Combinable, end: date | Combinable) -> AuditLogQuerySet:
        """Return the events at or after `begin` and before `end`.

        A naive time is in the current time zone; a date means the beginning of that day. The
        database computes expressions, such as ``Now()``.

        :raises TypeError: if one of them is something else.
        """
        since, until = start_of(begin, "between()"), start_of(end, "between()")
        return self.filter(occurred_at__gte=since, occurred_at__lt=until)

    def with_reprs(self) -> AuditLogQuerySet:
        """Select ``instance_repr`` and ``repr_failure`` with the events."""
        return self.select_related("instance_repr", "repr_failure")

    def pending(self, *, after: int | None = None, upto: int | None = None) -> AuditLogQuerySet:
        """Return the events with neither a representation nor a failure.

        A TRUNCATE has no object, so it is never pending. On a large log give both bounds of the
        IDs: without them, this reads every event.
        """
        # Each part has the bounds: a planner does not pass them on.
        bounds = {"pk__gt": after, "pk__lte": upto}
        window = {bound: pk for bound, pk in bounds.items() if pk is not None}
        row = OuterRef("pk")
        return (
            self.filter(**window)
            .exclude(action=self.model.Action.TRUNCATE)
            .filter(
                ~Exists(InstanceRepr.objects.filter(audit_log=row, **window)),
                ~Exists(ReprFailure.objects.filter(audit_log=row, **window)),
            )
        )


def _actor(user: Any) -> str:
    """Return what the context calls this user."""
    if isinstance(user, models.Model):
        if not hasattr(user, "get_username") or user.pk is None:
            raise NoUser(given=repr(user))
        return str(user.pk)
    if isinstance(user, bool) or not isinstance(user, str | int | UUID):
        raise NoUser(given=repr(user))
    if too_long(user):
        raise NoUser(given=named(user))
    return str(user)


def first_id(log: QuerySet[AuditLog], when: datetime) -> int:
    """Return approximately the lowest event ID at or after this time (binary search over IDs)."""
    ids = log.order_by("pk").values_list("pk", "occurred_at")
    first, last = ids.first(), ids.last()
    if first is None or last is None:
        return BEGINNING
    low, high = first[0], last[0] + 1
    while low < high:
        middle = (low + high) // 2
        found = ids.filter(pk__gte=middle).first()
        if found is None or found[1] >= when:
            high = middle
        else:
            low = found[0] + 1
    return low


def home(model: type[models.Model], alias: str | None = None) -> str:
    """Return the database whose log has the events of the model's rows.

    It is the rows' own. If that holds no log, none of its changes is in one, and the default log
    is read.

    :param alias: the database of the rows; by default the routers choose it.
    """
    events = apps.get_model("auditrepr", "AuditLog")
    usual = router.db_for_read(events)
    alias = alias or router.db_for_read(model)
    if alias == usual or not supports(connections[alias]):
        return usual
    log = log_name(events._meta.db_table)
    there = router.allow_migrate_model(alias, events) and log in get_vendor(alias).shapes([log])
    return alias if there else usual
