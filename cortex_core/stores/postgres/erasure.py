"""Hard deletes, with tombstones that stop queued or repeated writes from bringing anything back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cortex_core.models import MAX_VERSION
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool

_SQL = load_queries("forgetting")

_PATIENCE_SECONDS = 60.0  # as the query `take_time` has it: a hundred thousand memories take some seconds
_MEMORIES = load_queries("memories")


@dataclass(frozen=True, slots=True)
class Erased:
    """What was deleted from Postgres."""

    memory_ids: tuple[UUID, ...] = ()
    facts: int = 0
    dead_letters: int = 0


class Erasure:
    """Deletes across all tables that hold something of an owner."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def erase(self, user_id: str, memory_ids: Sequence[UUID], *, up_to_version: int = MAX_VERSION) -> Erased:
        """Delete memories up to a version, their dead letters and the facts that rest on nothing else."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            await connection.execute(_SQL["bury"], user_id, memory_ids, up_to_version)
            resting = [row["fact_id"] for row in await connection.fetch(_SQL["facts_resting_on"], user_id, memory_ids)]
            facts = await connection.fetch(_SQL["delete_facts"], user_id, resting)
            rows = await connection.fetch(_SQL["delete_memories"], user_id, memory_ids, up_to_version)
            letters = await connection.fetch(_SQL["delete_dead_letters"], user_id, memory_ids)
            await connection.execute(_SQL["forget_common_words"], user_id)
        return Erased(tuple(row["id"] for row in rows), len(facts), len(letters))

    async def erase_everything(self, user_id: str, *, forgotten_at: datetime) -> Erased:
        """Delete all that is known of an owner, and whatever was acknowledged up to then and has not arrived yet.

        The time is that of the clock by which writes are acknowledged.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_SQL["take_time"])
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            await connection.execute(_SQL["mark_owner"], user_id, forgotten_at)
            facts = await connection.fetch(_SQL["delete_all_facts"], user_id)
            rows = await connection.fetch(_SQL["delete_all_memories"], user_id, timeout=_PATIENCE_SECONDS)
            buried = [row["id"] for row in rows]
            await connection.execute(_SQL["bury"], user_id, buried, MAX_VERSION, timeout=_PATIENCE_SECONDS)
            letters = await connection.fetch(_SQL["delete_dead_letters"], user_id, None)
            await connection.execute(_SQL["delete_session"], user_id)
            await connection.execute(_SQL["forget_common_words"], user_id)
            await connection.execute(_SQL["delete_runs"], user_id)
        return Erased(tuple(row["id"] for row in rows), len(facts), len(letters))

    async def bury_source(self, memory_id: UUID, *, up_to_version: int) -> None:
        """Stop a memory from being written for whoever owns it; for sources whose owner isn't known any more."""
        async with self._pool.transaction() as connection:
            await connection.execute(_SQL["stop_writes"])
            await connection.execute(_SQL["bury"], None, [memory_id], up_to_version)
