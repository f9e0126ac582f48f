"""Tests which columns a generated column may reveal."""

from __future__ import annotations

import pytest
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    ExpressionWrapper,
    F,
    Func,
    GeneratedField,
    Model,
    Q,
    Value,
    When,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Upper
from django.test.utils import isolate_apps

from auditrepr.utils.model_meta import reads

TEXT = CharField(max_length=50)
READ_IT = {
    "a function": Upper("pin"),
    "a case": Case(When(pin="1", then=Value("y")), default=Value("n"), output_field=TEXT),
    "a condition": Q(pin="1"),
    "conditions within others": ~(Q(label="a") | (Q(label="b") & ~Q(pin__gt="1"))),
    "a condition that is wrapped": ExpressionWrapper(Q(pin="1"), output_field=BooleanField()),
    "SQL": RawSQL("upper(PIN)", [], output_field=TEXT),
    "a template": Func(template="upper(pin)", output_field=TEXT),
    "a template around a field": Func("label", template="upper(%(expressions)s || pin)"),
}
DO_NOT = {
    "a function": Upper("label"),
    "a cast": Cast(F("label"), output_field=TEXT),
    "a value": Case(When(label="pin", then=Value("pin")), default=Value("n"), output_field=TEXT),
    "a longer name": RawSQL("upper(pinned)", [], output_field=TEXT),
}


def model_with(expression):
    with isolate_apps("tests.app"):
        of = BooleanField() if isinstance(expression, Q | ExpressionWrapper) else TEXT

        class Safe(Model):
            label = CharField(max_length=50)
            pinned = CharField(max_length=50, default="")
            pin = CharField(max_length=50)
            made = GeneratedField(expression=expression, output_field=of, db_persist=True)

            class Meta:
                app_label = "app"

        return Safe


@pytest.mark.parametrize("expression", READ_IT.values(), ids=READ_IT)
def test_it_is_seen_however_the_column_is_named(expression):
    assert reads(model_with(expression)._meta.get_field("made"), {"pin"})


@pytest.mark.parametrize("expression", DO_NOT.values(), ids=DO_NOT)
def test_others_are_left_alone(expression):
    assert not reads(model_with(expression)._meta.get_field("made"), {"pin"})
