"""Loads the initial gazetteer: countries one by one, subdivisions and languages in bulk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from . import source
from .models import Country, Language, Organization, Subdivision

BATCH_SIZE = 500  # rows in one INSERT


def load_countries() -> None:
    """Save every country under its first name, with its subdivisions."""
    subdivisions: list[tuple[Country, str]] = []
    for alpha_2, country in source.first_countries():
        country.save()
        subdivisions.append((country, alpha_2))
    add_subdivisions(subdivisions)


def load_languages() -> None:
    """Insert the languages in bulk."""
    Language.objects.bulk_create(source.languages(), batch_size=BATCH_SIZE)


def load_organizations() -> None:
    """Save the organization that exists when the history begins, with its members."""
    first = source.FIRST_MEMBERS
    Organization.objects.create(name=first.organization).members.set(members(first.joined))


def members(codes: str) -> QuerySet[Country]:
    """Return the current countries with these two-letter codes."""
    return Country.objects.filter(alpha_2__in=codes.split(), withdrawn="")


def add_country(alpha_2: str) -> Country:
    """Save a new country, with its subdivisions."""
    country = source.country(alpha_2)
    country.save()
    add_subdivisions([(country, alpha_2)])
    return country


def add_subdivisions(countries: Iterable[tuple[Country, str]]) -> None:
    """Insert the subdivisions in bulk, parents before those within them.

    :param countries: each with the two-letter code of its subdivisions.
    """
    waiting = [(country, row) for country, code in countries for row in _subdivisions(code)]
    saved: dict[str, Subdivision] = {}
    while waiting:
        ready = [pair for pair in waiting if (pair[1]["parent"] or None) in {None, *saved}]
        rows = Subdivision.objects.bulk_create(
            (
                Subdivision(**row | {"country": country, "parent": saved.get(row["parent"])})
                for country, row in ready
            ),
            batch_size=BATCH_SIZE,
        )
        saved |= {row.code: row for row in rows}
        waiting = [pair for pair in waiting if pair[1]["code"] not in saved]


def _subdivisions(alpha_2: str) -> Iterator[dict[str, Any]]:
    """Yield a country's subdivisions as they were before French regions were merged."""
    merged = {region.merged_into for region in source.FRENCH_REGIONS}
    before = {
        f"FR-{number}": region.code
        for region in source.FRENCH_REGIONS
        for number in region.departments.split()
    }
    for entry in source.subdivision_entries(alpha_2):
        if entry.code not in merged:
            parent = before.get(entry.code, entry.parent_code)
            yield {"code": entry.code, "name": entry.name, "type": entry.type, "parent": parent}
    if alpha_2 == "FR":
        for region in source.FRENCH_REGIONS:
            yield {
                "code": region.code,
                "name": region.name,
                "type": "Metropolitan region",
                "parent": None,
            }
