"""The settings, in one typed place, read when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings as django_settings
from django.utils.translation import check_for_language

from .exceptions import InvalidSetting, SettingsUnreadable, UnknownSetting

#: As many rows as take about so many seconds: a batch is long enough that what it costs by itself
#: does not count, and short enough that a run can stop, and a lock is held for a moment only.
AUTO: Literal["auto"] = "auto"

Asked = int | Literal["auto"]

#: Tables that hold no business objects: ``"*"`` in ``MODELS`` passes them over, and so does
#: ``"app_label.*"``. Naming one of them in full audits it all the same.
NEVER_BY_WILDCARD = frozenset(
    {
        "admin.logentry",
        "contenttypes.contenttype",
        "sessions.session",
    }
)

#: The largest whole number that every part of a database takes.
MOST = 2**31 - 1
#: Seconds; no lease and no row takes longer.
DAY = 86_400

#: What is known of who writes without anybody saying so.
ORIGINS = ("user", "request_id", "remote_address", "path", "command", "task")


@dataclass(frozen=True)
class Settings:
    """``AUDITREPR = {...}`` in the project's settings; every key may be left out.

    :param MODELS: which models are audited besides those with ``@auditrepr.track``:
        ``"app.Model"``, ``"app.*"`` or ``"*"``; ``"-app.Model"`` is not, whatever else names it.
    :param EXCLUDE: fields that never reach the log, by model: ``{"auth.User": ["password"]}``.
    :param APPEND_ONLY: the log refuses to be changed, by triggers of its own; see
        docs/production.md.
    :param SEARCH: whether an index finds representations by what they say; see docs/admin.md.
    :param MODEL_PERMISSIONS: whether seeing an event in the admin takes the permission to view its
        model; without, whoever may view the log sees all of it.
    :param CONTEXT: what requests, management commands and Celery tasks tell by themselves of who
        writes, and why.
    :param BATCH_SIZE: audit rows in one batch; ``"auto"``: what takes about half a second.
    :param LEASE_SECONDS: after how many seconds without a sign of life another run may take over
        the database lock.
    :param LOCK_FILE: the file of ``--lock file``; by default one for each database, in the
        current user's state folder.
    :param MAX_LENGTH: a longer representation is cut, visibly, at this many characters.
    :param RUNS_KEPT: how many rows ``BackfillRun`` keeps.
    :param LANGUAGE: the language of representations; ``LANGUAGE_CODE`` by default.
    :param TIME_ZONE: the time zone of representations; Django's ``TIME_ZONE`` by default.
    :param REPR: what to use in place of ``str()``, by model: the name of a method, the dotted path
        of a function that takes the instance, or the function itself.
    :param ROW_SECONDS: how long one representation may take.
    """

    MODELS: tuple[str, ...] = ()
    EXCLUDE: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    APPEND_ONLY: bool = False
    SEARCH: bool = False
    MODEL_PERMISSIONS: bool = True
    CONTEXT: tuple[str, ...] = ORIGINS
    BATCH_SIZE: Asked = AUTO
    LEASE_SECONDS: int = 60
    LOCK_FILE: Path | None = None
    MAX_LENGTH: int = 10_000
    RUNS_KEPT: int = 1000
    LANGUAGE: str | None = None
    TIME_ZONE: str | None = None
    REPR: Mapping[str, str | Callable[[Any], object]] = field(default_factory=dict)
    ROW_SECONDS: float = 10.0

    @classmethod
    def load(cls) -> Settings:
        """Read ``settings.AUDITREPR``.

        :raises InvalidSetting: for an unknown key or a value of the wrong kind.
        """
        settings, problems = cls.read()
        for problem in problems:
            raise problem
        return settings

    @classmethod
    def read(cls) -> tuple[Settings, list[InvalidSetting]]:
        """What of ``settings.AUDITREPR`` can be read, and what is wrong with the rest."""
        given = getattr(django_settings, "AUDITREPR", {})
        if not isinstance(given, Mapping):
            return cls(), [SettingsUnreadable(value=given)]
        known = {f.name: _PARSERS[f.name] for f in fields(cls)}
        read: dict[str, Any] = {}
        problems: list[InvalidSetting] = []
        for name, value in given.items():
            if name not in known:
                problems.append(UnknownSetting(name=name, known=", ".join(known)))
                continue
            try:
                read[name] = known[name](name, value)
            except InvalidSetting as problem:
                problems.append(problem)
        return cls(**read), problems


def _names(name: str, value: Any) -> tuple[str, ...]:
    listed = isinstance(value, list | tuple | set | frozenset)
    if not listed or not all(isinstance(item, str) for item in value):
        raise InvalidSetting(name=name, value=value, expected="a list of names")
    return tuple(value)


def _is_by_model(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(model, str) for model in value)


def _names_by_model(name: str, value: Any) -> dict[str, tuple[str, ...]]:
    if not _is_by_model(value):
        raise InvalidSetting(name=name, value=value, expected='like {"auth.User": ["password"]}')
    return {model: _names(name, names) for model, names in value.items()}


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidSetting(name=name, value=value, expected="True or False")
    return value


def _origins(name: str, value: Any) -> tuple[str, ...]:
    names = _names(name, value)
    if not set(names) <= set(ORIGINS):
        raise InvalidSetting(name=name, value=value, expected=f"some of {', '.join(ORIGINS)}")
    return names


def _whole(most: int) -> Callable[[str, Any], int]:
    def parse(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            expected = f"a whole number from 1 to {most}"
            raise InvalidSetting(name=name, value=value, expected=expected)
        return value

    return parse


def _batch_size(name: str, value: Any) -> Asked:
    try:
        return AUTO if value == AUTO else _whole(MOST)(name, value)
    except InvalidSetting:
        expected = f'a whole number from 1 to {MOST}, or "{AUTO}"'
        raise InvalidSetting(name=name, value=value, expected=expected) from None


def _path(name: str, value: Any) -> Path | None:
    if value is not None and (not isinstance(value, str | Path) or "\0" in str(value)):
        raise InvalidSetting(name=name, value=value, expected="the path of a file")
    return Path(value) if value else None


def _language(name: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and check_for_language(value)):
        raise InvalidSetting(name=name, value=value, expected='a language code such as "de"')
    return value


def _time_zone(name: str, value: Any) -> str | None:
    try:
        return value and ZoneInfo(value).key
    except (TypeError, ValueError, OSError, ZoneInfoNotFoundError):
        raise InvalidSetting(name=name, value=value, expected='like "Europe/Berlin"') from None


def _reprs(name: str, value: Any) -> dict[str, str | Callable[[Any], object]]:
    if not _is_by_model(value) or not all(
        isinstance(way, str) or callable(way) for way in value.values()
    ):
        raise InvalidSetting(name=name, value=value, expected='like {"auth.User": "get_full_name"}')
    return {model.lower(): way for model, way in value.items()}


def _duration(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < DAY:
        raise InvalidSetting(name=name, value=value, expected="a number of seconds above 0")
    return float(value)


_PARSERS: dict[str, Any] = {
    "MODELS": _names,
    "EXCLUDE": _names_by_model,
    "APPEND_ONLY": _flag,
    "SEARCH": _flag,
    "MODEL_PERMISSIONS": _flag,
    "CONTEXT": _origins,
    "BATCH_SIZE": _batch_size,
    "LEASE_SECONDS": _whole(DAY),
    "LOCK_FILE": _path,
    "MAX_LENGTH": _whole(MOST),
    "RUNS_KEPT": _whole(MOST),
    "LANGUAGE": _language,
    "TIME_ZONE": _time_zone,
    "REPR": _reprs,
    "ROW_SECONDS": _duration,
}


def get_settings() -> Settings:
    """The settings as they are now; tests may change ``settings.AUDITREPR`` at any time."""
    return Settings.load()
