"""The last known state of each owner's session, read when Redis is away."""

from datetime import datetime

from pydantic import JsonValue

from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool

_SQL = load_queries("sessions")
_MEMORIES = load_queries("memories")


class SessionStates:
    """The table `sessions`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(
        self, user_id: str, state: dict[str, JsonValue], *, revised_at: datetime, expires_at: datetime
    ) -> None:
        """Keep a state unless a later one stands already."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            await connection.execute(_SQL["put"], user_id, state, revised_at, expires_at)

    async def get(self, user_id: str) -> dict[str, JsonValue]:
        """Return the state, empty if there is no session that still lasts."""
        async with self._pool.reading_as(user_id) as connection:
            state: dict[str, JsonValue] | None = await connection.fetchval(_SQL["get"], user_id)
        return state or {}
