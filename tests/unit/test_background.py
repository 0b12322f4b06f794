"""Work behind the scenes goes on whatever a step does, and ends when it is told to."""

import asyncio
import logging
from contextlib import suppress

import pytest

from cortex_core import StoreUnavailableError
from cortex_core.background import BackgroundLoop, WriteBehind
from tests.harness import eventually


async def test_it_goes_on_after_outages_and_bugs(caplog: pytest.LogCaptureFixture):
    outcomes: list[Exception | None] = [StoreUnavailableError("away"), ZeroDivisionError("a bug"), None, None]
    done = asyncio.Event()

    async def step() -> None:
        if not outcomes:
            done.set()
            await asyncio.sleep(60)
        elif problem := outcomes.pop(0):
            raise problem

    loop = BackgroundLoop("test", step)
    with caplog.at_level(logging.WARNING):
        loop.start()
        await asyncio.wait_for(done.wait(), 20)
    await loop.close()

    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert caplog.records[1].exc_info


async def test_it_pauses_between_failures():
    tries = 0

    async def step() -> None:
        nonlocal tries
        tries += 1
        raise StoreUnavailableError("away")

    loop = BackgroundLoop("test", step)
    loop.start()
    await asyncio.sleep(0.3)
    await loop.close()

    assert 1 <= tries < 100


async def test_closing_ends_a_step_that_waits_and_lets_it_clean_up():
    events: list[str] = []

    async def step() -> None:
        events.append("began")
        try:
            await asyncio.sleep(60)
        finally:
            events.append("cleaned up")

    before = asyncio.all_tasks()
    loop = BackgroundLoop("test", step)
    loop.start()
    await eventually(lambda: events)
    await loop.close()
    await loop.close()

    assert events == ["began", "cleaned up"]
    assert asyncio.all_tasks() <= before  # others in this loop may have ended meanwhile


async def test_closing_what_never_started_is_fine():
    await BackgroundLoop("test", lambda: asyncio.sleep(0)).close()


@pytest.mark.parametrize("who", ["the loop's owner", "the event loop's end"])
async def test_it_ends_although_a_library_swallows_the_cancellation(who: str):
    steps = 0

    async def step() -> None:
        nonlocal steps
        steps += 1
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    loop = BackgroundLoop("test", step)
    loop.start()
    await asyncio.sleep(0)
    if who == "the event loop's end":
        loop._task.cancel()
        await asyncio.wait([loop._task], timeout=20)
        assert not loop.is_running
    await asyncio.wait_for(loop.close(), 20)

    assert steps == 1


class Notebook(WriteBehind):
    def __init__(self) -> None:
        super().__init__("notes", seconds=0.01)
        self.pending, self.written, self.is_away = 0, 0, False

    async def flush(self) -> None:
        if self.is_away:
            raise StoreUnavailableError("away")
        self.written, self.pending = self.written + self.pending, 0


async def test_what_is_gathered_is_written_now_and_then_and_at_the_end():
    notes = Notebook()
    notes.start()
    notes.pending = 3
    await eventually(lambda: notes.written == 3)
    await notes._loop.close()
    notes.pending = 2

    await notes.close()

    assert (notes.pending, notes.written) == (0, 5)


async def test_closing_does_not_wait_for_a_store_that_is_away():
    notes = Notebook()
    notes.start()
    notes.pending, notes.is_away = 1, True

    await asyncio.wait_for(notes.close(), 1)

    assert (notes.pending, notes.written) == (1, 0)
