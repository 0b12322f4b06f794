"""What is drawn from memories: summaries, patterns and merged memories, each with its sources."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from cortex_core.attributes import normal_form
from cortex_core.audience import Audience
from cortex_core.late_interaction import Embedding
from cortex_core.models import Memory, MemoryStatus, Vector
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.erasure import PATIENCE_SECONDS
from cortex_core.stores.postgres.rows import Row, to_json, to_memory
from cortex_core.stores.postgres.runs import ChangeKind, describe, note_changes
from cortex_core.stores.postgres.vectors import Vectors

_SQL = load_queries("derivations")
_FORGETTING = load_queries("forgetting")
_MEMORIES = load_queries("memories")

_MOST_PATTERNS = 1000


class PatternOutcome(StrEnum):
    """What became of a pattern."""

    ADDED = "added"
    KNOWN = "known"
    """It is there; it has the evidence too now, unless it was taken back, or is heard by more people than that."""
    SKIPPED = "skipped"
    """Its evidence changed meanwhile, or it was forgotten."""


@dataclass(frozen=True, slots=True)
class KnownPattern:
    """A pattern that was drawn before, beside one that is to be drawn.

    Attributes:
        stems: The stems of its words, without stop words.
        vector: None from another model.
        shared: Which share of the smaller evidence of the two both have, 0 to 1.
        said: The stems of the evidence of both, if they share any.
    """

    id: UUID
    category: str
    text: str
    audience: str
    stems: frozenset[str]
    vector: Vector | None
    shared: float
    said: frozenset[str]
    is_active: bool


@dataclass(frozen=True, slots=True)
class OldEpisode:
    """A memory that may be compacted, and the Monday (UTC) of its week."""

    memory: Memory
    week: datetime

    @property
    def group(self) -> tuple[datetime, str, str | None, str | None]:
        """What it has in common with those that it may share a summary with."""
        return self.week, self.memory.audience, self.memory.project_id, self.memory.said_in


class Derivations:
    """The table `derivations`, and the memories on both sides of it."""

    def __init__(self, pool: Pool, vectors: Vectors) -> None:
        self._pool = pool
        self._vectors = vectors

    async def list_compactable(
        self, user_id: str, *, before: datetime, at_least: int, at_least_together: int, limit: int, offset: int = 0
    ) -> list[OldEpisode]:
        """Return an owner's episodes that may be compacted, group by group, each oldest first.

        Args:
            user_id: The owner.
            before: The beginning of the first week that is too young.
            at_least: How many there must be in all, or none are returned.
            at_least_together: How many there must be in a group.
            limit: The most; the last group may be cut there.
            offset: How many to pass over, in the same order.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_FORGETTING["take_time"])
            rows = await connection.fetch(
                _SQL["list_compactable"],
                user_id,
                before,
                at_least,
                at_least_together,
                limit,
                offset,
                timeout=PATIENCE_SECONDS,
            )
        return [OldEpisode(to_memory(row), row["week"]) for row in rows]

    async def list_recent_episodes(self, user_id: str, *, since: datetime, limit: int) -> list[Memory]:
        """Return what an owner said in their own words since then, the latest first."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["list_recent_episodes"], user_id, since, limit)
        return [to_memory(row) for row in rows]

    async def list_sources(self, user_id: str, derived_id: UUID) -> list[Memory]:
        """Return what a memory was drawn from, oldest first."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["list_sources"], user_id, derived_id)
        return [to_memory(row) for row in rows]

    async def compact(
        self, connection: Connection, summary: Memory, sources: Sequence[Memory], *, before: datetime, run_id: UUID
    ) -> bool:
        """Let a summary stand for its sources, within a transaction that holds the owner's lock.

        Tells whether that was possible; if not, because something changed or was forgotten meanwhile, nothing is done.
        """
        user_id, ids = summary.user_id, [source.id for source in sources]
        locked = await connection.fetch(_SQL["lock"], user_id, ids)
        unchanged = await connection.fetch(
            _SQL["list_unchanged"],
            user_id,
            before,
            ids,
            [source.version for source in sources],
            [source.audience for source in sources],
            [source.project_id for source in sources],
        )
        if len(unchanged) != len(ids) or not await self.add(connection, summary, ids, run_id=run_id):
            return False
        await connection.execute(_SQL["archive"], user_id, ids)
        await note_changes(
            connection,
            run_id,
            user_id,
            ChangeKind.MEMORY_ARCHIVED,
            [row["id"] for row in locked],
            [describe(row) for row in locked],
        )
        return True

    async def add(
        self,
        connection: Connection,
        memory: Memory,
        source_ids: Sequence[UUID],
        *,
        run_id: UUID,
        embedding: Embedding | None = None,
    ) -> bool:
        """Write a memory that is drawn from others, within a transaction, and tell whether it was as it should be.

        It isn't where it was forgotten before, or its project doesn't take it from its owner any more.
        """
        vector = self._vectors.accept(embedding.vector) if embedding else None
        signs = embedding.signs or None if embedding and vector is not None else None
        model = self._vectors.model_id if vector is not None else None
        [written] = await connection.fetch(_MEMORIES["write"], to_json([(memory, None)]), [vector], [signs], model)
        if written["outcome"] != "written":
            return False
        if await connection.fetchval(_SQL["drop_misplaced"], memory.user_id, memory.id, memory.project_id) is not None:
            return False
        await connection.execute(_SQL["add"], memory.user_id, memory.id, source_ids)
        await note_changes(connection, run_id, memory.user_id, ChangeKind.MEMORY_ADDED, [memory.id])
        return True

    async def list_patterns(
        self, user_id: str, audience: Audience, project_id: str | None, *, limit: int
    ) -> list[tuple[UUID, str]]:
        """Return the latest patterns of a project, or of none, that an audience may hear, by id and text."""
        async with self._pool.reading_as(user_id) as connection:
            rows = await connection.fetch(_SQL["list_shown_patterns"], user_id, project_id, _MOST_PATTERNS)
        return [(row["id"], row["content"]) for row in rows if audience.may_hear(row["audience"])][:limit]

    async def add_pattern(
        self,
        connection: Connection,
        user_id: str,
        evidence_ids: Sequence[UUID],
        draw: Callable[[Sequence[Memory]], Memory],
        embedding: Embedding,
        is_same: Callable[[KnownPattern, frozenset[str]], bool],
        *,
        run_id: UUID,
    ) -> PatternOutcome:
        """Keep a pattern, or add its evidence to the one that says the same, within a transaction.

        One that more people may hear keeps to its own evidence: it goes with that, whatever fewer people heard.

        Args:
            connection: That of the transaction, which holds the owner's lock.
            user_id: The owner.
            evidence_ids: The memories that show it.
            draw: Makes the memory of the evidence that still stands.
            embedding: Of its text.
            is_same: Whether one that is there already, and that all who could hear the new one may hear, says the same;
                it is given that one, and the stems of the new text.
            run_id: The run that does it.
        """
        rows = await connection.fetch(_SQL["hold_evidence"], user_id, evidence_ids)
        evidence = [to_memory(row) for row in rows]
        if len(evidence) != len(evidence_ids) or len({(m.audience, m.project_id) for m in evidence}) != 1:
            return PatternOutcome.SKIPPED
        pattern = draw(evidence)
        same = await self._find_same(connection, pattern, evidence_ids, embedding.vector, is_same)
        if same is None:
            is_added = await self.add(connection, pattern, evidence_ids, run_id=run_id, embedding=embedding)
            return PatternOutcome.ADDED if is_added else PatternOutcome.SKIPPED
        if same.is_active and same.audience == pattern.audience:
            await connection.execute(_SQL["add"], user_id, same.id, evidence_ids)
        return PatternOutcome.KNOWN

    async def _find_same(
        self,
        connection: Connection,
        pattern: Memory,
        evidence_ids: Sequence[UUID],
        vector: Vector,
        is_same: Callable[[KnownPattern, frozenset[str]], bool],
    ) -> KnownPattern | None:
        """Return the closest pattern that says the same."""
        rows = await connection.fetch(
            _SQL["list_patterns"], pattern.user_id, pattern.project_id, evidence_ids, _MOST_PATTERNS
        )
        audience = Audience.parse(pattern.audience)
        known = [self._to_known(row, len(evidence_ids)) for row in rows if audience.may_hear(row["audience"])]
        in_form = normal_form(pattern.content)
        if equal := next((one for one in known if normal_form(one.text) == in_form), None):
            return equal
        stems = frozenset(await connection.fetchval(_SQL["stem"], pattern.content))
        comparable = [(float(one.vector @ vector), one) for one in known if one.vector is not None]
        closest_first = sorted(comparable, key=lambda pair: pair[0], reverse=True)
        return next((one for _, one in closest_first if is_same(one, stems)), None)

    def _to_known(self, row: Row, count: int) -> KnownPattern:
        is_comparable = row["embedding"] is not None and row["embedding_model_id"] == self._vectors.model_id
        return KnownPattern(
            id=row["id"],
            category=row["category"] or "",
            text=row["content"],
            audience=row["audience"],
            stems=frozenset(row["stems"]),
            vector=row["embedding"].to_numpy().astype("float32") if is_comparable else None,
            shared=row["shared"] / max(1, min(row["count"], count)),
            said=frozenset(row["said"]),
            is_active=row["status"] == MemoryStatus.ACTIVE,
        )
