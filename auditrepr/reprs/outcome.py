"""The outcome of one event: a representation, or the failure to build it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from ..models import Fidelity
from ..utils.interrupts import from_outside
from ..utils.text import storable
from ..utils.time_limit import TimeLimit

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """Why a representation could not be built; every text fits into the database."""

    error_class: str
    message: str
    traceback: str
    final: bool = False  # str() raised as of the event, too: see :mod:`.finality`

    @classmethod
    def of(
        cls,
        error: BaseException,
        limit: TimeLimit | None = None,
        final: Callable[[], bool] = lambda: False,
    ) -> Failure:
        """Return the failure for this error, whose own code may fail or hang as well.

        :param limit: the time limit for each of its texts; None if the error is auditrepr's.
        :param final: returns whether it is final, which may call the error's code, too.
        """

        def asked(what: Callable[[], T], otherwise: T) -> T:
            try:
                with limit.row() if limit else NOTHING:
                    return what()
            except BaseException as raised:  # even str(error) may raise
                if limit.ends_work(raised) if limit else from_outside(raised):
                    raise
                return otherwise

        def shown(text: Callable[[], str], length: int, otherwise: str) -> str:
            return asked(lambda: storable(text(), length)[0], otherwise)

        return cls(
            error_class=shown(lambda: type(error).__qualname__, CLASS_LENGTH, "?"),
            message=shown(lambda: str(error), MESSAGE_LENGTH, "(its message cannot be shown)"),
            traceback=shown(
                lambda: "".join(traceback.format_exception(error, limit=-TRACEBACK_FRAMES)),
                TRACEBACK_LENGTH,
                "(its traceback cannot be shown)",
            ),
            final=asked(final, otherwise=False),
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
