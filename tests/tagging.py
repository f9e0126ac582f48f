"""An object that was changed, to be put back."""

from __future__ import annotations

import pytest

from tests.app.models import Tag
from tests.capturing import next_moment


@pytest.fixture
def tag() -> Tag:
    """A tag that was renamed; the first event is its first name."""
    tag = Tag.objects.create(label="first")
    next_moment()
    Tag.objects.update(label="second")
    return tag
