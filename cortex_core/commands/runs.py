"""Commands about the background work that was done on a user's memories: `runs` lists it, `undo` takes it back."""

from typing import Annotated
from uuid import UUID

import typer

from cortex_core.commands.console import print_json, say
from cortex_core.commands.memories import AsJson, User
from cortex_core.commands.running import run
from cortex_core.config import load_config
from cortex_core.manager import MemoryManager
from cortex_core.models import Run
from cortex_core.stores.postgres.runs import Undone


def list_runs(
    user: User,
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="the most to show")] = 25,
    as_json: AsJson = False,
) -> None:
    """Show what was learned, summarised and tidied up of a user's memories, the latest first."""

    async def work() -> list[Run]:
        async with MemoryManager(load_config()) as memory:
            return await memory.consolidation.list_runs(user, limit=limit)

    runs = run(work())
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in runs])
        return
    for entry in runs:
        say(f"{entry.id}  {entry.started_at:%Y-%m-%d %H:%M}  {_describe(entry)}")
    say(f"{len(runs)} runs")


def undo(
    user: User,
    run_id: Annotated[UUID, typer.Argument(metavar="RUN", help="its id, as `runs` shows it")],
    *,
    as_json: AsJson = False,
) -> None:
    """Take back what a run changed, all or nothing; what the user decided since stays."""

    async def work() -> Undone:
        async with MemoryManager(load_config()) as memory:
            return await memory.consolidation.undo(user, run_id)

    undone = run(work())
    changed = {
        "memories_restored": len(undone.restored),
        "memories_withdrawn": len(undone.withdrawn),
        "facts": len(undone.facts),
    }
    if as_json:
        print_json(dict(changed))
    else:
        say(
            f"Taken back: {changed['memories_restored']} memories are recalled again, {changed['memories_withdrawn']} "
            f"aren't any more, {changed['facts']} facts changed."
        )


def _describe(entry: Run) -> str:
    counts = [f"{number:,} {name.replace('_', ' ')}" for name, number in entry.counts.items() if number]
    undone = ["taken back"] if entry.undone_at is not None else []
    return " · ".join([f"{entry.job} {entry.status.value}", *counts, *undone])
