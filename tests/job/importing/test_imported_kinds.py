"""An imported value that is of another kind than the table's is never called exact."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection, models

from auditrepr.asof.rows import UNLIKE
from auditrepr.job import importing
from auditrepr.job.locks.lease import DatabaseLock
from auditrepr.models import AuditLog, InstanceRepr, ReprFailure
from tests import old_log
from tests.app.fields import Everything
from tests.capturing import next_moment, sql
from tests.running import run

pytestmark = [pytest.mark.usefixtures("other_log"), pytest.mark.django_db(transaction=True)]

if connection.vendor == "postgresql":
    from tests.pgapp.models import PostgresEverything


def imported(column: str, value: str, one: models.Model | None = None) -> Any:
    """What is stored for an object of which the old log has this JSON in the column."""
    (one or Everything()).save()
    next_moment()
    old_log.switch()
    sql("UPDATE old_log SET row_data = " + changed(column, value))
    importing.run(importing.Request("default", ["ours"]), lock=DatabaseLock("default"))
    run()
    return InstanceRepr.objects.first()


def changed(column: str, value: str) -> str:
    if connection.vendor == "postgresql":
        return f"""row_data || '{{"{column}": {value}}}'"""
    return f"json_set(row_data, '$.{column}', json('{value}'))"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> str:
    """The column that str() shows."""

    def text(self: Any) -> str:
        return str(getattr(self, column[0]))

    column: list[str] = []
    for model in (Everything, *([PostgresEverything] if connection.vendor == "postgresql" else ())):
        monkeypatch.setattr(model, "__str__", text)
    return column  # type: ignore[return-value]


EACH = [
    ("char", "5"),
    ("text", "1.5"),
    ("slug", "true"),
    ("char", "[1]"),
    ("date_time", '"2026-01-31 10:00:00"'),
    ("date_time", '"2026-01-31T10:00:00.123"'),
]
POSTGRESQL = [("char", '{"a": 1}'), ("text", '{"a": [1]}')]
SQLITE = [
    ("integer", "true"),
    ("float", "false"),
    ("integer", "[1]"),
    ("binary", '"abc"'),
    ("date_time", '"2026-01-31T10:00:00+02:00"'),
    ("date_time", '"2026-01-31 10:00:00Z"'),
]


@pytest.mark.proof
@pytest.mark.parametrize(
    ("column", "value"),
    [
        *EACH[:4],
        *(pytest.param(*one, marks=pytest.mark.postgresql) for one in [*EACH[4:], *POSTGRESQL]),
        *(pytest.param(*one, marks=pytest.mark.sqlite) for one in SQLITE),
    ],
)
def test_a_value_of_another_kind_is_mixed(shown: Any, column: str, value: str) -> None:
    shown.append(column)
    found = imported(column, value)
    assert (found.fidelity, found.reason) == ("M", UNLIKE.format(column))


@pytest.mark.proof
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("integer", '"abc"'),
        ("float", '"abc"'),
        ("decimal", '"1,5"'),
        ("date", '"soon"'),
        ("date_time", '"soon"'),
        ("uuid", '"7"'),
        ("integer", '{"a": 1}'),
    ],
)
def test_what_the_column_does_not_read_at_all_is_never_exact(
    shown: Any, column: str, value: str
) -> None:
    shown.append(column)
    found = imported(column, value)
    assert ReprFailure.objects.exists() if found is None else found.fidelity == "M"


@pytest.mark.proof
@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("char", '"05"', "05"),
        ("text", "null", "None"),
        ("integer", '"05"', "5"),
        ("boolean", "true", "True"),
        ("boolean", "false", "False"),
        pytest.param(
            "date_time", '"2026-01-31T10:00:00+02:00"', "2026-01-31 08:00:00+00:00",
            marks=pytest.mark.postgresql,
        ),
        pytest.param(
            "date_time", '"2026-01-31 10:00:00"', "2026-01-31 10:00:00+00:00",
            marks=pytest.mark.sqlite,
        ),
    ],
)  # fmt: skip
def test_what_can_be_only_one_value_is_exact(
    shown: Any, column: str, value: str, text: str
) -> None:
    shown.append(column)
    found = imported(column, value)
    assert (found.instance_repr, found.fidelity) == (text, "E")


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("value", "fidelity"),
    [('[["5"]]', "E"), ("[[5]]", "M"), ('"{{5}}"', "E"), ("[[null]]", "E"), ('[[{"a": 1}]]', "M")],
)
def test_an_array_of_texts_holds_texts(shown: Any, value: str, fidelity: str) -> None:
    shown.append("nested")
    assert imported("nested", value, PostgresEverything()).fidelity == fidelity


def test_our_own_events_are_read_with_the_types_of_today(shown: Any) -> None:
    """A column that was a number when it was recorded is a text since."""
    shown.append("char")
    Everything.objects.create()
    event = AuditLog.objects.get()
    AuditLog.objects.filter(pk=event.pk).update(row_data=event.row_data | {"char": 5})
    assert json.loads(json.dumps(AuditLog.objects.get().row_data))["char"] == 5
    run()
    found = InstanceRepr.objects.get()
    assert (found.instance_repr, found.fidelity) == ("5", "E")
