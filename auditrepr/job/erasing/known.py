"""Finds by which texts others may name what is erased."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from functools import cached_property

from ...vendors.sought import Sought, Stretch
from .needles import LEAST, Needles, Words
from .target import Target, as_json

#: Events that are in memory at once.
EVENTS = 500


@dataclass
class Known:
    """The texts that are erased, by what is done where others hold them."""

    replaced: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)  # may stand for anything: only listed
    shared: set[str] = field(default_factory=set)  # others have them, too: only listed

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

    :param also: additional texts to search for, even short ones.
    :param but: texts that are not searched for.
    """
    kept = {_folded(text) for text in but}
    found = set(target.keys)
    for event in target.events().order_by("pk").iterator(chunk_size=EVENTS):
        found.update(text for text in target.texts(event) if as_json(text) not in target.kept)
    found = {text for text in found if _folded(text) not in kept}
    long = {text for text in found if len(text.strip()) >= LEAST}
    shown = _own_representations(target, Needles(found))
    shown = {text for text in shown if _folded(text) not in kept}
    shared = _shared(target, long)
    shared |= _shared_as_shown(target, long - shared, shown, found)
    return Known((long | shown) - shared | also, found - long - also, shared - also)


def _folded(text: str) -> str:
    """Return the text as it is compared with others, whose case may be another one."""
    return unicodedata.normalize("NFC", text.strip().casefold())


def _shared(target: Target, texts: set[str]) -> set[str]:
    """Return the texts that others have or had as a value of the same kind.

    A city, or a first name, does not name this one.
    """
    sought = {_folded(text) for text in texts}
    found: set[str] = set()
    for event in target.of_others(Needles(texts).sought) if texts else ():
        found.update(sought.intersection(map(_folded, target.texts(event))))
        if found == sought:
            break
    return {text for text in texts if _folded(text) in found}


def _shared_as_shown(target: Target, texts: set[str], shown: set[str], every: set[str]) -> set[str]:
    """Return the texts that others have, too, as far as their representations show it.

    That is a value that only a field can read, and the representation of a namesake, who has all
    values that it is made of. A row that merely shows the target is not a namesake.

    :param shown: the target's representations.
    :param every: all of its values.
    """
    wanted = texts | shown
    sought, values = set(map(_folded, wanted)), set(map(_folded, every))
    found: set[str] = set()
    for row in target.shown_of_others(Sought(map(Stretch.of, wanted))) if wanted else ():
        theirs, said = set(map(_folded, target.texts(row.audit_log))), _folded(row.instance_repr)
        found |= theirs & sought
        if said in sought and (held := _values_in(said, values)) and held <= theirs:
            found.add(said)
        if found == sought:
            break
    return {text for text in wanted if _folded(text) in found}


def _values_in(said: str, values: set[str]) -> set[str]:
    """Return the values in a text, without those that are only part of a longer one."""
    within = {value for value in values if value in said}
    return {one for one in within if not any(one in other for other in within - {one})}


def _own_representations(target: Target, erased: Needles) -> set[str]:
    """Return the representations of the object in which something is erased.

    Other objects' may hold them, also if each value alone is short, or shared.
    """
    said = target.shown().values_list("instance_repr", flat=True).distinct()
    texts = said.iterator(chunk_size=EVENTS)
    return {text for text in texts if len(text.strip()) >= LEAST and erased.within(text)}
