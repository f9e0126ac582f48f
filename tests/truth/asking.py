"""The random changes, and a model that queries their results."""

from __future__ import annotations

from django.db import connection
from hypothesis import strategies as st
from hypothesis.stateful import rule

from auditrepr.asof.states.states import BESIDE, UNCLEAR
from auditrepr.models import AuditLog
from tests.app.asking import QUESTIONS, Question
from tests.oracle import Oracle
from tests.truth.world import MODELS, Unheard, World, seen

ASKING = "app_question"


class Asking(Unheard, World):
    """The same changes, and a model that asks for all kinds of their results."""

    def __init__(self) -> None:
        super().__init__()
        self.listening.__exit__(None, None, None)
        Question.objects.all().delete()
        AuditLog.objects.all().delete()
        self.oracle = Oracle([*MODELS, Question])
        self.listening = self.oracle.listening()
        self.listening.__enter__()
        Question.objects.bulk_create([Question(kind=kind) for kind in QUESTIONS])

    def check_doubts(self, row: AuditLog, said: str, reasons: list[str]) -> None:
        """Only SQLite doubts, and only what came in the same millisecond."""
        if row.table_name == ASKING:
            near = {BESIDE, UNCLEAR} if connection.vendor == "sqlite" else set()
            assert set(reasons) <= near, (row, said, reasons)
            seen["asked, beside"] += 1
        else:
            super().check_doubts(row, said, reasons)

    @rule(kinds=st.lists(st.sampled_from(sorted(QUESTIONS)), min_size=1, max_size=6))
    def ask(self, kinds):
        for kind in kinds:
            question = Question.objects.get(kind=kind)
            question.n += 1
            question.save()

    @rule()
    def ask_all(self):
        Question.objects.update(n=1)
