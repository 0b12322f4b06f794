"""What is to be read for facts, and the transaction in which facts are learned."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import uuid_utils.compat as uuid7
from asyncpg import Record
from pydantic import JsonValue

from cortex_core.models import Memory, MemoryType, Run
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.corrections import Correction, CorrectionAnswer, get_correction, mark_answered
from cortex_core.stores.postgres.rows import to_memory
from cortex_core.stores.postgres.runs import ChangeKind, Runs, note_changes

_SQL = load_queries("learning")
_FACTS = load_queries("identity")
_CORRECTIONS = load_queries("corrections")
_MEMORIES = load_queries("memories")

Reader = Literal["learned", "analysed"]
"""Who read a memory: the rules, or a language model."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A memory that something is learned from."""

    id: UUID
    audience: str
    created_at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class KnownFactRow:
    """A fact with what it rests on.

    Attributes:
        said_at: When it was last said.
        closed_at: When that was said which ended it; None for what holds.
        evidence: The memories that it rests on.
        audiences: Theirs, each once.
    """

    id: UUID
    value: JsonValue
    has_many: bool
    confidence: float
    audience: str
    source: str
    valid_from: datetime
    valid_to: datetime | None
    said_at: datetime
    closed_at: datetime | None
    evidence: frozenset[UUID]
    audiences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact to be added; one with an end goes straight into the history."""

    subject: str
    attribute: str
    value: JsonValue
    key: str
    has_many: bool
    confidence: float
    audience: str
    source: str
    valid_from: datetime
    valid_to: datetime | None = None
    supersedes: UUID | None = None


@dataclass(frozen=True, slots=True)
class Rated:
    """How a memory is rated anew."""

    emotional_score: float
    importance: float
    memory_type: MemoryType


@dataclass(frozen=True, slots=True)
class Awaiting:
    """What one owner said to one audience and no language model read.

    Attributes:
        waiting: How many memories that are.
        is_due: Whether it is time to.
    """

    user_id: str
    audience: str
    waiting: int
    is_due: bool


@dataclass(slots=True)
class Ledger:
    """Changes an owner's facts within one transaction, and remembers what it changed.

    Attributes:
        changed: The ids by what was done.
    """

    connection: Connection
    user_id: str
    now: datetime
    changed: dict[ChangeKind, list[UUID]] = field(default_factory=dict)

    async def mark_read(self, reader: Reader, memories: Sequence[Memory]) -> set[UUID]:
        """Mark memories as read and return those that nobody had read since they were last edited."""
        in_order = sorted(memories, key=lambda memory: memory.id)  # see `Vectors.fill`
        keys = [m.id for m in in_order], [m.version for m in in_order]
        rows = await self.connection.fetch(_SQL[f"mark_{reader}"], self.user_id, *keys, self.now)
        return {row["id"] for row in rows}

    async def rate(self, memories: Sequence[Memory], ratings: Mapping[UUID, Rated]) -> None:
        """Rate memories anew, unless they were edited since."""
        rated = [(m.id, m.version, ratings[m.id]) for m in memories if m.id in ratings]
        await self.connection.execute(
            _SQL["rate"],
            self.user_id,
            [memory_id for memory_id, _, _ in rated],
            [version for _, version, _ in rated],
            [rating.emotional_score for _, _, rating in rated],
            [rating.importance for _, _, rating in rated],
            [rating.memory_type for _, _, rating in rated],
        )

    async def list_proof(self, memory_ids: Sequence[UUID]) -> dict[UUID, Proof]:
        """Return those of the memories that something can be learned from at this moment, by id."""
        rows = await self.connection.fetch(_SQL["list_proof"], self.user_id, memory_ids)
        return {row["id"]: Proof(**row) for row in rows}

    async def list_held(self, subject: str, attribute: str) -> list[KnownFactRow]:
        """Return all facts of an attribute, those that ended included, in the order in which they were learned."""
        rows = await self.connection.fetch(_SQL["list_held"], self.user_id, subject, attribute)
        return [_to_known(row) for row in rows]

    async def is_forgotten(self, content: str, *, said_at: datetime) -> bool:
        """Tell whether that was forgotten after it was said."""
        return bool(await self.connection.fetchval(_SQL["is_forgotten"], self.user_id, content, said_at))

    async def add(self, fact: NewFact, evidence: Sequence[UUID]) -> UUID:
        """Add a fact with what it rests on."""
        fact_id = uuid7.uuid7()
        await self.connection.execute(
            _FACTS["add"],
            self.user_id, fact_id, fact.subject, fact.attribute, json.dumps(fact.value), fact.key, fact.has_many,
            fact.confidence, fact.audience, fact.source, fact.valid_from, fact.valid_to, fact.supersedes, self.now,
        )  # fmt: skip
        await self.connection.execute(_FACTS["add_evidence"], self.user_id, fact_id, evidence)
        self._note(ChangeKind.FACT_ADDED, fact_id)
        return fact_id

    async def end(self, fact_id: UUID, *, valid_to: datetime) -> None:
        """End a fact, with the memory that only states it."""
        await self.connection.execute(_FACTS["end"], self.user_id, fact_id, valid_to, self.now)
        self._note(ChangeKind.FACT_ENDED, fact_id)
        for row in await self.connection.fetch(_FACTS["supersede_evidence"], self.user_id, fact_id, valid_to):
            self._note(ChangeKind.MEMORY_SUPERSEDED, row["id"])

    async def reinforce(self, fact_id: UUID, evidence: Sequence[UUID], *, confidence: float, audience: str) -> None:
        """Let a fact rest on more memories."""
        await self.connection.execute(_SQL["reinforce"], self.user_id, fact_id, confidence, audience)
        await self.connection.execute(_FACTS["add_evidence"], self.user_id, fact_id, evidence)

    async def let_others_hold(self, fact_id: UUID) -> None:
        """Let other values hold beside this one."""
        await self.connection.execute(_SQL["let_others_hold"], self.user_id, fact_id)

    async def ask(self, fact_id: UUID, memory_id: UUID, value: JsonValue, key: str, *, valid_from: datetime) -> None:
        """Note that the owner is to be asked about a fact; the same question is asked once."""
        await self.connection.execute(
            _CORRECTIONS["ask"],
            self.user_id, uuid7.uuid7(), fact_id, memory_id, json.dumps(value), key, valid_from, self.now,
        )  # fmt: skip

    async def get_correction(self, correction_id: UUID) -> Correction | None:
        """Return a question."""
        return await get_correction(self.connection, self.user_id, correction_id)

    async def mark_answered(self, correction_id: UUID, answer: CorrectionAnswer) -> bool:
        """Note an answer and tell whether it was open."""
        return await mark_answered(self.connection, self.user_id, correction_id, answer, now=self.now)

    async def log(self, runs: Runs, run: Run | UUID) -> None:
        """Note what was changed as done by a run; one that isn't in the log yet is entered."""
        if isinstance(run, Run):
            await runs.log_in(self.connection, run)
        run_id = run.id if isinstance(run, Run) else run
        for kind, targets in self.changed.items():
            await note_changes(self.connection, run_id, self.user_id, kind, targets)

    def _note(self, kind: ChangeKind, target: UUID) -> None:
        self.changed.setdefault(kind, []).append(target)


