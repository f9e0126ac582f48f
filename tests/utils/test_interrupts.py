"""Tests that what ends the process passes through, and a row's own errors stay with the row."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

import auditrepr
from auditrepr.models import AuditLog, ReprFailure, StopReason
from auditrepr.reprs import build
from auditrepr.utils import interrupts
from auditrepr.vendors.types import Event
from tests.app import hostile
from tests.app.hostile import HOSTILE, LEADING
from tests.app.models import Author, Book
from tests.capturing import insert
from tests.pages import LOG, reader
from tests.running import built_by_job, run, texts

__all__ = ["reader"]
pytestmark = pytest.mark.django_db(transaction=True)

Deed = Callable[[], object]


class SoftTimeLimit(Exception):
    """A host raises it to end its task, as Celery does: an ordinary exception."""


@pytest.fixture(autouse=True)
def _an_empty_log(transactional_db: None) -> None:
    AuditLog.objects.all().delete()


@pytest.fixture
def _host_ends_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_registered", ())
    interrupts.ends_work(SoftTimeLimit)


@pytest.fixture
def _server_ends_workers() -> Iterator[None]:
    """By a signal whose handler exits, as gunicorn's workers do it."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(1)

    previous = signal.signal(signal.SIGUSR1, leave)
    yield
    signal.signal(signal.SIGUSR1, previous)


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def be_ended_by_the_server() -> None:
    signal.raise_signal(signal.SIGUSR1)


def raises(error: BaseException) -> Deed:
    def do() -> None:
        raise error

    return do


ENDINGS = [
    pytest.param(press_ctrl_c, KeyboardInterrupt, id="Ctrl-C"),
    pytest.param(raises(KeyboardInterrupt()), KeyboardInterrupt, id="KeyboardInterrupt"),
    pytest.param(raises(SoftTimeLimit()), SoftTimeLimit, id="registered"),
    pytest.param(be_ended_by_the_server, SystemExit, id="a server's signal"),
]


@pytest.fixture(params=[*(model.__name__ for model in HOSTILE), "leading", "saying", "failing"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Deed], str]:
    """Where the code of a row does something: while it is read, made, reached, said, or fails."""
    name = request.param

    def install(do: Deed) -> str:
        if name in ("saying", "failing"):
            Author.objects.create(name="x")

            class Failing(Exception):
                def __str__(self) -> str:
                    do()
                    return ""

            def said(author: Author) -> str:
                if name == "failing":
                    raise Failing
                do()
                return "said"

            monkeypatch.setattr(Author, "__str__", said)
            return name
        model = {one.__name__: one for one in HOSTILE}.get(name, HOSTILE[0])
        insert(model, id=1, name="x")
        if name == "leading":
            AuditLog.objects.all().delete()
            insert(LEADING[model], id=1, to_id=1)

        def value_or_deed(value: Any) -> Any:
            do()
            return value

        monkeypatch.setattr(hostile, "raise_what_it_names", value_or_deed)
        return name

    return install


@pytest.mark.usefixtures("_host_ends_tasks", "_server_ends_workers")
@pytest.mark.parametrize(("do", "error"), ENDINGS)
def test_outside_the_job_it_reaches_the_caller_and_the_connection_still_writes(do, error, where):
    where(do)
    with pytest.raises(error):
        AuditLog.objects.get().build_instance_repr()
    assert gc.isenabled()
    Author.objects.create(name="still writable")


@pytest.mark.usefixtures("_host_ends_tasks", "_server_ends_workers")
@pytest.mark.parametrize(("do", "error"), [ENDINGS[0], *ENDINGS[2:]])
def test_what_comes_from_outside_ends_a_run_of_the_job_too(do, error, where):
    """A run that was called without the command, which has handlers of its own for signals."""
    where(do)
    with pytest.raises(error):
        run()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert (texts(), ReprFailure.objects.count()) == ([], 0)
    Author.objects.create(name="still writable")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_a_row_itself_raises_in_the_job_is_that_rows_failure(error, where):
    where_it_is = where(raises(error("by itself")))
    assert run().stop_reason is StopReason.CAUGHT_UP
    failure = ReprFailure.objects.get()
    shown = failure.error_class + failure.message + failure.traceback
    assert (error.__name__ in shown) or where_it_is == "failing"


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit])
def test_nor_does_a_row_end_the_process_by_exiting(error, where):
    where(raises(error("by itself")))
    assert AuditLog.objects.get().build_instance_repr().failure


