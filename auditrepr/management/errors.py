"""The errors of several databases, as one message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..utils.text import visible


def addressed(aliases: Sequence[str], using: str, text: str) -> str:
    """Return the text with its database, if there are several and it does not name it."""
    return text if len(aliases) == 1 or f'"{using}"' in text else f"{using}: {text}"


def together(aliases: Sequence[str], errors: Mapping[str, str]) -> str:
    """Return the errors of several databases, a line for each; one that all share only once."""
    lines = [addressed(aliases, using, error) for using, error in errors.items()]
    if len(errors) == len(aliases) and len(set(errors.values())) == 1:
        lines = list(errors.values())[:1]
    return "\n".join(map(visible, lines))