class Learning:
    """What waits to be read, and the transaction in which it is learned from."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_to_learn(self, limit: int) -> list[tuple[Memory, bool]]:
        """Return memories that the rules did not read, by owner and time, and whether there is something to read."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_to_learn"], limit)
        return [(to_memory(row), row["is_to_read"]) for row in rows]

    async def list_groups(
        self, *, at_least: int, silent_since: datetime, window: int, after: str = ""
    ) -> list[Awaiting]:
        """Return owners and audiences with memories that no language model read, in the order of the owners.

        Args:
            at_least: So many are enough for a call.
            silent_since: Any number is, if none came since then.
            window: How many memories are looked at.
            after: Those of owners that come after this one.
        """
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_groups_to_analyse"], at_least, silent_since, window, after)
        return [Awaiting(**row) for row in rows]

    async def list_to_analyse(self, user_id: str, audience: str, limit: int) -> list[Memory]:
        """Return the first that an owner said to an audience and no language model read."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_to_analyse"], user_id, audience, limit)
        return [to_memory(row) for row in rows]

    async def mark_as_none(self, user_id: str, memories: Sequence[Memory], *, now: datetime) -> None:
        """Mark memories in which there is nothing to read."""
        keys = [m.id for m in memories], [m.version for m in memories]
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["mark_as_none"], user_id, *keys, now)

    @asynccontextmanager
    async def claim(self, user_id: str) -> AsyncIterator[bool]:
        """Keep other processes from asking a language model about an owner; tell whether none is doing so."""
        async with self._pool.connection() as connection:
            is_mine = bool(await connection.fetchval(_SQL["try_to_claim"], user_id))
            try:
                yield is_mine
            finally:
                if is_mine:
                    await connection.execute(_SQL["give_up_claim"], user_id)

    @asynccontextmanager
    async def open(self, user_id: str, *, now: datetime) -> AsyncIterator[Ledger]:
        """Lend an owner's facts to be changed; all that happens in the block does, or nothing."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            yield Ledger(connection, user_id, now)


def _to_known(row: Record) -> KnownFactRow:
    columns = {**row, "evidence": frozenset(row["evidence"]), "audiences": tuple(row["audiences"])}
    return KnownFactRow(**columns)
