"""The filter by person: a part of a name is typed, and one of those whose names match is picked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ...readers import people
from ...utils.text import visible


class ActorFilter(admin.ListFilter):
    """By actor; ``who`` is a part of a name, and only offers those who are called so."""

    title = _("actor")
    template = "auditrepr/actor_filter.html"
    parameters: ClassVar = ("actor", "who")

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Any
    ) -> None:
        super().__init__(request, params, model, model_admin)
        given = {name: (params.pop(name, None) or [""])[-1] for name in self.parameters}
        self.used_parameters = {name: value for name, value in given.items() if value}
        self.actor, self.typed = given["actor"], given["who"].strip()
        self.found: people.Found | None = None
        self.using = ""

    @property
    def selective(self) -> bool:
        return bool(self.actor)

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        self.using = queryset.db
        if self.typed:
            self.found = people.called(self.typed, queryset.db)
        return queryset.filter(actor=self.actor) if self.actor else queryset

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        ours = list(self.parameters)
        self.other_parameters = {
            name: value for name, value in changelist.params.items() if name not in ours
        }
        yield {
            "selected": not self.actor,
            "query_string": changelist.get_query_string(remove=ours),
            "display": _("All"),
        }
        offered = list(self.found.people) if self.found else []
        if self.actor and self.actor not in [person.key for person in offered]:
            offered.insert(0, people.person(self.actor, self.using))
        for person in offered:
            yield {
                "selected": person.key == self.actor,
                "query_string": changelist.get_query_string({"actor": person.key}, ["who"]),
                "display": visible(str(person)),
            }
