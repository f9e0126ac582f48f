"""Tests that a directly made instance equals what ``Model.from_db`` makes."""

from __future__ import annotations

import pytest
from django.db import models
from django.db.models.signals import post_init
from django.test.utils import isolate_apps

from auditrepr.asof.instances import maker
from tests.app.models import Book

VALUES = {"id": 7, "title": "Emma", "author_id": 3}


def state(instance: models.Model) -> tuple[list[tuple[str, object]], dict[str, object]]:
    """All that an instance holds, in its order, and its ``_state``."""
    instance._state.fields_cache  # noqa: B018 - Django makes it when first asked for it
    held = [(name, value) for name, value in vars(instance).items() if name != "_state"]
    return held, vars(instance._state)


def by_django(model: type[models.Model], values: dict[str, object]) -> models.Model:
    return model.from_db("default", list(values), list(values.values()))


def test_an_instance_that_is_made_at_once_holds_what_django_would_have_set():
    whole = {field.attname: n for n, field in enumerate(Book._meta.concrete_fields)}
    some = dict(list(whole.items())[:2])
    for values in (whole, some):
        made = maker(Book, "default")(values)
        assert type(made) is Book
        assert state(made) == state(by_django(Book, values))
    assert made.get_deferred_fields() == set(whole) - set(some)


def test_receivers_for_new_instances_still_hear_of_them():
    heard = []

    def listen(instance, **_):
        heard.append(instance)

    post_init.connect(listen, sender=Book)
    try:
        made = maker(Book, "default")({"id": 1})
    finally:
        post_init.disconnect(listen, sender=Book)
    assert heard == [made]


class Upper:
    """A descriptor that changes what it is given."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance, owner=None):
        return instance.__dict__[self.name] if instance else self

    def __set__(self, instance, value):
        instance.__dict__[self.name] = value.upper()


class UpperField(models.TextField):
    def contribute_to_class(self, cls, name, **options):
        super().contribute_to_class(cls, name, **options)
        setattr(cls, name, Upper(name))


class Marking:
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.marked = True


def overriding(**members: object) -> type[models.Model]:
    members = members | {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "app"})}
    members.setdefault("text", models.TextField())
    bases = members.pop("bases", (models.Model,))
    return type(models.Model)("Overriding", bases, members)


def loaded(cls, db, names, values, **options):
    made = super(cls, cls).from_db(db, names, values, **options)
    made.marked = True
    return made


@pytest.mark.parametrize(
    "members",
    [
        {"__init__": lambda self, *given: (models.Model.__init__(self, *given), self.mark())[0],
         "mark": lambda self: vars(self).update(marked=True)},
        {"from_db": classmethod(loaded)},
        {"__setattr__": lambda self, name, value: vars(self).update({name: value, "marked": True})},
        {"bases": (models.Model, type("Mixin", (), {
            "__init__": lambda self: vars(self).update(marked=True)}))},
        {"bases": (Marking, models.Model)},
        {"text": UpperField()},
    ],
    ids=["__init__", "from_db", "__setattr__", "a base after Model", "a base before", "descriptor"],
)  # fmt: skip
@isolate_apps("tests.app")
def test_a_model_that_has_a_say_in_how_its_instances_are_made_has_it(members):
    model = overriding(**members)
    values = {"id": 1, "text": "small"}
    made = maker(model, "default")(values)
    assert state(made) == state(by_django(model, values))
    assert "marked" in vars(made) or made.text == "SMALL"