def test_a_dry_run_can_be_interrupted(monkeypatch):
    Author.objects.create(name="Ada")
    monkeypatch.setattr(Author, "__str__", lambda author: press_ctrl_c())
    with pytest.raises(KeyboardInterrupt):
        call_command("backfill_reprs", dry_run=True, stdout=StringIO())


def test_so_can_as_of_whatever_is_being_read(monkeypatch):
    author = Author.objects.create(name="Ada")
    book = Book.objects.create(title="Notes", author=author)
    event = AuditLog.objects.latest("pk")
    then = auditrepr.as_of(book, event)
    monkeypatch.setattr(Author, "__init__", lambda *values, **options: press_ctrl_c())
    with pytest.raises(KeyboardInterrupt):
        then.author  # noqa: B018
    with pytest.raises(KeyboardInterrupt):
        auditrepr.as_of(Author, event, pk=author.pk)
    monkeypatch.undo()
    assert then.author.name == "Ada"


def test_so_can_a_page(reader: Client, monkeypatch):
    Author.objects.create(name="Ada")
    monkeypatch.setattr(Author, "__str__", lambda author: press_ctrl_c())
    with pytest.raises(KeyboardInterrupt):
        reader.get(LOG)


@pytest.mark.usefixtures("_host_ends_tasks")
def test_a_row_that_takes_it_for_an_error_of_its_own_does_not_stop_it(monkeypatch):
    """It came while auditrepr read what the row had asked for."""
    author = Author.objects.create(name="Ada")
    Book.objects.create(title="Notes", author=author)
    events = [Event.of(AuditLog.objects.latest("pk"))]

    def said(book: Book) -> str:
        try:
            return str(book.author)
        except Exception:
            return "nobody"

    monkeypatch.setattr(Book, "__str__", said)
    monkeypatch.setattr(Author, "__init__", lambda *values, **options: raises(SoftTimeLimit())())
    for builds in (built_by_job, lambda events: build(events, "default")):
        with pytest.raises(SoftTimeLimit):
            builds(events)


def test_only_the_job_takes_what_belongs_to_the_process(monkeypatch):
    """A request, a shell or a task shares it with others."""
    Author.objects.create(name="Ada")
    event = AuditLog.objects.get()
    found = []

    def said(author: Author) -> str:
        found.append((signal.getsignal(signal.SIGALRM), gc.isenabled()))
        return author.name

    monkeypatch.setattr(Author, "__str__", said)
    event.build_instance_repr()
    build([Event.of(event)], "default")
    auditrepr.as_of(Author, event, pk=event.object_id)
    untouched = (signal.SIG_DFL, True)
    assert found == [untouched] * 2
    run()
    handler, collecting = found[-1]
    assert (handler is signal.SIG_DFL, collecting) == (False, False)
    assert (signal.getsignal(signal.SIGALRM), gc.isenabled()) == untouched


def test_the_job_in_a_row_of_another_build_gives_the_process_back_as_it_was(monkeypatch):
    """A row's code may build another; what ends that one in time is the alarm of the outer one."""
    Author.objects.create(name="Ada")
    event = AuditLog.objects.get()
    calls: list[bool] = []

    def said(author: Author) -> str:
        calls.append(gc.isenabled())
        return author.name if len(calls) % 2 == 0 else event.build_instance_repr().text

    monkeypatch.setattr(Author, "__str__", said)
    (outcome,) = built_by_job([Event.of(event)])
    assert (outcome.text, calls) == ("Ada", [False, False])
    assert connection.is_usable()
