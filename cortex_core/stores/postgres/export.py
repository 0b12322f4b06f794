"""Everything that Postgres keeps about one person, a page at a time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from asyncpg import Record

from cortex_core.models import Memory
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool
from cortex_core.stores.postgres.rows import to_memory

_SQL = load_queries("export")
_PAGE = 200
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC), UUID(int=0)
_AS_THE_PERSON = ("session", "correction")
_BEHIND_THE_WALL = ("derivation", "contradiction", "run", "dead_letter", "departure")


@dataclass(frozen=True, slots=True)
class ExportedRow:
    """A row as it is, with what kind of thing it is."""

    kind: str
    row: Record


class PersonalData:
    """Reads what is about a person, as that person where the second wall lets people read."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read_memories(self, user_id: str) -> AsyncIterator[list[Memory]]:
        """Yield the person's memories of every status, oldest first."""
        place = _BEFORE_ALL
        while True:
            async with self._pool.reading_as(user_id) as connection:
                rows = await connection.fetch(_SQL["memories"], user_id, *place, _PAGE)
            if not rows:
                return
            page = [to_memory(row) for row in rows]
            yield page
            place = page[-1].created_at, page[-1].id

    async def list_facts(self, user_id: str) -> list[Record]:
        """Return all that ever held, with the ids of its evidence."""
        async with self._pool.reading_as(user_id) as connection:
            return list(await connection.fetch(_SQL["facts"], user_id))

    async def list_others(self, user_id: str) -> list[ExportedRow]:
        """Return the session, questions to the person, what upkeep made, writes that failed and servers left."""
        found: list[ExportedRow] = []
        async with self._pool.reading_as(user_id) as connection:
            for kind in _AS_THE_PERSON:
                found += [ExportedRow(kind, row) for row in await connection.fetch(_SQL[kind], user_id)]
        async with self._pool.connection() as connection:
            for kind in _BEHIND_THE_WALL:
                found += [ExportedRow(kind, row) for row in await connection.fetch(_SQL[kind], user_id)]
        return found
