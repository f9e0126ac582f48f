"""Tests what the page about partitions shows; ``test_roles.py`` runs its SQL."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.app.models import Author
from tests.examples import examples, steps
from tests.processes import run_here
from tests.sizes import PARTITIONED

(CONSOLE,) = examples("docs/partitions.md", "console")

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(PARTITIONED, reason="the log is partitioned already"),
]


@pytest.mark.django_db(transaction=True)
def test_the_commands_print_what_the_page_shows() -> None:
    Author.objects.create(name="Ann")
    for command, shown in steps(CONSOLE):
        found = run_here(*shlex.split(command)[2:])
        assert _unnumbered(found.stdout) == _unnumbered(shown), found.stderr


def _unnumbered(text: str) -> str:
    """The text without the database's name, and without numbers, which depend on the first ID."""
    return re.sub(r"-?[0-9][0-9.]*", "N", re.sub(r'"[^"]+"', '"shop"', text)).strip()
