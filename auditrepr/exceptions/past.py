"""Errors of the past, and of putting objects back."""

from __future__ import annotations

from .base import AuditReprError


class CacheOutOfReach(AuditReprError, AttributeError):
    """Raised when code that runs as of an event bypasses Django's methods to read a live cache."""

    message = (
        "{backend}.{name} leads to the live cache, but code that runs as of an event has an empty"
        " cache of its own. Use the methods of Django's caches, or name another text than str() in"
        ' AUDITREPR["REPR"] or @auditrepr.track(repr=...).'
    )


class PastIsFixed(AuditReprError):
    """Raised when an instance from `auditrepr.as_of()` is saved or deleted."""

    message = (
        "This {model} comes from auditrepr.as_of() and is read-only. Copy what you need to the"
        " current object and save that."
    )


class RowNotImported(AuditReprError, LookupError):
    """Raised by `auditrepr.as_of()` if an imported event says nothing of the object's row."""

    message = (
        "What {model} {pk} held at that moment is not known: its last event was imported from a"
        " log that says only what the object was called. Read the event's representation."
    )


class NotRestored(AuditReprError):
    """Raised when `auditrepr.restore()` refuses to put an object back."""

    message = "{model} {pk} was not put back: {reasons}"


class NoUser(AuditReprError, TypeError):
    """Raised when the events of a user are asked for, and what is given is not a saved user."""

    message = (
        "AuditLog.objects.by() takes a saved user, a primary key or the text that the context"
        " has for the user, not {given}. For the events of an object use for_object()."
    )
