"""Tests that wrong usage of any command exits with 2 and says what is wrong, and does nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command, load_command_class

from auditrepr.models import AuditLog, BackfillRun
from auditrepr.utils.phrases import suggested
from tests import processes
from tests.app.models import Author

pytestmark = pytest.mark.django_db(transaction=True)

EXPORT = "export_audit_log --format csv"
PRUNE = "prune_audit_log --before 2020-01-01 --no-input"
#: What is wrong, and what the last line says of it.
WRONG = {
    "rebuild_reprs --model app.Authors": "'app.Authors' is not an audited model. Did you mean app.",
    "rebuild_reprs --model nope": "argument --model: 'nope' is not an audited model.",
    "rebuild_reprs --model auth.Group": "'auth.Group' is not an audited model.",
    "rebuild_reprs --dry-run --model app.Nope": "'app.Nope' is not an audited model.",
    "rebuild_reprs --model=": "argument --model: the value is empty",
    "rebuild_reprs --since 2999-01-01": "argument --since: '2999-01-01' is in the future",
    "rebuild_reprs --dry-run --resume": "argument --resume: not allowed with argument --dry-run",
    "rebuild_reprs --dry-run --workers 2": "--workers: not allowed with argument --dry-run",
    "rebuild_reprs --dry-run --max-seconds 0": "--max-seconds: not allowed with argument --dry-run",
    "rebuild_reprs --dry-run --fail-if-locked": "--fail-if-locked: not allowed with argument",
    "rebuild_reprs --dry-run --wait 5": "--wait: not allowed with argument --dry-run",
    "rebuild_reprs --lock nope": "argument --lock: invalid choice: 'nope'",
    "backfill_reprs --format yaml": "argument --format: invalid choice: 'yaml'",
    "backfill_reprs --dry-run --strict": "argument --strict: not allowed with argument --dry-run",
    "backfill_reprs --dry-run --max-batches 2": "--max-batches: not allowed with argument",
    "backfill_reprs --dry-run --rescan": "argument --rescan: not allowed with argument --dry-run",
    "backfill_reprs --rescan --retry-failed": "--retry-failed: not allowed with argument --rescan",
    "backfill_reprs --max-batches 0": "argument --max-batches: '0' is not a whole number",
    "backfill_reprs --database nope": 'argument --database: Unknown database "nope".',
    "backfill_status --format yaml": "argument --format: invalid choice: 'yaml'",
    "backfill_status --max-lag soon": "argument --max-lag: 'soon' is not a duration",
    "audit_triggers check --append-only": "--append-only cannot be used with check",
    "audit_triggers install --database nope": 'argument --database: Unknown database "nope".',
    f"{PRUNE} --lock nope": "argument --lock: invalid choice: 'nope'",
    f"{PRUNE} --batch-size 0": "argument --batch-size: '0' is not a whole number",
    f"{EXPORT} --model app.Nope": "argument --model: 'app.Nope' is not an audited model.",
    f"{EXPORT} --model=": "argument --model: the value is empty",
    f"{EXPORT} --actor=": "argument --actor: the value is empty",
    f"{EXPORT} --since 2020-02-01 --until 2020-01-31": "argument --until: must be after --since",
    f"{EXPORT} --follow-from last": "--follow-from: 'last' is neither an event ID nor 'start'",
    f"{EXPORT} --follow-from 1 --position-file x": "--position-file: not allowed with argument",
}


#: What the help of a command says, as the command works.
HELP = {
    "partition_audit_log": "prune_audit_log can empty whole partitions at once",
    "backfill_status": "Writes nothing, except with --release-lock or --cancel.",
    "export_audit_log": "with representation, actor, reason and changes",
}


@pytest.mark.parametrize(("command", "said"), HELP.items())
def test_help_says_what_a_command_does(command: str, said: str) -> None:
    assert said in load_command_class("auditrepr", command).help


def nothing_happened() -> bool:
    return AuditLog.objects.exists() and not BackfillRun.objects.exists()


@pytest.mark.parametrize(("line", "told"), WRONG.items(), ids=str)
def test_from_a_shell(line: str, told: str) -> None:
    Author.objects.create(name="Ann")
    done = processes.run_here(*line.split())
    assert done.returncode == 2, done.stderr
    assert told in done.stderr.splitlines()[-1]
    assert done.stdout == ""
    assert nothing_happened()


@pytest.mark.parametrize(("line", "told"), WRONG.items(), ids=str)
def test_from_python(line: str, told: str) -> None:
    Author.objects.create(name="Ann")
    command, *arguments = line.split()
    options: dict[str, Any] = {}
    positional = []
    while arguments:
        name, is_given, value = arguments.pop(0).partition("=")
        if not name.startswith("--"):
            positional.append(name)
            continue
        if not is_given and arguments and not arguments[0].startswith("--"):
            value, is_given = arguments.pop(0), "="
        name = name.removeprefix("--").replace("-", "_")
        options["interactive" if name == "no_input" else name] = (
            value if is_given else name != "no_input"
        )
    with pytest.raises(CommandError) as raised:
        call_command(command, *positional, **options)
    assert raised.value.returncode == 2
    assert told in str(raised.value)
    assert nothing_happened()


#: Options for which None is not a value, although Python may give it.
REQUIRED = {
    "backfill_reprs": ["wait", "lock", "format", "workers"],
    "rebuild_reprs": ["database", "wait", "lock", "format", "workers"],
    "prune_audit_log": ["database", "wait", "lock", "batch_size"],
    "seal_audit_log": ["database", "wait", "lock"],
    "verify_audit_log": ["database"],
}


@pytest.mark.parametrize(
    ("command", "option"), [(one, option) for one in REQUIRED for option in REQUIRED[one]]
)
@pytest.mark.parametrize("value", [None, 5.5, object()], ids=["None", "number", "object"])
def test_what_only_python_can_give(command: str, option: str, value: Any) -> None:
    if (option, value) == ("wait", 5.5):
        return
    Author.objects.create(name="Ann")
    more = {"before": "2020-01-01", "interactive": False} if command == "prune_audit_log" else {}
    with pytest.raises(CommandError) as raised:
        call_command(command, **more, **{option: value})
    assert raised.value.returncode == 2
    assert str(raised.value).startswith(f"argument --{option.replace('_', '-')}: ")
    assert nothing_happened()


@pytest.mark.parametrize("value", [5, object(), ["default", 5], [None], {"default": 1}], ids=str)
@pytest.mark.parametrize("command", ["backfill_reprs", "backfill_status"])
def test_several_databases_are_names_or_a_list_of_them(command: str, value: Any) -> None:
    Author.objects.create(name="Ann")
    with pytest.raises(CommandError, match="argument --database: Unknown database") as raised:
        call_command(command, database=value)
    assert raised.value.returncode == 2
    assert nothing_happened()


@pytest.mark.parametrize("value", [None, "default", ("default",), ["default", "default"]], ids=str)
def test_these_are_right(value: Any) -> None:
    Author.objects.create(name="Ann")
    call_command("backfill_reprs", database=value, verbosity=0)
    assert not AuditLog.objects.pending().exists()


@pytest.mark.parametrize("value", ["app.Nope", ["app.Nope"], 5, object()], ids=str)
def test_a_model_to_import_is_a_name_or_a_list_of_them(value: Any) -> None:
    Author.objects.create(name="Ann")
    with pytest.raises(CommandError, match="argument --model: No installed model") as raised:
        call_command("import_audit_log", "ours", models=value)
    assert raised.value.returncode == 2
    assert nothing_happened()


@pytest.mark.parametrize("value", [5, object()], ids=str)
def test_a_column_to_erase_too(value: Any) -> None:
    options = {"object": "app.Author:1", "columns": value, "interactive": False}
    with pytest.raises(CommandError):
        call_command("erase_from_audit_log", **options)


def test_an_event_id_may_have_64_bits() -> None:
    Author.objects.create(name="Ann")
    done = processes.run_here(*EXPORT.split(), "--follow-from", str(2**40))
    assert done.returncode == 1
    assert str(2**40) in done.stderr, "which is beyond the end of the log"
    done = processes.run_here(*EXPORT.split(), "--follow-from", str(2**63))
    assert done.returncode == 2
    assert f"'{2**63}' is neither an event ID nor" in done.stderr


def test_an_error_of_the_settings_is_no_wrong_usage(settings: Any) -> None:
    settings.AUDITREPR = {"MODELS": ["app.Nobody"]}
    done = processes.run_here("rebuild_reprs", "--model", "app.Author")
    assert done.returncode == 1
    assert "app.Nobody" in done.stderr


def test_what_may_be_meant_is_named() -> None:
    many = [f"shop.Model{n}" for n in range(30)]
    assert suggested(["shop.Order"], "x") == "Audited models: shop.Order."
    assert suggested([], "x") == "Audited models: none."
    assert suggested([*many, "shop.Order"], "shop.order") == "Did you mean shop.Order?"
    assert suggested(many, "zzz").endswith(" and 20 more.")
