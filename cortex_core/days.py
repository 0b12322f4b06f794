"""Days of a year, such as birthdays: how people write them, how they are kept, and how they are shown.

They are kept as ISO 8601 has it, YYYY-MM-DD, or --MM-DD where no year was said.
"""

import calendar
import re
from datetime import date

MONTHS = {name[:3].lower(): number for number, name in enumerate(calendar.month_name) if number}
"""The numbers of the months by the first three letters of their names."""

MONTH = r"(?P<month>(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)(?:[a-z]{0,7})?|may)\b\.?"
YEAR = r"(?P<year>(?:19|20)\d\d)\b"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\b"

_NAMED_DAYS = (
    re.compile(rf"{_DAY}(?: of)?[ -]{MONTH}(?:,? (?:in )?{YEAR})?", re.IGNORECASE),
    re.compile(rf"{MONTH} (?:the )?{_DAY}(?:,? (?:in )?{YEAR})?", re.IGNORECASE),
    re.compile(rf"{YEAR}-(?P<month>\d\d)-(?P<day>\d\d)\b"),
)
_DAY_IN_NUMBERS = re.compile(r"(?P<one>\d{1,2})(?P<sep>[/.-])(?P<other>\d{1,2})(?:(?P=sep)(?P<year>(?:19|20)\d\d))?\b")
_KEPT = re.compile(r"(?P<year>\d{4}|-)-(?P<month>\d\d)-(?P<day>\d\d)", re.ASCII)
_LEAP_YEAR = 2000


def read_day(text: str, *, named: bool = False) -> str | None:
    """Read the day that a text begins with; None without one, or where a day and a month could be told either way.

    Args:
        text: As people write it.
        named: Whether the month must be a word, or the whole as ISO 8601 has it.

    >>> read_day("3rd of May 1990"), read_day("May 3"), read_day("27/3"), read_day("03/05"), read_day("30 Feb")
    ('1990-05-03', '--05-03', '--03-27', None, None)
    """
    for pattern in _NAMED_DAYS:
        if found := pattern.match(text):
            name = found["month"]
            month = int(name) if name.isdigit() else MONTHS.get(name[:3].lower(), 0)
            return _keep(found["year"], month, int(found["day"]))
    if not named and (found := _DAY_IN_NUMBERS.match(text)):
        month, day = sorted((int(found["one"]), int(found["other"])))
        is_told = day > max(MONTHS.values()) or day == month
        return _keep(found["year"], month, day) if is_told else None
    return None


def day_in_words(text: str) -> str:
    """Return a kept day as people read it, and any other text as it is.

    >>> day_in_words("--05-03"), day_in_words("1990-05-03"), day_in_words("Utrecht")
    ('3 May', '3 May 1990', 'Utrecht')
    """
    found = _KEPT.fullmatch(text)
    if not found or _keep(found["year"], int(found["month"]), int(found["day"])) != text:
        return text
    name = f"{int(found['day'])} {calendar.month_name[int(found['month'])]}"
    return name if found["year"] == "-" else f"{name} {found['year']}"


def _keep(year: str | None, month: int, day: int) -> str | None:
    try:
        date(int(year) if year and year.isdigit() else _LEAP_YEAR, month, day)
    except ValueError:
        return None
    return f"{year or '-'}-{month:02}-{day:02}"
