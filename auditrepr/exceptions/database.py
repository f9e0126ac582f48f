"""Errors of the database, its migrations and rights."""

from __future__ import annotations

from .base import AuditReprError


class UnsupportedDatabase(AuditReprError):
    """Raised when a database is neither PostgreSQL nor SQLite."""

    message = 'auditrepr supports PostgreSQL and SQLite, but database "{alias}" is {vendor}.'


class DatabaseUndefined(UnsupportedDatabase):
    """Raised when the settings leave a database empty, as those may that define others."""

    message = 'DATABASES["{alias}"] names no database. Choose another one: {others}.'


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
        'Database "{alias}" has unapplied migrations of {apps}. Run: manage.py migrate --database'
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


class LogKeptOut(MigrationsPending):
    """Raised when a router keeps the audit log out of the database."""

    message = (
        'A database router (allow_migrate()) keeps the audit log out of database "{alias}".'
        " {remedy}"
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
    """Raised when row-level security hides events from the job, or from pruning."""

    message = (
        'Row-level security hides rows of auditrepr_auditlog in database "{alias}" from this role.'
        " Hidden events would never get a representation, and could be deleted by mistake. Grant"
        " the role BYPASSRLS, or drop the policies."
    )


class MayNotPrune(AuditReprError):
    """Raised when the database role may not delete events."""

    message = (
        'Role {role} may not delete from the audit log in database "{alias}". Run prune_audit_log'
        " as the role that owns the table (docs/security.md)."
    )
