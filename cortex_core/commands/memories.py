"""Commands about one user's memories."""

from typing import Annotated
from uuid import UUID

import typer

from cortex_core.commands.console import complain, print_json, printable, say, stderr
from cortex_core.commands.running import run
from cortex_core.config import load_config
from cortex_core.errors import InvalidInputError, NotFoundError
from cortex_core.manager import MemoryManager
from cortex_core.models import Receipt, SearchResult

User = Annotated[str, typer.Argument(help="the owner's id; for a Discord account discord-NUMBER")]
AsJson = Annotated[bool, typer.Option("--json", help="for a program to read")]


def search(
    user: User,
    query: Annotated[str, typer.Argument(help="what to look for")],
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="the most to show")] = 10,
    explain: Annotated[bool, typer.Option("--explain", help="show what each score is made of")] = False,
    as_json: AsJson = False,
) -> None:
    """Search a user's memories as the user could in a direct message."""

    async def work() -> SearchResult:
        async with MemoryManager(load_config()) as memory:
            return await memory.search(user, query, limit=limit, explain=explain)

    result = run(work())
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    for memory in result.memories:
        score = f"score {memory.score:.2f}{' (weak match)' if memory.is_weak else ''}"
        say(f"{memory.created_at:%Y-%m-%d %H:%M}  {memory.author_name or memory.author_id}  {score}  {memory.id}")
        say(f"    {memory.content}")
        if memory.explanation:
            say("    " + ", ".join(f"{part} {value:.2f}" for part, value in memory.explanation.items()))
    say(f"{len(result.memories)} of {result.total_count} in {result.search_time_ms} ms")
    for degradation in result.degraded:
        complain(degradation.value)


def forget(
    user: User,
    *,
    memory_ids: Annotated[
        list[UUID] | None, typer.Option("--memory", metavar="ID", help="may be given several times")
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="all that is known of the user")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="don't ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase memories for good, in every tier, and show the receipt."""
    ids = list(dict.fromkeys(memory_ids or []))
    if bool(ids) == everything:
        raise InvalidInputError("Name what to forget: either --memory ID, once or several times, or --everything.")
    count = run(_count(user, ids))
    if not yes:
        what = "these" if ids else "everything"
        amount = "1 memory" if count == 1 else f"{count} memories"
        _confirm(f"Forget {what} ({amount}) of {user} for good?")
    receipt = run(_forget(user, ids))
    if as_json:
        print_json(receipt.model_dump(mode="json"))
    else:
        say(
            f"Forgotten: {receipt.long_term} in long-term memory, {receipt.working} in working memory, "
            f"{receipt.identity_facts} identity facts, {receipt.contradictions} contradictions, "
            f"{receipt.dead_letters} dead letters."
        )


async def _count(user: str, ids: list[UUID]) -> int:
    """Count what would be forgotten.

    Raises:
        NotFoundError: The user has no such memory.
    """
    async with MemoryManager(load_config()) as memory:
        await memory.flush()
        for memory_id in ids:
            if await memory.get(user, memory_id) is None:
                raise NotFoundError(f"This user has no memory {memory_id}; nothing was forgotten.")
        return len(ids) or await memory.postgres.count_memories(user, status=None)


async def _forget(user: str, ids: list[UUID]) -> Receipt:
    async with MemoryManager(load_config()) as memory:
        return await (memory.forget(user, ids) if ids else memory.forget_everything(user))


def _confirm(question: str) -> None:
    """Ask for a yes, outside any event loop, which would hold Ctrl-C back.

    Raises:
        typer.Exit: It wasn't one.
    """
    try:
        answer = stderr.input(printable(f"{question} [y/N] "), markup=False)
    except EOFError:
        complain("\nNobody answered; --yes forgets without asking.")
        raise typer.Exit(1) from None
    if answer.strip().lower() not in {"y", "yes"}:
        complain("Nothing was forgotten.")
        raise typer.Exit(1)
