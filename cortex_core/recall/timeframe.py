"""Reads from a question what it asks about time: a range, the newest, or nothing.

`timephrases` finds the phrases, which `timewords` lists; here stands what they mean. What to do with that is for recall
to decide.
"""

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import TypeAlias

from cortex_core.recall.timephrases import Phrase, Question, Values, grow

_Span: TypeAlias = tuple[datetime | None, datetime | None]

# Keyed by a word's place in its list. The hours of a night go on into the next day.
_SECONDS = {1: 60, 2: 3600}
_DAYS = {3: 1, 4: 7}
_MONTHS = {5: 1, 6: 12}
_MONTHS_OF_PERIOD = {1: 0, 2: 1, 3: 12}
_NIGHT = 4
_HOURS = {1: (4, 12), 2: (12, 19), 3: (17, 24), _NIGHT: (18, 30)}
_MANY = 3


@dataclass(frozen=True, slots=True)
class Timeframe:
    """What a question asks about time.

    Attributes:
        since: The first moment asked about; None: from the beginning.
        until: The first moment after it; None: up to when the question is asked.
        wants_newest: Whether it asks how things are now, or were the last time.
    """

    since: datetime | None = None
    until: datetime | None = None
    wants_newest: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the question says nothing about time."""
        return self == Timeframe()


def read_timeframe(question: str, asked_at: datetime) -> Timeframe:
    """Return what the question asks about time, in English, German, Spanish, French or Russian.

    Days, weeks (from Monday), months and years are those of the calendar where the question is asked. Rough words get
    roomy ranges: "N weeks ago", or months or years, is half a unit more or less, in whole days (two weeks: 10 to 18),
    "N hours ago" half to one and a half times as long; a couple is two or three, a few are two to six; parts of a day
    overlap. A weekday, and a day, month or season without a year, is the last one that began; a weekday is never today.
    "After May" begins when May is over, "until May" ends then. Of several ranges, their common part counts, or all
    that they span if they have none. What lies ahead, and dates that don't exist, say nothing.

    Args:
        question: Text of any length.
        asked_at: Timezone-aware; `since` and `until` come back in its zone.
    """
    asked = Question(question)
    spans: list[_Span] = []
    wants_newest = False
    at = 0
    while at < len(asked.tokens):
        phrase = asked.find(_PHRASES, at)
        turned = _find_turned(asked, at, asked_at)
        if turned and turned.end > (phrase.end if phrase else at):
            span, at = turned.span, turned.end
        elif phrase:
            span, at = _span_of(phrase, asked_at), phrase.end
            wants_newest |= phrase.meaning == "newest"
        else:
            span, at = None, at + 1
        if span:
            spans.append(span)
    since, until = reduce(_combine, spans) if spans else (None, None)
    if since and since >= asked_at:  # "after December", asked as it ends
        since = None
    return Timeframe(since, until, wants_newest)


@dataclass(frozen=True, slots=True)
class _Turned:
    """A stretch of time with what stood before it, as in "since May": its span and the token after it."""

    span: _Span | None
    end: int


_PHRASES = grow(lambda language: language.phrases)
_BARE = grow(lambda _: {"stretch": ("{month}", "{season}"), "weekday": ("{weekday}",), "year": ("{year}",)})
_LEADS = grow(lambda language: language.leads)
_LINKS = grow(lambda language: {"link": language.links})


def _find_turned(asked: Question, at: int, now: datetime) -> _Turned | None:
    """Return the stretch of time that begins at this token with what turns it: "since May", "from May to July"."""
    lead = asked.find(_LEADS, at)
    first = _find_stretch(asked, lead.end) if lead else None
    if not lead or not first:
        return None
    link = asked.find(_LINKS, first.end) if lead.meaning in {"since", "between", "from"} else None
    second = _find_stretch(asked, link.end) if link else None
    if second:
        return _Turned(_span_between(first, second, now), second.end)
    since, until = _span_of(first, now) or (None, None)
    turns = {"since": (since, None), "before": (None, since), "until": (None, until), "after": (until, None)}
    return _Turned(turns[lead.meaning], first.end) if lead.meaning in turns else None


def _find_stretch(asked: Question, at: int) -> Phrase | None:
    """Return the phrase for a stretch of time at this token, where a month's name alone is enough."""
    found = [phrase for tree in (_BARE, _PHRASES) if (phrase := asked.find(tree, at))]
    longest = max(found, key=lambda phrase: phrase.end, default=None)
    return longest if longest and longest.meaning in _READERS else None


