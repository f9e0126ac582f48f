"""Tests numbers and times in text, and the option that all commands share."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from auditrepr.models import BackfillRun
from auditrepr.utils.phrases import counted, noun, timestamp
from tests import processes
from tests.app.models import Author

COMMANDS = {
    "audit_triggers": ["check"],
    "backfill_reprs": [],
    "backfill_status": [],
    "prune_audit_log": ["--before=2020-01-01", "--no-input"],
    "rebuild_reprs": [],
}
UNKNOWN = 'argument --database: Unknown database "nowhere". DATABASES defines: {}.'


def test_a_noun_goes_with_its_number():
    assert [counted(n, "event") for n in (0, 1, 2)] == ["0 events", "1 event", "2 events"]
    assert noun(1, "batch", "batches") == "batch"
    assert counted(3, "batch", "batches") == "3 batches"


def test_times_have_a_zone(settings):
    noon = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)
    settings.TIME_ZONE = "Asia/Kolkata"
    assert timestamp(noon) == "2026-01-31 17:30:00+05:30"
    assert timestamp(noon.replace(tzinfo=None)) == "2026-01-31 12:00:00"


@pytest.mark.proof
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_database_is_wrong_usage(command):
    done = processes.run(command, *COMMANDS[command], "--database=nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith(UNKNOWN.format("default"))
    with pytest.raises(CommandError) as raised:
        call_command(command, *COMMANDS[command], database="nowhere")
    assert raised.value.returncode == 2
    assert str(raised.value) == UNKNOWN.format(", ".join(connections))


@pytest.mark.django_db(transaction=True)
def test_one_of_each_is_singular(capsys):
    Author.objects.create(name="Ann")
    call_command("backfill_status")
    assert "pending     1 event; " in capsys.readouterr().out
    call_command("prune_audit_log", "--before=2020-01-01", "--no-input")
    assert "Deleted 0 events, 0 representations" in capsys.readouterr().out
    assert not BackfillRun.objects.exists()
