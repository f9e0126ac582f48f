"""Checks options that did not come through the parser, and options that exclude each other."""

from __future__ import annotations

import multiprocessing
from argparse import ArgumentTypeError
from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.core.management.base import CommandError

#: The exit code for wrong usage.
USAGE = 2


def check_options(
    options: dict[str, Any],
    checks: Mapping[str, Callable[[Any], Any]],
    required: Collection[str] = (),
) -> None:
    """Replace each option by its checked value; `call_command()` does not use the parser.

    :param required: the names of options for which None is not a value.
    :raises CommandError: with exit code 2.
    """
    for name, checked in checks.items():
        if options[name] is None and name not in required:
            continue
        try:
            options[name] = checked(options[name])
        except ArgumentTypeError as error:
            option = name.replace("_", "-")
            raise CommandError(f"argument --{option}: {error}", returncode=USAGE) from error


def check_exclusive(options: Mapping[str, Any], *names: str) -> None:
    """Check that at most one of these options is given; `call_command()` does not use the parser.

    :raises CommandError: with exit code 2.
    """
    given = [name for name in names if options[name] is not None and options[name] is not False]
    if len(given) > 1:
        other, one = (f"--{name.replace('_', '-')}" for name in given[:2])
        raise CommandError(f"argument {one}: not allowed with argument {other}", returncode=USAGE)


def check_workers(options: Mapping[str, Any]) -> None:
    """Check that the other options allow more than one worker.

    :raises CommandError: with exit code 2.
    """
    if options["workers"] == 1:
        return
    if options["lock"] == "file":
        raise CommandError(
            "argument --workers: cannot be combined with --lock file. Workers claim their shares in"
            " the database; use --lock database, which is the default.",
            returncode=USAGE,
        )
    if multiprocessing.current_process().daemon:
        raise CommandError(
            "argument --workers: this process may not start others, as a Celery worker's processes"
            " may not. Use --workers 1.",
            returncode=USAGE,
        )
    if options.get("max_batches") is not None:
        raise CommandError(
            "argument --workers: cannot be combined with --max-batches. To limit a run, use"
            " --max-seconds.",
            returncode=USAGE,
        )
