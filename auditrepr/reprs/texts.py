"""The text for an object: ``str(instance)``, or what the project uses instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Model
from django.utils import timezone, translation
from django.utils.functional import Promise

from ..asof.batch import Batch
from ..asof.lookups import Subject
from ..asof.pairs import PairChanges
from ..conf import get_settings
from . import pairs


def text_of(subject: Subject, batch: Batch) -> str:
    """Return the text for the subject: of its instance, or of what was done to a relation.

    :raises BaseException: whatever the project's code raises.
    """
    if isinstance(subject.instance, PairChanges):
        return pairs.text(subject.instance, subject, partial(_text, batch=batch))
    return _text(subject.instance, batch)


def _text(instance: Any, batch: Batch) -> str:
    chosen = batch.chosen_repr(type(instance)) if isinstance(instance, Model) else None
    if chosen is None:
        text: Any = type(instance).__str__(instance)  # type: ignore[call-arg]  # not str(): it may be lazy
    else:
        text = getattr(instance, chosen)() if isinstance(chosen, str) else chosen(instance)
    if isinstance(text, Promise):
        return str(text)
    if not isinstance(text, str):
        raise TypeError(f"__str__ returned non-string (type {type(text).__name__})")
    return str.__str__(text)


@contextmanager
def same_words_for_everyone() -> Iterator[Callable[[], None]]:
    """Activate the configured language and time zone, whatever process builds.

    Yields a function that restores both if the code of the previous row has changed them.
    """
    chosen = get_settings()
    zone = ZoneInfo(chosen.TIME_ZONE) if chosen.TIME_ZONE else timezone.get_default_timezone()
    with (
        translation.override(chosen.LANGUAGE or settings.LANGUAGE_CODE),
        timezone.override(zone),
    ):
        language = translation.get_language() or settings.LANGUAGE_CODE
        at_first: Context | None = None

        def same_words() -> None:
            # Django keeps both in the context: to compare that takes a tenth of asking for them.
            nonlocal at_first
            if at_first is None:
                at_first = copy_context()
            elif copy_context() != at_first:
                translation.activate(language)
                timezone.activate(zone)

        yield same_words
