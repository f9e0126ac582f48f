"""Commands beside people: output that is read in part, or cannot be written; questions."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class TerminalCommand(BaseCommand):
    """A command that ends in order, too, where nobody takes its output any more."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it.

        :raises SystemExit: with 128 + SIGPIPE, as of a program that this signal ends, if whoever
            read the output has left (``| head``).
        :raises CommandError: if the output is a file on a disk that is full.
        """
        try:
            said = super().execute(*args, **options)
            self.stdout.flush()
        except OSError as error:
            own = getattr(self.stdout, "_out", None) is sys.stdout  # else a caller's, who may go on
            if not own or error.errno not in (errno.EPIPE, errno.ENOSPC):
                raise
            _discard_output()
            if error.errno == errno.EPIPE:
                sys.exit(128 + signal.SIGPIPE)
            message = f"Not all of the output could be written: {error.strerror}."
            raise CommandError(message) from error
        return said


def is_terminal(stream: Any) -> bool:
    """Return whether a person is at the other end; a stream need not be able to say so."""
    return bool(getattr(stream, "isatty", bool)())


def answer(question: str) -> str:
    """What somebody says to this on the terminal; nothing, if they end the input."""
    try:
        return input(question).strip()
    except EOFError:
        print()
        return ""


def _discard_output() -> None:
    """Python tries to write what is left when it ends, and would fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
