"""Writes that can never succeed, kept with their payload for a person to look at."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool

_SQL = load_queries("dead_letters")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One such write; `payload` is the journal entry's text, plain ASCII."""

    entry_id: str
    payload: str
    reason: str
    attempts: int
    first_failed_at: datetime
    user_id: str | None = None
    memory_id: UUID | None = None
    sqlstate: str | None = None
    id: int | None = None


class DeadLetters:
    """The table `dead_letters`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, letter: DeadLetter, *, acknowledged_at: datetime) -> None:
        """Keep a letter unless it was forgotten since; the same journal entry again changes nothing."""
        async with self._pool.connection() as connection:
            await connection.execute(
                _SQL["add"],
                letter.user_id, letter.memory_id, letter.entry_id, letter.payload, letter.reason, letter.sqlstate,
                letter.attempts, letter.first_failed_at, acknowledged_at,
            )  # fmt: skip

    async def list(self, limit: int = 100) -> list[DeadLetter]:
        """Return the oldest letters."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list"], limit)
        return [
            DeadLetter(
                row["entry_id"], row["payload"], row["reason"], row["attempts"], row["first_failed_at"],
                row["user_id"], row["memory_id"], row["sqlstate"], row["id"],
            )
            for row in rows
        ]  # fmt: skip

    async def take(self, letter_id: int) -> str | None:
        """Remove a letter and return its payload."""
        async with self._pool.connection() as connection:
            payload: str | None = await connection.fetchval(_SQL["take"], letter_id)
        return payload

    async def drop(self, entry_id: str) -> None:
        """Remove a letter by the name that it was given."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["drop"], entry_id)

    async def count(self) -> int:
        """Return how many there are."""
        async with self._pool.connection() as connection:
            return int(await connection.fetchval(_SQL["count"]))
