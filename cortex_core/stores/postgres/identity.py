"""Identity facts: each attribute's current value, and every value it had before."""

import json
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from cortex_core.models import Fact, Memory
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool
from cortex_core.stores.postgres.rows import to_fact, to_json

_SQL = load_queries("identity")
_MEMORIES = load_queries("memories")


class IdentityFacts:
    """The table `identity_facts` and the evidence that its rows rest on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_current(self, user_id: str) -> list[Fact]:
        """Return what holds now, by attribute."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["current"], user_id)
        return [to_fact(row) for row in rows]

    async def list_history(self, user_id: str, attribute: str | None = None) -> list[Fact]:
        """Return everything that ever held, oldest first."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["history"], user_id, attribute)
        return [to_fact(row) for row in rows]

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
            await connection.fetch(_MEMORIES["write"], to_json([(memory, None)]), [None], [None], None)
            [row] = await connection.fetch(
                _SQL["add"],
                user_id, fact_id, attribute, json.dumps(value), confidence, evidence.audience, evidence.source,
                valid_from, older,
            )  # fmt: skip
            await connection.execute(_SQL["add_evidence"], user_id, fact_id, memory.id)
        return to_fact(row)
