"""What the commands' options take."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from typing import Any

from ..batchsize import AUTO, Asked
from ..conf import MOST


def whole_number(text: Any, least: int = 1) -> int:
    """An option's value.

    :raises ArgumentTypeError: if it is not a whole number, less than `least`, or out of all reason.
    """
    try:
        number = int(str(text))
    except ValueError:
        number = least - 1
    if number > MOST:
        raise ArgumentTypeError(f"{text!r} is more than {MOST}")
    if number < least:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    return number


def batch_size(text: Any) -> Asked:
    """How many rows make a batch."""
    return AUTO if text == AUTO else whole_number(text)


def count(text: Any) -> int:
    """A whole number, 0 included."""
    return whole_number(text, least=0)


def seconds(text: Any) -> float:
    """A span of time.

    :raises ArgumentTypeError: if it is not a number, or below 0, or has no end.
    """
    try:
        span = float(str(text))
    except ValueError:
        span = -1
    if not 0 <= span < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return span
