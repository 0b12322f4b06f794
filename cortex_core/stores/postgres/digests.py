"""What was learned about people lately, as it is told to those who want to know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic import JsonValue

from cortex_core.models import Fact
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool
from cortex_core.stores.postgres.rows import to_fact

_SQL = load_queries("digests")
_FACTS = load_queries("identity")
_MEMORIES = load_queries("memories")


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody whose week is over.

    Attributes:
        digest_sent_at: When the last one was told, or the wish for it.
        timezone: The one that they told, in their words.
    """

    user_id: str
    digest_sent_at: datetime
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

    async def list_due(self, *, every: timedelta, now: datetime, after: str, limit: int) -> Sequence[Reader]:
        """Return whose turn it is, by id, from after an id on."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_due"], now, every, after, limit)
        return [Reader(**row) for row in rows]

    async def claim(self, reader: Reader, *, now: datetime) -> bool:
        """Note that somebody is told now, and tell whether nobody else does so at this moment."""
        async with self._pool.connection() as connection:
            return bool(await connection.fetchval(_SQL["claim"], reader.user_id, reader.digest_sent_at, now))

    async def list_news(self, user_id: str, *, since: datetime, until: datetime) -> list[News]:
        """Return what was learned in a time and still counts."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["list_news"], user_id, since, until)
        return [News(to_fact(row), row["before"]) for row in rows]

    async def take_back(self, user_id: str, fact_id: UUID, *, has_ended: bool) -> bool:
        """Let what was learned hold no more, or what ended hold again, and tell whether that could be done."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            fact = await connection.fetchrow(_SQL["lock_fact"], user_id, fact_id)
            if fact is None or has_ended is not (fact["valid_to"] is not None):
                return False
            if not has_ended:
                await connection.execute(_SQL["withdraw"], user_id, fact_id)
            again = fact_id if has_ended else fact["supersedes"]
            if again is None:
                return True
            status: str = await connection.execute(_FACTS["restore"], [user_id], [again])
            await connection.execute(_SQL["revive_statements"], user_id, again)
        return not has_ended or status != "UPDATE 0"
