"""The settings, typed, and read when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from ..exceptions import InvalidSetting, SettingsUnreadable, UnknownSetting
from .ages import Age
from .parsers import AUTO, ORIGINS, PARSERS, Asked

#: Tables without business objects: ``"*"`` and ``"app_label.*"`` in ``MODELS`` skip them.
#: Naming one of them in full still audits it.
NEVER_BY_WILDCARD = frozenset(
    {
        "admin.logentry",
        "contenttypes.contenttype",
        "sessions.session",
    }
)


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
        known = {f.name: PARSERS[f.name] for f in fields(cls)}
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
