"""Commands beside people: output that is read in part, or cannot be written; questions."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from ..exceptions import AuditReprError
from ..utils.text import one_line, visible


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


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """Let an error that says what to do end the command with that line, and no traceback.

    :raises CommandError: for an error of auditrepr's own, or of the database.
    """
    try:
        yield
    except (AuditReprError, Error) as error:
        raise CommandError(visible(one_line(error))) from error


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
