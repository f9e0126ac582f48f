"""Data from ISO: pycountry's entries as unsaved models, and their earlier names.

pycountry knows current codes (ISO 3166-1) and withdrawn ones (ISO 3166-3). A withdrawn code whose
number is still in use is the same country under an earlier name (Burma, Myanmar). Names that
changed while the code stayed are listed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pycountry

from .models import Country, Language


class NewName(NamedTuple):
    """A country that took a new name and kept its code."""

    year: str
    alpha_2: str
    name: str
    official_name: str


class Region(NamedTuple):
    """A French region that was merged into another one in 2016."""

    code: str
    name: str
    merged_into: str
    departments: str


#: The names *before*; what they became, pycountry knows.
NEW_NAMES = [
    NewName("1997", "WS", "Western Samoa", "Independent State of Western Samoa"),
    NewName("2011", "LY", "Libyan Arab Jamahiriya", "Socialist People's Libyan Arab Jamahiriya"),
    NewName("2013", "CV", "Cape Verde", "Republic of Cape Verde"),
    NewName("2013", "PS", "Palestinian Territory, Occupied", "Occupied Palestinian Territory"),
    NewName("2016", "CZ", "Czech Republic", ""),
    NewName("2018", "SZ", "Swaziland", "Kingdom of Swaziland"),
    NewName(
        "2019",
        "MK",
        "Macedonia, the former Yugoslav Republic of",
        "The former Yugoslav Republic of Macedonia",
    ),
    NewName("2022", "TR", "Turkey", "Republic of Turkey"),
]

FRENCH_REGIONS = [
    Region("FR-K", "Languedoc-Roussillon", "FR-OCC", "11 30 34 48 66"),
    Region("FR-N", "Midi-Pyrénées", "FR-OCC", "09 12 31 32 46 65 81 82"),
    Region("FR-P", "Basse-Normandie", "FR-NOR", "14 50 61"),
    Region("FR-Q", "Haute-Normandie", "FR-NOR", "27 76"),
    Region("FR-O", "Nord-Pas-de-Calais", "FR-HDF", "59 62"),
    Region("FR-S", "Picardie", "FR-HDF", "02 60 80"),
]


class Membership(NamedTuple):
    """Who joined an organization on one day, and who left it."""

    day: str
    organization: str
    joined: str
    why: str
    left: str = ""


class Dissolution(NamedTuple):
    """The end of an organization."""

    day: str
    organization: str
    why: str


WEU, EU = "Western European Union", "European Union"
#: What is there when the history begins.
FIRST_MEMBERS = Membership("1954-10-23", WEU, "BE DE FR GB IT LU NL", "Treaty of Brussels")
MEMBERSHIPS = [
    Membership("1990-03-27", WEU, "ES PT", "accession of Portugal and Spain"),
    Membership("1993-11-01", EU, "BE DE DK ES FR GB GR IE IT LU NL PT", "Treaty of Maastricht"),
    Membership("1995-01-01", EU, "AT FI SE", "Treaty of Corfu"),
    Membership("1995-03-06", WEU, "GR", "accession of Greece"),
    Membership("2004-05-01", EU, "CY CZ EE HU LT LV MT PL SI SK", "Treaty of Athens"),
    Membership("2007-01-01", EU, "BG RO", "Treaty of Luxembourg"),
    Membership("2013-07-01", EU, "HR", "Treaty of Brussels, 2011"),
    Membership("2020-01-31", EU, "", "withdrawal agreement", left="GB"),
]
DISSOLUTIONS = [Dissolution("2011-06-30", WEU, "Treaty of Brussels ended")]

#: Successors that the last two letters of the ISO 3166-3 code do not name.
_SUCCESSORS = {
    "ANHH": "BQ CW SX",
    "BYAA": "BY",
    "CSHH": "CZ SK",
    "CSXX": "ME RS",
    "FQHH": "TF AQ",
    "GEHH": "KI TV",
    "NTHH": "IQ SA",
    "PCHH": "FM MH MP PW",
    "SUHH": "AM AZ EE GE KG KZ LT LV MD RU TJ TM UZ",
}
#: Those that came into being at the end of another one.
_NEW_STATES = "AM AZ BQ CW CZ EE FM GE KG KZ LT LV MD ME MH MP PW RS RU SK SX TJ TM TV UM UZ"
_COUNTRY_FIELDS = ["alpha_2", "alpha_3", "numeric", "name", "common_name", "official_name", "flag"]
_LANGUAGE_FIELDS = [field.name for field in Language._meta.concrete_fields if not field.primary_key]


def languages() -> Iterator[Language]:
    """Yield every language, not saved."""
    for entry in pycountry.languages:
        yield Language(**_values(entry, _LANGUAGE_FIELDS))


def first_countries() -> Iterator[tuple[str, Country]]:
    """Yield the initial countries, not saved, with their current codes, if any."""
    withdrawn = withdrawals()
    later = {*_NEW_STATES.split(), *map(_heir, withdrawn)}
    for entry in pycountry.countries:
        if entry.alpha_2 not in later:
            yield entry.alpha_2, country(entry.alpha_2)
    for entry in withdrawn:
        # Serbia and Montenegro, the second CS, is what Yugoslavia became.
        if entry.alpha_4 != "CSXX":
            yield _heir(entry) or "", Country(**_values(entry, _COUNTRY_FIELDS))


def country(alpha_2: str) -> Country:
    """Return the country by the first name that it had under this code, not saved."""
    values = today(alpha_2)
    for change in NEW_NAMES:
        if change.alpha_2 == alpha_2:
            values |= {"name": change.name, "official_name": change.official_name}
            values |= {"common_name": ""}
    return Country(**values)


def today(alpha_2: str) -> dict[str, str]:
    """Return what ISO has for this code today, by the names of the model's fields."""
    return _values(_find(pycountry.countries, alpha_2=alpha_2), _COUNTRY_FIELDS)


