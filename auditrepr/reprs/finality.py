"""Decides whether a failure is true: whether ``str()`` raised as of the event, too.

To try again cannot help there, so such a failure is final.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.core.exceptions import (
    ImproperlyConfigured,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
)
from django.db import Error
from django.db.models import Model

from ..asof.lookups import Subject
from ..utils.time_limit import OutOfTime, TimeLimitExceeded

#: What a query or a relation says of the data.
_ANSWERS = (ObjectDoesNotExist, MultipleObjectsReturned)
#: What says something of the process and its surroundings, wherever it stands in the chain.
_SURROUNDINGS = (
    Error, MemoryError, RecursionError, TimeLimitExceeded, OutOfTime, OSError, ImportError,
    ImproperlyConfigured,
)  # fmt: skip


def is_final(error: BaseException, subject: Subject) -> bool:
    """Return whether the error comes from an exact answer, and all that was read was exact."""
    chain = [type(one) for one in _chain(error)]
    if subject.notes or not isinstance(error, Exception):
        return False
    if any(issubclass(kind, _SURROUNDINGS) or _is_current(kind) for kind in chain):
        return False
    return any(issubclass(kind, _ANSWERS) for kind in chain) or _is_of_none(error, subject)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, and all errors while whose handling it was raised."""
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [more for more in (one.__cause__, one.__context__) if more is not None]


def _is_current(kind: type[BaseException]) -> bool:
    """Return whether it is about a content type: these are read as they are today."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return False
    from django.contrib.contenttypes.models import ContentType

    return issubclass(kind, (ContentType.DoesNotExist, ContentType.MultipleObjectsReturned))


def _is_of_none(error: Exception, subject: Subject) -> bool:
    """Return whether the code took None, which it was given, for an object."""
    if isinstance(error, AttributeError):
        if subject.found_none:
            # An attribute that a model lacks is a mistake of the code, whatever came before.
            return not isinstance(error.obj, Model)
        # A bare AttributeError has no name, and no object either.
        return subject.has_asked and error.obj is None and error.name is not None
    if isinstance(error, TypeError):
        return subject.found_none or (subject.has_asked and "NoneType" in str(error))
    return False
