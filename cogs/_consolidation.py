"""Background work that somebody started by hand: it goes on by itself, and whoever asks sees how far it is."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple
from weakref import WeakSet

import discord
from discord.ext import tasks
from discord.ui import Button

from cortex_core import CortexError, MemoryManager
from cortex_core.models import RunStatus

from ._errors import BUG, NO_MENTIONS, Interaction, explain
from ._operators import server_asked_about
from ._views import OwnedView

log = logging.getLogger("cortex.discord")

_EDIT_SECONDS = 2.0
_SHOWN_SECONDS = 14 * 60.0  # an answer can be edited for fifteen minutes
_BAR_CHARS = 20

Note = Callable[[int, int], None]
"""Is told how many people are done, and of how many."""


class Outcome(NamedTuple):
    """What came of work: how many people it ended well for, it failed for, and were left out."""

    done: int = 0
    failed: int = 0
    left_out: int = 0

    def __str__(self) -> str:
        total = sum(self)
        if not total:
            return "There was nothing to do, or somebody else is at it."
        parts = [f"Done with {_people(total)}."]
        if self.failed:
            parts.append(f"For {self.failed:,} of them it failed.")
        if self.left_out:
            were = "was" if self.left_out == 1 else "were"
            parts.append(f"{_people(self.left_out)} {were} left out: nothing may be done, or somebody else is at it.")
        return " ".join([*parts, "`/cortex jobs` lists what was done."])


Work = Callable[[Note], Awaitable[Outcome]]
"""Does it, and notes how far it is."""


def work_on(memory: MemoryManager, people: Sequence[str]) -> Work:
    """Return the work on these people, one after the other."""

    async def work(note: Note) -> Outcome:
        done = failed = left_out = 0
        for number, user_id in enumerate(people):
            note(number, len(people))
            run = await memory.consolidation.run_for_user(user_id)
            done += run is not None and run.status is RunStatus.SUCCEEDED
            failed += run is not None and run.status is RunStatus.FAILED
            left_out += run is None
        return Outcome(done, failed, left_out)

    return work


def work_on_all(memory: MemoryManager) -> Work:
    """Return the work on everybody whose turn it is, some at once."""

    async def work(note: Note) -> Outcome:
        found = await memory.consolidation.run_all_users(progress=note)
        return Outcome(found.processed, found.failed, found.skipped)

    return work


class Job:
    """Work on some people, one after the other; it ends by itself, or when it is stopped.

    Args:
        starter: Who started it; whoever looked away is told the outcome by direct message.
        work: What is to be done.
    """

    def __init__(self, starter: discord.User | discord.Member, work: Work) -> None:
        self._starter = starter
        self._work = work
        self._begun = discord.utils.utcnow()
        self._done, self._total = 0, 0
        self._outcome: str | None = None
        self._view: JobView | None = None
        self._task = asyncio.create_task(self._run(), name="cortex consolidation by hand")

    @property
    def is_going_on(self) -> bool:
        """Whether it has not ended yet."""
        return self._outcome is None and not self._task.done()

    @property
    def progress(self) -> str:
        """How far it is."""
        if not self._total:
            return f"Begun {discord.utils.format_dt(self._begun, 'R')}."
        filled = _BAR_CHARS * self._done // self._total
        bar = "█" * filled + "░" * (_BAR_CHARS - filled)
        return f"`{bar}` {self._done:,} of {_people(self._total)}"

    async def show_in(self, view: "JobView") -> None:
        """Show it there from now on, instead of wherever it was shown."""
        before, self._view = self._view, view
        if before is not None and not before.is_finished():
            with suppress(discord.HTTPException):
                await before.finish("This is shown further down now.")
        if self.is_going_on:  # meanwhile it may have told the outcome there
            view.watch()

    async def stop(self) -> None:
        """Stop it; what is done stays done, and who is being worked on is left as they were."""
        if self.is_going_on:  # not while it tells the outcome
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            self._outcome = str(await self._work(self._note))
        except asyncio.CancelledError:
            after = f" after {self._done:,} of {_people(self._total)}" if self._total else ""
            self._outcome = f"Stopped{after}; what was done stays."
        except CortexError as error:
            self._outcome = explain(error)
        except Exception:  # the edge where a job ends: logged, and told to whoever started it
            log.exception("Background work that was started by hand failed.")
            self._outcome = BUG
        await self._tell(self._outcome)

    async def _tell(self, outcome: str) -> None:
        try:
            if self._view is not None and not self._view.is_finished():
                await self._view.finish(outcome)
            else:
                await self._starter.send(outcome, allowed_mentions=NO_MENTIONS)
        except discord.HTTPException as error:
            log.info("Nobody could be told of background work that ended: %s", error)

    def _note(self, done: int, total: int) -> None:
        self._done, self._total = done, total


class JobView(OwnedView):
    """Shows how far a job is, as long as Discord lets the answer be edited, with a button that stops it.

    Args:
        title: What stands above that.
    """

    outcome = (
        "It goes on. `/cortex consolidate` shows again how far it is; I'll tell you by direct message when it is done."
    )

    def __init__(self, interaction: Interaction, open_views: WeakSet[OwnedView], job: Job, *, title: str) -> None:
        super().__init__(interaction, open_views)
        self._title = title
        self.timeout = _SHOWN_SECONDS
        self._job = job
        self._shown: str | None = None
        self._ticker = tasks.loop(seconds=_EDIT_SECONDS)(self._tick)

    def watch(self) -> None:
        """Show it, and go on showing it."""
        self._ticker.start()

    def stop(self) -> None:
        """Stop showing it."""
        self._ticker.cancel()
        super().stop()

    @discord.ui.button(label="Stop", style=discord.ButtonStyle.danger, custom_id="cortex:v1:consolidation:stop")
    async def end(self, interaction: Interaction, _: Button["JobView"]) -> None:
        """Stop the job, if whoever presses still may."""
        await self.accept(interaction)
        await server_asked_about(interaction)
        await self._job.stop()

    async def _tick(self) -> None:
        progress = self._job.progress
        if progress == self._shown or self.is_finished():
            return
        self._shown = progress
        with suppress(discord.HTTPException):  # the person may have dismissed the answer
            await self.show(content=f"{self._title}\n{progress}")


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number:,} people"
