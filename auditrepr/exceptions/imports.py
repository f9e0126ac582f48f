"""Errors of importing other logs."""

from __future__ import annotations

from .base import AuditReprError


class UnknownSource(AuditReprError):
    """Raised when a command is given a source that does not exist."""

    message = (
        "There is no source {name!r}. Known sources: {known}. For a log of your own, name a"
        ' function that returns its SELECT: AUDITREPR["SOURCES"] = {{"ours": "path.to.function"}}.'
    )


class SourceUnavailable(AuditReprError):
    """Raised when a source is not there."""

    message = 'Source "{source}" is not available in database "{alias}": {reason}.'


class SourceUnreadable(AuditReprError):
    """Raised when the function of a source does not return a SELECT that can be executed."""

    message = 'Could not read source "{source}": {reason}.'


class SourceColumns(AuditReprError):
    """Raised when the SELECT of a source has other columns than it must have."""

    message = (
        'The SELECT of source "{source}" {problem}. It must have the columns {required}, and may'
        " have {optional}."
    )


class SourceTypes(AuditReprError):
    """Raised when columns of a source's SELECT have other types than they must have."""

    message = (
        'The SELECT of source "{source}" has columns of a wrong type: {columns}. Cast them in the'
        " SELECT, such as row_data::jsonb."
    )


class MayNotImport(AuditReprError):
    """Raised when the database role may not add events, or not read a source."""

    message = (
        'Role {role} may not do this in database "{alias}": {reason}. Run import_audit_log as the'
        " role that owns the audit log (docs/security.md), and grant it SELECT on the other log."
    )


class NothingCovered(AuditReprError):
    """Raised when another log is to be imported before auditrepr records anything."""

    message = (
        'auditrepr does not record any table of database "{alias}" yet, so changes between the end'
        " of the other log and its own beginning would be lost. Run: manage.py audit_triggers"
        " install --database {alias}"
    )


class UntilTooLate(AuditReprError):
    """Raised when events would be imported that are not older than the log."""

    message = (
        "The log begins at {beginning}. Imported events come before all others, so later ones"
        " cannot be imported. Use --until {beginning}, an earlier time, or leave --until out."
    )


class AlreadyImported(AuditReprError):
    """Raised when a source is named again, without a time."""

    message = (
        'Source "{source}" was imported already, with its events from before {until}. If it has'
        " older events than the log by now, import them with --until {beginning}."
    )


class EventsMissed(AuditReprError):
    """Raised when a source has events that neither can be imported nor are in the log."""

    message = (
        'Source "{source}" has events that are too late to import, because the log begins at'
        " {beginning}, and that auditrepr did not record: {tables}. Sources of the same time must"
        " be imported together, and tables that the source still records must be audited from"
        " the log's beginning. To import the others without these, use --until {beginning}."
    )


class EventsUnfit(AuditReprError):
    """Raised when events of a source are not as the contract wants them."""

    message = (
        'Source "{source}" has events that cannot be imported: {problems}. Correct its SELECT.'
    )


class ImportUnfinished(AuditReprError):
    """Raised when an import would begin before another one has ended."""

    message = (
        "The import of {sources} is unfinished: {left} are left. To continue it, run: manage.py"
        " import_audit_log {command} (without other options that select events). To end it with"
        " the events that it has imported, add --abandon."
    )


class NoUnfinishedImport(AuditReprError):
    """Raised when there is no import to abandon."""

    message = "There is no unfinished import of {sources} to abandon."


class SourceChanged(AuditReprError):
    """Raised when a source no longer has events that an import has planned."""

    message = (
        'Source "{source}" no longer has {missing} that the import has planned. The last batch was'
        " rolled back. Bring them back and continue, or end the import with what it has imported:"
        " --abandon."
    )
