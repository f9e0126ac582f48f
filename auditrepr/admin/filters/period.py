"""The filter by date: usual periods, a form, and years, months and days, without counting."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_date
from django.utils.formats import date_format, get_format
from django.utils.timezone import is_aware, localdate, localtime, make_aware
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...models import AuditLog
from ...models.log_queryset import first_id
from ...utils.text import visible

#: An event can be this much older than the one before it: so long may its statement have run.
SLACK = timedelta(minutes=10)
DAY = timedelta(days=1)


class PeriodFilter(admin.ListFilter):
    """A filter by date.

    The log has no index by time, but its IDs are in the order of time, approximately.
    """

    title = _("date")
    template = "auditrepr/period_filter.html"
    parameters: ClassVar = ("since", "until")
    unserved = True

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, Any],
        model: type[Model],
        model_admin: Any,
    ) -> None:
        super().__init__(request, params, model, model_admin)
        given = {name: (params.pop(name, None) or [""])[-1] for name in self.parameters}
        self.days = {name: _day(text) for name, text in given.items()}
        self.used_parameters = {name: str(day) for name, day in self.days.items() if day}
        self.ignored = [
            gettext("“%(value)s” is not a date, so it was ignored. Write dates like 2026-01-31.")
            % {"value": visible(given[name])}
            for name, day in self.days.items()
            if given[name] and day is None
        ]
        # The keys of the first event that may be of this time, and of the first after it.
        self.ids: tuple[int | None, int | None] = (None, None)
        self.first_day: date | None = None

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        self.other_parameters = {
            name: value for name, value in changelist.params.items() if name not in self.parameters
        }
        today = localdate() if settings.USE_TZ else date.today()
        since, until = (self.days[name] for name in self.parameters)
        self.parts = [
            self._choice(changelist, label, *period)
            for label, *period in _parts(since, until, self.first_day, today)
        ]
        for label, begin, end in [
            (_("Any date"), None, None),
            (_("Today"), today, None),
            (_("Yesterday"), today - DAY, today - DAY),
            (_("This week"), _week(today), None),
            (_("Past 7 days"), today - 7 * DAY, None),
        ]:
            yield self._choice(changelist, label, begin, end)

    def _choice(
        self, changelist: ChangeList, label: Any, since: date | None, until: date | None
    ) -> dict[str, Any]:
        period = zip(self.parameters, (since, until), strict=True)
        chosen = {name: str(day) for name, day in period if day}
        return {
            "selected": self.used_parameters == chosen,
            "query_string": changelist.get_query_string(chosen, list(self.parameters)),
            "display": label,
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since, until = (self.days[name] for name in self.parameters)
        log = AuditLog.objects.using(queryset.db)
        begin = log.order_by("pk").values_list("occurred_at", flat=True).first()
        self.first_day = (localtime(begin) if is_aware(begin) else begin).date() if begin else None
        first = end = None
        if since:
            midnight = _midnight(since)
            first = first_id(log, midnight - SLACK)
            queryset = queryset.filter(occurred_at__gte=midnight)
        if until:
            midnight = _midnight(until + DAY)
            end = first_id(log, midnight + SLACK)
            queryset = queryset.filter(occurred_at__lt=midnight)
        self.ids = (first, end)
        return queryset


def _parts(
    since: date | None, until: date | None, first: date | None, today: date
) -> Iterator[tuple[str, date, date]]:
    """Return the parts of the chosen period: the days of a month, the months of a year, or years.

    Of a single day, these are the days of its month. Parts without any event may be among them.
    """
    if first is None:
        return
    if since and until and (since.year, since.month) == (until.year, until.month):
        for day in range(1, calendar.monthrange(since.year, since.month)[1] + 1):
            one = since.replace(day=day)
            if first <= one <= today:
                yield str(day), one, one
    elif since and until and since.year == until.year:
        for month in range(1, 13):
            start, end = _month(since.year, month)
            if start <= today and end >= first:
                yield date_format(start, "F"), start, end
    else:
        for year in range(max(first.year, today.year - 20), today.year + 1):
            yield str(year), date(year, 1, 1), date(year, 12, 31)


def _month(year: int, month: int) -> tuple[date, date]:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _week(day: date) -> date:
    """Return the first day of its week, as the active language counts it."""
    first = int(get_format("FIRST_DAY_OF_WEEK"))  # 0: Sunday
    return day - timedelta(days=(day.isoweekday() - first) % 7)


def _day(text: str) -> date | None:
    try:
        day = parse_date(text)
    except ValueError:
        return None
    # Leave room around it for a time zone, and for some slack.
    return day if day and date.min.year < day.year < date.max.year else None


def _midnight(day: date) -> datetime:
    when = datetime.combine(day, time())
    return make_aware(when) if settings.USE_TZ else when
