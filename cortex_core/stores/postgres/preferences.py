"""What people wish for all that they say."""

from cortex_core.models import Preferences
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool

_SQL = load_queries("preferences")
_MEMORIES = load_queries("memories")


class PreferenceRows:
    """The wishes among the columns of `owners`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def get(self, user_id: str) -> Preferences:
        """Return somebody's wishes; whoever never said any has none."""
        async with self._pool.reading_as(user_id) as connection:
            row = await connection.fetchrow(_SQL["get"], user_id)
        return Preferences(**row) if row else Preferences()

    async def put(self, user_id: str, preferences: Preferences) -> None:
        """Let these hold from now on. Who opts out takes back, in the same transaction, what projects were told."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            await connection.execute(
                _SQL["put"],
                user_id, preferences.opted_out, preferences.paused_until, preferences.keeps_private,
                preferences.wants_digest,
            )  # fmt: skip
            if preferences.opted_out:
                await connection.execute(_SQL["take_back"], user_id)
