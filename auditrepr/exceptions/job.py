"""Errors of the job: its lock, its rounds, its tasks."""

from __future__ import annotations

from .base import AuditReprError


class LockUnavailable(AuditReprError):
    """Raised when the lock file cannot be opened or created."""

    message = (
        'Could not use the lock file {path}: {reason}. Set AUDITREPR["LOCK_FILE"] to a file that'
        " this user can write, or use --lock database."
    )


class LockHeld(AuditReprError):
    """Raised when a command needs the lock that a run holds."""

    message = "The lock is held by {holder}. Try again later, or use --wait SECONDS."


class LockWaitStopped(LockHeld):
    """Raised when a signal ends the wait for the lock."""

    message = "Stopped while waiting for the lock, which {holder} holds. Nothing was changed."


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


class RoundUnfinished(AuditReprError):
    """Raised when a command cannot work while several workers share the backlog."""

    message = (
        "Several workers share the backlog. Wait until they are done, or cancel the round:"
        " manage.py backfill_status --cancel"
    )


class NothingToRebuild(AuditReprError):
    """Raised when a representation is requested for the event of a TRUNCATE."""

    message = (
        "Event {pk} is a TRUNCATE of {table}. It concerns the whole table, so there is no object to"
        " represent."
    )
