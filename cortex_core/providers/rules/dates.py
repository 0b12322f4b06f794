"""Reads days, and since when something holds, against the time at which it was said.

`dateparser` would do it in four milliseconds a message, takes "may" and "sun" for dates, and gives up on "since last
March"; these few forms are what people declare with.
"""

import calendar
import re
from datetime import UTC, date, datetime, timedelta

from cortex_core.days import MONTH, MONTHS, YEAR, read_day
from cortex_core.providers.rules.lexicon import read_number
from cortex_core.words import fold

_NEARBY = {"today": 0, "tomorrow": 1, "yesterday": -1}
_MONTH_ALONE = re.compile(rf"{MONTH}(?! (?:\d|be|also))", re.IGNORECASE)
_LEAP_YEAR = 2000

_UNIT = r"(?P<unit>day|week|month|year|yr)s?"
_COUNT = (
    r"(?P<count>\d{1,2}|an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty"
    r"|a couple(?: of)?)"
)
_ABOUT = r"(?:about|around|roughly|almost|nearly|over|like|early|late|mid|the (?:start|end|beginning) of|the)? ?"
_LENGTHS = {"day": 1, "week": 7}
_IN_MONTHS = {"month": 1, "year": 12, "yr": 12}
_SINCE = re.compile(
    rf"\bsince {_ABOUT}(?P<when>[^,;]{{1,40}})|\bfor (?:the (?:last|past) )?{_ABOUT}{_COUNT} {_UNIT}\b(?! old)",
    re.IGNORECASE,
)
_WHEN = re.compile(
    rf"\b{_COUNT} {_UNIT} ago\b|\b(?:back )?(?:in|on) {_ABOUT}(?P<in>(?:{MONTH.replace('?P<month>', '')}"
    rf"|\d{{1,2}}|(?:19|20)\d\d)[^,;]{{0,20}})"
    r"|\b(?P<rough>yesterday|today|(?:last|this) (?:week|month|year|\w{3,9}))\b",
    re.IGNORECASE,
)
_ROUGH = re.compile(
    r"(?P<turn>last|this) (?P<unit>week|month|year)\b|(?P<day>yesterday|today|this morning)\b", re.IGNORECASE
)
_STRETCH = re.compile(rf"(?:last |this )?{MONTH}(?: (?:of )?{YEAR})?", re.IGNORECASE)
_BARE_YEAR = re.compile(YEAR)


def read_birthday(text: str, said_at: datetime) -> str | None:
    """Read a day as YYYY-MM-DD or --MM-DD; a month alone as it is written.

    >>> read_birthday("3rd of May 1990", datetime(2026, 1, 1)), read_birthday("May 3", datetime(2026, 1, 1))
    ('1990-05-03', '--05-03')
    """
    if day := read_day(text):
        return day
    for word, days in _NEARBY.items():
        if re.match(rf"{word}\b", text, re.IGNORECASE):
            return f"--{said_at + timedelta(days=days):%m-%d}"
    alone = _MONTH_ALONE.match(text)
    return alone["month"] if alone and alone["month"][:3].lower() in MONTHS else None


def with_day(birthday: str, text: str) -> str | None:
    """Return a birthday on another day of its month, as "the 14th" tells it; None if the text doesn't.

    >>> with_day("--03-04", "the 14th"), with_day("March", "the 14th"), with_day("--02-03", "31st")
    ('--03-14', None, None)
    """
    found = _OF_MONTH.match(text)
    if not found or month_of(birthday) is None or not birthday[-1].isdigit():
        return None
    day = f"{birthday[:-2]}{int(found['day']):02}"
    try:
        date(_LEAP_YEAR, int(day[-5:-3]), int(day[-2:]))
    except ValueError:
        return None
    return day


_OF_MONTH = re.compile(
    r"(?:the )?(?P<day>\d{1,2})(?:st|nd|rd|th)(?= ?(?:$|[,;]|not\b|actually\b|i mean\b|lol\b))", re.IGNORECASE
)


def month_of(birthday: str) -> int | None:
    """Return the month of a birthday in any of the forms of `read_birthday`.

    >>> month_of("--05-03"), month_of("1990-05-03"), month_of("May"), month_of("soon")
    (5, 5, 5, None)
    """
    if len(birthday) > 5 and birthday[-3] == "-":  # noqa: PLR2004  its end is MM-DD
        return int(birthday[-5:-3])
    return MONTHS.get(fold(birthday)[:3])


def read_since(text: str, said_at: datetime, *, tells_when: bool = False) -> datetime | None:
    """Return since when something holds, by "since 2019" or "for two years"; None if it isn't said, or lies ahead.

    Args:
        text: What follows in the clause.
        said_at: What "last year" counts from.
        tells_when: Whether it began with what is told ("I moved"), so that "in 2019" and "a year ago" say it, too.
    """
    found = _SINCE.search(text)
    if found:
        start = _before(found, said_at) if found["count"] else _start_of(found["when"], said_at)
    elif tells_when and (found := _WHEN.search(text)):
        start = _before(found, said_at) if found["count"] else _start_of(found["in"] or found["rough"], said_at)
    else:
        return None
    return start if start and start <= said_at else None


def _before(found: re.Match[str], said_at: datetime) -> datetime | None:
    word = found["count"].lower()
    count = 2 if "couple" in word else 1 if word in {"a", "an"} else read_number(word)
    if not count:
        return None
    unit = found["unit"].lower()
    if unit in _LENGTHS:
        return _day(said_at - timedelta(days=count * _LENGTHS[unit]))
    return _months_before(said_at, count * _IN_MONTHS[unit])


def _start_of(text: str, said_at: datetime) -> datetime | None:
    """Return when the first stretch of time in a text began; of a month without a year, the last one that did."""
    today = _day(said_at)
    if found := _ROUGH.match(text):
        return _start_of_rough(found, today)
    if day := read_day(text, named=True):
        year, month, of_month = day[:-6], int(day[-5:-3]), int(day[-2:])
        last = calendar.monthrange(int(year) if year.isdigit() else today.year, month)[1]
        start = today.replace(day=1, month=month, year=int(year) if year.isdigit() else today.year)
        start = start.replace(day=min(of_month, last))
        return start if start <= said_at or year.isdigit() else _months_before(start, 12)
    if (found := _STRETCH.match(text)) and (begun := MONTHS.get(found["month"][:3].lower())):
        start = today.replace(year=int(found["year"] or today.year), month=begun, day=1)
        return start if found["year"] or start <= said_at else start.replace(year=start.year - 1)
    return datetime(int(found["year"]), 1, 1, tzinfo=UTC) if (found := _BARE_YEAR.match(text)) else None


def _start_of_rough(found: re.Match[str], today: datetime) -> datetime:
    if found["day"]:
        return today - timedelta(days=found["day"].lower() == "yesterday")
    back, unit = found["turn"].lower() == "last", found["unit"].lower()
    if unit == "week":
        return today - timedelta(days=today.weekday() + 7 * back)
    return _months_before(today.replace(day=1, month=today.month if unit == "month" else 1), _IN_MONTHS[unit] * back)


def _day(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _months_before(moment: datetime, months: int) -> datetime:
    day = _day(moment)
    year, month = divmod(12 * day.year + day.month - 1 - months, 12)
    return day.replace(year=year, month=month + 1, day=min(day.day, calendar.monthrange(year, month + 1)[1]))
