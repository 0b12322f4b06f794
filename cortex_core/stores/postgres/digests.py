"""What was learned about people lately, as it is told to those who want to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import JsonValue

from cortex_core.models import Fact, Memory
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool
from cortex_core.stores.postgres.evidence import restore, withdraw
from cortex_core.stores.postgres.rows import to_fact, to_memory

_SQL = load_queries("digests")
_MEMORIES = load_queries("memories")


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody whose week is over.

    Attributes:
        digest_sent_at: When the last one was told, or the wish for it.
        digest_claimed_at: When somebody was to tell the last one.
        timezone: The one that they told, in their words.
    """

    user_id: str
    digest_sent_at: datetime
    digest_claimed_at: datetime | None
    timezone: str | None


@dataclass(frozen=True, slots=True)
class News:
    """A fact that was learned, or ended.

    Attributes:
        before: What it took the place of.
    """

    fact: Fact
    before: JsonValue = None

    @property
    def has_ended(self) -> bool:
        """Whether it holds no more."""
        return self.fact.valid_to is not None


class Digests:
    """Reads `changes`, and the columns of `owners` that tell whose turn it is."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_due(
        self, *, every: timedelta, silent_for: timedelta, now: datetime, after: str, limit: int
    ) -> Sequence[Reader]:
        """Return whose turn it is and whom nobody was to tell for so long, by id, from after an id on."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_due"], now, every, silent_for, after, limit)
        return [Reader(**row) for row in rows]

    async def claim(self, reader: Reader, *, now: datetime) -> bool:
        """Keep others from telling somebody now, and tell whether nobody else does so at this moment."""
        async with self._pool.connection() as connection:
            return bool(await connection.fetchval(_SQL["claim"], reader.user_id, reader.digest_claimed_at, now))

    async def note_sent(self, user_id: str, *, until: datetime) -> None:
        """Note until when somebody was told."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["note_sent"], user_id, until)

    async def list_news(self, user_id: str, *, since: datetime, until: datetime) -> list[News]:
        """Return what was learned in a time and still counts."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["list_news"], user_id, since, until)
        return [News(to_fact(row), row["before"]) for row in rows]

    async def list_patterns(self, user_id: str, *, since: datetime, until: datetime) -> list[Memory]:
        """Return the patterns that were drawn in a time and still stand."""
        async with self._pool.reading_as(user_id) as connection:
            return [to_memory(row) for row in await connection.fetch(_SQL["list_patterns"], user_id, since, until)]

    async def has_pattern(self, user_id: str, memory_id: UUID) -> bool:
        """Tell whether a memory is a pattern that still stands."""
        async with self._pool.reading_as(user_id) as connection:
            return bool(await connection.fetchval(_SQL["has_pattern"], user_id, memory_id))

    async def take_back(self, user_id: str, fact_id: UUID, *, has_ended: bool) -> bool:
        """Let what was learned hold no more, or what ended hold again, and tell whether that could be done."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            fact = await connection.fetchrow(_SQL["lock_fact"], user_id, fact_id)
            if fact is None or has_ended is not (fact["valid_to"] is not None):
                return False
            if has_ended:
                return bool((await restore(connection, user_id, [fact_id])).facts)
            await withdraw(connection, user_id, [fact_id])
        return True
