"""What people call their time zone: read in a sentence, and the clock that it stands for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core.providers.rules.places import read_timezone
from cortex_core.zones import TIMEZONE, zone_of

WINTER, SUMMER = datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 7, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("told", "winter", "summer"),
    [
        ("EST", -5, -4), ("EDT", -5, -4), ("ET", -5, -4), ("eastern time", -5, -4), ("Eastern Standard Time", -5, -4),
        ("cst", -6, -5), ("MST", -7, -6), ("PST", -8, -7), ("pacific time", -8, -7), ("AST", -4, -3), ("HST", -10, -10),
        ("AKST", -9, -8), ("CET", 1, 2), ("CEST", 1, 2), ("EET", 2, 3), ("WET", 0, 1), ("BST", 0, 1), ("IST", 5.5, 5.5),
        ("JST", 9, 9), ("MSK", 3, 3), ("AEST", 11, 10), ("ACST", 10.5, 9.5), ("NZDT", 13, 12), ("PHT", 8, 8),
        ("BRT", -3, -3), ("SAST", 2, 2), ("UTC", 0, 0), ("GMT", 0, 0), ("GMT+8", 8, 8), ("utc - 3:30", -3.5, -3.5),
        ("europe/berlin", 1, 2), ("America/New_York", -5, -4), ("America/Argentina/Buenos_Aires", -3, -3),
    ],
)  # fmt: skip
def test_what_rules_read_has_a_clock(told: str, winter: float, summer: float) -> None:
    assert read_timezone(told) == read_timezone(f"{told} lol") == [told]
    assert WINTER.astimezone(zone_of(told)).utcoffset() == winter * HOUR
    assert SUMMER.astimezone(zone_of(told)).utcoffset() == summer * HOUR


@given(st.from_regex(TIMEZONE, fullmatch=True))
def test_all_that_rules_read_but_places_nobody_knows_has_a_clock(told: str) -> None:
    is_told_as_utc = told.upper().startswith(("UTC", "GMT")) or "/" in told
    assert (zone_of(told) is UTC) <= is_told_as_utc


@pytest.mark.parametrize("text", ["et cetera", "wet", "out west", "central", "the pacific", "past", "Bestie"])
def test_other_words_are_no_time_zone(text: str) -> None:
    assert read_timezone(text) == []


@given(st.text(max_size=30))
def test_any_text_names_a_time_zone_or_none(told: str) -> None:
    assert WINTER.astimezone(zone_of(told)) == WINTER


@pytest.mark.parametrize(
    "told", ["../../etc/passwd", "Europe", "/etc/localtime", "UTC+99", "\0", "Mars/Olympus", "", None]
)
def test_what_is_no_time_zone_is_utc(told: str | None) -> None:
    assert zone_of(told) is UTC
