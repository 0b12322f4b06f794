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
from cortex_core.stores.postgres.erasure import PATIENCE_SECONDS
from cortex_core.stores.postgres.rows import to_memory
from cortex_core.stores.postgres.runs import ChangeKind, Runs, describe, note_changes

_SQL = load_queries("learning")
_FACTS = load_queries("identity")
_CORRECTIONS = load_queries("corrections")
_FORGETTING = load_queries("forgetting")
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
        taken_back_at: When a person took back that it ever held.
        audience: Where a person decided that it may come up; None follows what it rests on.
        evidence: The memories that it rests on.
        heard_in: Their audiences, of those that stand.
        supersedes: The fact whose place it took.
    """

    id: UUID
    value: JsonValue
    has_many: bool
    confidence: float
    audience: str | None
    source: str
    valid_from: datetime
    valid_to: datetime | None
    said_at: datetime
    closed_at: datetime | None
    taken_back_at: datetime | None
    evidence: frozenset[UUID]
    heard_in: frozenset[str]
    supersedes: UUID | None


@dataclass(frozen=True, slots=True)
class SaidFact:
    """A fact that holds, as an analyst is told of it.

    Attributes:
        said_at: When it was last said.
        is_news: Whether nothing says it but the last thing said.
    """

    subject: str
    attribute: str
    value: JsonValue
    audiences: Sequence[str]
    said_at: datetime | None
    is_news: bool


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact to be added; one with an end goes straight into the history."""

    subject: str
    attribute: str
    value: JsonValue
    key: str
    has_many: bool
    confidence: float
    audience: str | None
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
    """What one owner said to one audience in one server, or outside of servers, and no language model read.

    Attributes:
        said_in: One of the places where it was said.
        waiting: How many memories that are; of many only the first are counted.
        is_overdue: Whether the first of them has waited too long.
    """

    user_id: str
    audience: str
    said_in: str
    waiting: int
    is_overdue: bool


@dataclass(slots=True)
class Ledger:
    """Changes an owner's facts within one transaction, and remembers what it changed.

    Attributes:
        changed: The ids by what was done.
        before: What was before, where it can't be told from that.
        is_heard_elsewhere: Whether a fact that was said again may come up where it might not before.
    """

    connection: Connection
    user_id: str
    now: datetime
    changed: dict[ChangeKind, list[UUID]] = field(default_factory=dict)
    before: dict[UUID, str] = field(default_factory=dict)
    is_heard_elsewhere: bool = False

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

    async def reinforce(self, fact: KnownFactRow, proof: Sequence[Proof], *, confidence: float) -> None:
        """Let a fact rest on more memories."""
        await self.connection.execute(_SQL["reinforce"], self.user_id, fact.id, confidence)
        await self.connection.execute(_FACTS["add_evidence"], self.user_id, fact.id, [p.id for p in proof])
        if fact.audience is None and not fact.heard_in.issuperset(p.audience for p in proof):
            self.is_heard_elsewhere = True

    async def let_others_hold(self, fact_id: UUID) -> None:
        """Let other values hold beside this one."""
        row = await self.connection.fetchrow(_SQL["let_others_hold"], self.user_id, fact_id)
        if row is not None:
            self._note(ChangeKind.FACT_CHANGED, fact_id)
            self.before[fact_id] = describe(row)

    async def ask(
        self, fact_id: UUID, memory_id: UUID, value: JsonValue, key: str, *, valid_from: datetime, said_at: datetime
    ) -> None:
        """Note that the owner is to be asked about a fact: once, and only of what was said last."""
        await self.overtake(fact_id, key, said_at=said_at)
        await self.connection.execute(
            _CORRECTIONS["ask"],
            self.user_id, uuid7.uuid7(), fact_id, memory_id, json.dumps(value), key, valid_from, self.now, said_at,
        )  # fmt: skip

    async def overtake(self, fact_id: UUID, key: str, *, said_at: datetime) -> None:
        """Drop the questions about what else was said against a fact before this value."""
        await self.connection.execute(_CORRECTIONS["overtake"], self.user_id, fact_id, said_at, key)

    async def get_correction(self, correction_id: UUID) -> Correction | None:
        """Return a question."""
        return await get_correction(self.connection, self.user_id, correction_id)

    async def mark_answered(self, correction_id: UUID, answer: CorrectionAnswer, *, run_id: UUID) -> bool:
        """Note an answer, and the run that carries it out, and tell whether it was open."""
        return await mark_answered(self.connection, self.user_id, correction_id, answer, run_id=run_id, now=self.now)

    async def log(self, runs: Runs, run: Run | UUID) -> None:
        """Note what was changed as done by a run; one that isn't in the log yet is entered."""
        if isinstance(run, Run):
            await runs.log_in(self.connection, run)
        run_id = run.id if isinstance(run, Run) else run
        for kind, targets in self.changed.items():
            before = [self.before.get(target) for target in targets]
            await note_changes(self.connection, run_id, self.user_id, kind, targets, before)

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

    async def list_awaiting_owners(self) -> list[str]:
        """Return who said something that no language model read; whose first one is the oldest comes first."""
        async with self._pool.transaction() as connection:
            await connection.execute(_FORGETTING["take_time"])
            rows = await connection.fetch(_SQL["list_awaiting_owners"], timeout=PATIENCE_SECONDS)
        return [row["user_id"] for row in rows]

    async def list_groups(
        self, owners: Sequence[str], *, at_least: int, silent_since: datetime, overdue_since: datetime
    ) -> list[Awaiting]:
        """Return what is due of what these owners said and no language model read, longest waiting first.

        Args:
            owners: Whose.
            at_least: So many are due.
            silent_since: Any number is, if none came since then,
            overdue_since: or one has waited since then.
        """
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_groups_to_analyse"], owners, at_least, silent_since, overdue_since)
        return [Awaiting(**row) for row in rows]

    async def list_to_analyse(self, group: Awaiting, limit: int) -> list[Memory]:
        """Return the first of what waits together."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_to_analyse"], group.user_id, group.audience, group.said_in, limit)
        return [to_memory(row) for row in rows]

    async def list_said(self, user_id: str, audience: str, before: datetime) -> list[SaidFact]:
        """Return what holds by an owner's words, and what of it is news from what was last said to an audience."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["list_said"], user_id, audience, before)
        return [SaidFact(**row) for row in rows]

    async def mark_as_none(self, user_id: str, memories: Sequence[Memory], *, now: datetime) -> None:
        """Mark memories in which there is nothing to read."""
        keys = [m.id for m in memories], [m.version for m in memories]
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["mark_as_none"], user_id, *keys, now)

    @asynccontextmanager
    async def open(self, user_id: str, *, now: datetime) -> AsyncIterator[Ledger]:
        """Lend an owner's facts to be changed; all that happens in the block does, or nothing."""
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            yield Ledger(connection, user_id, now)


def _to_known(row: Record) -> KnownFactRow:
    sets = {name: frozenset(row[name]) for name in ("evidence", "heard_in")}
    return KnownFactRow(**{**row, **sets})
