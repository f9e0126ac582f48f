"""What the value of each setting may be: each parser returns it, or says what is expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils.translation import check_for_language

from ..exceptions import InvalidSetting
from .ages import Age

#: As many events as take about this long: long enough that a batch's fixed cost does not count,
#: short enough that a run can stop soon and holds its locks only briefly.
AUTO: Literal["auto"] = "auto"

Asked = int | Literal["auto"]

#: The largest whole number that every part of a database takes.
MOST = 2**31 - 1
#: Seconds; no lease and no row takes longer.
DAY = 86_400
#: Seconds. An alarm, or a database, takes less for 0, which means no limit.
LEAST = 0.001

#: What can be recorded automatically about who makes a change.
ORIGINS = ("user", "request_id", "remote_address", "path", "command", "task")


#: What can be typed on a command line, and does not look like an option.
_SOURCE_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*", re.ASCII)


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
    """Return the path, which must mean the same file in every working directory."""
    if value in (None, ""):
        return None
    try:
        path = Path(value).expanduser()
        usable = path.is_absolute() and bool(path.name) and "\0" not in str(path)
    except (TypeError, RuntimeError):  # RuntimeError: there is no home directory
        usable = False
    if not usable:
        expected = 'an absolute file path such as "/run/shop/audit.lock" or "~/audit.lock"'
        raise InvalidSetting(name=name, value=value, expected=expected)
    return path


def _language(name: str, value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and check_for_language(value)):
        raise InvalidSetting(name=name, value=value, expected='a language code such as "de"')
    return value


def _time_zone(name: str, value: Any) -> str | None:
    try:
        return None if value in (None, "") else ZoneInfo(value).key
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
    _in_one_spelling(name, value)
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
    _in_one_spelling(name, value)
    try:
        return {model: Age.parse(age) for model, age in value.items()}
    except ValueError as error:
        raise InvalidSetting(name=name, value=error.args[0], expected=expected) from None


def _in_one_spelling(name: str, entries: Mapping[str, object]) -> None:
    """Refuse two entries that differ only in case: one of them would silently have no effect."""
    seen: dict[str, str] = {}
    for entry in entries:
        other = seen.setdefault(entry.lower(), entry)
        if other != entry:
            expected = "a dictionary that names each model once, in whatever case"
            raise InvalidSetting(name=name, value=f"{other}, {entry}", expected=expected)


def _duration(name: str, value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not LEAST <= value <= DAY:
        raise InvalidSetting(
            name=name, value=value, expected=f"a number of seconds from {LEAST} to {DAY}"
        )
    return float(value)


#: What reads the value of each setting, and raises ``InvalidSetting``.
PARSERS: dict[str, Any] = {
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
