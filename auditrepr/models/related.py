"""Which objects an event is about besides its own: both ends of a many-to-many row, a parent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from ..isolation.query_caches import Afresh
from ..lineage import recent_renames
from ..tracking.related import Link, links
from ..vendors import get_vendor
from ..vendors.types import BEGINNING
from .job import Checkpoint

#: Events of one table above the watermark that are searched for objects: the newest ones.
LOOKED_AT = 2_000


class RelatedObjectQuerySet(models.QuerySet["RelatedObject"]):
    """Selections of what events are about."""

    def of(self, table: str, object_id: str) -> RelatedObjectQuerySet:
        """Return those of this object, by its table's current name, under all former names."""
        chosen = Q()
        for name in recent_renames(self.db).lineage(table).names:
            bounds = {"occurred_at__gte": name.since, "occurred_at__lt": name.until}
            limits = {f"audit_log__{one}": at for one, at in bounds.items() if at is not None}
            chosen |= Q(table_name=name.name, **limits)
        return self.filter(chosen, object_id=object_id)

    def by(self, chosen: Iterable[Link]) -> RelatedObjectQuerySet:
        """Return those of the events of these links' tables."""
        tables = {link.table for link in chosen}
        return self.filter(recent_renames(self.db).events(tables, "audit_log__"))


class RelatedObject(models.Model):
    """An object that an event is about besides its own; the job writes it.

    It is the object that a column of the event's row led to, after the event or before it.
    """

    pk = models.CompositePrimaryKey("table_name", "object_id", "audit_log")
    table_name = models.TextField(
        help_text=_("The object's table, by one of its names in the log.")
    )
    object_id = models.TextField(help_text=_("The object's primary key, as in the log."))
    # No constraint in the database, as for representations; the index is for pruning.
    audit_log = models.ForeignKey(
        "auditrepr.AuditLog",
        models.CASCADE,
        db_constraint=False,
        related_name="related_objects",
    )

    objects = Afresh.from_queryset(RelatedObjectQuerySet)()

    class Meta:
        verbose_name = _("related object")
        verbose_name_plural = _("related objects")

    def __str__(self) -> str:
        return f"{self.audit_log_id}: {self.table_name} {self.object_id}"


def links_to(tables: Collection[str], *, related: bool) -> list[Link]:
    """Return the links that lead to objects of these tables, by their current names.

    :param related: also those that the settings and admin classes name, and not only the ends of
        automatic many-to-many tables.
    """
    every = (link for of_table in links().values() for link in of_table)
    return [link for link in every if link.target in tables and (related or link.field)]


def pending_events(log: QuerySet[Any], link: Link, object_id: str) -> QuerySet[Any]:
    """Return the events above the watermark that this link makes about this object.

    Of those of the link's table only the newest are searched: a bounded number.

    :param log: all events of one database.
    """
    mark = Checkpoint.objects.using(log.db).filter(pk=1).values("settled_id")
    lineage = recent_renames(log.db).lineage(link.table)
    above = log.filter(lineage.events(), pk__gt=Coalesce(Subquery(mark), BEGINNING))
    lowest = above.order_by("-pk").values("pk")[LOOKED_AT - 1 : LOOKED_AT]
    # A bound, and not a list of IDs: for that, PostgreSQL would read the whole log.
    bound = Coalesce(Subquery(lowest), BEGINNING)
    return above.filter(_leads(link, object_id, log.db), pk__gte=bound)


def newest_events(log: QuerySet[Any], link: Link, object_id: str) -> QuerySet[Any]:
    """Return the events that this link makes about this object, among the newest of its table.

    :param log: all events of one database.
    """
    of_table = log.filter(recent_renames(log.db).lineage(link.table).events())
    ids = of_table.order_by("-pk").values_list("pk", flat=True)
    lowest = ids[LOOKED_AT - 1 : LOOKED_AT].first()
    bound = BEGINNING if lowest is None else lowest
    return of_table.filter(_leads(link, object_id, log.db), pk__gte=bound)


def _leads(link: Link, object_id: str, using: str) -> Q:
    """Return the condition that the link's column leads to the object, or led there before."""
    lineage = recent_renames(using).lineage(link.table)
    leads = _held(lineage.columns(link.column), _writings(link, object_id), using)
    if link.generic:
        leads &= _held(lineage.columns(link.generic), [str(content_type(link, using))], using)
    return leads


def _held(columns: Iterable[str], texts: Collection[str], using: str) -> Q:
    """Return the condition that the event's row had one of these texts there, or had it before."""
    vendor = get_vendor(using)
    held = (
        Exact(vendor.recorded_text(column, source), text)
        for column in columns
        for source in ("row_data", "changed_from")
        for text in texts
    )
    return reduce(or_, map(Q, held))


def _writings(link: Link, object_id: str) -> set[str]:
    """Return the ways in which the link's column may write this key."""
    if not link.generic:
        return {object_id}
    try:
        return {object_id, str(link.model._meta.pk.to_python(object_id))}
    except ValidationError:
        return {object_id}


def content_type(link: Link, using: str) -> int:
    """Return the content type that the object of a generic link has in this database."""
    from django.contrib.contenttypes.models import ContentType

    return ContentType.objects.db_manager(using).get_for_model(link.model).pk


def ids_about(
    log: QuerySet[Any], keys: Mapping[str, str], *, related: bool
) -> list[QuerySet[Any, Any]]:
    """Return queries for the IDs of the events that are about an object besides its own.

    :param log: all events of one database.
    :param keys: the object's keys in its tables, by their current names.
    :param related: as of :func:`links_to`.
    """
    found = links_to(keys, related=related)
    if not found:
        return []
    about = RelatedObject.objects.using(log.db)
    stored = [
        about.of(table, key).by(chosen).values("audit_log_id")
        for table, key in keys.items()
        if (chosen := [link for link in found if link.target == table])
    ]
    pending = [pending_events(log, link, keys[link.target]).values("pk") for link in found]
    return [*stored, *pending]


def signature(chosen: Iterable[Link]) -> list[list[str]]:
    """Return what is noted of a table's links, to find out later whether they are others."""
    return sorted([link.column, link.target, link.generic] for link in chosen)


#: What is noted where no event lacks them; earlier versions noted 0.
NOTHING_LACKS = (None, 0, BEGINNING)


def missing_until(using: str, chosen: Collection[Link]) -> dict[str, int]:
    """Return the tables of these links whose older events may lack their related objects.

    :returns: the ID of the last such event, for each table; a rebuild stores what they lack.
    """
    mark = Checkpoint.of(using, "settled_id", "related") or Checkpoint()
    noted, every = mark.related or {}, links()
    until = {}
    for table in {link.table for link in chosen}:
        known = noted.get(table, {})
        same = known.get("links") == signature(every.get(table, ()))
        until[table] = known["until"] if same else mark.settled_id
    return {table: last for table, last in until.items() if last not in NOTHING_LACKS}
