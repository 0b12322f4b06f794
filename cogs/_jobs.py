"""The runs of background work, a few at a time."""

from collections.abc import Sequence
from weakref import WeakSet

import discord

from cortex_core import MemoryManager
from cortex_core.models import Run, RunStatus

from ._errors import Interaction
from ._operators import is_operator, server_asked_about
from ._pages import ListPages
from ._projects import mention_of
from ._views import OwnedView
from ._wording import preview

_LIGHTS = {RunStatus.SUCCEEDED: "🟢", RunStatus.FAILED: "🔴", RunStatus.RUNNING: "🔵"}
_MAX_ERROR_CHARS = 200
_SECONDS_OF_A_MINUTE = 60


class RunPages(ListPages):
    """The last runs, each page as far as the person may see it at that moment.

    Args:
        guild_id: The server on whose people they were; None for all.
        total: How many there are.
    """

    separator = "\n"
    page_size = 10

    def __init__(
        self,
        interaction: Interaction,
        open_views: WeakSet[OwnedView],
        memory: MemoryManager,
        guild_id: int | None,
        *,
        total: int,
    ) -> None:
        async def fetch(offset: int, limit: int) -> Sequence[str]:
            await server_asked_about(self.interaction)
            in_detail = guild_id is None and await is_operator(self.interaction)
            runs = await memory.dashboard.list_runs(guild_id=guild_id, limit=limit, offset=offset)
            return [_describe(run, in_detail=in_detail) for run in runs]

        title = "Background work" if guild_id is None else "Background work on people of this server"
        super().__init__(interaction, open_views, fetch, total=total, title=title)


def _describe(run: Run, *, in_detail: bool) -> str:
    """Return a run in a line.

    On whom it was, how long it took, what it did and why it failed is for whoever runs the bot alone: that goes by all
    that is known of a person, wherever they said it.
    """
    parts = [f"{_LIGHTS[run.status]} {run.job}", discord.utils.format_dt(run.started_at, "R")]
    if run.undone_at is not None:
        parts.append("taken back")
    if not in_detail:
        return " · ".join([*parts, *(["failed"] if run.status is RunStatus.FAILED else [])])
    if run.completed_at is not None:
        parts.append(f"took {_duration((run.completed_at - run.started_at).total_seconds())}")
    parts.append("all" if run.user_id is None else mention_of(run.user_id))
    parts += [f"{number:,} {name.replace('_', ' ')}" for name, number in run.counts.items() if number]
    if run.error:
        parts.append(preview(run.error, _MAX_ERROR_CHARS))
    return " · ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "under 1 s"
    return f"{seconds:.0f} s" if seconds < _SECONDS_OF_A_MINUTE else f"{seconds / _SECONDS_OF_A_MINUTE:.0f} min"
