"""Identity facts: each attribute's current value, and every value it had before."""

import json
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from cortex_core.audience import Audience
from cortex_core.errors import InvalidInputError
from cortex_core.models import Fact, Memory
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool
from cortex_core.stores.postgres.rows import to_fact, to_json, to_memory

_SQL = load_queries("identity")
_MEMORIES = load_queries("memories")


class IdentityFacts:
    """The table `identity_facts` and the evidence that its rows rest on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_current(self, user_id: str) -> list[Fact]:
        """Return what holds now, by attribute."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["current"], user_id)
        return [to_fact(row) for row in rows]

    async def list_history(self, user_id: str, attribute: str | None = None) -> list[Fact]:
        """Return everything that ever held, oldest first."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["history"], user_id, attribute)
        return [to_fact(row) for row in rows]

    async def list_evidence(self, user_id: str) -> dict[UUID, list[Memory]]:
        """Return what the current facts rest on, by fact."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["list_evidence"], user_id)
        evidence: dict[UUID, list[Memory]] = {}
        for row in rows:
            evidence.setdefault(row["fact_id"], []).append(to_memory(row))
        return evidence

    async def set_audience(self, user_id: str, attribute: str, audience: Audience) -> bool:
        """Set where an attribute's current fact may surface and tell whether there is one."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            current = [row for row in await connection.fetch(_SQL["current"], user_id) if row["attribute"] == attribute]
            for fact in current:
                await connection.execute(_SQL["set_audience"], user_id, fact["id"], str(audience))
                await connection.execute(_SQL["set_audience_of_evidence"], user_id, fact["id"], str(audience))
        return bool(current)

    async def list_statements(self, user_id: str, attribute: str) -> list[UUID]:
        """Return the memories that state what an attribute is or was, apart from what was said in conversations."""
        async with self._pool.reading_as(user_id) as connection:
            return [row["id"] for row in await connection.fetch(_SQL["list_statements"], user_id, attribute)]

    async def delete(self, user_id: str, attribute: str) -> int:
        """Delete an attribute with its history and return how many facts that were."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            return len(await connection.fetch(_SQL["delete"], user_id, attribute))

    async def retire_evidence(self, user_id: str, memory_id: UUID, *, at: datetime) -> bool:
        """End a memory, and the facts that rest on it alone, at that time, and tell whether there is such a memory."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            for fact in await connection.fetch(_SQL["list_resting_on"], user_id, memory_id):
                if fact["rests_on_it_alone"]:
                    await connection.execute(_SQL["end"], user_id, fact["id"], at)
            return await connection.fetchval(_MEMORIES["retire"], user_id, memory_id, at) is not None

    async def set_memory_audience(self, user_id: str, memory_id: UUID, audience: Audience) -> bool:
        """Set where a memory, and at most what rests on it, may surface, and tell whether there is one."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            for fact in await connection.fetch(_SQL["list_resting_on"], user_id, memory_id):
                narrowest = Audience.narrowest([Audience.parse(fact["audience"]), audience])
                await connection.execute(_SQL["set_audience"], user_id, fact["id"], str(narrowest))
            return await connection.fetchval(_MEMORIES["set_audience"], user_id, memory_id, str(audience)) is not None

    async def supersede(
        self,
        user_id: str,
        fact_id: UUID,
        attribute: str,
        value: JsonValue,
        *,
        confidence: float,
        valid_from: datetime,
        evidence: Memory,
    ) -> Fact:
        """End the attribute's current fact, add the new one and store the memory it rests on, all or nothing."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            older = await connection.fetchval(_SQL["end_current"], user_id, attribute, valid_from)
            replaced = None
            if older is not None:
                replaced = await connection.fetchval(_SQL["supersede_evidence"], user_id, older, valid_from)
            memory = evidence.model_copy(update={"supersedes": replaced})
            [written] = await connection.fetch(_MEMORIES["write"], to_json([(memory, None)]), [None], [None], None)
            if written["outcome"] == "forgotten":
                raise InvalidInputError("This was forgotten before, or its owner opted out, and stays so.")
            [row] = await connection.fetch(
                _SQL["add"],
                user_id, fact_id, attribute, json.dumps(value), confidence, evidence.audience, evidence.source,
                valid_from, older,
            )  # fmt: skip
            await connection.execute(_SQL["add_evidence"], user_id, fact_id, memory.id)
        return to_fact(row)
