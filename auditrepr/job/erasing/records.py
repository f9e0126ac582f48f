"""The record of an erasure: what it has done, and how an interrupted erasure is recognized."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import secrets
import socket
from contextlib import suppress

from django.db import connections
from django.db.models import F

from ...models import Erasure
from ...vendors import get_vendor
from .target import REPLACED, Target

#: Bytes of the random part of the secret.
SALT = 16


def begin(target: Target) -> Erasure:
    """Return a new record; of what is erased it holds only a digest, until it is finished."""
    return Erasure.objects.using(target.using).create(
        subject=target.subject,
        table_name=target.table_name,
        columns=_columns(target),
        by=_who(target.using),
        secret=_secret(secrets.token_bytes(SALT), target),
    )


def unfinished(target: Target) -> Erasure | None:
    """Return the erasure of this target that was cut short, if there is one."""
    rows = Erasure.objects.using(target.using).filter(finished_at=None, subject=target.subject)
    for row in rows.filter(table_name=target.table_name, columns=_columns(target)).order_by("pk"):
        secret = bytes(row.secret or b"")
        if hmac.compare_digest(secret, _secret(secret[:SALT], target)):
            return row
    return None


def count(record: Erasure, **counts: int) -> None:
    """Add what a batch erases, within its transaction."""
    values = {name: F(name) + number for name, number in counts.items()}
    rows = Erasure.objects.using(record._state.db).filter(pk=record.pk)
    rows.update(**values, finished_at=None)


def finish(record: Erasure) -> None:
    """Record that it is done; what it was about is forgotten."""
    using = str(record._state.db)
    rows = Erasure.objects.using(using).filter(pk=record.pk)
    rows.update(secret=None, finished_at=get_vendor(using).clock())
    record.refresh_from_db(using=using)


def replacement(record: Erasure, key: str) -> str:
    """Return what replaces a key: the same for all of its events, and nothing else's."""
    digest = hmac.digest(bytes(record.secret or b""), key.encode(), hashlib.sha256)
    return f"{REPLACED}{digest.hex()[:16]}]"


def _secret(salt: bytes, target: Target) -> bytes:
    return salt + hmac.digest(salt, target.identity().encode(), hashlib.sha256)


def _columns(target: Target) -> str:
    return ", ".join(sorted(target.named))


def _who(using: str) -> str:
    """Return who erases: the user and host of the process, and the role of the database."""
    user = "unknown"
    with suppress(Exception):  # a process may run under a number without a name
        user = getpass.getuser()
    role = connections[using].settings_dict["USER"]
    return f"{user}@{socket.gethostname()}" + (f", {role}" if role else "")
