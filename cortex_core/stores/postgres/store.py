"""PostgresStore: the memories themselves (TDD 4.6, 7); its parts hold what belongs to other tables."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from cortex_core.audience import Audience
from cortex_core.config import PostgresConfig
from cortex_core.errors import InvalidInputError
from cortex_core.late_interaction import Embedding
from cortex_core.models import Memory, MemoryStatus, MemoryType, Vector
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.activity import Activity
from cortex_core.stores.postgres.candidates import CandidateSearch
from cortex_core.stores.postgres.channels import Channels
from cortex_core.stores.postgres.connection import Pool
from cortex_core.stores.postgres.contradictions import Contradictions
from cortex_core.stores.postgres.corrections import Corrections
from cortex_core.stores.postgres.dead_letters import DeadLetters
from cortex_core.stores.postgres.derivations import Derivations
from cortex_core.stores.postgres.descent import withdraw_reworded
from cortex_core.stores.postgres.digests import Digests
from cortex_core.stores.postgres.erasure import Erasure
from cortex_core.stores.postgres.identity import IdentityFacts, withdraw_edited
from cortex_core.stores.postgres.importance import Importance
from cortex_core.stores.postgres.large_owners import LargeOwners
from cortex_core.stores.postgres.learning import Learning
from cortex_core.stores.postgres.leases import Leases
from cortex_core.stores.postgres.preferences import PreferenceRows
from cortex_core.stores.postgres.projects import Projects
from cortex_core.stores.postgres.questions import Questions
from cortex_core.stores.postgres.rows import to_json, to_memory
from cortex_core.stores.postgres.runs import Runs
from cortex_core.stores.postgres.scope import Scope
from cortex_core.stores.postgres.sessions import SessionStates
from cortex_core.stores.postgres.spending import Spending
from cortex_core.stores.postgres.vectors import Vectors

_SQL = load_queries("memories")
_UPDATABLE = frozenset(
    "memory_type status audience emotional_score importance confidence valid_to tags metadata".split()  # noqa: SIM905
)


class WriteOutcome(StrEnum):
    """What became of a memory that was handed to `write`."""

    WRITTEN = "written"
    KNOWN = "known"
    """The same or a newer version stands already."""
    FORGOTTEN = "forgotten"
    """It was forgotten before it arrived."""
    MISMATCH = "mismatch"
    """The same version stands already, with another content."""


@dataclass(frozen=True, slots=True)
class PendingWrite:
    """A memory on its way to Postgres.

    Attributes:
        vector: Its embedding, if it was computed already.
        signs: The sign bits of its pieces, empty where the model gives none.
        acknowledged_at: When `store` said yes; a forgetting of the owner's everything after that drops it.
    """

    memory: Memory
    vector: Vector | None = None
    signs: bytes = b""
    acknowledged_at: datetime | None = None

    @classmethod
    def of(
        cls, memory: Memory, embedding: Embedding | None, *, acknowledged_at: datetime | None = None
    ) -> "PendingWrite":
        """Pair a memory with what its model made of it."""
        if embedding is None:
            return cls(memory, acknowledged_at=acknowledged_at)
        return cls(memory, embedding.vector, embedding.signs, acknowledged_at)


class PostgresStore:
    """Long-term memory. Every call names the owner; nothing is found by id alone.

    All methods raise `StoreUnavailableError` and `StoreDataError`.

    Attributes:
        identity: Identity facts and their history.
        sessions: The last known session states.
        vectors: Embedding spaces, and memories that wait for their vector.
        candidates: What may answer a question.
        large_owners: What owners of many memories need to be searched fast.
        erasure: Hard deletes.
        dead_letters: Writes that can never succeed.
        preferences: What people wish for all that they say.
        projects: Shared memories and their people.
        channels: What channels feed and read.
        spending: What language models were asked, and may be.
        activity: What is done and what there is, in figures.
        importance: How important memories are by now.
        leases: Who works on an owner.
        questions: What language models were asked about what an owner said.
        learning: What is to be read for facts, and the transaction in which they are learned.
        corrections: Questions to people about what is known of them.
        digests: What was learned about people lately.
        runs: What background work did, and how it is taken back.
        derivations: What was drawn from memories.
        contradictions: Pairs of memories that can't both be true.
    """

    def __init__(self, config: PostgresConfig) -> None:
        self.pool = Pool(config)
        self.identity = IdentityFacts(self.pool)
        self.sessions = SessionStates(self.pool)
        self.vectors = Vectors(self.pool)
        self.large_owners = LargeOwners(self.pool, self.vectors)
        self.candidates = CandidateSearch(self.pool, self.vectors, self.large_owners)
        self.erasure = Erasure(self.pool)
        self.dead_letters = DeadLetters(self.pool)
        self.preferences = PreferenceRows(self.pool)
        self.projects = Projects(self.pool)
        self.channels = Channels(self.pool)
        self.spending = Spending(self.pool)
        self.activity = Activity(self.pool)
        self.importance = Importance(self.pool)
        self.leases = Leases(self.pool)
        self.questions = Questions(self.pool)
        self.learning = Learning(self.pool)
        self.corrections = Corrections(self.pool)
        self.digests = Digests(self.pool)
        self.runs = Runs(self.pool)
        self.derivations = Derivations(self.pool, self.vectors)
        self.contradictions = Contradictions(self.pool, self.vectors, self.derivations, self.runs)

    async def connect(self) -> None:
        """Open the pool."""
        await self.pool.open()

    async def close(self) -> None:
        """Close the pool."""
        await self.pool.close()

    async def store(self, memory: Memory, embedding: Embedding | None = None) -> str:
        """Store one memory and return its id; the same memory again changes nothing."""
        await self.write([PendingWrite.of(memory, embedding)])
        return str(memory.id)

    async def write(self, pending: Sequence[PendingWrite]) -> list[WriteOutcome]:
        """Write memories in one transaction and tell what became of each, in the order given.

        A memory may occur once in `pending`. A later version replaces an earlier one, whatever the order of arrival.
        """
        vectors = [self.vectors.accept(p.vector) for p in pending]
        signs = [p.signs or None if v is not None else None for p, v in zip(pending, vectors, strict=True)]
        model = self.vectors.model_id if any(v is not None for v in vectors) else None
        async with self.pool.transaction() as connection:
            await connection.execute(_SQL["lock_writes"])
            await connection.execute(_SQL["lock_owners"], [p.memory.user_id for p in pending])
            rows = await connection.fetch(
                _SQL["write"], to_json((p.memory, p.acknowledged_at) for p in pending), vectors, signs, model
            )
            written = [p.memory for p, row in zip(pending, rows, strict=True) if row["outcome"] == WriteOutcome.WRITTEN]
            edited = [memory for memory in written if memory.version]
            await withdraw_reworded(connection, edited)
            await withdraw_edited(connection, [(memory.user_id, memory.id) for memory in edited])
        return [WriteOutcome(row["outcome"]) for row in rows]

    async def get(self, user_id: str, memory_id: UUID) -> Memory | None:
        """Return the owner's memory of that id."""
        async with self.pool.reading_as(user_id) as connection:
            row = await connection.fetchrow(_SQL["get"], user_id, memory_id)
        return to_memory(row) if row else None

    async def get_by_source(self, user_id: str, source_id: str) -> Memory | None:
        """Return the owner's memory that was made from that source."""
        async with self.pool.reading_as(user_id) as connection:
            row = await connection.fetchrow(_SQL["get_by_source"], user_id, source_id)
        return to_memory(row) if row else None

    async def list_owners_of_source(self, source_id: str) -> list[str]:
        """Return the owner of every memory made from that source."""
        async with self.pool.connection() as connection:
            rows = await connection.fetch(_SQL["owners_of_source"], source_id)
        return [row["user_id"] for row in rows]

    async def update(self, user_id: str, memory_id: UUID, updates: Mapping[str, object]) -> bool:
        """Set some of a memory's properties and tell whether there is such a memory.

        `updates` may name memory_type, status, audience, emotional_score, importance, confidence, valid_to, tags and
        metadata.

        Raises:
            InvalidInputError: It names something else.
        """
        if unknown := updates.keys() - _UPDATABLE:
            raise InvalidInputError(f"{', '.join(sorted(unknown))} of a memory can't be changed.")
        async with self.pool.connection() as connection:
            values = json.dumps(updates, default=str, allow_nan=False)
            return await connection.fetchval(_SQL["update"], user_id, memory_id, values) is not None

    async def update_status(self, user_id: str, memory_id: UUID, status: MemoryStatus) -> bool:
        """Set a memory's status and tell whether there is such a memory."""
        return await self.update(user_id, memory_id, {"status": status})

    async def get_memories(
        self,
        user_id: str,
        *,
        audience: Audience | None = None,
        project_id: str | None = None,
        memory_types: Sequence[MemoryType] | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        status: MemoryStatus | None = MemoryStatus.ACTIVE,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Memory]:
        """Return the owner's memories that may surface to that audience, newest first; what is None doesn't filter."""
        scope = Scope.own(user_id, audience or Audience.owner(), project_id=project_id)
        return await self._list(scope, memory_types, status, since, before, limit, offset)

    async def get_shared_memories(self, scope: Scope, *, limit: int) -> list[Memory]:
        """Return what was last said in the projects of a scope, newest first."""
        return await self._list(scope, None, MemoryStatus.ACTIVE, None, None, limit, 0)

    async def count_memories(
        self,
        user_id: str,
        *,
        audience: Audience | None = None,
        project_id: str | None = None,
        memory_types: Sequence[MemoryType] | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
        status: MemoryStatus | None = MemoryStatus.ACTIVE,
    ) -> int:
        """Return how many memories `get_memories` would list without a limit."""
        scope = Scope.own(user_id, audience or Audience.owner(), project_id=project_id)
        async with self.pool.reading_as(user_id) as connection:
            return int(
                await connection.fetchval(
                    scope.limit(_SQL["count"]), *scope.arguments, memory_types, status, since, before
                )
            )

    async def count_told(self, user_id: str, at: datetime) -> int:
        """Return how many memories of an owner there were at a time, but for what was made from others."""
        async with self.pool.reading_as(user_id) as connection:
            return int(await connection.fetchval(_SQL["count_told"], user_id, at))

    async def list_open_projects(self, scope: Scope) -> list[tuple[str, str]]:
        """Return id and name of the projects whose memories may surface in a scope."""
        async with self.pool.reading_as(scope.person) as connection:
            rows = await connection.fetch(scope.limit(_SQL["open_projects"]), *scope.arguments)
        return [(row["project_id"], row["name"]) for row in rows]

    async def list_by_key(self, scope: Scope, keys: Sequence[tuple[str, UUID]]) -> list[Memory]:
        """Return those of the memories, named by owner and id, that may be seen in a scope."""
        owners, ids = [owner for owner, _ in keys], [memory_id for _, memory_id in keys]
        async with self.pool.reading_as(scope.person) as connection:
            rows = await connection.fetch(scope.limit(_SQL["list_by_key"]), *scope.arguments, owners, ids)
        return [to_memory(row) for row in rows]

    async def _list(self, scope: Scope, *filters: object) -> list[Memory]:
        async with self.pool.reading_as(scope.person) as connection:
            rows = await connection.fetch(scope.limit(_SQL["list"]), *scope.arguments, *filters)
        return [to_memory(row) for row in rows]

    async def count_accesses(self, accesses: Mapping[tuple[str, UUID], int]) -> None:
        """Add to the access counts, keyed by owner and id."""
        owners, ids = zip(*accesses, strict=True)
        async with self.pool.connection() as connection:
            await connection.execute(_SQL["count_accesses"], owners, ids, list(accesses.values()))
