"""Identity facts: what holds now, what held before, and what was believed when."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from cortex_core.audience import Audience
from cortex_core.errors import InvalidInputError
from cortex_core.models import Fact, Memory, utc_now
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.descent import move, withdraw
from cortex_core.stores.postgres.evidence import end_resting_on, take_out, withdraw_resting_on
from cortex_core.stores.postgres.rows import to_fact, to_json, to_memory

_SQL = load_queries("identity")
_MEMORIES = load_queries("memories")
_RUNS = load_queries("runs")


@dataclass(frozen=True, slots=True)
class Statement:
    """A value that somebody sets by hand.

    Attributes:
        key: What spellings of the value have in common.
        memory: States it, and is kept as its evidence.
    """

    fact_id: UUID
    value: JsonValue
    key: str
    has_many: bool
    memory: Memory


class IdentityFacts:
    """The table `identity_facts` and the evidence that its rows rest on; of the owner, unless told otherwise."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_current(self, user_id: str) -> list[Fact]:
        """Return what holds now, by attribute, the values of each in the order in which they were learned."""
        return await self._list("current", user_id)

    async def list_as_of(self, user_id: str, at: datetime) -> list[Fact]:
        """Return what was taken to hold at that time, in the same order."""
        return await self._list("as_of", user_id, at)

    async def list_history(self, user_id: str, attribute: str | None = None, *, key: str | None = None) -> list[Fact]:
        """Return everything that ever held, or each time at which one value did, oldest first."""
        return await self._list("history", user_id, attribute, key)

    async def list_evidence(self, user_id: str) -> dict[UUID, list[Memory]]:
        """Return what the current facts rest on, by fact."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["list_evidence"], user_id)
        evidence: dict[UUID, list[Memory]] = {}
        for row in rows:
            evidence.setdefault(row["fact_id"], []).append(to_memory(row))
        return evidence

    async def set_audience(self, user_id: str, attribute: str, audience: Audience, *, key: str | None = None) -> bool:
        """Set where an attribute's current values, or one of them, may surface and tell whether there is one."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            changed = await connection.fetch(_SQL["set_audience_of_values"], user_id, attribute, key, str(audience))
            for fact in changed:
                await connection.execute(_SQL["set_audience_of_evidence"], user_id, fact["id"], str(audience))
        return bool(changed)

    async def list_statements(self, user_id: str, attribute: str, *, key: str | None = None) -> list[UUID]:
        """Return the memories that state what an attribute is or was, apart from what was said in conversations."""
        async with self._pool.reading_as(user_id) as connection:
            return [row["id"] for row in await connection.fetch(_SQL["list_statements"], user_id, attribute, key)]

    async def retire_evidence(self, user_id: str, memory_id: UUID, *, at: datetime, was_wrong: bool = False) -> bool:
        """Let a memory hold no more from a time on, and tell whether there is such a memory.

        Facts that rest on it alone held until then; if it was wrong never, and what they had superseded holds again.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            await withdraw(connection, user_id, [memory_id])
            if await connection.fetchval(_MEMORIES["retire"], user_id, memory_id, at) is None:
                return False
            await connection.execute(_RUNS["settle"], user_id, memory_id)
            if was_wrong:
                await withdraw_resting_on(connection, user_id, memory_id)
            else:
                await end_resting_on(connection, user_id, memory_id, at=at)
            return True

    async def set_memory_audience(self, user_id: str, memory_id: UUID, audience: Audience) -> bool:
        """Set where a memory, and at most what rests on it, may surface, and tell whether there is one.

        A fact that rests on other memories as well is kept back as far: the person doesn't want it there.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            for fact in await connection.fetch(_SQL["list_resting_on"], user_id, memory_id):
                if fact["audience"] or not fact["rests_on_it_alone"]:
                    narrowest = Audience.narrowest([*map(Audience.parse, fact["audiences"]), audience])
                    await connection.execute(_SQL["set_audience"], user_id, fact["id"], str(narrowest))
            await move(connection, user_id, memory_id, audience)
            return await connection.fetchval(_MEMORIES["set_audience"], user_id, memory_id, str(audience)) is not None

    async def set_values(
        self,
        user_id: str,
        attribute: str,
        statements: Sequence[Statement],
        *,
        confidence: float,
        source: str,
        instead_of: Sequence[str] | None = None,
    ) -> list[Fact]:
        """Let these values hold from now on, each with the memory that states it, all or nothing.

        Args:
            user_id: The owner.
            attribute: What they are values of.
            statements: At least one.
            confidence: How sure one is.
            source: How it is known.
            instead_of: The keys of the values that end, among many; all of the attribute's if that is None.
        """
        now = utc_now()
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            keys = None if instead_of is None else [*instead_of, *(s.key for s in statements)]
            rows = await connection.fetch(_SQL["end_values"], user_id, attribute, now, keys)
            ended = {row["value_key"]: row["id"] for row in rows}
            replaced = {
                fact_id: await connection.fetchval(_SQL["supersede_evidence"], user_id, fact_id, now)
                for fact_id in ended.values()
            }
            others_hold = bool(await connection.fetchval(_SQL["others_hold"], user_id, attribute))
            only = next(iter(ended.values())) if len(ended) == len(statements) == 1 else None
            facts = []
            for statement in statements:
                older = ended.get(statement.key, only)
                memory = statement.memory.model_copy(update={"supersedes": replaced.get(older) if older else None})
                await _write(connection, memory)
                [row] = await connection.fetch(
                    _SQL["add"],
                    user_id, statement.fact_id, "", attribute, json.dumps(statement.value), statement.key,
                    statement.has_many or others_hold, confidence, memory.audience, source, now, None, older, now,
                )  # fmt: skip
                await connection.execute(_SQL["add_evidence"], user_id, statement.fact_id, [memory.id])
                facts.append(to_fact(row))
        return facts

    async def _list(self, query: str, user_id: str, *arguments: object) -> list[Fact]:
        async with self._pool.reading_as(user_id) as connection:
            return [to_fact(row) for row in await connection.fetch(_SQL[query], user_id, *arguments)]


async def withdraw_edited(connection: Connection, edited: Sequence[tuple[str, UUID]]) -> None:
    """Take back what was learned from words that were edited away alone, within the transaction of the edit.

    What it had superseded holds again. The new words have not been read yet.
    """
    if not edited:
        return
    owners, ids = [owner for owner, _ in edited], [memory_id for _, memory_id in edited]
    await connection.execute(_SQL["drop_questions"], owners, ids)
    for row in await connection.fetch(_SQL["list_reworded"], owners, ids):
        await take_out(connection, row["user_id"], row["id"])


async def _write(connection: Connection, memory: Memory) -> None:
    [written] = await connection.fetch(_MEMORIES["write"], to_json([(memory, None)]), [None], [None], None)
    if written["outcome"] == "forgotten":
        raise InvalidInputError("This was forgotten before, or its owner opted out, and stays so.")
