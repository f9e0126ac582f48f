"""A cheap first check whether a text, or a JSON document, holds one of many texts.

Whatever holds one passes it. Others may pass, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ..utils.letter_case import Folding

#: What a JSON document may write as an escape of two characters. It may write any other one as
#: ``\u`` and its number, for which a vendor must search as well.
_ESCAPED = re.compile(r'["\\/\x00-\x1f]')


class Stretch(NamedTuple):
    """The longest part of a text that a JSON document has as it is."""

    text: str
    #: Whether it is not meant where further ASCII digits precede it, or follow.
    alone_before: bool = False
    alone_after: bool = False

    @classmethod
    def of(cls, text: str, *, alone_before: bool = False, alone_after: bool = False) -> Stretch:
        """Return that part of the text."""
        parts = _ESCAPED.split(text)
        number = max(range(len(parts)), key=lambda n: len(parts[n]))
        at_end = number == len(parts) - 1
        return cls(parts[number], alone_before and number == 0, alone_after and at_end)


class Sought:
    """The stretches that are searched for, in the case that ``folded`` gives to texts."""

    def __init__(self, stretches: Iterable[Stretch]) -> None:
        given = set(stretches)
        self.folded = Folding(one.text for one in given)
        self.stretches = sorted({one._replace(text=self.folded(one.text)) for one in given})
        self._texts = sorted({one.text for one in self.stretches}, key=len)

    def __bool__(self) -> bool:
        return bool(self.stretches)

    def within(self, text: str) -> bool:
        """Return whether one of the stretches is in the text, in whatever case."""
        # No generator, which would take as long as the search itself.
        return any(map(self.folded(text).__contains__, self._texts))
