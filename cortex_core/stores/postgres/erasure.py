"""Hard deletes, with tombstones that stop queued or repeated writes and other sources from bringing anything back."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from cortex_core.audience import Audience
from cortex_core.models import MAX_VERSION, utc_now
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.descent import drop

_SQL = load_queries("forgetting")
_MEMORIES = load_queries("memories")
_SPENDING = load_queries("spending")

PATIENCE_SECONDS = 60.0  # as the query `take_time` has it: a hundred thousand memories take some seconds
_MOST_DEADLOCKS = 5


@dataclass(frozen=True, slots=True)
class Erased:
    """What was deleted from Postgres."""

    memory_ids: tuple[UUID, ...] = ()
    facts: int = 0
    contradictions: int = 0
    dead_letters: int = 0


class Erasure:
    """Deletes across all tables that hold something of an owner.

    What is deleted leaves its id and a keyed hash of its text: a write of that memory is dropped whenever it comes, and
    one of that text if it was said before it was forgotten, under whatever id. Said anew, it is a new memory.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def erase(self, user_id: str, memory_ids: Sequence[UUID], *, up_to_version: int = MAX_VERSION) -> Erased:
        """Delete memories up to a version, what was learned from them alone, their contradictions and dead letters.

        Facts with other evidence stay, and may surface no further than that. What a memory had superseded stays so. A
        summary or a merged memory that retells what is forgotten goes, and what else it stood for is active again; one
        that is forgotten itself takes all that with it.
        """
        forgotten_at = _time_of(up_to_version)

        async def work(connection: Connection) -> Erased:
            await connection.execute(_SQL["take_time"])
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            await connection.execute(_SQL["bury"], user_id, memory_ids, up_to_version, forgotten_at)
            rows = await connection.fetch(_SQL["list_meant"], user_id, memory_ids, up_to_version)
            meant = [row["id"] for row in rows]
            derived = await _list_derived(connection, user_id, meant)
            doomed = meant + derived
            await connection.execute(_SQL["bury"], user_id, meant, up_to_version, forgotten_at)
            facts = await _erase_facts_resting_on(connection, user_id, doomed, forgotten_at)
            contradictions = await connection.fetch(_SQL["delete_contradictions"], user_id, doomed)
            await drop(connection, user_id, derived)
            await connection.fetch(_SQL["delete_memories"], user_id, forgotten_at, meant, timeout=PATIENCE_SECONDS)
            letters = await connection.fetch(_SQL["delete_dead_letters"], user_id, memory_ids)
            await connection.execute(_SQL["forget_common_words"], user_id)
            return Erased(tuple(doomed), facts, len(contradictions), len(letters))

        return await self._insist(work)

    async def erase_facts(self, user_id: str, fact_ids: Sequence[UUID]) -> int:
        """Delete facts, not what they were learned from, and return how many there were."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            return len(await connection.fetch(_SQL["delete_facts"], user_id, utc_now(), fact_ids))

    async def erase_everything(self, user_id: str, *, forgotten_at: datetime) -> Erased:
        """Delete all that is known of an owner, and whatever was acknowledged up to then and has not arrived yet.

        The time is that of the clock by which writes are acknowledged.
        """

        async def work(connection: Connection) -> Erased:
            await connection.execute(_SQL["take_time"])
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            await connection.execute(_SQL["mark_owner"], user_id, forgotten_at)
            facts = await connection.fetch(_SQL["delete_all_facts"], user_id, forgotten_at)
            contradictions = await connection.fetch(_SQL["delete_all_contradictions"], user_id)
            rows = await connection.fetch(_SQL["delete_all_memories"], user_id, forgotten_at, timeout=PATIENCE_SECONDS)
            gone = tuple(row["id"] for row in rows)
            await connection.execute(_SQL["bury"], user_id, gone, MAX_VERSION, forgotten_at, timeout=PATIENCE_SECONDS)
            letters = await connection.fetch(_SQL["delete_dead_letters"], user_id, None)
            await connection.execute(_SQL["delete_session"], user_id)
            await connection.execute(_SQL["forget_common_words"], user_id)
            await connection.execute(_SQL["delete_runs"], user_id)
            await connection.execute(_SQL["delete_leases"], user_id)
            await connection.execute(_SQL["unname_reviewer"], user_id)
            await connection.execute(_SPENDING["unname"], Audience.owner().account_of(user_id))
            return Erased(gone, len(facts), len(contradictions), len(letters))

        return await self._insist(work)

    async def bury_source(self, memory_id: UUID, *, up_to_version: int) -> None:
        """Stop a memory from being written for whoever owns it; for sources whose owner isn't known any more."""
        async with self._pool.transaction() as connection:
            await connection.execute(_SQL["stop_writes"])
            await connection.execute(_SQL["bury"], None, [memory_id], up_to_version, _time_of(up_to_version))

    async def _insist(self, work: Callable[[Connection], Awaitable[Erased]]) -> Erased:
        """Do it in a transaction; again if PostgreSQL ended it in favour of upkeep that changes the same memories."""
        async with self._pool.connection() as connection:
            for _ in range(_MOST_DEADLOCKS):
                with suppress(asyncpg.DeadlockDetectedError):
                    async with connection.transaction():
                        return await work(connection)
            async with connection.transaction():
                return await work(connection)


async def _list_derived(connection: Connection, user_id: str, meant: Sequence[UUID]) -> list[UUID]:
    """Return what was drawn from memories that go, and what was drawn from that."""
    derived: list[UUID] = []
    while rows := await connection.fetch(_SQL["list_drawn_from"], user_id, [*meant, *derived]):
        derived += [row["id"] for row in rows]
    return derived


async def _erase_facts_resting_on(
    connection: Connection, user_id: str, doomed: Sequence[UUID], forgotten_at: datetime
) -> int:
    """Delete the facts that lose all their evidence and return how many; where one may come up never grows by it."""
    bare: list[UUID] = []
    for fact in await connection.fetch(_SQL["list_touched_facts"], user_id, doomed):
        if fact["audiences_left"] is None:
            bare.append(fact["id"])
            continue
        if fact["audience"]:  # with that among them: forgetting never lets anything surface further
            audiences = map(Audience.parse, [fact["audience"], *fact["audiences_left"]])
            await connection.execute(_SQL["narrow_fact"], user_id, fact["id"], str(Audience.narrowest(audiences)))
    return len(await connection.fetch(_SQL["delete_facts"], user_id, forgotten_at, bare))


def _time_of(up_to_version: int) -> datetime:
    """Return until when what was said is forgotten: now, or when the edit was made that left nothing of it."""
    now = utc_now()
    return now if up_to_version == MAX_VERSION else min(now, datetime.fromtimestamp(up_to_version / 1000, UTC))
