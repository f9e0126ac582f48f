"""The log: one row for each change of an audited row, written by the triggers."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections, models, router
from django.db.models import Exists, Field, OuterRef, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KT
from django.db.models.functions import Left, Now
from django.utils.translation import gettext_lazy as _

from ..exceptions import NoUser
from ..fields import GeneratedField, JSONField, RowField
from ..isolation.query_caches import Afresh
from ..lineage import recent_renames
from ..utils.arguments import model_of, named, saved_instance, start_of, too_long
from ..utils.table_names import log_name, model_labeled
from ..vendors import get_vendor, supports
from ..vendors.types import BEGINNING, Event
from .related import ids_about
from .reprs import InstanceRepr, ReprFailure

if TYPE_CHECKING:
    from ..reprs import Outcome


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


class AuditLog(models.Model):
    """One event: a row of an audited table was added, changed or deleted, or the table was emptied.

    Only triggers write it.
    """

    class Action(models.TextChoices):
        INSERT = "I", _("added")
        UPDATE = "U", _("changed")
        DELETE = "D", _("deleted")
        TRUNCATE = "T", _("emptied")

    id = models.BigAutoField(primary_key=True)
    table_name = models.TextField(_("table"))
    object_id = models.TextField(
        _("object ID"),
        null=True,
        help_text=_("Primary key as text. A composite key is stored as a JSON array."),
    )
    previous_object_id = models.TextField(
        null=True, help_text=_("Primary key before the update, if the update changed it.")
    )
    action = models.CharField(_("action"), max_length=1, choices=Action)
    row_data = RowField(
        null=True,
        help_text=_("All recorded columns of the row: after an insert or update, before a delete."),
    )
    changed_from = RowField(
        null=True,
        help_text=_("For an update: the previous value of each changed column."),
    )
    context = JSONField(
        null=True,
        help_text=_("Who made the change and why, if the application provided a context."),
    )
    actor = GeneratedField(
        # SQLite would look into the context of every event, for a tenth of what an event costs.
        expression=models.Case(
            models.When(context__isnull=False, then=Left(KT("context__user"), ACTOR_LENGTH))
        ),
        output_field=models.TextField(null=True),
        db_persist=True,
        verbose_name=_("actor"),
        help_text=_("The user from the context. Indexed."),
    )
    writer = models.TextField(
        null=True,
        help_text=_("If there is no context: database role and client program. PostgreSQL only."),
    )
    transaction_id = models.BigIntegerField(
        null=True, help_text=_("PostgreSQL transaction ID. Null on SQLite.")
    )
    snapshot = models.TextField(
        null=True,
        help_text=_("The transaction's pg_snapshot right after the event. PostgreSQL only."),
    )
    statement_at = models.DateTimeField(
        null=True, help_text=_("When the server received the client message. PostgreSQL only.")
    )
    occurred_at = models.DateTimeField(_("time"), db_default=Now())

    objects = Afresh.from_queryset(AuditLogQuerySet)()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        indexes = [
            models.Index(fields=["table_name", "object_id", "id"], name="auditrepr_log_object"),
            models.Index(fields=["table_name", "id"], name="auditrepr_log_table"),
            models.Index(
                fields=["transaction_id"],
                name="auditrepr_log_transaction",
                condition=models.Q(transaction_id__isnull=False),
            ),
            models.Index(
                fields=["actor", "id"],
                name="auditrepr_log_actor",
                condition=models.Q(actor__isnull=False),
            ),
            models.Index(
                fields=["table_name", "previous_object_id", "id"],
                name="auditrepr_log_rekeyed",
                condition=models.Q(previous_object_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.table_name} {self.object_id or ''}".rstrip()

    @property
    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Return what an update changed: ``{field: (old, new)}``, with values as fields have them.

        A column for which the current model has no field appears by its own name. Its values, and
        those that their field cannot read, are as in the log. Each call reads the log.
        """
        from ..asof.held import held  # against the direction of the data, as below

        old, new = self.changed_from or {}, self.row_data or {}
        using = self._state.db or router.db_for_read(AuditLog)
        known = {(one.column, one.before): one.value for one in held([self] if old else [], using)}
        names = {column: field.name for column, field in self.recorded_fields().items()}
        return {
            names.get(column, column): (
                known.get((column, True), old[column]),
                known.get((column, False), new.get(column)),
            )
            for column in old
        }

    @property
    def representation(self) -> str | None:
        """Return the stored representation; of a pending event, build it as the job would.

        None if it could not be built (``repr_failure`` says why), or for a TRUNCATE, which has no
        object.
        """
        if self.action == self.Action.TRUNCATE or hasattr(self, "repr_failure"):
            return None
        if hasattr(self, "instance_repr"):
            return self.instance_repr.instance_repr
        outcome = self.build_instance_repr()
        return None if outcome.failure else outcome.text

    def recorded_fields(self) -> dict[str, Field[Any, Any]]:
        """Return the current field of each column of the row, by its name at the event."""
        return recent_renames(self._state.db or router.db_for_read(AuditLog)).fields(self)

    def build_instance_repr(self) -> Outcome:
        """Return the representation of this event, built as the job builds it; not stored.

        :raises TypeError: if it is not in the log.
        """
        from ..reprs import build  # against the direction of the data

        if self.pk is None:
            raise TypeError("build_instance_repr() requires an event that is in the log")
        return build([Event.of(self)], using=self._state.db or router.db_for_read(AuditLog))[0]


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
    usual = router.db_for_read(AuditLog)
    alias = alias or router.db_for_read(model)
    if alias == usual or not supports(connections[alias]):
        return usual
    log = log_name(AuditLog._meta.db_table)
    there = router.allow_migrate_model(alias, AuditLog) and log in get_vendor(alias).shapes([log])
    return alias if there else usual
