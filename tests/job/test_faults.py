"""Breaks the connection to the server at each statement of a run in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from auditrepr.job.runs import retry
from auditrepr.models import AuditLog, BackfillRun, Checkpoint, InstanceRepr, Lease, ReprFailure
from auditrepr.vendors import get_vendor
from tests.app.models import Author, Book
from tests.relay import DELAY, Relay
from tests.sizes import FEW

pytestmark = [pytest.mark.proof, pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

FAULTS = ["cut", "half_close", "delay", "gone"]
#: Of few examples, each statement has one of the faults; otherwise it has all of them in turn.
STEP = len(FAULTS) if FEW else 1
TEXTS = ["ann", "bob", "moby (ann)", "dick (bob)"]


@pytest.fixture(autouse=True)
def _backlog(transactional_db, monkeypatch):
    """Two batches, the second of which reads what the first one is about."""
    monkeypatch.setattr(retry, "PAUSE", 0.001)
    AuditLog.objects.all().delete()
    ann, bob = Author.objects.bulk_create([Author(name="ann"), Author(name="bob")])
    Book.objects.bulk_create([Book(title="moby", author=ann), Book(title="dick", author=bob)])


def calm(book: Book) -> str:
    """As of a model whose text is to be had whatever happens."""
    try:
        return str(book)
    except Exception:
        return f"{book.title} (?)"


@pytest.fixture
def relay() -> Iterator[Relay]:
    relay = Relay(dict(connection.settings_dict))
    yield relay
    relay.close()


@contextmanager
def through(relay: Relay, monkeypatch) -> Iterator[None]:
    """The connection of this and every other thread leads through the relay."""
    there = {"HOST": "127.0.0.1", "PORT": str(relay.port)}
    options = connection.settings_dict["OPTIONS"] | {"sslmode": "disable", "gssencmode": "disable"}
    with monkeypatch.context() as patch:
        for name, value in (there | {"OPTIONS": options}).items():
            patch.setitem(connection.settings_dict, name, value)
        connection.close()
        yield
        connection.close()


def run(**options) -> str:
    """A run of the job; gives the line that it ends with if it fails."""
    try:
        call_command("backfill_reprs", batch_size=2, verbosity=0, **options)
    except CommandError as error:
        return str(error)
    return ""


def stored() -> list[str]:
    return list(InstanceRepr.objects.order_by("pk").values_list("instance_repr", flat=True))


def forget() -> None:
    for model in (InstanceRepr, ReprFailure, BackfillRun, Checkpoint, Lease):
        model.objects.all().delete()


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_statement_it_breaks_at_nothing_is_lost_and_nothing_is_twice(
    fault, relay, monkeypatch, caplog, capfd
):
    if fault == "delay":
        # So long a silence inside a transaction ends the session, and with it the transaction.
        vendor = type(get_vendor("default"))
        end_if_idle = vendor.end_if_idle
        monkeypatch.setattr(vendor, "end_if_idle", lambda self, _: end_if_idle(self, DELAY - 0.1))
    first = 1 + FAULTS.index(fault) % STEP
    said = _break_everywhere(fault, relay, monkeypatch, first=first)
    assert [line for line in said if "\n" in line] == [], "one clear line"
    if fault == "gone":
        assert all("connection" in line for line in said[: 50 // STEP])
    else:
        assert set(said[1:]) == {""}, "what passes is tried again, once there was a connection"
    assert not [record for record in caplog.records if record.levelname != "INFO"]
    assert capfd.readouterr() == ("", "")


def test_what_a_model_makes_of_a_lost_connection_is_not_what_it_said(relay, monkeypatch, settings):
    settings.AUDITREPR = {"REPR": {"app.Book": calm}}
    _break_everywhere("cut", relay, monkeypatch)


def test_a_connection_that_is_lost_while_rows_are_told_apart_is_no_rows_fault(relay, monkeypatch):
    """Two lead to rows that the log has never mentioned, and the third cannot be read."""
    AuditLog.objects.filter(table_name="app_author").delete()
    broken = AuditLog.objects.create(
        table_name="app_book", object_id="9", action="I", row_data={"id": 9, "price": "no number"}
    )
    _break_everywhere("cut", relay, monkeypatch, TEXTS[2:], [broken.pk])


def _break_everywhere(
    fault: str, relay: Relay, monkeypatch, texts=TEXTS, failing: Sequence[int] = (), first: int = 1
) -> list[str]:
    """Gives what the runs said in which it happened."""
    said = []
    for at in count(first, STEP):
        forget()
        relay.strike(fault, at)
        with through(relay, monkeypatch):
            line = run()
        if not relay.struck:
            break  # the run had no more statements
        said.append(line)
        kept = stored()
        assert kept in ([], texts[:2], texts), (at, "whole batches")
        # As if the process had ended whose last words could not be heard.
        Lease.objects.update(expires_at=get_vendor("default").clock(-1))
        assert run() == "", (at, "the next run finishes")
        assert stored() == texts, at
        failed = dict(ReprFailure.objects.values_list("pk", "error_class"))
        assert list(failed) == list(failing), (at, "a lost connection is no row's fault")
        assert "OperationalError" not in failed.values(), at
        assert Lease.objects.get().token is None, at
    assert len(said) > 50 // STEP
    return said
