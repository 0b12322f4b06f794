"""Days of a year: as they are written, kept and shown."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core.days import day_in_words, read_day


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("3 May", "--05-03"),
        ("3rd of May, 1990", "1990-05-03"),
        ("may the 3rd", "--05-03"),
        ("Sept. 30 2001", "2001-09-30"),
        ("1990-05-03", "1990-05-03"),
        ("27/3/1988", "1988-03-27"),
        ("3/27", "--03-27"),
        ("4.4.", "--04-04"),
        ("29 February", "--02-29"),
    ],
)
def test_a_day_is_read_as_people_write_it(written: str, kept: str):
    assert read_day(written) == kept


@pytest.mark.parametrize("written", ["", "soon", "03/05", "30 Feb", "29 February 2023", "May", "0 May", "13/13"])
def test_what_is_no_day_or_could_be_two_is_not_read(written: str):
    assert read_day(written) is None


def test_numbers_alone_are_no_named_day():
    assert read_day("27/3", named=True) is None


@given(day=st.dates(date(1900, 1, 1), date(2099, 12, 31)), has_year=st.booleans())
def test_what_is_shown_is_read_as_what_was_kept(day: date, *, has_year: bool):
    kept = f"{day:%Y-%m-%d}" if has_year else f"--{day:%m-%d}"

    assert read_day(day_in_words(kept)) == kept


@given(st.text())
def test_other_texts_are_shown_as_they_are(text: str):
    assert day_in_words(text) == text or read_day(text) == text or text.startswith("--")
