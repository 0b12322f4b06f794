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
_MEMORIES = load_queries("memories")


async def withdraw_reworded(connection: Connection, edited: Sequence[Memory]) -> None:
    """Let nothing rest on words that were edited away."""
    if not edited:
        return
    owners, ids = [memory.user_id for memory in edited], [memory.id for memory in edited]
    for row in await connection.fetch(_SQL["list_reworded"], owners, ids):
        await withdraw(connection, row["user_id"], [row["id"]])


async def withdraw(connection: Connection, user_id: str, memory_ids: Sequence[UUID]) -> None:
    """Let nothing rest on memories that say something else now, or are taken back.

    Their summaries go, and the other memories in them are active again; patterns lose a proof, and go with the last but
    one.
    """
    await connection.execute(_SQL["withdraw_summaries"], user_id, memory_ids)
    weakened = [row["derived_id"] for row in await connection.fetch(_SQL["take_proof"], user_id, memory_ids)]
    await connection.execute(_SQL["drop_unproven"], user_id, weakened, FEWEST_PROOFS)


async def move(connection: Connection, user_id: str, memory_id: UUID, audience: Audience) -> None:
    """Let what was drawn from a memory surface no further than the memory does from now on.

    Summaries stand for memories of one audience: those that it is in go, as in `withdraw`.
    """
    await connection.execute(_SQL["withdraw_summaries"], user_id, [memory_id])
    for drawn in await connection.fetch(_SQL["list_drawn"], user_id, memory_id):
        narrowest = Audience.narrowest([Audience.parse(drawn["audience"]), audience])
        if str(narrowest) != drawn["audience"]:
            await connection.execute(_MEMORIES["set_audience"], user_id, drawn["id"], str(narrowest))
            await move(connection, user_id, drawn["id"], narrowest)
