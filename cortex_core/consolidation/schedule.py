"""When upkeep is due: cron expressions in UTC, and the loop that waits for them; the only user of `cronsim`.

aiocron, whose parser cronsim is, would overlap runs, swallow what they raise, take the local time zone and read the
clock once. Here the next time is worked out from the wall clock at least once a minute, one run ends before the next
begins, and times that passed meanwhile, or while the process was down, are made up for by one run.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

from cronsim import CronSim, CronSimError

from cortex_core.background import BackgroundLoop
from cortex_core.errors import ConfigError
from cortex_core.models import utc_now

_log = logging.getLogger("cortex.consolidation")

_LONGEST_SLEEP = timedelta(minutes=1)
_COUNTED_AT_MOST = 1000


class Schedule:
    """The times that a cron expression names, in UTC.

    Raises:
        ConfigError: It is none, or names no time.
    """

    def __init__(self, expression: str, *, setting: str) -> None:
        self._expression = expression
        try:
            self.next_after(datetime(2026, 1, 1, tzinfo=UTC))
        except (CronSimError, StopIteration):
            raise ConfigError(
                f"{setting} is no cron expression that names a time; write five fields, such as 0 */6 * * * for every "
                "six hours."
            ) from None

    def next_after(self, time: datetime) -> datetime:
        """Return the first time after this one."""
        return next(CronSim(self._expression, time.astimezone(UTC)))

    def count_between(self, after: datetime, until: datetime) -> int:
        """Return how many times lie after one and up to another; a thousand for more."""
        times = islice(CronSim(self._expression, after.astimezone(UTC)), _COUNTED_AT_MOST)
        return sum(1 for _ in takewhile(lambda time: time <= until, times))


class ScheduledJob:
    """Does some work at each time of a schedule, never twice at once.

    What the work raises is logged, and it is tried again at the next time. Times that were missed are made up for once.

    Args:
        name: Of the work, for the log.
        schedule: When it is due.
        work: What is done.
        since: When it was done last, by whichever process; None if that isn't known.
        jitter: By how much it is put off at most, so that many processes don't begin at the same moment.
        clock: Tells the time.
    """

    def __init__(
        self,
        name: str,
        schedule: Schedule,
        work: Callable[[], Awaitable[object]],
        *,
        since: Callable[[], Awaitable[datetime | None]],
        jitter: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._name = name
        self._schedule = schedule
        self._work = work
        self._since = since
        self._jitter = jitter
        self._clock = clock
        self._last: datetime | None = None
        self._loop = BackgroundLoop(name, self._step)

    def start(self) -> None:
        """Begin."""
        self._loop.start()

    async def close(self) -> None:
        """Stop; work that goes on is cancelled."""
        await self._loop.close()

    async def _step(self) -> None:
        if self._last is None:
            self._last = await self._since() or self._clock()
        now = self._clock()
        due = self._schedule.next_after(self._last)
        if due > now:
            await asyncio.sleep(min(due - now, _LONGEST_SLEEP).total_seconds())
            return
        if (missed := self._schedule.count_between(self._last, now) - 1) > 0:
            _log.warning("%s was due %d times more since %s, which one run makes up for.", self._name, missed, due)
        # A clock that is set back doesn't repeat times: they count from the latest one seen.
        self._last = now
        await asyncio.sleep(random.uniform(0, self._jitter.total_seconds()))  # noqa: S311  jitter, not a secret
        await self._work()
