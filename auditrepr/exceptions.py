"""Errors that say, in their first line, what is wrong and what to do.

Each subclass has its text in `message`, with ``{placeholders}`` for what the raiser knows. It is
an attribute and not the docstring, because ``python -OO`` drops docstrings.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar


class AuditReprError(Exception):
    """The base class of auditrepr's errors."""

    message: ClassVar[str] = "auditrepr cannot continue."

    def __init__(self, **details: Any) -> None:
        self.details = details
        super().__init__(self.message.format(**details))

    def __reduce__(self) -> tuple[Any, ...]:
        # From one process to another, as between those of a Celery worker.
        return partial(type(self), **self.details), ()


# What is audited: settings, decorators, admin classes


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


# The database, its migrations and rights


class UnsupportedDatabase(AuditReprError):
    """Raised when a database is neither PostgreSQL nor SQLite."""

    message = 'auditrepr supports PostgreSQL and SQLite, but database "{alias}" is {vendor}.'


class DatabaseUnreachable(AuditReprError):
    """Raised when the database cannot be connected to."""

    message = 'Could not connect to database "{alias}": {reason}'


class NothingCommitted(AuditReprError):
    """Raised when a database does not commit automatically."""

    message = (
        'DATABASES["{alias}"] turns AUTOCOMMIT off, so nothing that this command writes would be'
        " committed. Run it with settings that leave AUTOCOMMIT on."
    )


class MigrationsPending(AuditReprError):
    """Raised when the tables of the audit log are missing or outdated."""

    message = (
        'Database "{alias}" has unapplied migrations: {names}. Run: manage.py migrate --database'
        " {alias}"
    )


class LogElsewhere(MigrationsPending):
    """Raised when the audit log is in another schema than the connection's own."""

    message = (
        'Schema "{schema}" of database "{alias}" has no audit log of its own, and logs of other'
        " schemas are not touched. Run: manage.py migrate --database {alias}, with this schema"
        " first in its search_path (with django-tenants: manage.py migrate_schemas"
        " --schema={schema})"
    )


class TablesLeaving(MigrationsPending):
    """Raised when triggers must stay until a pending migration is applied."""

    message = (
        'Database "{alias}": a pending migration renames, deletes or changes {names}, so their'
        " triggers stay as they are and continue to record. Run: manage.py migrate --database"
        " {alias}"
    )


class MigrationsUnrecorded(AuditReprError):
    """Raised when the tables exist, but no record of the migrations that created them."""

    message = (
        'Database "{alias}" has no record of migrations, as in a test suite that runs without them'
        ' (TEST: {{"MIGRATE": False}}, --nomigrations), so it is unknown whether its tables match'
        " the models. Run these tests with migrations, or build representations without the job:"
        " event.build_instance_repr()."
    )


class MigrationsUnreadable(AuditReprError):
    """Raised when Django cannot load the project's migrations."""

    message = (
        "Could not load the project's migrations: {reason}. Check with: manage.py showmigrations"
    )


class RightsMissing(AuditReprError):
    """Raised when the database refuses access; the message lists the missing rights."""

    message = (
        '{role} may not do this in database "{alias}": {reason}. It lacks {rights}: see'
        " docs/security.md."
    )


class RowsHidden(AuditReprError):
    """Raised when row-level security hides events from the job."""

    message = (
        'Row-level security hides rows of auditrepr_auditlog in database "{alias}" from this role.'
        " Hidden events would never get a representation. Grant the role BYPASSRLS, or drop the"
        " policies."
    )


class MayNotPrune(AuditReprError):
    """Raised when the database role may not delete events."""

    message = (
        'Role {role} may not delete from the audit log in database "{alias}". Run prune_audit_log'
        " as the role that owns the table (docs/security.md)."
    )


# Seals


class NothingSealed(AuditReprError):
    """Raised when seals are to be verified or exported, and there are none."""

    message = (
        'The audit log in database "{alias}" is not sealed. Set AUDITREPR["SEAL"] to True, or run:'
        " manage.py seal_audit_log"
    )


class SealBroken(AuditReprError):
    """Raised when events are to be deleted that are no longer what was sealed."""

    message = (
        "The audit log differs from its seals: {difference}. Nothing of this range was deleted,"
        " because that would remove the evidence. Keep a copy of the database, and find out more"
        " with verify_audit_log. Once the log is as it was sealed, for example from a backup,"
        " repeat the command. If that cannot be, add --ignore-seals."
    )


class SealUnknown(AuditReprError):
    """Raised when a seal is named that does not exist."""

    message = "There is no seal {number}: the last one is {last}."


class ExportUnreadable(AuditReprError):
    """Raised when a file is not an export of seals."""

    message = "Could not read the seals in {path}: {reason}."


# The job: its lock, its rounds, its tasks


class LockUnavailable(AuditReprError):
    """Raised when the lock file cannot be opened or created."""

    message = (
        'Could not use the lock file {path}: {reason}. Set AUDITREPR["LOCK_FILE"] to a file that'
        " this user can write, or use --lock database."
    )


class LockHeld(AuditReprError):
    """Raised when a command needs the lock that a run holds."""

    message = "The lock is held by {holder}. Try again later, or use --wait SECONDS."


class LeaseLost(AuditReprError):
    """Raised when another run has taken over the database lock of this one."""

    message = (
        "Another run took over the lock. Earlier batches are stored; the current one was rolled"
        " back."
    )


class RoundVoided(LeaseLost):
    """Raised when the round that a run works in was canceled."""

    message = (
        "The round was canceled: by backfill_status --cancel, in the admin, or by a command that"
        " must work alone (prune_audit_log, rebuild_reprs, --rescan). Earlier batches are stored;"
        " the current one was rolled back. The next run does the rest."
    )


class JobFailed(AuditReprError):
    """Raised by a task of the job where the command exits with 1: a run ended with an error."""

    message = "{errors}"


class UnusablePool(AuditReprError):
    """Raised when a Celery worker's pool cannot interrupt a row."""

    message = (
        "Task {task} cannot run in Celery's {pool} pool: no row can be interrupted there that takes"
        " longer than ROW_SECONDS. Give its queue a worker with --pool prefork or --pool solo"
        " (docs/celery.md)."
    )


# The export


class BeyondTheLog(AuditReprError):
    """Raised when an export is to continue after an event that the log does not reach."""

    message = (
        'The log in database "{alias}" ends at event {top}, before event {id}: it was restored from'
        " an older backup, or it is another log. To continue without missing events, use"
        " --follow-from with the ID of the last event that both logs have, or start to send all"
        " events again."
    )


class PositionUnreadable(AuditReprError):
    """Raised when a file does not hold the ID from which an export continues."""

    message = (
        "Could not read where to continue from {path}: {reason}. Correct it: it holds the ID of the"
        " last exported event; without the file, the export starts with the first event."
    )


class OutputUnwritable(AuditReprError):
    """Raised when a file that a command writes cannot be written."""

    message = "Could not write {path}: {reason}."


class OutputBusy(AuditReprError):
    """Raised when another export writes to the same file."""

    message = "Another export is writing to {path}. Try again later."


# Importing other logs


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


class RoundUnfinished(AuditReprError):
    """Raised when a command cannot work while several workers share the backlog."""

    message = (
        "Several workers share the backlog. Wait until they are done, or cancel the round:"
        " manage.py backfill_status --cancel"
    )


# The past, and putting objects back


class NothingToRebuild(AuditReprError):
    """Raised when a representation is requested for the event of a TRUNCATE."""

    message = (
        "Event {pk} is a TRUNCATE of {table}. It concerns the whole table, so there is no object to"
        " represent."
    )


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
