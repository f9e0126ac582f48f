"""Times as people type them into the pages, in the current time zone."""

from __future__ import annotations

from datetime import date, datetime

from django.conf import settings
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import get_current_timezone_name, is_aware, localtime

from ..asof.asked import event_or_time
from ..readers.permissions import DATABASE, address_of


def asked_time(text: str) -> datetime | None:
    """Return the time that this text is; of a date, its end. None if it is not a time."""
    try:
        found: date | None = parse_datetime(text.strip()) or parse_date(text.strip())
        # Leave room around it for a time zone.
        if found is None or not date.min.year < found.year < date.max.year:
            return None
        when = event_or_time(found, "")
    except (ValueError, OverflowError):
        return None
    return when if isinstance(when, datetime) else None


def typed(when: datetime) -> str:
    """Return the time as a form's field for it holds it."""
    local = localtime(when) if is_aware(when) else when
    return local.replace(tzinfo=None).isoformat(timespec="seconds")


def form(using: str, table_name: str, object_id: str) -> dict[str, str]:
    """Return what the form for an object as of a moment needs, but for its own fields."""
    return {
        "table_name": table_name,
        "object_id": object_id,
        "database": address_of(using).get(DATABASE, ""),
        "time_zone": get_current_timezone_name() if settings.USE_TZ else settings.TIME_ZONE,
    }
