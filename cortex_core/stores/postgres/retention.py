"""Who left which server, the bot included, and what is still kept of what was said there."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool

_SQL = load_queries("retention")


@dataclass(frozen=True, slots=True)
class Departure:
    """Somebody left a server.

    Attributes:
        user_id: Who; None if the bot did.
        erase_at: When what was said there has to go: by that person, or by all.
    """

    guild_id: int
    user_id: str | None
    erase_at: datetime


class Departures:
    """The table `departures`, and what it is about."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, guild_id: int, user_id: str | None, erase_at: datetime, *, left_at: datetime) -> datetime:
        """Keep the time, or the one that stands if that is earlier, and return which."""
        async with self._pool.connection() as connection:
            kept: datetime = await connection.fetchval(_SQL["add"], guild_id, user_id, erase_at, left_at)
        return kept

    async def remove(self, guild_id: int, user_id: str | None) -> bool:
        """Take back that somebody left, and tell whether they had."""
        async with self._pool.connection() as connection:
            return await connection.fetchval(_SQL["remove"], guild_id, user_id) is not None

    async def list_due(self, now: datetime) -> list[Departure]:
        """Return those whose time is up, the oldest first, but for who was heard there since."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["remove_returned"], now)
            rows = await connection.fetch(_SQL["list_due"], now)
        return [Departure(**row) for row in rows]

    async def end(self, departure: Departure) -> None:
        """Nothing is left of it, unless they came back and left again meanwhile."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["end"], departure.guild_id, departure.user_id, departure.erase_at)

    async def list_memories(self, departure: Departure, limit: int) -> dict[str, list[UUID]]:
        """Return some memories that have to go, by owner; none if they came back."""
        return await self._list(_SQL[f"list_memories_of_{_whom(departure)}"], departure, limit)

    async def list_facts(self, departure: Departure, limit: int) -> dict[str, list[UUID]]:
        """Return some identity facts likewise."""
        return await self._list(_SQL[f"list_facts_of_{_whom(departure)}"], departure, limit)

    async def _list(self, query: LiteralString, departure: Departure, limit: int) -> dict[str, list[UUID]]:
        by_owner: dict[str, list[UUID]] = defaultdict(list)
        async with self._pool.connection() as connection:
            rows = await connection.fetch(query, departure.guild_id, departure.user_id, departure.erase_at, limit)
        for row in rows:
            by_owner[row["user_id"]].append(row["id"])
        return by_owner


def _whom(departure: Departure) -> str:
    return "all" if departure.user_id is None else "one"
