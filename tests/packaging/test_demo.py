"""Runs ``manage.py demo`` in its own process and database."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pycountry
import pytest

from tests.demonstration import Demo, databases
from tests.project import ROOT

__all__ = ["databases"]
pytestmark = [pytest.mark.proof, pytest.mark.each_database]


CONTEXTS = """
import json
from auditrepr.models import AuditLog
events = AuditLog.objects.order_by("pk").values_list("table_name", "transaction_id", "context")
print(json.dumps(list(events.filter(context__isnull=False))))
"""


@pytest.fixture
def empty(tmp_path: Path, databases: Any) -> Demo:
    """A demo that has not run yet."""
    return Demo(tmp_path, databases())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, databases: Any) -> tuple[Demo, str, dict]:
    """A demo that has run once: itself, what it printed, and what the database held then."""
    demo = Demo(tmp_path_factory.mktemp("project"), databases())
    printed = demo.demo()
    return demo, printed, demo.look()


def test_ends_with_the_world_as_pycountry_has_it_today(done) -> None:
    found = done[2]
    expected = {
        country["alpha_2"]: {name: country.get(name, "") for name in found["countries"][0]}
        for country in map(dict, pycountry.countries)
    }
    assert {country["alpha_2"]: country for country in found["countries"]} == expected
    assert len(found["countries"]) == len(expected)
    assert sorted(map(tuple, found["subdivisions"])) == sorted(
        (entry.code, entry.parent_code) for entry in pycountry.subdivisions
    )
    assert found["languages"] == len(pycountry.languages)
    assert found["aude"] == "Aude, Occitanie, France"


def test_every_withdrawn_code_was_replayed(done) -> None:
    found = done[2]
    formerly = dict(found["formerly"])
    # Yugoslavia became Serbia and Montenegro, which then ended under its own code.
    assert formerly.keys() | {"YUCS"} == {entry.alpha_4 for entry in pycountry.historic_countries}
    assert formerly["BUMM"] == "Myanmar"
    assert formerly["ZRCD"] == "Congo, The Democratic Republic of the"
    assert {"DDDE", "CSHH", "SUHH", "CSXX"} <= set(found["ended"])
    assert "German Democratic Republic (until 1990) → Germany" in found["successions"]
    both = [line for line in found["successions"] if line.startswith("Czechoslovakia")]
    assert [line.split(" → ")[1] for line in both] == ["Czechia", "Slovakia"]


def test_every_event_is_represented_by_what_it_was_called_then(done) -> None:
    found = done[2]
    assert found["pending"] == 0
    assert found["failures"] == []
    assert found["events"] > 13_000
    for name in ("Myanmar", "German Democratic Republic (until 1990)", "Eswatini", "Türkiye"):
        assert name in found["reprs"]


def test_prints_what_changed_in_words_the_numbers_and_what_to_do_next(done) -> None:
    printed, found = done[1], done[2]
    assert "name: Swaziland → Eswatini" in printed
    assert "official name: Republic of Turkey → Republic of Türkiye" in printed
    assert "deleted subdivision" in printed
    assert f"{found['events']} events, {found['events']} represented" in printed
    assert re.search(r"\d mixed, 0 failed; [\d.]+ seconds", printed)
    assert "runserver" in printed
    assert "DATABASE_URL=postgres://" in printed


def test_tells_who_did_it_and_why_and_what_was_before(done) -> None:
    printed = done[1]
    assert re.search(r"Türkiye\n +by ada: new name since 2022\n", printed)
    assert re.search(r"members - Greece\n +by sofia: Treaty of Brussels ended\n", printed)
    assert re.search(r"changed user +sofia\n +by ada: stands in for Ada in July\n", printed)
    was = "Federal Republic of Germany, European Union, Western European Union\n"
    assert re.search(rf"\n +\d+  {was} +\d+  Republic of Turkey\n", printed)


@pytest.fixture(scope="module")
def contexts(done) -> list[tuple[str, int | None, dict[str, Any]]]:
    """Return the table, the transaction and the context of each event."""
    told = done[0].run("shell", "-v0", "-c", CONTEXTS)
    assert told.returncode == 0, told.stderr
    return [tuple(event) for event in json.loads(told.stdout)]


def test_a_deletion_and_what_went_along_are_one_request(contexts) -> None:
    (request,) = {c["request_id"] for _, _, c in contexts if "/delete/" in c.get("path", "")}
    events = [event for event in contexts if event[2].get("request_id") == request]
    assert [table for table, _, _ in events] == [
        *(10 * ["gazetteer_organization_members"]),
        "gazetteer_organization",
    ]
    assert len({transaction for _, transaction, _ in events}) == 1
    assert {context["user_name"] for _, _, context in events} == {"sofia"}


def test_one_transaction_changes_several_models(contexts) -> None:
    events = [event for event in contexts if event[2].get("reason") == "ISO 3166-3: ANHH"]
    assert len({transaction for _, transaction, _ in events}) == 1
    models = ("country", "subdivision", "succession")
    assert {table for table, _, _ in events} == {f"gazetteer_{model}" for model in models}


def test_the_password_it_prints_opens_the_admin(done) -> None:
    demo, printed, _ = done
    password = re.search(r"password (\w+), shown only now", printed)
    assert password
    code = f"""
