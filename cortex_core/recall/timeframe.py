"""Reads from a question what it asks about time: a range, the newest, or nothing.

The phrases of all languages (`timewords`) are laid into trees of words that a question is walked through once, so the
time taken grows with the question's length and no faster. What to do with what was read is for recall to decide.
"""

import calendar
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from typing import TypeAlias

from cortex_core.recall.timewords import ENGLISH, LANGUAGES, Language

_Token: TypeAlias = str | int | date
_Values: TypeAlias = dict[str, int]
_Span: TypeAlias = tuple[datetime | None, datetime | None]

_TOKENS = re.compile(r"\d+(?:[./:,-]\d+)*|[^\W\d_]+|[?!;\n]")
_MARKS = re.compile(r"[\u0300-\u036f]+")
_DATE = re.compile(r"(\d{4})([-/.])(\d\d?)\2(\d\d?)|(\d\d?)([-/.])(\d\d?)\6(\d{4})")
_PIECES = re.compile(r"\[([^]]*)\]|(\S+)")

# What may stand as digits, and in which range.
_NUMBERS = {"count": range(1_000_000_000), "day_of_month": range(1, 32), "year": range(1900, 2101)}

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
    asked = _Question(question)
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
    return Timeframe(since, until, wants_newest)


class _Question:
    """The words, numbers and dates of a question."""

    __slots__ = ("tokens", "words")

    def __init__(self, question: str) -> None:
        found: list[str] = _TOKENS.findall(_plain(question))
        self.words = frozenset(found)
        has_english = not self.words.isdisjoint(_COMPANY_OF_ENGLISH)
        self.tokens = [_token(text, month_first=has_english) for text in found]

    def find(self, node: "_Node", at: int) -> "_Phrase | None":
        """Return the longest phrase below the node that begins at this token; `{any}` gives way to known words."""
        best = None
        if node.meaning and (not node.company or not node.company.isdisjoint(self.words)):
            best = _Phrase(node.meaning, {}, at)
        if at == len(self.tokens):
            return best
        token = self.tokens[at]
        for slot, value, child in node.edges(token):
            found = self.find(child, at + 1)
            if found and (best is None or found.end > best.end):
                best = found
                if slot:
                    best.values[slot] = value
        if best is None and node.wildcard and isinstance(token, str) and token.isalpha():
            best = self.find(node.wildcard, at + 1)
        return best


@dataclass(slots=True)
class _Phrase:
    """A phrase that was found: what it means, the numbers of its words, and the token after it."""

    meaning: str
    values: _Values
    end: int


@dataclass(frozen=True, slots=True)
class _Turned:
    """A stretch of time with what stood before it, as in "since May": its span and the token after it."""

    span: _Span | None
    end: int


def _plain(text: str) -> str:
    """Return the text in lower case, without accents."""
    text = text.casefold()
    return text if text.isascii() else _MARKS.sub("", unicodedata.normalize("NFD", text))


def _token(text: str, *, month_first: bool) -> _Token:
    """Return a number or a date if the text is one, else the text."""
    if not text[0].isdecimal():
        return text
    if len(text) < 10 and text.isdecimal():  # noqa: PLR2004 -- longer numbers mean nothing here
        return int(text)
    match = _DATE.fullmatch(text)
    if not match:
        return text
    if match[1]:
        orders = [(match[1], match[3], match[4])]
    else:
        day, month, year = match[5], match[7], match[8]
        orders = [(year, month, day), (year, day, month)]
        if month_first and match[6] == "/":
            orders.reverse()
    for order in orders:
        try:
            return date(*map(int, order))
        except ValueError:
            continue
    return text


