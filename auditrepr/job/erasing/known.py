"""Finds by which texts others may name what is erased."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ...models import InstanceRepr
from ...vendors import get_vendor
from .needles import LEAST, Needles, Words
from .target import ObjectTarget, Target, as_json

#: Events that are in memory at once.
EVENTS = 500


@dataclass
class Known:
    """The texts that are erased, by what is done where others hold them."""

    replaced: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)  # may stand for anything: only listed
    shared: set[str] = field(default_factory=set)  # other objects have them, too: only listed

    @cached_property
    def needles(self) -> Needles:
        """Return the texts that are replaced wherever they are found."""
        return Needles(self.replaced)

    @cached_property
    def words(self) -> Words:
        """Return the others, which are replaced where the object's own text holds them."""
        return Words(self.short | self.shared)


def known(target: Target, *, also: set[str], but: set[str]) -> Known:
    """Return the texts by which others may name the target.

    :param also: texts that are searched for besides, however short.
    :param but: texts that are not searched for.
    """
    found: set[str] = set()
    for event in target.events().order_by("pk").iterator(chunk_size=EVENTS):
        found.update(text for text in target.texts(event) if as_json(text) not in target.kept)
    found |= target.keys
    found = {text for text in found if text.strip().casefold() not in {b.casefold() for b in but}}
    long = {text for text in found if len(text.strip()) >= LEAST}
    shared = _shared(target, long) if isinstance(target, ObjectTarget) else set()
    if isinstance(target, ObjectTarget):
        long |= _own_representations(target, Needles(found)) - but
    return Known(long - shared | also, found - long - also, shared - also)


def _shared(target: ObjectTarget, texts: set[str]) -> set[str]:
    """Return the texts that other objects have or had as a value of the same kind.

    A city, or a first name, does not name this one.
    """
    needles = Needles(texts)
    found: set[str] = set()
    condition = get_vendor(target.using).naming(("row_data", "changed_from"), needles.sought)
    for part in target.parts if needles else ():
        table = target.renames.lineage(part.table).events()
        events = target.log.filter(table, condition).exclude(pk__in=target.events().values("pk"))
        for event in events.iterator(chunk_size=EVENTS):
            found.update(text for text in target.texts(event) if text in texts)
    return found


def _own_representations(target: Target, erased: Needles) -> set[str]:
    """Return the representations of the object in which something is erased.

    Other objects' may hold them, also if each value alone is short, or shared.
    """
    own = InstanceRepr.objects.using(target.using).filter(audit_log__in=target.events())
    texts = own.values_list("instance_repr", flat=True).distinct().iterator(chunk_size=EVENTS)
    return {text for text in texts if len(text.strip()) >= LEAST and erased.within(text)}
