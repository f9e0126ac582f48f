"""Runs what the docs show about operation, and about erasing by hand."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shlex
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from auditrepr import vendors
from auditrepr.models import AuditLog, InstanceRepr
from tests.app.models import Author
from tests.cronline import adapted, command, project_with_a_pending_row
from tests.examples import examples, steps
from tests.project import ROOT
from tests.shop import CREATE, Shop

pytestmark = pytest.mark.django_db(transaction=True)

TRIGGERS, FIRST_RUN = map(steps, examples("docs/large-databases.md", "console"))
(WATCHING,) = map(steps, examples("docs/monitoring.md", "console"))
METRICS, HEARTBEAT = examples("docs/monitoring.md", "")
(FORMATTER,) = examples("docs/monitoring.md", "python")
(OUT,) = map(steps, examples("docs/upgrading.md", "console"))
ALARMS = (ROOT / "docs" / "monitoring.md").read_text()
REFERENCE = (ROOT / "docs" / "metrics-and-logging.md").read_text()
TEXTFILES = "/var/lib/prometheus/node-exporter"


@pytest.mark.proof
def test_their_commands_run(capsys):
    Author.objects.create(name="Ann")
    for line, output in (*FIRST_RUN, *WATCHING):
        assert output == ""
        call_command(*shlex.split(line.removeprefix("python manage.py ")))
    assert "# TYPE auditrepr_lag_seconds gauge" in capsys.readouterr().out


def test_the_reference_names_every_metric_and_alarms_name_no_other(capsys):
    call_command("backfill_status", "--format=prometheus")
    printed = re.findall(r"^# TYPE (\w+) gauge$", capsys.readouterr().out, re.MULTILINE)
    assert re.findall(r"^\| `(auditrepr_\w+)` \|", REFERENCE, re.MULTILINE) == printed
    assert set(re.findall(r"auditrepr_\w+", ALARMS)) <= set(printed)


def test_an_alert_about_the_last_start_waits_for_the_next_one():
    """A run takes as long as it takes, and the schedule has two minutes for the next one."""
    rows = re.findall(r"^\| `(.*last_run_start.*)` \| (\w*) ?\|", ALARMS, re.MULTILINE)
    assert [wait for _, wait in rows] == ["5m"]


@pytest.fixture
def other():
    """Another session, in a transaction."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        yield other


@pytest.fixture
def patience():
    """How long this session waits for a lock: as the page says, but shorter."""
    with connection.cursor() as cursor:
        (option,) = re.findall(r'PGOPTIONS="-c lock_timeout=\d+s" (.+)', TRIGGERS[0][0])
        cursor.execute("SET lock_timeout = '300ms'")
        words = shlex.split(option.removeprefix("python manage.py "))
        yield [*words, "--database=default"]
        cursor.execute("RESET lock_timeout")


@pytest.mark.proof
@pytest.mark.postgresql
def test_new_triggers_wait_for_writers_alone_and_replaced_ones_for_readers_too(
    other, patience, capsys
):
    ((_, in_order),) = TRIGGERS
    call_command("audit_triggers", "remove", "--database=default", verbosity=0)
    other.execute("UPDATE app_author SET name = name")
    with pytest.raises(CommandError, match="canceling statement due to lock timeout"):
        call_command(*patience)
    assert not vendors.get_vendor("default").installed()
    other.rollback()
    other.execute("SELECT FROM app_author")
    call_command(*patience)
    with connection.cursor() as cursor:
        other.rollback()
        cursor.execute("ALTER TABLE app_author DISABLE TRIGGER auditrepr_insert_public")
    other.execute("SELECT FROM app_author")
    with pytest.raises(CommandError, match="canceling statement due to lock timeout"):
        call_command(*patience)
    other.rollback()
    call_command(*patience)
    capsys.readouterr()
    call_command(*patience)
    assert capsys.readouterr().out == in_order


