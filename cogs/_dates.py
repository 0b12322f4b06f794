"""Days as people write them: 2024-05-17, 17.5.2024, May 2024, yesterday, 2 years ago."""

import calendar
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta

from discord.app_commands import Choice
from discord.ui import TextInput

from cortex_core import InvalidInputError
from cortex_core.recall.timeframe import read_timeframe

from ._errors import Interaction
from ._views import OwnedModal
from ._wording import preview

EXAMPLES = "2024-05-17, May 2024, yesterday, 2 years ago"

_UNREADABLE = f"I can't read that date. Please write it like one of these: {EXAMPLES}."
_AHEAD = "That date lies ahead; please choose one in the past."
_PARTS = re.compile(r"(?P<year>\d{4})(?:[-/.](?P<month>\d{1,2}))?", re.ASCII)
_DAY_FIRST = re.compile(r"(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>\d{4})", re.ASCII)
_AGO = re.compile(r"(?P<count>\d{1,4}|an?|one|two|three) (?P<unit>day|week|month|year)s? ago", re.IGNORECASE | re.ASCII)
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}
_SUGGESTED = ("yesterday", "a week ago", "a month ago", "3 months ago", "6 months ago", "a year ago", "2 years ago")
_FIRST_YEAR = 1900
_MAX_CHARS = 60


def read_day(text: str, now: datetime) -> date:
    """Return the day that is meant: of a month or a year the first, in UTC.

    Raises:
        InvalidInputError: It isn't a date, or lies ahead or before 1900.
    """
    written = " ".join(text.split())
    try:
        day = _read(written, now.astimezone(UTC))
    except (ValueError, OverflowError):  # the 31st of June
        day = None
    if day is None or day.year < _FIRST_YEAR:
        raise InvalidInputError(_UNREADABLE)
    if day > now.astimezone(UTC).date():
        raise InvalidInputError(_AHEAD)
    return day


def suggest_days(typed: str, now: datetime) -> list[Choice[str]]:
    """Return days for an autocompletion: the one that was typed, or some that people may want."""
    today = now.astimezone(UTC).date()
    offered = {name: _read(name, now) or today for name in _SUGGESTED}
    fitting = {name: day for name, day in offered.items() if typed.strip().casefold() in name}
    with suppress(InvalidInputError):
        fitting = {typed.strip(): read_day(typed, now), **fitting}
    return [
        Choice(name=f"{preview(name, _MAX_CHARS)} ({day_text(day)})", value=day.isoformat())
        for name, day in fitting.items()
    ]


def day_text(day: date) -> str:
    """Return a day as people read it, where no time stamp works."""
    return f"{day.day} {day:%B %Y}"


def beginning_of(day: date) -> datetime:
    """Return the first moment of a day."""
    return datetime.combine(day, time(), UTC)


def end_of(day: date, now: datetime) -> datetime:
    """Return the last moment of a day, or now if that isn't over."""
    return min(now, beginning_of(day) + timedelta(days=1) - timedelta(microseconds=1))


def _read(written: str, now: datetime) -> date | None:
    try:
        return date.fromisoformat(written)
    except ValueError:
        pass
    if found := _PARTS.fullmatch(written):
        return date(int(found["year"]), int(found["month"] or 1), 1)
    if found := _DAY_FIRST.fullmatch(written):
        return date(int(found["year"]), int(found["month"]), int(found["day"]))
    if found := _AGO.fullmatch(written):
        count = found["count"].lower()
        return _ago(now.date(), _COUNTS.get(count) or int(count), found["unit"].lower())
    since = read_timeframe(written, now).since
    return since.date() if since else None


def _ago(today: date, count: int, unit: str) -> date:
    if unit in {"day", "week"}:
        return today - timedelta(days=count * (7 if unit == "week" else 1))
    year, month = divmod(today.year * 12 + today.month - 1 - count * (12 if unit == "year" else 1), 12)
    return date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))


class DateForm(OwnedModal):
    """Asks since when something holds.

    Args:
        act: Gets the first moment of the day that was written.
    """

    day: TextInput["DateForm"] = TextInput(
        label="Since when", custom_id="cortex:v1:date:day", placeholder=EXAMPLES, max_length=_MAX_CHARS
    )

    def __init__(self, interaction: Interaction, act: Callable[[Interaction, datetime], Awaitable[None]]) -> None:
        super().__init__("date", "It changed on …", interaction)
        self._act = act

    async def on_submit(self, interaction: Interaction, /) -> None:  # type: ignore[override]
        """Take it."""
        await self._act(interaction, beginning_of(read_day(self.day.value, interaction.created_at)))