def _span_between(first: Phrase, second: Phrase, now: datetime) -> _Span | None:
    """Return the span from the first phrase to the end of the second.

    A first month or day without a year is of the second's year, or of the year before if it would come too late.
    """
    _, until = _span_of(second, now) or (None, None)
    if until is None:
        return None
    last_year = (until - timedelta.resolution).year
    years = [first.values["year"]] if "year" in first.values else [last_year, last_year - 1]
    for year in years:
        since, _ = _span_of(replace(first, values=first.values | {"year": year}), now) or (None, None)
        if since and since < until:
            return since, until
    return None


def _span_of(phrase: Phrase, now: datetime) -> _Span | None:
    """Return what a phrase spans; None if it spans nothing, or nothing that has begun."""
    reader = _READERS.get(phrase.meaning)
    try:
        since, until = (reader(now, phrase.values) if reader else None) or (None, None)
    except (OverflowError, ValueError):  # the calendar has no such time
        return None
    if since is None or since.timestamp() >= now.timestamp():
        return None
    return (since, until) if until is None or since.timestamp() < until.timestamp() else None


def _combine(one: _Span, other: _Span) -> _Span:
    """Return the common part of two spans, or what spans them both if they have none."""
    sinces, untils = zip(one, other, strict=True)
    since = max(filter(None, sinces), default=None)
    until = min(filter(None, untils), default=None)
    if since is None or until is None or since.timestamp() < until.timestamp():
        return since, until
    return (
        min(since for since in sinces if since) if all(sinces) else None,
        max(until for until in untils if until) if all(untils) else None,
    )


def _read_day(now: datetime, values: Values) -> _Span:
    start = _midnight(now) - timedelta(days=values.get("day", 1) - 1)
    if "part" not in values:
        return start, start + timedelta(days=1)
    first, last = _HOURS[values["part"]]
    return start + timedelta(hours=first), start + timedelta(hours=last)


def _read_weekday(now: datetime, values: Values) -> _Span:
    days_ago = (now.isoweekday() - values["weekday"] - 1) % 7 + 1
    return _read_day(now, values | {"day": days_ago + 1})


def _read_this_weekday(now: datetime, values: Values) -> _Span:
    return _read_day(now, values | {"day": now.isoweekday() - values["weekday"] + 1})