class _Node:
    """A place in a tree of words: what leads on from it, and what the words up to it mean."""

    __slots__ = ("children", "company", "dates", "meaning", "numbers", "wildcard", "words")

    def __init__(self) -> None:
        self.meaning = ""
        self.company: frozenset[str] = frozenset()
        self.words: dict[str, list[tuple[str, int, _Node]]] = {}
        self.numbers: list[tuple[str, range, _Node]] = []
        self.dates: _Node | None = None
        self.wildcard: _Node | None = None
        self.children: dict[str, _Node] = {}

    def edges(self, token: _Token) -> Iterable[tuple[str, int, "_Node"]]:
        """Return where this token leads: the slot that it fills, if any, its number there, and the next place."""
        if isinstance(token, str):
            return self.words.get(token, ())
        if isinstance(token, int):
            return [(slot, token, child) for slot, allowed, child in self.numbers if token in allowed]
        return [("date", token.toordinal(), self.dates)] if self.dates else ()

    def add(self, meaning: str, phrase: str, language: Language) -> None:
        """Lay a phrase into the tree, in all its spellings; the first meaning of the same words stays."""
        company = frozenset(_plain(language.company).split()) if phrase.startswith("~") else frozenset[str]()
        ends = [self]
        for optional, needed in _PIECES.findall(_plain(phrase.removeprefix("~"))):
            spellings = [spelling.split() for spelling in (optional or needed).split("|")]
            longer = [
                reduce(lambda node, step: node.step(step, language), spelling, end)
                for end in ends
                for spelling in spellings
            ]
            ends = [*ends, *longer] if optional else longer
        for end in ends:
            if not end.meaning:
                end.meaning, end.company = meaning, company

    def step(self, step: str, language: Language) -> "_Node":
        """Return where a word or a slot of a phrase leads, a new place if need be."""
        return self._slot(step[1:-1], language) if step.startswith("{") else self._word(step)

    def _word(self, word: str) -> "_Node":
        child = self.children.get(word)
        if child is None:
            child = self.children[word] = _Node()
            # Before the slots that the word may fill: of two phrases of one length, the more literal one is right.
            self.words.setdefault(word, []).insert(0, ("", 0, child))
        return child

    def _slot(self, slot: str, language: Language) -> "_Node":
        if slot == "any":
            self.wildcard = self.wildcard or _Node()
            return self.wildcard
        if slot == "date":
            self.dates = self.dates or _Node()
            return self.dates
        key = f"{{{slot}}} {language.name}"
        slot, _, listed_as = slot.partition(":")
        child = self.children.get(key)
        if child is None:
            child = self.children[key] = _Node()
            if slot in _NUMBERS:
                self.numbers.append((slot, _NUMBERS[slot], child))
            for number, spellings in enumerate(_plain(language.words.get(listed_as or slot, "")).split(), start=1):
                for spelling in spellings.split("|"):
                    *before, last = spelling.split("_")
                    node = reduce(_Node._word, before, self)
                    node.words.setdefault(last, []).append((slot, number, child))
        return child


def _grow(table: Callable[[Language], Mapping[str, tuple[str, ...]]]) -> _Node:
    """Return the tree of what a table of all languages lists."""
    root = _Node()
    for language in LANGUAGES:
        for meaning, phrases in table(language).items():
            for phrase in phrases:
                root.add(meaning, phrase, language)
    return root


_PHRASES = _grow(lambda language: language.phrases)
_BARE = _grow(lambda _: {"stretch": ("{month}", "{season}"), "weekday": ("{weekday}",), "year": ("{year}",)})
_LEADS = _grow(lambda language: language.leads)
_LINKS = _grow(lambda language: {"link": language.links})
_COMPANY_OF_ENGLISH = frozenset(ENGLISH.company.split())


def _find_turned(asked: _Question, at: int, now: datetime) -> _Turned | None:
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


def _find_stretch(asked: _Question, at: int) -> _Phrase | None:
    """Return the phrase for a stretch of time at this token, where a month's name alone is enough."""
    found = [phrase for tree in (_BARE, _PHRASES) if (phrase := asked.find(tree, at))]
    longest = max(found, key=lambda phrase: phrase.end, default=None)
    return longest if longest and longest.meaning in _READERS else None


