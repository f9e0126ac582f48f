"""Errors of attaching the log to another one."""

from __future__ import annotations

from .base import AuditReprError


class NotAttachable(AuditReprError):
    """Raised when a source cannot be read in the log's place."""

    message = (
        'The audit log cannot be attached to source "{source}": {reason}. Import its events'
        " instead: manage.py import_audit_log {source}"
    )


class MayNotReadLog(AuditReprError):
    """Raised when the role that owns auditrepr's log may not read the other one."""

    message = (
        'Role {role} may not read the log of source "{source}" in database "{alias}": {reason}.'
        " Have the owner of that log grant it SELECT on the table, and USAGE on its schema."
    )


class LogInUse(AuditReprError):
    """Raised when the log is to be attached to another one, and has something of its own."""

    message = (
        'The audit log in database "{alias}" has {what}, and only an empty one can be attached to'
        ' another log. Import the events of "{source}" instead, so that all are in one log:'
        " manage.py import_audit_log {source}"
    )


class IndexesMissing(AuditReprError):
    """Raised when a log lacks the indexes without which every look-up would read all of it."""

    message = (
        "The table {table} lacks indexes without which every look-up would read all of it. Have"
        " its owner run these statements, then repeat this command:\n{statements}"
    )


class LogAttached(AuditReprError):
    """Raised when something cannot be done because the log is attached to another one."""

    message = (
        'The audit log in database "{alias}" is attached to source "{source}", whose own tool'
        " writes, keeps and deletes its events: {what}. To have a log of auditrepr's own again,"
        " run: manage.py audit_triggers detach --database {alias}"
    )


class LogNotAttached(AuditReprError):
    """Raised when a log is to be detached that is not attached to another one."""

    message = 'The audit log in database "{alias}" is not attached to another log.'


class ViewMissing(AuditReprError):
    """Raised when an interrupted migration has left an attached log without its view."""

    message = (
        'The audit log in database "{alias}" is attached to source "{source}", but a migration was'
        " interrupted and has left its own, empty table in place. Run: manage.py migrate"
        " --database {alias}"
    )


class SettingsOfOwnLog(AuditReprError):
    """Raised when settings ask for what cannot be done with another log."""

    message = (
        'Source "{source}" is kept by its own tool, so auditrepr neither seals nor prunes it, nor'
        ' makes it append-only. To attach the audit log in database "{alias}" to it, remove'
        " {settings}."
    )
