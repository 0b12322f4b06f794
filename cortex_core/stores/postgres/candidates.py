"""The first step of recall: which of an owner's memories may answer a question, in one round trip."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import numpy as np
from asyncpg import BitString
from pgvector import HalfVector

from cortex_core.models import MemoryType, Vector
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.large_owners import MANY, UNKNOWN, LargeOwners, OwnerSize
from cortex_core.stores.postgres.rows import Row
from cortex_core.stores.postgres.scope import Scope
from cortex_core.stores.postgres.vectors import Vectors

_SQL = load_queries("recall")

MAX_WORDS = 16
"""Of a question; as the queries in `recall.sql` have it."""
SEEDS_BY_WORDS = 30
SEEDS_BY_VECTOR = 20


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is looked for, and among which memories.

    Attributes:
        scope: Whose memories, and for whom.
        text: Its words are searched by English stems.
        vector: In the open embedding space; None searches by words alone.
        memory_types: Only these.
        since: The beginning of the time that is asked about; what lies in it is looked at whatever its words.
        until: The end of that time.
    """

    scope: Scope
    text: str
    vector: Vector | None
    memory_types: Sequence[MemoryType] | None = None
    since: datetime | None = None
    until: datetime | None = None


class Candidate(NamedTuple):
    """A memory that may answer, with what its rank depends on.

    Attributes:
        row: The whole memory, built by `to_memory` for the few that are shown.
        place: Conversation (owner and channel) and position in it; None outside of conversations.
        similarity: Cosine to the inquiry; None where one of them has no vector.
        matched: The inquiry's words that it holds, a bit for each.
        signs: The sign bits of its pieces, empty where there are none.
        direction: The sign bits of its vector; None where it has none.
    """

    row: Row
    id: UUID
    content: str
    author_id: str | None
    author_name: str | None
    place: tuple[object, int] | None
    created_at: datetime
    emotional_score: float
    access_count: int
    similarity: float | None
    matched: int
    signs: bytes
    direction: bytes | None

    @property
    def key(self) -> tuple[str, UUID]:
        """What tells it from any other memory."""
        return self.row["user_id"], self.id

    @classmethod
    def of(cls, row: Row) -> "Candidate":
        """Read a row of the queries in `recall.sql`."""
        channel, position, distance, direction = row["channel_id"], row["position"], row["distance"], row["direction"]
        return cls(
            row=row,
            id=row["id"],
            content=row["content"],
            author_id=row["author_id"],
            author_name=row["author_name"],
            place=None if channel is None or position is None else ((row["user_id"], channel), position),
            created_at=row["created_at"],
            emotional_score=row["emotional_score"],
            access_count=row["access_count"],
            similarity=None if distance is None else 1 - distance,
            matched=row["matched"],
            signs=row["signs"] or b"",
            direction=None if direction is None else direction.bytes,
        )


class CandidateSearch:
    """Reads `memories` and `memory_pieces` for recall, in the way that fits the owner's size."""

    def __init__(self, pool: Pool, vectors: Vectors, owners: LargeOwners) -> None:
        self._pool = pool
        self._vectors = vectors
        self._owners = owners

    async def find(self, inquiry: Inquiry) -> list[Candidate]:
        """Return what may answer: the best by words and by vector, and what was said around each."""
        scope = inquiry.scope
        arguments = (
            *scope.arguments,
            inquiry.memory_types,
            None if inquiry.vector is None else HalfVector(inquiry.vector),
            self._vectors.model_id,
            inquiry.text,
            inquiry.since,
            inquiry.until,
            SEEDS_BY_WORDS,
            SEEDS_BY_VECTOR,
        )
        owner = await self._owners.look_up(scope.person) if scope.realm == "own" else UNKNOWN
        async with self._pool.reading_as(scope.person) as connection:
            if scope.realm == "shared" and await self._count(connection, scope) >= MANY:
                rows = await connection.fetch(scope.limit(_SQL["many_shared"]), *arguments, _signs_of(inquiry.vector))
            elif owner.has_own_index:
                rows = await connection.fetch(self._for_one(owner, scope), *arguments)
            elif owner.memories >= MANY:
                rows = await connection.fetch(scope.limit(_SQL["many"]), *arguments, _signs_of(inquiry.vector))
            else:
                rows = await connection.fetch(scope.limit(_SQL["few"]), *arguments)
        return [Candidate.of(row) for row in rows]

    @staticmethod
    async def _count(connection: Connection, scope: Scope) -> int:
        return int(await connection.fetchval(scope.limit(_SQL["count_shared"]), *scope.arguments, MANY))

    def _for_one(self, owner: OwnerSize, scope: Scope) -> str:
        """Put an owner, as PostgreSQL quoted it, into the statement: a parameter would not find the owner's index."""
        statement = scope.limit(_SQL["most"]).replace("<dimensions>", str(self._vectors.dimensions))
        return statement.replace("<owner>", owner.literal)


def _signs_of(vector: Vector | None) -> BitString | None:
    """Return a vector's sign bits as PostgreSQL's `binary_quantize` makes them."""
    return None if vector is None else BitString.frombytes(np.packbits(vector > 0).tobytes(), vector.size)
