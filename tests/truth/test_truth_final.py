"""Tests random histories in which ``str()`` raises: exactly the true failures are final."""

from __future__ import annotations

import sys

import pytest
from django.db import connection
from django.db.models import QuerySet
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from auditrepr.asof.states.states import BESIDE, UNCLEAR
from auditrepr.models import AuditLog, ReprFailure
from tests.app.lately import WAYS, Article, Sheet, Title
from tests.oracle import HISTORIES, Oracle, Raised
from tests.sizes import examples
from tests.truth.world import MODELS, NAME, NUMBER, Unheard, World, any_of, seen

LATE = [Article, Title, Sheet]
WAY = st.sampled_from(sorted(WAYS))
#: What SQLite cannot tell apart: changes of one millisecond.
NEAR = {BESIDE, UNCLEAR}


class Late(Unheard, World):
    """The same changes, and articles whose titles and sheets come later, and go before them."""

    def __init__(self) -> None:
        super().__init__()
        self.listening.__exit__(None, None, None)
        for model in reversed(LATE):
            QuerySet(model).all().delete()
        AuditLog.objects.all().delete()
        self.oracle = Oracle([*MODELS, *LATE])
        self.listening = self.oracle.listening()
        self.listening.__enter__()

    def check_failure(self, row: AuditLog, said: str, failure: ReprFailure) -> None:
        if failure.final:
            assert isinstance(said, Raised), (row, said, failure)
            assert failure.error_class.endswith(said), (row, said, failure)
            seen["final"] += 1
        elif failure.message == "'Article' object has no attribute 'cdoe'":
            seen["a bug"] += 1
        else:
            # It was mixed: an object that was gone, or a change nearby.
            assert isinstance(said, Raised) or connection.vendor == "sqlite", (row, said, failure)
            seen[f"failed, {failure.error_class}"] += 1

    def check_doubts(self, row: AuditLog, said: str, reasons: list[str]) -> None:
        if row.table_name != "app_article":
            super().check_doubts(row, said, reasons)
            return
        gone = [reason for reason in reasons if reason.endswith(" had been deleted")]
        near = NEAR if connection.vendor == "sqlite" else set()
        assert set(reasons) - set(gone) <= near, (row, said, reasons)
        assert not gone or isinstance(said, Raised), (row, said, reasons)
        seen["mixed"] += 1

    @initialize()
    def one_of_each_way(self):
        for way in WAYS:
            Article.objects.create(way=way, code=way[:1])

    @rule(way=WAY, number=NUMBER)
    def new_article(self, way, number):
        Article.objects.create(way=way, parent=any_of(Article, number))

    @rule(name=NAME, number=st.integers(0, 30), other=st.booleans())
    def new_title(self, name, number, other):
        if article := any_of(Article, number):
            Title.objects.create(article=article, text=name, language="de" if other else "en")

    @rule(name=NAME, number=st.integers(0, 30))
    def new_sheet(self, name, number):
        article = any_of(Article, number)
        if article and not Sheet.objects.filter(article=article).exists():
            Sheet.objects.create(article=article, text=name)

    @rule(name=NAME)
    def rename_articles(self, name):
        Article.objects.update(code=name)

    @rule(number=st.integers(0, 30), other=st.integers(0, 30))
    def move_article(self, number, other):
        if article := any_of(Article, number):
            article.parent = any_of(Article, other) if other else None
            article.save()

    @rule(number=st.integers(0, 30), model=st.sampled_from(LATE))
    def delete_late(self, number, model):
        self.delete(number, model)

    @rule()
    def delete_all_titles(self):
        QuerySet(Title).all().delete()


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
def test_what_is_final_was_raised_at_the_event_and_what_was_raised_is_never_an_exact_text():
    seen.clear()
    few = settings(HISTORIES, **examples(quick=2, full=20, named="TRUTH_EXAMPLES"))
    run_state_machine_as_test(Late, settings=few)
    sys.stderr.write(f"\n{connection.display_name}: {dict(seen)}\n")
    assert seen["final"] > 5 * seen["examples"]
    assert seen["exact"] > 10 * seen["examples"]
