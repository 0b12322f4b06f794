"""What becomes of facts when they, or what they rest on, are taken back, within the transaction that does so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection

_SQL = load_queries("evidence")


@dataclass(frozen=True, slots=True)
class Shifted:
    """What holds at other times now: rows with an id, `valid_from` and `valid_to` as they were before.

    Attributes:
        facts: Facts, with `ended_at`.
        statements: Memories that only state a fact, with `status`.
    """

    facts: list[Record] = field(default_factory=list)
    statements: list[Record] = field(default_factory=list)


async def end_resting_on(connection: Connection, user_id: str, memory_id: UUID, *, at: datetime) -> Shifted:
    """End the facts that rest on a memory alone: they held until then."""
    return Shifted(await connection.fetch(_SQL["end_resting_on_it_alone"], user_id, memory_id, at))


async def withdraw_resting_on(connection: Connection, user_id: str, memory_id: UUID) -> Shifted:
    """Take back the facts that rest on a memory alone, which is superseded already."""
    return await withdraw(connection, user_id, await _list_resting_on(connection, user_id, memory_id))


async def withdraw(connection: Connection, user_id: str, fact_ids: Sequence[UUID]) -> Shifted:
    """Let facts have held at no time; what they had taken the place of holds in their stead."""
    shifted = Shifted()
    for row in await connection.fetch(_SQL["withdraw"], user_id, fact_ids):
        shifted.facts.append(row)
        if row["heir"] is not None:
            await _restore(connection, user_id, row["heir"], shifted, row["valid_to"], row["recorded_at"])
    return shifted


async def restore(connection: Connection, user_id: str, fact_ids: Iterable[UUID]) -> Shifted:
    """Let facts that ended hold again, with the memories that only state them.

    What was learned or set since stays. In the place of a fact whose evidence was taken back meanwhile, what it had
    superseded holds.
    """
    shifted = Shifted()
    for fact_id in fact_ids:  # one after the other, so that each sees what holds by then
        await _restore(connection, user_id, fact_id, shifted)
    return shifted


async def take_out(connection: Connection, user_id: str, memory_id: UUID) -> None:
    """Forget that a memory said anything, with the facts that rest on it alone, as if they had never been learned."""
    facts = await _list_resting_on(connection, user_id, memory_id)
    await connection.execute(_SQL["drop"], user_id, memory_id)
    await withdraw(connection, user_id, facts)
    for fact_id in facts:
        await connection.execute(_SQL["delete_bare"], user_id, fact_id)


async def _list_resting_on(connection: Connection, user_id: str, memory_id: UUID) -> list[UUID]:
    return [row["id"] for row in await connection.fetch(_SQL["list_resting_on_it_alone"], user_id, memory_id)]


async def _restore(
    connection: Connection,
    user_id: str,
    fact_id: UUID,
    shifted: Shifted,
    until: datetime | None = None,
    recorded_at: datetime | None = None,
) -> None:
    rows = await connection.fetch(_SQL["restore"], user_id, fact_id, until, recorded_at)
    shifted.facts.extend(rows)
    if until is None:
        for row in rows:
            shifted.statements.extend(await connection.fetch(_SQL["revive_statements"], user_id, row["id"]))
