"""The outcome of one event: a representation, or the failure to build it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from ..models import Fidelity
from ..utils.interrupts import from_outside
from ..utils.text import storable
from ..utils.time_limit import TimeLimit


@dataclass(frozen=True)
class Failure:
    """Why a representation could not be built; every text fits into the database."""

    error_class: str
    message: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException, limit: TimeLimit | None = None) -> Failure:
        """Return the failure for this error, whose own code may fail or hang as well.

        :param limit: the time limit for each of its texts; None if the error is auditrepr's.
        """

        def shown(text: Callable[[], str], length: int, otherwise: str) -> str:
            try:
                with limit.row() if limit else NOTHING:
                    return storable(text(), length)[0]
            except BaseException as raised:  # even str(error) may raise
                if limit.ends_work(raised) if limit else from_outside(raised):
                    raise
                return otherwise

        return cls(
            error_class=shown(lambda: type(error).__qualname__, CLASS_LENGTH, "?"),
            message=shown(lambda: str(error), MESSAGE_LENGTH, "(its message cannot be shown)"),
            traceback=shown(
                lambda: "".join(traceback.format_exception(error, limit=-TRACEBACK_FRAMES)),
                TRACEBACK_LENGTH,
                "(its traceback cannot be shown)",
            ),
        )


class Outcome(NamedTuple):
    """What was built for one event: a text, or a failure."""

    id: int
    text: str = ""
    fidelity: Fidelity = Fidelity.EXACT
    reason: str = ""
    failure: Failure | None = None


TRACEBACK_FRAMES = 10
NOTHING = nullcontext()
CLASS_LENGTH = 200  # characters
MESSAGE_LENGTH = 2_000  # characters
TRACEBACK_LENGTH = 20_000  # characters
