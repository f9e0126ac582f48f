"""An actor, in whose contexts values are erased."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import QuerySet

from ....exceptions import ColumnUnknown
from ....models import AuditLog, Erasure
from ....models.log_queryset import ACTOR_LENGTH
from ....vendors import get_vendor
from ....vendors.sought import Sought
from ..needles import MARK, texts_in
from .base import ROWS, Target

#: Contexts of which an error names the values.
LATEST = 1_000
#: The value of contexts that names the user for people.
_NAME = "user_name"
#: What the import wrote into it, which says nothing of the actor.
_IMPORTED = ("imported_from", "imported_text")


class ActorTarget(Target):
    """A user, as contexts name them."""

    subject = Erasure.Subject.ACTOR

    def __init__(self, using: str, actor: str, named: Collection[str] = ()) -> None:
        super().__init__(using, named)
        self.actor = actor

    def check_names(self) -> None:
        unknown = [n for n in self.named if not self.events().filter(context__has_key=n).exists()]
        if unknown:
            latest = self.events().order_by("-pk").values_list("context", flat=True)[:LATEST]
            known = {name for said in latest if isinstance(said, dict) for name in said}
            raise ColumnUnknown(column=min(unknown), known=", ".join(sorted(known)))

    def identity(self) -> str:
        return self.actor

    def events(self) -> QuerySet[AuditLog]:
        return self.log.filter(actor=self.actor[:ACTOR_LENGTH])

    def context(self, event: AuditLog) -> Any:
        said = event.context if isinstance(event.context, dict) else {}
        wanted = self.named or said.keys() - set(_IMPORTED)
        return {name: value for name, value in said.items() if name in wanted}

    def texts(self, event: AuditLog) -> Iterator[str]:
        # If there is a name, the user is a primary key, which names only a row; and other users
        # may have the same address.
        said = self.context(event)
        name = _NAME if _NAME in (event.context or {}) else "user"
        yield from texts_in(said.get(name))

    def of_others(self, sought: Sought) -> Iterator[AuditLog]:
        # Where no user is known, it may be this one.
        others = self.log.filter(actor__isnull=False).exclude(actor=self.actor[:ACTOR_LENGTH])
        named = others.filter(get_vendor(self.using).naming(("context",), sought))
        events = named.filter(context__has_key=_NAME).iterator(chunk_size=ROWS)
        return (event for event in events if event.actor != MARK)

    def __str__(self) -> str:
        return "this actor"
