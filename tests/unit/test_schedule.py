"""When upkeep is due: what cron expressions name in UTC, whatever clocks and jobs do."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core.consolidation import schedule
from cortex_core.consolidation.schedule import Schedule, ScheduledJob
from cortex_core.errors import ConfigError, StoreUnavailableError
from tests.harness import eventually

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def every(expression: str) -> Schedule:
    return Schedule(expression, setting="consolidation.schedule")


class Clock:
    """A wall clock that somebody sets."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class TestSchedule:
    def test_times_are_utc(self):
        berlin = timezone(timedelta(hours=2))
        assert every("0 */6 * * *").next_after(NOON) == datetime(2026, 6, 1, 18, tzinfo=UTC)
        assert every("30 3 * * *").next_after(datetime(2026, 6, 1, 4, tzinfo=berlin)) == datetime(
            2026, 6, 1, 3, 30, tzinfo=UTC
        )

    @pytest.mark.parametrize("expression", ["", "often", "* * * *", "61 * * * *", "0 0 30 2 *", "* * * * * * *"])
    def test_what_names_no_time_is_refused_with_the_setting(self, expression: str):
        with pytest.raises(ConfigError, match=r"consolidation\.schedule is no cron expression"):
            every(expression)

    @given(
        st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        st.sampled_from(["0 */6 * * *", "30 * * * *", "15 4 * * 1", "0 0 29 2 *", "*/7 1-5 * * *"]),
    )
    def test_the_next_time_is_later_and_none_lies_between(self, time: datetime, expression: str):
        due = every(expression).next_after(time)
        assert due > time
        assert every(expression).count_between(time, due) == 1
        assert every(expression).count_between(time, due - timedelta(microseconds=1)) == 0

    def test_summer_time_neither_skips_nor_repeats(self):
        begins, ends = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)
        for day in (begins, ends):
            assert every("30 * * * *").count_between(day, day + 24 * HOUR) == 24


@asynccontextmanager
async def scheduled(
    work: Callable[[], Awaitable[object]], clock: Clock, *, last: datetime | None = None
) -> AsyncIterator[ScheduledJob]:
    async def since() -> datetime | None:
        return last

    job = ScheduledJob("work", every("0 * * * *"), work, since=since, jitter=timedelta(0), clock=clock)
    job.start()
    await asyncio.sleep(0.01)  # it has looked at the clock
    yield job
    await job.close()


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "_LONGEST_SLEEP", timedelta(milliseconds=5))


class TestScheduledJob:
    async def test_it_works_at_each_time_once(self):
        clock, done = Clock(), []

        async def work() -> None:
            done.append(clock.now)

        async with scheduled(work, clock):
            for hour in range(1, 4):
                clock.now = NOON + hour * HOUR
                await eventually(lambda hour=hour: len(done) == hour)
                await asyncio.sleep(0.03)
        assert done == [NOON + hour * HOUR for hour in (1, 2, 3)]

    async def test_nothing_is_due_at_the_first_start(self):
        clock, done = Clock(NOON + 0.5 * HOUR), []

        async def work() -> None:
            done.append(clock.now)

        async with scheduled(work, clock):
            await asyncio.sleep(0.05)
        assert done == []

    async def test_what_was_missed_is_made_up_for_once_and_told(self, caplog: pytest.LogCaptureFixture):
        clock, done = Clock(), []

        async def work() -> None:
            done.append(clock.now)

        async with scheduled(work, clock, last=NOON - 5 * HOUR):
            await eventually(lambda: done)
            await asyncio.sleep(0.05)
        assert len(done) == 1
        assert "was due 4 times more" in caplog.text

    async def test_runs_never_overlap(self):
        clock, running, most, ended = Clock(), 0, 0, 0

        async def work() -> None:
            nonlocal running, most, ended
            running += 1
            most = max(most, running)
            clock.now += 3 * HOUR  # it takes longer than the schedule's pauses
            await asyncio.sleep(0.02)
            running -= 1
            ended += 1

        async with scheduled(work, clock):
            clock.now += HOUR
            await eventually(lambda: ended >= 3)
        assert most == 1

    @pytest.mark.parametrize("error", [ZeroDivisionError(), StoreUnavailableError("Postgres is away.")])
    async def test_what_it_raises_is_logged_and_the_next_time_comes(
        self, caplog: pytest.LogCaptureFixture, error: Exception
    ):
        clock, tried = Clock(), []

        async def work() -> None:
            tried.append(clock.now)
            raise error

        with caplog.at_level(logging.WARNING, "cortex.background"):
            async with scheduled(work, clock):
                for hour in (1, 2):
                    clock.now = NOON + hour * HOUR
                    await eventually(lambda hour=hour: len(tried) == hour)
                    await asyncio.sleep(0.1)
        assert tried == [NOON + HOUR, NOON + 2 * HOUR]
        assert "work" in caplog.text

    async def test_a_clock_that_is_set_back_repeats_nothing(self):
        clock, done = Clock(), []

        async def work() -> None:
            done.append(clock.now)

        async with scheduled(work, clock):
            clock.now = NOON + HOUR
            await eventually(lambda: done)
            clock.now -= timedelta(minutes=10)
            await asyncio.sleep(0.03)
            clock.now = NOON + HOUR
            await asyncio.sleep(0.03)
            assert len(done) == 1
            clock.now = NOON + 2 * HOUR
            await eventually(lambda: len(done) == 2)

    async def test_a_clock_that_is_set_ahead_is_noticed(self):
        clock, done = Clock(), []

        async def work() -> None:
            done.append(clock.now)

        async with scheduled(work, clock):
            await asyncio.sleep(0.02)
            clock.now += 5 * HOUR + timedelta(minutes=1)
            await eventually(lambda: done)
            await asyncio.sleep(0.03)
        assert len(done) == 1

    async def test_closing_ends_what_goes_on(self):
        ended = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        async with scheduled(work, Clock(), last=NOON - HOUR):
            await asyncio.sleep(0.05)
        assert ended.is_set()