def _span_between(first: _Phrase, second: _Phrase, now: datetime) -> _Span | None:
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


def _span_of(phrase: _Phrase, now: datetime) -> _Span | None:
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


def _read_day(now: datetime, values: _Values) -> _Span:
    start = _midnight(now) - timedelta(days=values.get("day", 1) - 1)
    if "part" not in values:
        return start, start + timedelta(days=1)
    first, last = _HOURS[values["part"]]
    return start + timedelta(hours=first), start + timedelta(hours=last)


def _read_weekday(now: datetime, values: _Values) -> _Span:
    days_ago = (now.isoweekday() - values["weekday"] - 1) % 7 + 1
    return _read_day(now, values | {"day": days_ago + 1})


def _read_this_weekday(now: datetime, values: _Values) -> _Span:
    return _read_day(now, values | {"day": now.isoweekday() - values["weekday"] + 1})


def _read_ago(now: datetime, values: _Values) -> _Span:
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


def _read_rolling(now: datetime, values: _Values) -> _Span:
    unit = values["unit"]
    count = _MANY * values["vague"] if "vague" in values else values.get("count", 1)
    if unit in _SECONDS:
        return _seconds_before(now, count * _SECONDS[unit]), None
    if unit in _DAYS:
        return _midnight(now) - timedelta(days=count * _DAYS[unit]), None
    return _months_before(_midnight(now), count * _MONTHS[unit]), None


def _read_period(now: datetime, values: _Values, back: int = 0) -> _Span:
    today = _midnight(now)
    months = _MONTHS_OF_PERIOD[values["period"]]
    if not months:
        monday = today - timedelta(days=now.weekday() + 7 * back)
        return monday, monday + timedelta(days=7)
    first = today.replace(day=1) if months == 1 else today.replace(month=1, day=1)
    return _months_before(first, months * back), _months_before(first, months * (back - 1))


def _read_weekend(now: datetime, _: _Values) -> _Span:
    saturday = _midnight(now) - timedelta(days=(now.weekday() - 5) % 7)
    return saturday, saturday + timedelta(days=2)


def _read_last_weekend(now: datetime, _: _Values) -> _Span:
    sunday = _midnight(now) - timedelta(days=now.weekday() + 1)
    return sunday - timedelta(days=1), sunday + timedelta(days=1)


def _read_stretch(now: datetime, values: _Values) -> _Span:
    """A month or a season: of its year, or the last one that began."""
    return _stretch(now, values, values["year"]) if "year" in values else _last_begun(now, values)


def _read_past_stretch(now: datetime, values: _Values) -> _Span:
    start, end = _last_begun(now, values)
    return (start, end) if end <= now else _stretch(now, values, start.year - 1)


def _read_this_stretch(now: datetime, values: _Values) -> _Span | None:
    start, end = _last_begun(now, values)
    return (start, end) if end > _midnight(now).replace(month=1, day=1) else None


def _read_stretch_last_year(now: datetime, values: _Values) -> _Span:
    return _stretch(now, values, now.year - 1)


def _read_year(now: datetime, values: _Values) -> _Span:
    start = _midnight(now).replace(year=values["year"], month=1, day=1)
    return start, _months_before(start, -12)


def _read_date(now: datetime, values: _Values) -> _Span | None:
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


def _stretch(now: datetime, values: _Values, year: int) -> tuple[datetime, datetime]:
    first, months = (values["month"], 1) if "month" in values else (3 * values["season"], 3)
    start = _midnight(now).replace(year=year, month=first, day=1)
    return start, _months_before(start, -months)


def _last_begun(now: datetime, values: _Values) -> tuple[datetime, datetime]:
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


_READERS: Mapping[str, Callable[[datetime, _Values], _Span | None]] = {
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
