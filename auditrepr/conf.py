"""The settings, in one typed place, read when they are first used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings

from .exceptions import InvalidSetting

#: Tables that hold no business objects: ``"*"`` in ``MODELS`` passes them over, and so does
#: ``"app_label.*"``. Naming one of them in full audits it all the same.
NEVER_BY_WILDCARD = frozenset(
    {
        "admin.logentry",
        "contenttypes.contenttype",
        "sessions.session",
    }
)


@dataclass(frozen=True)
class Settings:
    """``AUDITREPR = {...}`` in the project's settings; every key may be left out.

    :param MODELS: which models are audited besides those with ``@auditrepr.track``:
        ``"app.Model"``, ``"app.*"`` or ``"*"``.
    :param EXCLUDE: fields that never reach the log, by model: ``{"auth.User": ["password"]}``.
    :param BATCH_SIZE: audit rows in one batch.
    :param LEASE_SECONDS: after how many seconds without a sign of life another run may take over
        the database lock.
    :param LOCK_FILE: the file of ``--lock file``; by default ``auditrepr.lock`` in the current
        user's state folder.
    :param MAX_LENGTH: a longer representation is cut, visibly, at this many characters.
    :param RUNS_KEPT: how many rows ``BackfillRun`` keeps.
    """

    MODELS: tuple[str, ...] = ()
    EXCLUDE: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    BATCH_SIZE: int = 1000
    LEASE_SECONDS: int = 60
    LOCK_FILE: Path | None = None
    MAX_LENGTH: int = 10_000
    RUNS_KEPT: int = 1000

    @classmethod
    def load(cls) -> Settings:
        """Read ``settings.AUDITREPR``.

        :raises InvalidSetting: for an unknown key or a value of the wrong kind.
        """
        given = getattr(django_settings, "AUDITREPR", {})
        if not isinstance(given, Mapping):
            raise InvalidSetting(name="", value=given, expected="a dictionary")
        known = {f.name: _PARSERS[f.name] for f in fields(cls)}
        for name in given:
            if name not in known:
                expected = f"one of {', '.join(known)}"
                raise InvalidSetting(name=name, value=given[name], expected=expected)
        return cls(**{name: known[name](name, value) for name, value in given.items()})


def _names(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise InvalidSetting(name=name, value=value, expected="a list of names")
    return tuple(value)


def _names_by_model(name: str, value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise InvalidSetting(name=name, value=value, expected='like {"auth.User": ["password"]}')
    return {model: _names(name, names) for model, names in value.items()}


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidSetting(name=name, value=value, expected="a whole number above 0")
    return value


def _path(name: str, value: Any) -> Path | None:
    if value is not None and not isinstance(value, str | Path):
        raise InvalidSetting(name=name, value=value, expected="the path of a file")
    return Path(value) if value else None


_PARSERS: dict[str, Any] = {
    "MODELS": _names,
    "EXCLUDE": _names_by_model,
    "BATCH_SIZE": _positive,
    "LEASE_SECONDS": _positive,
    "LOCK_FILE": _path,
    "MAX_LENGTH": _positive,
    "RUNS_KEPT": _positive,
}


def get_settings() -> Settings:
    """The settings as they are now; tests may change ``settings.AUDITREPR`` at any time."""
    return Settings.load()
