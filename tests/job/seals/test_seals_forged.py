"""An owner of the log can add entries to the chain: they cannot hide what they are about."""

from __future__ import annotations

import io
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from auditrepr.exceptions import ExportBeginsLater
from auditrepr.job.seals import chain, export, form, sealing
from auditrepr.models import AuditLog, Import, SealEntry
from auditrepr.vendors import get_vendor
from tests.app.models import Author
from tests.running import run
from tests.sealing import ids, verify
from tests.sizes import FIRST_ID

pytestmark = pytest.mark.django_db(transaction=True)
#: Imported events have IDs up to zero, so only in a log that begins above are ours known by theirs.
OWN_ABOVE_ZERO = pytest.mark.skipif(FIRST_ID < 1, reason="our events have IDs of imported ones")


@pytest.fixture
def kept(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The export of a log of three ranges, in the second of which an ID is missing."""
    settings.AUDITREPR = {"SEAL": True}
    monkeypatch.setattr(sealing, "EVENTS", 4)
    AuditLog.objects.all().delete()
    for n in range(10):
        Author.objects.create(name=f"author {n}")
    AuditLog.objects.filter(pk=ids()[5]).delete()  # as if its transaction was rolled back
    run()
    path = tmp_path / "seals"
    path.write_bytes(b"".join(export.lines("default")))
    return path


def forge(kind: str, **values: Any) -> None:
    with transaction.atomic():
        chain.append("default", SealEntry(kind=kind, **values), chain.last("default"))


def amend(kind: str, events: int, touched: bytes | None = None, **values: Any) -> None:
    """Forge an entry about the first range."""
    first = SealEntry.objects.get(number=1)
    about = {"after_id": first.after_id, "upto_id": first.upto_id, "amends": 1, **values}
    content = None if touched is None else sha256(touched).digest()
    forge(kind, events=events, touched=touched, content=content, **about)


def bring(after: int, upto: int, **values: Any) -> None:
    """Forge an entry that says that what is there now was imported."""
    rows = get_vendor("default").row_digests(after, upto)
    of = {"events": len(rows), "content": form.content_of(rows), "marks": form.marks_of(rows)}
    forge("imported", **{"after_id": after, "upto_id": upto, "import_id": 1, **of, **values})


def insert(*numbers: int) -> None:
    like = AuditLog.objects.latest("pk")
    for number in numbers:
        like.pk = number
        AuditLog.objects.bulk_create([like])


def remove(count: int) -> Sequence[form.Row]:
    """Delete the first events; return what their rows were."""
    found = ids()[:count]
    rows = get_vendor("default").row_digests(found[0] - 1, found[-1])
    AuditLog.objects.filter(pk__in=found).delete()
    return rows


def said(path: Path) -> str:
    """What the command says; a failure begins with its exit code."""
    out = io.StringIO()
    try:
        call_command("verify_audit_log", against=str(path), no_progress=True, stdout=out)
    except CommandError as error:
        return f"{error.returncode} {out.getvalue()}{error}"
    return out.getvalue()


def gap() -> int:
    found = ids()
    return next(number for number in range(found[0], found[-1]) if number not in found)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("events", [0, 1, 5])
def test_an_entry_says_how_many_events_were_pruned(kept: Path, whole: bool, events: int):
    rows = remove(4 if whole else 2)
    amend("pruned", events, None if whole else form.touched_of(rows))
    found = said(kept)
    assert found.startswith("1 ")
    told = "1 event was" if events == 1 else f"{events} events were"
    assert f"seal 4 says that {told} pruned, but it is about {len(rows)}" in found


@pytest.mark.parametrize("whole", [True, False])
def test_what_it_says_truly_is_shown(kept: Path, whole: bool):
    rows = remove(4 if whole else 2)
    amend("pruned", len(rows), None if whole else form.touched_of(rows))
    assert f"{len(rows)} events were pruned after they had been sealed, {len(rows)} " in said(kept)


def test_what_several_entries_say_of_a_range_is_all_that_it_had(kept: Path):
    amend("pruned", 1, form.touched_of(remove(1)))
    amend("pruned", 1, form.touched_of(remove(1)))
    remove(2)
    amend("pruned", 2)
    assert "4 events were pruned after they had been sealed, 4 of them since" in said(kept)


def test_an_entry_says_in_how_many_events_something_was_erased(kept: Path):
    changed = ids()[0]
    (before,) = get_vendor("default").row_digests(changed - 1, changed)
    AuditLog.objects.filter(pk=changed).update(writer="x")
    (after,) = get_vendor("default").row_digests(changed - 1, changed)
    amend("erased", 0, form.replaced_of([(before, after)]))
    assert "seal 4 says that 0 events were erased, but it is about 1" in said(kept)


def test_pruned_events_do_not_pass_for_erased_ones(kept: Path):
    remove(4)
    amend("erased", 4)
    assert said(kept).startswith("1 ")


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"events": -4, "amends": 4}, "seal 5 has an impossible range"),
        ({"events": 0, "amends": 5}, "seal 5 amends seal 5, which did not exist yet"),
        (
            {"events": 0, "amends": None},
            "seal 5 says that events were pruned, but not of which seal",
        ),
        ({"events": 0, "kind": "gone"}, "seal 5 is of no kind"),
    ],
)
def test_no_other_entry_makes_the_number_smaller(kept: Path, values: dict[str, Any], what: str):
    remove(4)
    amend("pruned", 4)
    amend(**{"kind": "pruned", "touched": b"", **values})
    assert what in said(kept)


def test_a_range_that_amends_another_one_is_no_range(kept: Path):
    remove(4)
    bring(-9, -5, amends=1, content=None)
    assert "seal 4 says that events were imported, and cannot amend seal 1" in said(kept)


def test_events_that_an_entry_says_were_imported_are_counted(kept: Path):
    insert(-5, -4)
    bring(-6, -5)
    bring(-5, -4)
    found = said(kept)
    assert "2 events were imported since the export." in found
    assert not found.startswith("1 ")
    later = kept.with_name("later")
    later.write_bytes(b"".join(export.lines("default")))
    assert "imported" not in said(later)


@OWN_ABOVE_ZERO
@pytest.mark.parametrize("place", ["in a gap", "after the last one"])
def test_no_event_of_ours_passes_for_an_imported_one(kept: Path, place: str):
    number = gap() if place == "in a gap" else ids()[-1] + 1
    insert(number)
    bring(number - 1, number)
    found = said(kept)
    assert found.startswith("1 ")
    assert f"seal 4 says that event {number} was imported" in found


@pytest.mark.parametrize("second", [(-5, -4), (-12, -11)])
def test_nothing_hides_between_two_ranges_of_an_import(kept: Path, second: tuple[int, int]):
    bring(-10, -9)
    bring(*second)
    insert(-7)
    assert "seal 5 does not begin where the one before it ends" in said(kept)


def test_nothing_hides_in_a_range_that_goes_back(kept: Path):
    bring(-5, -4)
    bring(-4, -20)
    bring(-20, -19)
    insert(-10)
    assert "seal 5 has an impossible range" in said(kept)


@OWN_ABOVE_ZERO
def test_an_unsealed_import_into_a_gap_is_told(kept: Path):
    number = gap()
    insert(number)
    Import.objects.create(
        sources=[], parts=[], until="2026-01-01T00:00Z", first_id=number, last_id=number
    )
    found = said(kept)
    assert found.startswith("1 ")
    assert f"an import says that it has brought event {number}" in found


def test_an_older_copy_has_a_seal_of_the_export(kept: Path):
    part = kept.with_name("part")
    part.write_bytes(b"".join(export.lines("default", 1)))
    SealEntry.objects.filter(number=3).delete()
    assert verify(against=export.read(part), older_copy=True).differing == 0
    SealEntry.objects.filter(number=2).delete()
    with pytest.raises(ExportBeginsLater, match=r"begins with seal 2, and the last one .* is 1\."):
        verify(against=export.read(part), older_copy=True)
    assert verify(against=export.read(part)).differing == 1
