"""What becomes of what was drawn from a memory when that memory changes, within the transaction that changes it."""

from collections.abc import Sequence
from uuid import UUID

from cortex_core.audience import Audience
from cortex_core.models import Memory
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection

FEWEST_PROOFS = 2
"""Memories that a pattern rests on at least."""

_SQL = load_queries("descent")
_CONTRADICTIONS = load_queries("contradictions")
_MEMORIES = load_queries("memories")
_RUNS = load_queries("runs")


async def withdraw_reworded(connection: Connection, edited: Sequence[Memory]) -> None:
    """Let nothing rest on words that were edited away, nor tell more people than may hear them now."""
    if not edited:
        return
    owners, ids = [memory.user_id for memory in edited], [memory.id for memory in edited]
    for row in await connection.fetch(_SQL["list_reworded"], owners, ids):
        await withdraw(connection, row["user_id"], [row["id"]])
    await connection.execute(_SQL["drop_contradictions"], owners, ids)


async def withdraw(connection: Connection, user_id: str, memory_ids: Sequence[UUID]) -> None:
    """Let nothing rest on memories that say something else now, or are taken back.

    The summaries and merged memories that retell them go; patterns lose a proof, and go with the last but one.
    """
    await drop(connection, user_id, await _list(connection, "list_retellings", user_id, memory_ids))
    weakened = await _list(connection, "take_proof", user_id, memory_ids)
    await drop(connection, user_id, await _list(connection, "list_unproven", user_id, weakened, FEWEST_PROOFS))


async def drop(connection: Connection, user_id: str, drawn: Sequence[UUID]) -> None:
    """Delete what was drawn from memories, and what was drawn from that; what it stood for speaks for itself again.

    Whoever merged memories can decide about them anew.
    """
    if not drawn:
        return
    await withdraw(connection, user_id, drawn)
    await connection.execute(_SQL["bring_back"], user_id, drawn)
    for run_id in await _list(connection, "list_mergers", user_id, drawn):
        await connection.execute(_RUNS["take_back_memories"], run_id, [user_id])
        await connection.execute(_CONTRADICTIONS["reopen"], run_id)
        await connection.execute(_RUNS["mark_undone"], run_id)
    await connection.execute(_SQL["delete"], user_id, drawn)


async def move(connection: Connection, user_id: str, memory_id: UUID, audience: Audience) -> None:
    """Let what was drawn from a memory surface no further than the memory does from now on.

    What retells it goes, as in `withdraw`: a summary stands for memories of one audience, and what was merged can be
    decided anew.
    """
    await drop(connection, user_id, await _list(connection, "list_retellings", user_id, [memory_id]))
    for drawn in await connection.fetch(_SQL["list_drawn"], user_id, memory_id):
        narrowest = Audience.narrowest([Audience.parse(drawn["audience"]), audience])
        leaves_project = audience == Audience.owner() and drawn["project_id"] is not None
        if leaves_project or str(narrowest) != drawn["audience"]:
            await connection.execute(_MEMORIES["set_audience"], user_id, drawn["id"], str(narrowest))
            await move(connection, user_id, drawn["id"], narrowest)


async def _list(connection: Connection, query: str, user_id: str, ids: Sequence[UUID], *arguments: int) -> list[UUID]:
    return [row["id"] for row in await connection.fetch(_SQL[query], user_id, ids, *arguments)]
