"""What really happened to countries since 1974, repeated in its order.

Each kind of change is written in another way, as in a grown application: a country that continues
under a new code is saved, one that ends is updated without being read, a new name comes in raw SQL,
regions are merged with all three, and organizations change in requests. Each change has the editor
who made it, and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connection

from . import organizations, source
from .load import add_country
from .models import Country, Subdivision, Succession
from .people import ADA, LUC, SOFIA, Editor


@dataclass(frozen=True)
class Change:
    """One historical change, and how to make it here."""

    when: str  # a year or a day
    what: str
    by: Editor
    why: str
    apply: Callable[[], None]


def changes() -> list[Change]:
    """Return all changes, oldest first."""
    found = [*_withdrawals(), *_new_names(), *_mergers(), *_memberships()]
    return sorted(found, key=lambda change: change.when)


def _withdrawals() -> Iterator[Change]:
    for entry in source.withdrawals():
        values = source.renamed_to(entry)
        if values:
            what, apply = f"{entry.name} → {values['name']}", partial(_rename, entry, values)
        else:
            what, apply = f"{entry.name} ends: now {_names(entry)}", partial(_end, entry)
        why = f"ISO 3166-3: {entry.alpha_4}"
        yield Change(entry.withdrawal_date, what, ADA, why, apply)


def _names(entry: Any) -> str:
    return ", ".join(source.country(code).name for code in source.successors(entry))


def _rename(entry: Any, values: dict[str, str]) -> None:
    country = Country.objects.get(alpha_3=entry.alpha_3, withdrawn="")
    for name, value in values.items():
        setattr(country, name, value)
    country.former_code = entry.alpha_4
    country.save()
    _succeed(country, source.successors(entry))


def _end(entry: Any) -> None:
    country = Country.objects.get(alpha_3=entry.alpha_3, withdrawn="")
    Country.objects.filter(pk=country.pk).update(
        withdrawn=entry.withdrawal_date, former_code=entry.alpha_4
    )
    _succeed(country, source.successors(entry))


def _succeed(predecessor: Country, codes: list[str]) -> None:
    there = {c.alpha_2: c for c in Country.objects.filter(alpha_2__in=codes, withdrawn="")}
    Succession.objects.bulk_create(
        Succession(predecessor=predecessor, successor=there.get(code) or add_country(code))
        for code in codes
    )


def _new_names() -> Iterator[Change]:
    for change in source.NEW_NAMES:
        values = source.today(change.alpha_2)
        what = f"{change.name} → {values['name']}"
        why = f"new name since {change.year}"
        yield Change(change.year, what, ADA, why, partial(_take_new_name, values))


def _take_new_name(values: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE gazetteer_country SET name = %(name)s, common_name = %(common_name)s,"
            " official_name = %(official_name)s WHERE alpha_2 = %(alpha_2)s AND withdrawn = ''",
            values,
        )


def _mergers() -> Iterator[Change]:
    for code in dict.fromkeys(region.merged_into for region in source.FRENCH_REGIONS):
        old = [region for region in source.FRENCH_REGIONS if region.merged_into == code]
        what = f"{' + '.join(region.name for region in old)} → {source.subdivision(code).name}"
        apply = partial(_merge, [region.code for region in old], code)
        yield Change("2016", what, LUC, "French law 2015-29", apply)


def _merge(old: list[str], code: str) -> None:
    entry = source.subdivision(code)
    france = Country.objects.get(alpha_2="FR")
    region = Subdivision(code=code, name=entry.name, type=entry.type, country=france)
    region.save()
    Subdivision.objects.filter(parent__code__in=old).update(parent=region)
    Subdivision.objects.filter(code__in=old).delete()


def _memberships() -> Iterator[Change]:
    for one in organizations.changes():
        yield Change(one.day, one.what, SOFIA, one.why, one.apply)
