"""Tests that every error has a message, with and without docstrings."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import pytest

from auditrepr import exceptions
from auditrepr.exceptions import AuditReprError, UnusablePool
from tests.project import ROOT

pytestmark = pytest.mark.sqlite

#: Prints the text of every error, by the name of its class.
TEXTS = """
import json
from auditrepr import exceptions
texts = {}
for name, kind in vars(exceptions).items():
    if isinstance(kind, type) and issubclass(kind, exceptions.AuditReprError):
        names = {part.split("}")[0].split("!")[0] for part in kind.message.split("{")[1:]}
        texts[name] = str(kind(**dict.fromkeys(names, "something")))
print(json.dumps(texts))
"""


def texts(*flags: str) -> dict[str, str]:
    command = [sys.executable, *flags, "-c", TEXTS]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.proof
def test_errors_say_the_same_without_docstrings():
    plain = texts()
    assert len(plain) > 15
    assert texts("-OO") == plain


def test_an_error_goes_from_one_process_to_another():
    error = UnusablePool(task="auditrepr.backfill", pool="threads")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (UnusablePool, str(error))
    assert "auditrepr.backfill" in str(copy)


def test_every_error_says_something_of_its_own():
    kinds = [
        kind
        for kind in vars(exceptions).values()
        if isinstance(kind, type) and issubclass(kind, AuditReprError)
    ]
    messages = [kind.__dict__["message"] for kind in kinds]
    assert len(set(messages)) == len(messages) > 15
    assert all(message[0].isupper() or message[0] in "a{" for message in messages)
