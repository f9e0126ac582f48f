"""Errors of what is audited: settings, decorators, admin classes."""

from __future__ import annotations

from typing import Any, ClassVar

from .base import AuditReprError

_ONE = '"app_label.Model"'
_SEVERAL = f'{_ONE}, "app_label.*" or "*"'
#: How settings name models, where it is not one by one.
_NAMES = {
    "MODELS": f'{_SEVERAL}; "-app_label.Model" excepts a model',
    "EXCLUDE": _SEVERAL,
    "RETENTION": _SEVERAL,
}


class Misconfigured(AuditReprError):
    """The base class of mistakes in settings, decorators and admin classes."""

    message = "AUDITREPR, or an argument of @auditrepr.track, is wrong."
    #: The ID with which ``manage.py check`` reports it.
    check_id: ClassVar[str]


class InvalidSetting(Misconfigured):
    """Raised when a setting has a value that it cannot have."""

    check_id = "auditrepr.E001"
    message = 'AUDITREPR["{name}"] must be {expected}, not {value!r}.'


class SettingsUnreadable(InvalidSetting):
    """Raised when AUDITREPR is not a dictionary."""

    message = "AUDITREPR must be a dictionary, not {value!r}."


class UnknownSetting(InvalidSetting):
    """Raised when AUDITREPR has a key that is not a setting."""

    message = "Unknown setting AUDITREPR[{name!r}]. Valid settings: {known}."


class UnknownModel(Misconfigured):
    """Raised when a setting names a model that is not installed."""

    check_id = "auditrepr.E002"
    message = (
        'AUDITREPR["{setting}"] contains {name!r}, which matches no installed model. Use {names}.'
    )

    def __init__(self, *, setting: str, **details: Any) -> None:
        super().__init__(setting=setting, **{"names": _NAMES.get(setting, _ONE), **details})


class UnknownColumn(Misconfigured):
    """Raised when a field to exclude does not exist."""

    check_id = "auditrepr.E003"
    message = (
        "{model} has no field {name!r} to exclude. Correct @auditrepr.track(exclude=[...]) or"
        ' AUDITREPR["EXCLUDE"].'
    )


class KeyExcluded(Misconfigured):
    """Raised when a field to exclude is part of the primary key."""

    check_id = "auditrepr.E004"
    message = (
        "{model}.{name} cannot be excluded: it is part of the primary key, by which the log"
        " identifies objects."
    )


class OwnTable(Misconfigured):
    """Raised when auditrepr is asked to audit one of its own models."""

    check_id = "auditrepr.E005"
    message = (
        "{setting} names {name}, one of auditrepr's own models. These cannot be audited; remove it."
    )


class NotAudited(AuditReprError):
    """Raised when a command is given a model that is not audited."""

    message = "{name!r} is not an audited model. {hint}"


class UnusableRelated(Misconfigured):
    """Raised when a relation to belong to a model's history does not exist or cannot be used."""

    check_id = "auditrepr.E010"
    message = (
        "{model} has no relation {name!r} that its history can show: it {reason}. Correct"
        ' AUDITREPR["RELATED"], or `related` of the admin class.'
    )


class UnusableRepr(Misconfigured):
    """Raised when what to use instead of ``str()`` is not a method or function."""

    check_id = "auditrepr.E008"
    message = (
        "{setting} is {way!r} for {model}, which {reason}. Name a method of the model, or give a"
        ' function that takes the instance; AUDITREPR["REPR"] also accepts its dotted path.'
    )


class UnusableSource(Misconfigured):
    """Raised when what is to select the events of another log cannot be called."""

    check_id = "auditrepr.E011"
    message = (
        'AUDITREPR["SOURCES"] is {way!r} for {source!r}, which {reason}. Give a function that takes'
        " the alias of a database, or its dotted path; or remove the entry."
    )
