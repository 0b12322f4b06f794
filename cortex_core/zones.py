"""How people name their time zone: for analysts, which read it, and for whoever goes by the clock of that place."""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

_PLACES = {
    "America/Halifax": "AST ADT atlantic",
    "America/New_York": "EST EDT ET eastern",
    "America/Chicago": "CST CDT CT central",
    "America/Denver": "MST MDT MT mountain",
    "America/Los_Angeles": "PST PDT PT pacific",
    "America/Anchorage": "AKST AKDT",
    "Pacific/Honolulu": "HST",
    "America/Sao_Paulo": "BRT",
    "Europe/Lisbon": "WET WEST",
    "Europe/London": "BST",
    "Europe/Paris": "CET CEST",
    "Europe/Athens": "EET EEST",
    "Europe/Moscow": "MSK",
    "Africa/Johannesburg": "SAST",
    "Asia/Kolkata": "IST",
    "Asia/Singapore": "SGT",
    "Asia/Hong_Kong": "HKT",
    "Asia/Manila": "PHT",
    "Asia/Tokyo": "JST",
    "Asia/Seoul": "KST",
    "Australia/Perth": "AWST",
    "Australia/Adelaide": "ACST ACDT",
    "Australia/Sydney": "AEST AEDT",
    "Pacific/Auckland": "NZST NZDT",
}
"""Where people live who say that. Few change the word with the season, so it stands for that place's clock all year."""

_BY_NAME = {name.casefold(): place for place, names in _PLACES.items() for name in names.split()}
_ABBREVIATIONS = [name for names in _PLACES.values() for name in names.split() if name.isupper()]
_REGIONS = [name for names in _PLACES.values() for name in names.split() if name.islower()]
_WORDS = frozenset({"ET", "CT", "MT", "PT", "WET", "WEST"})
"""Abbreviations that are other words in small letters, or parts of such."""

_OFFSET = r"(?P<sign>[+-]) ?(?P<hours>\d{1,2})(?::?(?P<minutes>[0-5]\d))?"
_TOLD_OFFSET = re.compile(rf"(?:(?:UTC|GMT) ?)?{_OFFSET}", re.IGNORECASE | re.ASCII)
_NAMED = re.compile(r"(?P<name>\w+)(?: standard| daylight)?(?: time)?", re.IGNORECASE)
_MOST_HOURS = 14

TIMEZONE = re.compile(
    rf"(?:(?:UTC|GMT)(?: ?{_OFFSET})?"
    rf"|{'|'.join(sorted(set(_ABBREVIATIONS) - _WORDS, key=len, reverse=True))}"
    rf"|(?-i:{'|'.join(sorted(_WORDS, key=len, reverse=True))})"
    r"|(?:Africa|America|Asia|Atlantic|Australia|Europe|Pacific)(?:/\w+){1,2}"
    rf"|(?:{'|'.join(_REGIONS)})(?: standard| daylight)? time)(?!\w)",
    re.IGNORECASE,
)
"""A time zone as it is told: "CET", "UTC+2", "Europe/Berlin", "Pacific time"."""


def zone_of(told: str | None) -> tzinfo:
    """Return the time zone that somebody told, as a name, an offset or an abbreviation; UTC for anything else.

    >>> [str(zone_of(told)) for told in ("europe/rome", "utc+5:30", "PST", "Eastern time", "GMT", "the moon", None)]
    ['Europe/Rome', 'UTC+05:30', 'America/Los_Angeles', 'America/New_York', 'UTC', 'UTC', 'UTC']
    """
    name = (told or "").strip()
    if offset := _TOLD_OFFSET.fullmatch(name):
        hours, minutes = int(offset["hours"]), int(offset["minutes"] or 0)
        ahead = timedelta(hours=hours, minutes=minutes) * (1 if offset["sign"] == "+" else -1)
        return timezone(ahead) if hours <= _MOST_HOURS else UTC
    named = _NAMED.fullmatch(name)
    place = (named and _BY_NAME.get(named["name"].casefold())) or _known_places().get(name.casefold())
    try:
        return ZoneInfo(place) if place else UTC
    except ZoneInfoNotFoundError:  # this system has no clocks of places
        return UTC


@cache
def _known_places() -> dict[str, str]:
    return {place.casefold(): place for place in available_timezones() if "/" in place}
