"""Lists what a test run could not try, instead of hiding it."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

PREFIX = "could not try "


def could_not_try(what: str, because: str) -> NoReturn:
    """Skip the test, or the module at its import, because this machine lacks something.

    If ``TEST_NOTHING_MISSING`` is set, nothing may be missing: the test fails instead.
    """
    message = f"{PREFIX}{what}: {because}"
    if os.environ.get("TEST_NOTHING_MISSING"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message, allow_module_level=True)