def _read_ago(now: datetime, values: Values) -> _Span:
    unit, today = values["unit"], _midnight(now)
    fewest, most = (2, _MANY * values["vague"]) if "vague" in values else 2 * (values.get("count", 1),)
    if unit in _SECONDS:
        return _seconds_before(now, 1.5 * most * _SECONDS[unit]), _seconds_before(now, 0.5 * fewest * _SECONDS[unit])
    if unit in _DAYS:
        half, day = timedelta(days=_DAYS[unit] // 2 + _DAYS[unit] // 7), timedelta(days=1)
        return today - most * _DAYS[unit] * day - half, today - fewest * _DAYS[unit] * day + half + day
    half = timedelta(days=15 if _MONTHS[unit] == 1 else 183)
    first, last = _months_before(today, most * _MONTHS[unit]), _months_before(today, fewest * _MONTHS[unit])
    return first - half, last + half + timedelta(days=1)


def _read_rolling(now: datetime, values: Values) -> _Span:
    unit = values["unit"]
    count = _MANY * values["vague"] if "vague" in values else values.get("count", 1)
    if unit in _SECONDS:
        return _seconds_before(now, count * _SECONDS[unit]), None
    if unit in _DAYS:
        return _midnight(now) - timedelta(days=count * _DAYS[unit]), None
    return _months_before(_midnight(now), count * _MONTHS[unit]), None


def _read_period(now: datetime, values: Values, back: int = 0) -> _Span:
    today = _midnight(now)
    months = _MONTHS_OF_PERIOD[values["period"]]
    if not months:
        monday = today - timedelta(days=now.weekday() + 7 * back)
        return monday, monday + timedelta(days=7)
    first = today.replace(day=1) if months == 1 else today.replace(month=1, day=1)
    return _months_before(first, months * back), _months_before(first, months * (back - 1))


def _read_weekend(now: datetime, _: Values) -> _Span:
    saturday = _midnight(now) - timedelta(days=(now.weekday() - 5) % 7)
    return saturday, saturday + timedelta(days=2)


def _read_last_weekend(now: datetime, _: Values) -> _Span:
    sunday = _midnight(now) - timedelta(days=now.weekday() + 1)
    return sunday - timedelta(days=1), sunday + timedelta(days=1)


def _read_stretch(now: datetime, values: Values) -> _Span:
    """A month or a season: of its year, or the last one that began."""
    return _stretch(now, values, values["year"]) if "year" in values else _last_begun(now, values)


def _read_past_stretch(now: datetime, values: Values) -> _Span:
    start, end = _last_begun(now, values)
    return (start, end) if end <= now else _stretch(now, values, start.year - 1)


def _read_this_stretch(now: datetime, values: Values) -> _Span | None:
    start, end = _last_begun(now, values)
    return (start, end) if end > _midnight(now).replace(month=1, day=1) else None


def _read_stretch_last_year(now: datetime, values: Values) -> _Span:
    return _stretch(now, values, now.year - 1)


def _read_year(now: datetime, values: Values) -> _Span:
    start = _midnight(now).replace(year=values["year"], month=1, day=1)
    return start, _months_before(start, -12)


def _read_date(now: datetime, values: Values) -> _Span | None:
    """A day: of its year, or the last one that came (29 February may be eight years back)."""
    if "date" in values:
        days = [date.fromordinal(values["date"])]
    else:
        month, day_of_month = values["month"], values["day_of_month"]
        years = [values["year"]] if "year" in values else range(now.year, max(now.year - 9, 0), -1)
        days = [
            date(year, month, day_of_month) for year in years if day_of_month <= calendar.monthrange(year, month)[1]
        ]
    for day in days:
        start = _midnight(now).replace(year=day.year, month=day.month, day=day.day)
        if start <= now:
            return start, start + timedelta(days=1)
    return None


def _stretch(now: datetime, values: Values, year: int) -> tuple[datetime, datetime]:
    first, months = (values["month"], 1) if "month" in values else (3 * values["season"], 3)
    start = _midnight(now).replace(year=year, month=first, day=1)
    return start, _months_before(start, -months)


def _last_begun(now: datetime, values: Values) -> tuple[datetime, datetime]:
    start, end = _stretch(now, values, now.year)
    return (start, end) if start <= now else _stretch(now, values, now.year - 1)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _seconds_before(moment: datetime, seconds: float) -> datetime:
    return (moment.astimezone(UTC) - timedelta(seconds=seconds)).astimezone(moment.tzinfo)


def _months_before(moment: datetime, months: int) -> datetime:
    """Return the same day so many months before, or the last one of a shorter month."""
    year, month = divmod(12 * moment.year + moment.month - 1 - months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))


_READERS: Mapping[str, Callable[[datetime, Values], _Span | None]] = {
    "day": _read_day,
    "tonight": lambda now, _: _read_day(now, {"part": _NIGHT}),
    "last_night": lambda now, _: _read_day(now, {"day": 2, "part": _NIGHT}),
    "weekday": _read_weekday,
    "this_weekday": _read_this_weekday,
    "ago": _read_ago,
    "rolling": _read_rolling,
    "this": _read_period,
    "last": lambda now, values: _read_period(now, values, back=1),
    "before_last": lambda now, values: _read_period(now, values, back=2),
    "recent_weekend": _read_weekend,
    "last_weekend": _read_last_weekend,
    "stretch": _read_stretch,
    "past_stretch": _read_past_stretch,
    "this_stretch": _read_this_stretch,
    "stretch_last_year": _read_stretch_last_year,
    "year": _read_year,
    "date": _read_date,
}
