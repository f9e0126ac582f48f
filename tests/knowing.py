"""Moves what earlier runs have found into the past."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F

from auditrepr.models import KnownFinding


def earlier(span: timedelta) -> None:
    """Move all that is known about findings back by this time."""
    KnownFinding.objects.update(
        first_seen_at=F("first_seen_at") - span, reported_at=F("reported_at") - span
    )
