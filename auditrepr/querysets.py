"""Selections of the log."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Exists, OuterRef

if TYPE_CHECKING:
    from .models import AuditLog  # noqa: F401 - named in a string

#: Characters by which a user's events are found: an index of PostgreSQL takes some 2 700 bytes.
ACTOR_LENGTH = 200


class AuditLogQuerySet(models.QuerySet["AuditLog"]):
    """Selections of audit rows, in the words of the domain."""

    def for_object(self, instance: models.Model) -> AuditLogQuerySet:
        """The events of this object; those of its parents' tables, too, if it inherits from them.

        An update that took the object's key away, and gave it another, is among them.
        """
        from .renames import recent_renames
        from .tracking import log_name
        from .vendors import get_vendor

        renames = recent_renames(self.db)
        vendor = get_vendor(self.db)
        chosen = models.Q()
        for model in (type(instance), *instance._meta.all_parents):
            pk = model._meta.pk
            if not model._meta.proxy:
                (key,) = vendor.key_texts(pk, [instance._get_pk_val(model._meta)])
                table = renames.lineage(log_name(model._meta.db_table)).events()
                chosen |= table & (models.Q(object_id=key) | models.Q(previous_object_id=key))
        return self.filter(chosen)

    def for_model(self, model: type[models.Model]) -> AuditLogQuerySet:
        """The events of this model's own table, by whatever name it had."""
        from .renames import recent_renames
        from .tracking import log_name

        return self.filter(recent_renames(self.db).lineage(log_name(model._meta.db_table)).events())

    def by(self, user: Any) -> AuditLogQuerySet:
        """The events whose context names this user: a user, a primary key, or a text."""
        name = str(user.pk if isinstance(user, models.Model) else user)
        return self.filter(actor=name[:ACTOR_LENGTH])

    def between(self, begin: datetime, end: datetime) -> AuditLogQuerySet:
        """The events from the one time on, and before the other."""
        return self.filter(occurred_at__gte=begin, occurred_at__lt=end)

    def with_reprs(self) -> AuditLogQuerySet:
        """Together with ``instance_repr``, and ``repr_failure``, where there is one."""
        return self.select_related("instance_repr", "repr_failure")

    def pending(self, *, after: int | None = None, upto: int | None = None) -> AuditLogQuerySet:
        """Rows with neither a representation nor a quarantine entry.

        A TRUNCATE has no object, so it never waits for one. On a large log give both bounds of
        the ids: without them, this looks at every row.
        """
        from .models import InstanceRepr, ReprFailure

        # The bounds stand in each part: a planner does not carry them over by itself.
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
