"""The settings, typed, and read when they are first used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.translation import check_for_language

from .ages import Age
from .exceptions import InvalidSetting, SettingsUnreadable, UnknownSetting

#: As many events as take about this long: long enough that a batch's fixed cost does not count,
#: short enough that a run can stop soon and holds its locks only briefly.
AUTO: Literal["auto"] = "auto"

Asked = int | Literal["auto"]

#: Tables without business objects: ``"*"`` and ``"app_label.*"`` in ``MODELS`` skip them.
#: Naming one of them in full still audits it.
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

#: What can be recorded automatically about who makes a change.
ORIGINS = ("user", "request_id", "remote_address", "path", "command", "task")


#: What can be typed on a command line, and does not look like an option.
_SOURCE_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """``AUDITREPR = {...}`` in the project's settings; every key is optional.

    :param MODELS: models to audit, in addition to those decorated with ``@auditrepr.track``:
        ``"app.Model"``, ``"app.*"`` or ``"*"``; ``"-app.Model"`` is not audited, whatever else
        names it.
    :param EXCLUDE: fields that are never recorded, by model: ``{"auth.User": ["password"]}``.
    :param APPEND_ONLY: install triggers that reject changes to the log; see docs/security.md.
    :param SEAL: seal settled events, so that later changes to the log show; see docs/seal.md.
    :param SEARCH: maintain indexes for searching representations and values; see docs/admin.md.
    :param MODEL_PERMISSIONS: in the admin, show an event only to users who may view its model;
        ``False``: users who may view the log see all events.
    :param HISTORY_BUTTON: in the admin, the History button of every audited model shows the audit
        log, and a user's page links to what the user did; ``False``: only where
        ``AuditHistoryMixin`` is used.
    :param CONTEXT: what is recorded automatically about who makes a change, from requests,
        management commands and Celery tasks.
    :param BATCH_SIZE: events per batch; ``"auto"``: as many as take about half a second of the
        job's CPU time.
    :param LEASE_SECONDS: seconds until another run may take over a database lock that its holder
        does not renew.
    :param LOCK_FILE: the lock file for ``--lock file``; by default one file per database in the
        user's state directory.
    :param MAX_LENGTH: maximum length of a representation; longer text is visibly truncated.
    :param RUNS_KEPT: number of past runs to keep.
    :param LANGUAGE: language of representations; ``LANGUAGE_CODE`` by default.
    :param TIME_ZONE: time zone of representations; Django's ``TIME_ZONE`` by default.
    :param REPR: what to use instead of ``str()``, by model: a method name, the dotted path of a
        function that takes the instance, or the function itself.
    :param RELATED: relations whose changes belong to an object's history, by its model:
        ``{"shop.Order": ["lines"]}``.
    :param SOURCES: audit logs of the project's own, for ``import_audit_log``, by the name that each
        gets: the function that returns its SELECT, or the function's dotted path.
    :param ROW_SECONDS: time limit for building one representation, in seconds.
    :param RETENTION: how long ``prune_audit_log`` keeps the events of a model: ``{"shop.Cart":
        "90 days", "shop.*": "2 years", "*": "7 years"}``. What no entry names is kept.
    """

    MODELS: tuple[str, ...] = ()
    EXCLUDE: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    APPEND_ONLY: bool = False
    SEAL: bool = False
    SEARCH: bool = False
    MODEL_PERMISSIONS: bool = True
    HISTORY_BUTTON: bool = True
    CONTEXT: tuple[str, ...] = ORIGINS
    BATCH_SIZE: Asked = AUTO
    LEASE_SECONDS: int = 60
    LOCK_FILE: Path | None = None
    MAX_LENGTH: int = 10_000
    RUNS_KEPT: int = 1000
    LANGUAGE: str | None = None
    TIME_ZONE: str | None = None
    REPR: Mapping[str, str | Callable[[Any], object]] = field(default_factory=dict)
    RELATED: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    SOURCES: Mapping[str, str | Callable[[str], str]] = field(default_factory=dict)
    ROW_SECONDS: float = 10.0
    RETENTION: Mapping[str, Age] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Any) -> Settings:
        """Return the settings that these values of ``settings.AUDITREPR`` mean.

        :raises InvalidSetting: for an unknown key or a value of the wrong kind.
        """
        settings, problems = cls.read(given)
        for problem in problems:
            raise problem
        return settings

    @classmethod
    def read(cls, given: Any) -> tuple[Settings, list[InvalidSetting]]:
        """Return what of these values can be used, and what is wrong with the others."""
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


def _names_by_model(example: str) -> Callable[[str, Any], dict[str, tuple[str, ...]]]:
    def parse(name: str, value: Any) -> dict[str, tuple[str, ...]]:
        if not _is_by_model(value):
            expected = f"a dictionary such as {example}"
            raise InvalidSetting(name=name, value=value, expected=expected)
        return {model: _names(name, names) for model, names in value.items()}

    return parse


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidSetting(name=name, value=value, expected="True or False")
    return value


def _origins(name: str, value: Any) -> tuple[str, ...]:
    names = _names(name, value)
    if not set(names) <= set(ORIGINS):
        raise InvalidSetting(
            name=name, value=value, expected=f"a list with any of {', '.join(ORIGINS)}"
        )
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
        raise InvalidSetting(name=name, value=value, expected="a file path")
    return Path(value) if value else None


def _language(name: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and check_for_language(value)):
        raise InvalidSetting(name=name, value=value, expected='a language code such as "de"')
    return value


def _time_zone(name: str, value: Any) -> str | None:
    try:
        return value and ZoneInfo(value).key
    except (TypeError, ValueError, OSError, ZoneInfoNotFoundError):
        raise InvalidSetting(
            name=name, value=value, expected='a time zone name such as "Europe/Berlin"'
        ) from None


def _reprs(name: str, value: Any) -> dict[str, str | Callable[[Any], object]]:
    if not _is_by_model(value) or not all(
        isinstance(way, str) or callable(way) for way in value.values()
    ):
        raise InvalidSetting(
            name=name, value=value, expected='a dictionary such as {"auth.User": "get_full_name"}'
        )
    return {model.lower(): way for model, way in value.items()}


def _sources(name: str, value: Any) -> dict[str, str | Callable[[str], str]]:
    if not _is_by_model(value) or not all(
        _SOURCE_NAME.fullmatch(source) and (callable(way) or _is_path(way))
        for source, way in value.items()
    ):
        raise InvalidSetting(
            name=name,
            value=value,
            expected='a dictionary such as {"ours": "shop.old_log.select"}, from a name of letters,'
            " digits, dots, hyphens and underscores to a function or its dotted path",
        )
    return dict(value)


def _is_path(way: Any) -> bool:
    return isinstance(way, str) and "." in way and all(map(str.isidentifier, way.split(".")))


def _ages(name: str, value: Any) -> dict[str, Age]:
    expected = (
        'a dictionary such as {"shop.Cart": "90 days", "*": "7 years"}, with a number of days,'
        " weeks, months or years"
    )
    if not _is_by_model(value) or not all(isinstance(age, str) for age in value.values()):
        raise InvalidSetting(name=name, value=value, expected=expected)
    try:
        return {model: Age.parse(age) for model, age in value.items()}
    except ValueError as error:
        raise InvalidSetting(name=name, value=error.args[0], expected=expected) from None


def _duration(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < DAY:
        raise InvalidSetting(
            name=name, value=value, expected="a number of seconds between 0 and 86400"
        )
    return float(value)


_PARSERS: dict[str, Any] = {
    "MODELS": _names,
    "EXCLUDE": _names_by_model('{"auth.User": ["password"]}'),
    "APPEND_ONLY": _flag,
    "SEAL": _flag,
    "SEARCH": _flag,
    "MODEL_PERMISSIONS": _flag,
    "HISTORY_BUTTON": _flag,
    "CONTEXT": _origins,
    "BATCH_SIZE": _batch_size,
    "LEASE_SECONDS": _whole(DAY),
    "LOCK_FILE": _path,
    "MAX_LENGTH": _whole(MOST),
    "RUNS_KEPT": _whole(MOST),
    "LANGUAGE": _language,
    "TIME_ZONE": _time_zone,
    "REPR": _reprs,
    "RELATED": _names_by_model('{"shop.Order": ["lines"]}'),
    "SOURCES": _sources,
    "ROW_SECONDS": _duration,
    "RETENTION": _ages,
}


class _Parsed(NamedTuple):
    """Settings, and what they were parsed from."""

    given: Any
    values: dict[str, Any]  # a copy: code may change a key in place
    settings: Settings


_NONE: Mapping[str, Any] = {}
_parsed: _Parsed | None = None


def get_settings() -> Settings:
    """Return the settings as they are now; they are parsed once, and again when they change.

    :raises InvalidSetting: for an unknown key or a value of the wrong kind.
    """
    global _parsed
    given = getattr(django_settings, "AUDITREPR", _NONE)
    found = _parsed  # another thread may replace it
    if found is None or found.given is not given or found.values != given:
        settings = Settings.parse(given)
        _parsed = found = _Parsed(given, dict(given), settings)
    return found.settings


def _forget(**_: Any) -> None:
    """Receive ``setting_changed``: what is valid depends on other settings, too."""
    global _parsed
    _parsed = None


setting_changed.connect(_forget)
