"""Tests the systemd units and the Kubernetes CronJob in deploy/."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from django.core.management import load_command_class

from tests.missing import could_not_try
from tests.project import ROOT

DEPLOY = ROOT / "deploy"
SERVICE, TIMER = (DEPLOY / f"auditrepr.{kind}" for kind in ("service", "timer"))
STATUS, STATUS_TIMER = (DEPLOY / f"auditrepr-status.{kind}" for kind in ("service", "timer"))
YAML = (DEPLOY / "cronjob.yaml").read_text()
CRONJOB = yaml.safe_load(YAML)
POD = CRONJOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]

pytestmark = pytest.mark.sqlite


def unit(file: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(file)
    return parser


def systemd_analyze(*arguments: str | Path) -> str:
    """What it prints, where it finds nothing wrong."""
    if not shutil.which("systemd-analyze"):
        could_not_try("deploy/*.service and *.timer", "Debian's package systemd is not installed")
    done = subprocess.run(
        ["systemd-analyze", *arguments],
        env=os.environ | {"TZ": "UTC"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def complaints(folder: Path, service: str, timer: Path = TIMER) -> list[str]:
    """What systemd says about the units, with a folder, a program and a user that are there."""
    service_name = f"{timer.stem}.service"
    text = service.replace("/srv/shop/.venv/bin/python", sys.executable)
    text = text.replace("/srv/shop", str(folder)).replace("User=shop", "User=root")
    (folder / service_name).write_text(text)
    (folder / "notify@.service").write_text("[Service]\nExecStart=/bin/true\n")
    shutil.copy(timer, folder)
    said = systemd_analyze("verify", "--man=no", folder / service_name, folder / timer.name)
    return [line for line in said.splitlines() if str(folder) in line]


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    assert complaints(tmp_path, SERVICE.read_text()) == []
    assert complaints(tmp_path, STATUS.read_text(), STATUS_TIMER) == []


def test_systemd_finds_a_mistake_in_a_unit(tmp_path):
    (complaint,) = complaints(tmp_path, SERVICE.read_text().replace("Nice=", "Nicest="))
    assert "Nicest" in complaint


def test_the_timer_starts_the_service_every_two_minutes():
    timer = unit(TIMER)["Timer"]
    said = systemd_analyze("calendar", "--iterations=2", timer["OnCalendar"])
    minutes = re.findall(r"\d\d:(\d\d):00 UTC$", said, re.MULTILINE)
    first, second = (int(minute) for minute in minutes[-2:])
    assert first % 2 == 0
    assert (second - first) % 60 == 2


def test_a_service_that_is_stopped_ends_well():
    service = unit(SERVICE)["Service"]
    assert int(service["SuccessExitStatus"]) == 128 + 15
    assert service["Type"] == "oneshot"


def test_a_status_that_fails_starts_the_alert():
    status = unit(STATUS)
    assert status["Unit"]["OnFailure"] == "notify@%n.service"
    command = shlex.split(status["Service"]["ExecStart"])
    assert command[1:3] == ["manage.py", "backfill_status"]
    parser = load_command_class("auditrepr", "backfill_status").create_parser("", "")
    assert parser.parse_args(command[3:]).max_lag == 600


@pytest.mark.parametrize("service", [SERVICE, STATUS])
def test_the_units_carry_the_project_s_name_where_another_project_has_its_own(service):
    text = service.read_text()
    for name in ("/srv/shop", "/etc/shop/env", "User=shop"):
        assert name in text
    assert not re.search(r"/(srv|etc)/auditrepr|User=auditrepr|-u auditrepr", text)
    assert "shop-$unit.$kind" in SERVICE.read_text()


def test_a_heartbeat_is_shown():
    (line,) = re.findall(r"^#(ExecStartPost=.+)$", SERVICE.read_text(), re.MULTILINE)
    assert shlex.split(line)[-1].startswith("https://heartbeat.example.org/")


def test_the_environment_file_of_cron_and_systemd_does_for_kubectl(tmp_path):
    """The line of cronjob.yaml makes plain NAME=value lines of it, which is what kubectl reads."""
    (tmp_path / "env").write_text("SECRET_KEY='two \"words\" 100%'\nDEBUG=off\n# a comment\n")
    (line,) = re.findall(r"^# +(env -i sh .+) >env\.plain$", YAML, re.MULTILINE)
    done = subprocess.run(
        ["/bin/sh", "-c", line.replace("/etc/shop/env", str(tmp_path / "env"))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(done.stdout.splitlines()) == ["DEBUG=off", 'SECRET_KEY=two "words" 100%']


def test_the_cron_job_is_what_kubernetes_takes():
    kubernetes_validate.validate(CRONJOB, kubernetes_validate.latest_version(), strict=True)


def test_the_schema_refuses_a_field_that_kubernetes_does_not_know():
    wrong = CRONJOB | {"spec": CRONJOB["spec"] | {"concurencyPolicy": "Forbid"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_no_two_pods_run_at_once_and_none_runs_for_ever():
    spec = CRONJOB["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    # Kubernetes looks every 10 seconds: with less than that, it may never start a run.
    assert spec["startingDeadlineSeconds"] > 10
    (given,) = re.findall(r"--max-seconds=(\d+)", " ".join(CONTAINER["command"]))
    left = spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] - int(given)
    assert left >= POD["terminationGracePeriodSeconds"]


def test_the_pod_has_no_rights_that_it_does_not_need():
    assert POD["securityContext"]["runAsNonRoot"]
    assert POD["automountServiceAccountToken"] is False
    security = CONTAINER["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_no_secret_stands_in_the_pod():
    assert "env" not in CONTAINER
    assert CONTAINER["envFrom"] == [{"secretRef": {"name": "shop-auditrepr-env"}}]


@pytest.mark.parametrize(
    "command", [shlex.split(unit(SERVICE)["Service"]["ExecStart"]), CONTAINER["command"]]
)
def test_they_run_the_command_with_options_that_it_has(command):
    assert command[1:3] == ["manage.py", "backfill_reprs"]
    parser = load_command_class("auditrepr", "backfill_reprs").create_parser("", "")
    assert parser.parse_args(command[3:]).verbosity == 0
