"""How important memories are by now: recency fades, and what is drawn on gains."""

from datetime import datetime
from uuid import UUID

from cortex_core.scoring import TYPE_WEIGHTS
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.erasure import PATIENCE_SECONDS

_SQL = load_queries("importance")
_FORGETTING = load_queries("forgetting")

_WORTH_A_WRITE = 0.02


class Importance:
    """The column `memories.importance`.

    It fades as far as emotion, use and type carry it (TDD 3.5) and no further; of what is pinned, and of identity, not
    at all.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_off(self, user_id: str, *, now: datetime, limit: int) -> dict[UUID, float]:
        """Return the importance of those of an owner's memories that are furthest from the formula, by id."""
        weights = {kind.value: weight for kind, weight in TYPE_WEIGHTS.items()}
        async with self._pool.transaction() as connection:
            await connection.execute(_FORGETTING["take_time"])
            rows = await connection.fetch(
                _SQL["list_off"], user_id, now, weights, _WORTH_A_WRITE, limit, timeout=PATIENCE_SECONDS
            )
        return {row["id"]: row["importance"] for row in rows}


async def set_importance(connection: Connection, user_id: str, importance: dict[UUID, float]) -> None:
    """Set the importance of an owner's memories, within a transaction."""
    await connection.execute(_SQL["set"], user_id, list(importance), list(importance.values()))
