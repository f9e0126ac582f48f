"""Errors of what is audited: settings, decorators, admin classes."""

from __future__ import annotations

from .base import AuditReprError


class InvalidSetting(AuditReprError):
    """Raised when a setting has a value that it cannot have."""

    message = 'AUDITREPR["{name}"] must be {expected}, not {value!r}.'


class SettingsUnreadable(InvalidSetting):
    """Raised when AUDITREPR is not a dictionary."""

    message = "AUDITREPR must be a dictionary, not {value!r}."


class UnknownSetting(InvalidSetting):
    """Raised when AUDITREPR has a key that is not a setting."""

    message = "Unknown setting AUDITREPR[{name!r}]. Valid settings: {known}."


class UnknownModel(AuditReprError):
    """Raised when a setting names a model that is not installed."""

    message = (
        'AUDITREPR["{setting}"] contains {name!r}, which matches no installed model. Use'
        ' "app_label.Model", "app_label.*" or "*".'
    )


class UnknownColumn(AuditReprError):
    """Raised when a field to exclude does not exist."""

    message = (
        "{model} has no field {name!r} to exclude. Correct @auditrepr.track(exclude=[...]) or"
        ' AUDITREPR["EXCLUDE"].'
    )


class KeyExcluded(AuditReprError):
    """Raised when a field to exclude is part of the primary key."""

    message = (
        "{model}.{name} cannot be excluded: it is part of the primary key, by which the log"
        " identifies objects."
    )


class OwnTable(AuditReprError):
    """Raised when auditrepr is asked to audit one of its own models."""

    message = (
        "{setting} names {name}, one of auditrepr's own models. These cannot be audited; remove it."
    )


class NotAudited(AuditReprError):
    """Raised when a command is given a model that is not audited."""

    message = "{name!r} is not an audited model. {hint}"


class UnusableRelated(AuditReprError):
    """Raised when a relation to belong to a model's history does not exist or cannot be used."""

    message = (
        "{model} has no relation {name!r} that its history can show: it {reason}. Correct"
        ' AUDITREPR["RELATED"], or `related` of the admin class.'
    )


class UnusableRepr(AuditReprError):
    """Raised when what to use instead of ``str()`` is not a method or function."""

    message = (
        "{setting} is {way!r} for {model}, which {reason}. Name a method of the model, or give a"
        ' function that takes the instance; AUDITREPR["REPR"] also accepts its dotted path.'
    )
