"""Errors that say, in their first line, what is wrong and what to do.

One base; a subclass's docstring is its message, with ``{placeholders}`` for what the raiser knows.
"""

from __future__ import annotations

from typing import Any


class AuditReprError(Exception):
    """auditrepr cannot go on."""

    def __init__(self, **details: Any) -> None:
        self.details = details
        super().__init__(" ".join((self.__doc__ or "").format(**details).split()))


class UnsupportedDatabase(AuditReprError):
    """auditrepr works on PostgreSQL and SQLite; database "{alias}" is {vendor}."""


class UnknownModel(AuditReprError):
    """AUDITREPR["{setting}"] names {name!r}, which matches no installed model: write
    "app_label.Model", "app_label.*" or "*"."""


class OwnTable(AuditReprError):
    """{setting} names {name}, whose table is one of the audit log's own: those cannot be
    audited."""


class UnknownColumn(AuditReprError):
    """{model} has no field {name!r} that could be left out of its audit log: correct
    @auditrepr.track(exclude=[...]) or AUDITREPR["EXCLUDE"]."""


class KeyExcluded(AuditReprError):
    """{model}.{name} is part of the primary key, which is how the log names an object: it cannot
    be left out of the log."""


class InvalidSetting(AuditReprError):
    """AUDITREPR["{name}"] is {value!r}, but has to be {expected}."""


class SettingsUnreadable(InvalidSetting):
    """AUDITREPR is {value!r}, but has to be a dictionary."""


class UnknownSetting(InvalidSetting):
    """AUDITREPR["{name}"] is no setting. These are: {known}"""


class UnusableRepr(AuditReprError):
    """{setting} is {way!r} for {model}, which {reason}: name a method of the model, or give a
    function that takes the instance; in AUDITREPR["REPR"], its dotted path will do."""


class NotAudited(AuditReprError):
    """There is no audited model {name!r}. These are: {known}"""


class MigrationsPending(AuditReprError):
    """Database "{alias}" lacks migrations: {names}. Run: manage.py migrate --database {alias}"""


class LogElsewhere(MigrationsPending):
    """Schema "{schema}" of database "{alias}" has no audit log of its own, and that of another
    schema is not touched. Run: manage.py migrate --database {alias}, with this schema first in
    its search_path (with django-tenants: manage.py migrate_schemas --schema={schema})"""


class TablesLeaving(MigrationsPending):
    """Database "{alias}": a pending migration renames, deletes or changes {names}, so the triggers
    there stay as they are, and go on recording. Run: manage.py migrate --database {alias}"""


class RowsHidden(AuditReprError):
    """Row-level security hides rows of auditrepr_auditlog in "{alias}" from this role, and what it
    hides would never be represented: give the role BYPASSRLS, or take the policies away."""


class MigrationsUnreadable(AuditReprError):
    """The project's migrations cannot be read: {reason}"""


class NothingCommitted(AuditReprError):
    """DATABASES["{alias}"] has AUTOCOMMIT off, so that Django commits nothing by itself, and all of
    this would be lost: run it with settings that leave AUTOCOMMIT on."""


class DatabaseUnreachable(AuditReprError):
    """Database "{alias}" cannot be reached: {reason}"""


class LockUnavailable(AuditReprError):
    """The lock file {path} cannot be used: {reason}. Set AUDITREPR["LOCK_FILE"] to a file that
    this user may write, or use --lock database."""


class LeaseLost(AuditReprError):
    """Another run took over the lock; this one has stored nothing since its last batch."""


class LockHeld(AuditReprError):
    """The job is at work: {holder}. Try again later, or give --wait SECONDS."""


class MayNotPrune(AuditReprError):
    """Role {role} may not delete from the audit log of database "{alias}": prune as the role that
    owns its table (docs/production.md)."""


class NothingToRebuild(AuditReprError):
    """Audit row {pk} is a TRUNCATE of {table}: it stands for a table, so there is no object to
    represent."""


class ModelUnknown(AuditReprError):
    """No installed model uses the table {table}."""


class PastIsFixed(AuditReprError):
    """This {model} is one of the past, from auditrepr.as_of(): copy what you need of it to
    today's object, and save that."""
