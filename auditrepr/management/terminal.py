"""Commands on a terminal: output that is cut off or cannot be written, and questions."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ..job.runs.retry import logger as patience_logger


class Nowhere(io.TextIOBase):
    """What is written here is lost, as the caller wanted who closed the output (``>&-``)."""

    def write(self, text: str) -> int:
        return len(text)


class TerminalCommand(BaseCommand):
    """A command that ends cleanly if its output is no longer read, or was closed from the start."""

    def __init__(self, stdout: Any = None, stderr: Any = None, **options: Any) -> None:
        out: Any = stdout or sys.stdout or Nowhere()
        errors: Any = stderr or sys.stderr or Nowhere()
        super().__init__(out, errors, **options)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command.

        :raises SystemExit: with 128 + SIGPIPE, as for a program that this signal ends, if the
            reader of the output has ended (``| head``).
        :raises CommandError: if the output is a file on a full disk.
        """
        try:
            said = super().execute(*args, **options)
            self.stdout.flush()
        except OSError as error:
            own = (
                getattr(self.stdout, "_out", None) is sys.stdout
            )  # a caller's stream may still be used
            if not own or error.errno not in (errno.EPIPE, errno.ENOSPC):
                raise
            _discard_output()
            if error.errno == errno.EPIPE:
                sys.exit(128 + signal.SIGPIPE)
            message = f"Could not write all of the output: {error.strerror}."
            raise CommandError(message) from error
        return said


def is_terminal(stream: Any) -> bool:
    """Return whether the stream is a terminal; one that cannot say so is none."""
    return bool(getattr(stream, "isatty", bool)())


@contextmanager
def retries_shown() -> Iterator[None]:
    """Show on a terminal that a run waits for its database."""
    if not is_terminal(sys.stderr):
        yield
        return
    handler, level = logging.StreamHandler(sys.stderr), patience_logger.level
    patience_logger.addHandler(handler)
    patience_logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        patience_logger.removeHandler(handler)
        patience_logger.setLevel(level)


def answer(question: str) -> str:
    """Return the answer that is typed on the terminal; empty if none can be.

    That is at the end of input, or if the question cannot be shown.
    """
    if sys.stdin is None or sys.stdout is None:
        return ""
    try:
        return input(question).strip()
    except EOFError:
        print()
        return ""


def _discard_output() -> None:
    """Redirect standard output to nowhere.

    Python would try to write the rest when it ends, and fail.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