@pytest.mark.proof
@pytest.mark.sqlite
def test_taking_it_out_leaves_an_application_that_works(tmp_path):
    shop = Shop(tmp_path)
    settings, _ = examples("docs/first-steps.md", "python")
    shop.add_settings(settings)
    shop.run("manage.py", "migrate", "-v0")
    for line, output in OUT:
        assert shop.run(*shlex.split(line.removeprefix("python "))) == output
    file = shop.folder / "site_of_a_shop" / "settings.py"
    file.write_text(file.read_text().replace(settings, ""))
    shop.run("manage.py", "shell", "-v0", "-c", CREATE)


def run(line: str) -> subprocess.CompletedProcess[bytes]:
    """The line as cron runs it: with next to no environment."""
    return subprocess.run(
        ["/bin/sh", "-c", command(line)], env={"PATH": os.environ["PATH"]}, capture_output=True
    )


@pytest.mark.proof
@pytest.mark.sqlite
def test_its_line_for_prometheus_leaves_a_whole_file_and_nothing_else(tmp_path):
    project_with_a_pending_row(tmp_path)
    folder = tmp_path / "node-exporter"
    folder.mkdir()
    line = METRICS.strip().replace(TEXTFILES, str(folder))
    assert run(adapted(line, tmp_path)).returncode == 0
    (file,) = folder.iterdir()
    assert file.name == "auditrepr.prom"
    assert 'auditrepr_pending_rows{database="default"} 1\n' in file.read_text()
    assert (tmp_path / "output").read_text() == ""


class Heartbeats(BaseHTTPRequestHandler):
    heard: list[str] = []

    def do_GET(self):
        self.heard.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def heartbeats():
    """Where heartbeats arrive, and those that did."""
    Heartbeats.heard.clear()
    with HTTPServer(("127.0.0.1", 0), Heartbeats) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", Heartbeats.heard
        server.shutdown()


@pytest.mark.proof
@pytest.mark.sqlite
def test_its_heartbeat_is_heard_after_a_run_that_ended_well_alone(tmp_path, heartbeats):
    url, heard = heartbeats
    database = project_with_a_pending_row(tmp_path)
    line = HEARTBEAT.strip().replace("https://heartbeat.example.org", url)
    job = adapted(line, tmp_path)
    assert run(job).returncode == 0
    assert heard == ["/shop"]
    assert (tmp_path / "output").read_text() == ""
    database.write_bytes(b"no database")
    assert run(job).returncode == 1
    assert heard == ["/shop"]


def test_its_formatter_makes_a_line_of_json_of_each_run(caplog):
    AuditLog.objects.all().delete()
    Author.objects.create(name="Ann")
    names = {}
    exec(FORMATTER, names)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(names["JsonLines"]())
    logger = logging.getLogger("auditrepr.runs")
    logger.addHandler(handler)
    with caplog.at_level(logging.INFO, logger="auditrepr"):
        call_command("backfill_reprs", verbosity=0)
    logger.removeHandler(handler)
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told.keys() == {"logger", "message", *names["JsonLines"].fields}
    assert (told["command"], told["rows"], told["stop_reason"]) == (
        "backfill_reprs",
        1,
        "caught-up",
    )


@pytest.mark.proof
def test_what_the_owner_erases_by_hand_is_built_again():
    AuditLog.objects.all().delete()
    author = Author.objects.create(name="Ann")
    call_command("audit_triggers", "install", "--database=default", "--append-only", verbosity=0)
    call_command("backfill_reprs", verbosity=0)
    call_command("audit_triggers", "remove", "--database=default", verbosity=0)
    event = AuditLog.objects.for_object(author).get()
    AuditLog.objects.filter(pk=event.pk).update(row_data=event.row_data | {"name": "erased"})
    InstanceRepr.objects.filter(audit_log=event).delete()
    call_command("audit_triggers", "install", "--database=default", verbosity=0)
    call_command("backfill_reprs", "--rescan", verbosity=0)
    assert InstanceRepr.objects.get(audit_log=event).instance_repr == "erased"