from django.test import Client
client = Client()
assert client.login(username="visitor", password={password[1]!r})
page = client.get("/admin/auditrepr/auditlog/?table_name=gazetteer_country&action__exact=U",
                  headers={{"host": "localhost"}})
assert page.status_code == 200, page
assert "Swaziland → Eswatini" in page.content.decode()
for model in ("country", "subdivision", "succession", "language"):
    page = client.get(f"/admin/gazetteer/{{model}}/", headers={{"host": "localhost"}})
    assert page.status_code == 200, page
"""
    run = demo.run("shell", "-v0", "-c", code)
    assert run.returncode == 0, run.stderr


def test_a_second_run_replays_nothing_and_keeps_the_password(done) -> None:
    demo, _, before = done
    printed = demo.demo()
    assert "is already loaded" in printed
    assert "name: Swaziland → Eswatini" in printed
    assert "shown only now" not in printed
    assert demo.look() == before


def test_after_an_interruption_it_goes_on_where_it_was(empty: Demo, done) -> None:
    process = subprocess.Popen(
        [sys.executable, empty.folder / "manage.py", "demo"],
        env={"PYTHONPATH": str(ROOT), **empty.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if "Burma" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    printed = empty.demo()
    assert "load the countries" not in printed
    assert "Swaziland → Eswatini" in printed
    assert empty.look() == done[2]


def test_a_database_with_another_table_is_refused_and_left_alone(empty: Demo) -> None:
    empty.sql("CREATE TABLE shop_order (id integer)")
    assert "holds the table shop_order. Set DATABASE_URL to an empty" in empty.refusal()
    assert empty.tables() == ["shop_order"]


def test_a_database_with_other_rows_is_refused_and_left_unchanged(empty: Demo) -> None:
    assert empty.run("migrate", "-v0").returncode == 0
    environment = {"DJANGO_SUPERUSER_PASSWORD": "x"}
    made = empty.run("createsuperuser", "--noinput", "--username=me", "--email=", **environment)
    assert made.returncode == 0, made.stderr
    assert "holds rows in auth_user" in empty.refusal()
    code = "from management.gazetteer.models import Country; print(Country.objects.exists())"
    assert empty.run("shell", "-v0", "-c", code).stdout == "False\n"


def test_a_database_that_is_only_migrated_will_do(empty: Demo) -> None:
    assert empty.run("migrate", "-v0").returncode == 0
    assert "Eswatini" in empty.demo()


def test_without_pycountry_it_says_what_to_install(empty: Demo, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    missing = "raise ModuleNotFoundError('not installed', name='pycountry')"
    (hidden / "pycountry.py").write_text(missing)
    message = empty.refusal(PYTHONPATH=f"{hidden}:{ROOT}")
    assert "needs pycountry, which is not installed. Run: pip install" in message


@pytest.mark.postgresql
def test_a_server_that_does_not_answer_is_one_line(empty: Demo) -> None:
    url = "postgres://nobody@127.0.0.1:1/nothing"
    assert "Could not use the database" in empty.refusal(DATABASE_URL=url)
