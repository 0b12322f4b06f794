"""Questions to people: what they said against a fact, so that they tell which of the two is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from asyncpg import Record
from pydantic import AwareDatetime, Field, JsonValue

from cortex_core.models import Model, UserId
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool

_SQL = load_queries("corrections")


class CorrectionAnswer(StrEnum):
    """What a person says of two values."""

    UPDATED = "updated"
    """What was said is right, and what was held was never so."""
    KEPT = "kept"
    """What is held is right."""
    BOTH = "both"
    """Both hold."""
    CHANGED = "changed"
    """Each was right in its time."""
    EXPIRED = "expired"
    """Nothing: nobody answered."""


class Correction(Model):
    """A question to the owner of a fact.

    Attributes:
        subject: Whom the fact is about; empty for the owner.
        held: What is taken to hold.
        said: What was said against it.
        memory_id: In which memory.
        valid_from: Since when that holds, if it does.
        run_id: What the answer changed, as long as that is not taken back.
    """

    id: UUID
    user_id: UserId
    subject: str = ""
    attribute: str
    held: JsonValue = Field(repr=False)
    said: JsonValue = Field(repr=False)
    fact_id: UUID
    memory_id: UUID
    valid_from: AwareDatetime
    created_at: AwareDatetime
    asked_at: AwareDatetime | None = None
    answered_at: AwareDatetime | None = None
    answer: CorrectionAnswer | None = None
    run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Askable:
    """Somebody with questions that were not asked yet.

    Attributes:
        cards_asked: How many cards they got so far.
        cards_answered: How many of these they answered.
        card_claimed_at: When somebody was to send them the last one.
        timezone: The one that they told, in their words.
    """

    user_id: str
    cards_asked: int
    cards_answered: int
    card_claimed_at: datetime | None
    timezone: str | None


class Corrections:
    """The table `corrections`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_open(self, user_id: str) -> list[Correction]:
        """Return what was not answered yet and still matters, oldest first."""
        async with self._pool.reading_as(user_id) as connection:
            return [_to_correction(row) for row in await connection.fetch(_SQL["list_open"], user_id)]

    async def get(self, user_id: str, correction_id: UUID) -> Correction | None:
        """Return the owner's question of that id."""
        async with self._pool.reading_as(user_id) as connection:
            return await get_correction(connection, user_id, correction_id)

    async def list_to_ask(
        self, *, silent_for: timedelta, now: datetime, after: str = "", limit: int = 500
    ) -> list[Askable]:
        """Return who has questions that were not asked yet and got no card for so long, by id, from after an id on."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_to_ask"], now, silent_for, after, limit)
        return [Askable(**row) for row in rows]

    async def claim(self, who: Askable, *, now: datetime) -> list[Correction]:
        """Keep others from asking a person now, and return what about; nothing if somebody else does at this moment."""
        async with self._pool.connection() as connection:
            if await connection.fetchval(_SQL["claim_card"], who.user_id, who.card_claimed_at, now) is None:
                return []
            return [_to_correction(row) for row in await connection.fetch(_SQL["list_open"], who.user_id)]

    async def mark_asked(self, user_id: str, correction_ids: Sequence[UUID], *, now: datetime) -> None:
        """Note that a card asked somebody about these."""
        async with self._pool.transaction() as connection:
            await connection.execute(_SQL["mark_asked"], user_id, correction_ids, now)
            await connection.execute(_SQL["count_card"], user_id)

    async def count_answered(self, user_id: str, correction_id: UUID) -> None:
        """Count a person's last card as answered, once."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["count_answered"], user_id, correction_id)

    async def expire(self, *, asked_before: datetime, now: datetime) -> int:
        """Drop what nobody answered, and return how many questions that were."""
        async with self._pool.connection() as connection:
            return len(await connection.fetch(_SQL["expire"], asked_before, now))


async def get_correction(connection: Connection, user_id: str, correction_id: UUID) -> Correction | None:
    """Return a question within a transaction."""
    row = await connection.fetchrow(_SQL["get"], user_id, correction_id)
    return _to_correction(row) if row else None


async def mark_answered(
    connection: Connection, user_id: str, correction_id: UUID, answer: CorrectionAnswer, *, run_id: UUID, now: datetime
) -> bool:
    """Note an answer, and the run that carries it out, within a transaction and tell whether there was a question."""
    return await connection.fetchval(_SQL["answer"], user_id, correction_id, answer, now, run_id) is not None


def _to_correction(row: Record) -> Correction:
    return Correction(**row)
