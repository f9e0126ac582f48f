"""Pages and exports say of events with negative IDs, and of number zero, what they say of any."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone
from freezegun import freeze_time

from auditrepr.admin.audit_log import AuditLogAdmin
from auditrepr.models import AuditLog, InstanceRepr
from tests.app.models import Author, Book
from tests.capturing import next_moment
from tests.pages import FAILURES, LOG, RUNS, fail, page, reader
from tests.running import run
from tests.shifted import move

__all__ = ["reader"]
pytestmark = pytest.mark.django_db(transaction=True)

FAR = 10**12
OBJECT = "table_name=app_author&object_id={pk}"
#: Of an author and his events; each is asked for with every event's ID.
URLS = {
    "the list": LOG,
    "older": f"{LOG}?before={{id}}",
    "newer": f"{LOG}?after={{id}}",
    "a search": f"{LOG}?text=Ann",
    "pending": f"{LOG}?state=pending",
    "a file": f"{LOG}?export=jsonl",
    "a file of the newer": f"{LOG}?export=jsonl&after={{id}}",
    "a file of the older": f"{LOG}?export=csv&before={{id}}",
    "an event": f"{LOG}{{id}}/change/",
    "its raw data": f"{LOG}{{id}}/raw/",
    "the history": f"{LOG}object/?{OBJECT}",
    "the later history": f"{LOG}object/?{OBJECT}&after={{id}}",
    "its file": f"{LOG}object/?{OBJECT}&after={{id}}&export=jsonl",
    "the object as it was": f"{LOG}object/as-of/?{OBJECT}&event={{id}}",
    "two moments": f"{LOG}object/as-of/?{OBJECT}&event={{id}}&with=now",
    "what is put back": f"{LOG}object/put-back/?{OBJECT}&event={{id}}",
    "failures": FAILURES,
    "runs": RUNS,
}


#: What differs from request to request, or is made of the event's ID.
TOKENS = re.compile(r'name="(csrfmiddlewaretoken|state)" value="\w+"')


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AuditLogAdmin, "list_per_page", 2)


@pytest.fixture
def author() -> Author:
    """One with four events, of which the third is pending and the last has failed; and a book."""
    AuditLog.objects.all().delete()
    author = Author.objects.create(name="Ada")
    for name in ("Ann", "Bob", "Eve"):
        next_moment()
        Author.objects.update(name=name)
    next_moment()
    Book.objects.create(title="Go", author=author)
    run()
    events = AuditLog.objects.filter(table_name="app_author").order_by("pk")
    InstanceRepr.objects.filter(pk__in=[events[2].pk, events[3].pk]).delete()
    fail(events[3])
    return author


def event_ids() -> list[int]:
    return list(AuditLog.objects.order_by("pk").values_list("pk", flat=True))


def read(client: Client, url: str) -> tuple[int, str]:
    """The status and what it says, with each event's place in the log instead of its ID."""
    answer = client.get(url)
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    text = content.decode()
    for place, pk in enumerate(event_ids()):
        for written, token in ((pk, ""), (pk - 1, "-"), (pk + 1, "+")):
            text = text.replace(f"{written:,}", f"#{place}{token}")
            text = text.replace(f"{written}", f"#{place}{token}")
    return answer.status_code, TOKENS.sub("", text)


def asked(template: str, author: Author) -> Callable[[], list[str]]:
    return lambda: [template.format(id=pk, pk=author.pk) for pk in event_ids()]


@pytest.mark.proof
@freeze_time(timezone.now())  # which is in links to the present
@pytest.mark.parametrize("last_id", [-987_654_321, -(2**62)])
@pytest.mark.parametrize("name", URLS)
def test_a_page_says_the_same_wherever_the_log_begins(
    reader: Client, author: Author, name: str, last_id: int
) -> None:
    urls = asked(URLS[name], author)
    move(FAR, apart=10)
    before = [read(reader, url) for url in urls()]
    move(last_id, apart=10)
    after = [read(reader, url) for url in urls()]
    assert [code for code, _ in after] == [code for code, _ in before]
    for (_, then), (_, now) in zip(before, after, strict=True):
        assert now.splitlines() == then.splitlines()
    assert before[0][0] == 200


@pytest.mark.proof
@pytest.mark.parametrize("zero", range(5))
def test_an_event_may_have_the_id_zero(reader: Client, author: Author, zero: int) -> None:
    move(4 - zero)
    assert event_ids()[zero] == 0
    of_author = OBJECT.format(pk=author.pk)
    texts = page(reader, f"{LOG}object/?{of_author}")
    assert f"{LOG}0/change/" in texts or zero == 4
    page(reader, f"{LOG}0/change/")
    page(reader, f"{LOG}object/as-of/?{of_author}&event=0")
    for side in ("before", "after"):
        page(reader, f"{LOG}?{side}=0")
    seen: list[str] = []
    url: str | None = LOG
    while url:
        html = page(reader, url)
        seen += re.findall(rf'href="{LOG}(-?\d+)/change/', html)
        older = re.search(r'href="(\?[^"]*before=-?\d+)"', html)
        url = f"{LOG}{older[1]}" if older else None
    assert list(dict.fromkeys(map(int, seen))) == event_ids()[::-1]