def withdrawals() -> list[Any]:
    """Return the entries of ISO 3166-3, in the order of their ends."""
    return sorted(pycountry.historic_countries, key=lambda entry: entry.withdrawal_date)


def renamed_to(entry: Any) -> dict[str, str] | None:
    """Return the country's name under its next code; None if it ended."""
    if entry.alpha_4 == "YUCS":
        second = _find(pycountry.historic_countries, alpha_4="CSXX")
        return _values(second, _COUNTRY_FIELDS)
    heir = _heir(entry)
    return today(heir) if heir else None


def successors(entry: Any) -> list[str]:
    """Return the two-letter codes of the successors, except a continuation under the same code."""
    codes = _SUCCESSORS.get(entry.alpha_4, entry.alpha_4[2:]).split()
    return [] if entry.alpha_4 == "YUCS" else [c for c in codes if c != _heir(entry)]


def subdivision_entries(alpha_2: str) -> list[Any]:
    """Return the subdivisions of a country, in the order of their codes; it may have none."""
    return sorted(
        _find(pycountry.subdivisions, country_code=alpha_2) or [], key=lambda entry: entry.code
    )


def subdivision(code: str) -> Any:
    """Return the entry of one subdivision."""
    return _find(pycountry.subdivisions, code=code)


def _heir(entry: Any) -> str | None:
    """Return the code under which the country continues: it kept its number or its letters."""
    if entry.alpha_4 == "FQHH":
        return "TF"
    number = dict(entry).get("numeric")
    found = _find(pycountry.countries, numeric=number) if number else None
    return found.alpha_2 if found else None


def _find(entries: Any, **code: str) -> Any:
    return entries.get(**code)


def _values(entry: Any, names: list[str]) -> dict[str, str]:
    values = dict(entry)
    return {name: values.get(name) or "" for name in names}
