"""A memory that is driven from outside of its event loop, by a test which isn't a coroutine."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import redis.asyncio as redis

from cortex_core import ConsolidationConfig, MemoryConfig, MemoryManager
from cortex_core.consolidation.compaction import CompactionJob
from cortex_core.consolidation.patterns import Pattern
from cortex_core.stores.journal import Entry
from cortex_core.stores.keys import JOURNAL
from tests.isolation.walls import ScatteringEmbedder

T = TypeVar("T")

_LONGEST_STEP_SECONDS = 120

_TABLES = (
    "contradictions, derivations, changes, consolidation_runs, questions, leases, corrections, evidence, "
    "identity_facts, memory_pieces, memories, sessions, tombstones, forgotten_contents, owners, common_words, "
    "channels, project_invitations, project_members, projects"
)


class Arena:
    """One memory, which can be closed, opened and emptied."""

    def __init__(self, runner: asyncio.Runner, config: MemoryConfig) -> None:
        self._runner = runner
        self._config = config
        self.memory = MemoryManager(config, embedder=ScatteringEmbedder())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Take a step; one that waits for what never comes fails."""
        return self._runner.run(asyncio.wait_for(work, _LONGEST_STEP_SECONDS))

    async def open(self) -> None:
        await self._begin()
        self._redis = redis.Redis.from_url(self._config.redis.url)
        self._postgres = await asyncpg.connect(self._config.postgres.url)

    async def close(self) -> None:
        await self.memory.close()
        await self._redis.aclose()
        await self._postgres.close()

    async def restart(self) -> None:
        """Close the memory and open another one over the same servers."""
        self.release_writer()
        await self.memory.close()
        self.memory = MemoryManager(self._config, embedder=ScatteringEmbedder())
        await self._begin()

    async def _begin(self) -> None:
        """Open the memory, with a gate in front of its writer."""
        await self.memory.initialize()
        writer = self.memory._open_parts.writer
        write, self._gate = writer._write, asyncio.Event()
        self._gate.set()

        async def write_when_allowed(entries: Sequence[Entry]) -> None:
            await self._gate.wait()
            await write(entries)

        writer._write = write_when_allowed

    def hold_writer(self) -> None:
        """Let what is said from now on wait in the journal."""
        self._gate.clear()

    def release_writer(self) -> None:
        """Let it be written."""
        self._gate.set()

    async def compact(self, owner: str) -> None:
        """Summarise all that an owner said, however little and new it is."""
        self.release_writer()
        parts = self.memory._open_parts
        config = ConsolidationConfig(compact_min_memories=2)
        job = CompactionJob(config, parts.postgres, parts.embedder, None, parts.vectorizer.wake)
        await job.compact_user(owner, older_than_days=0, now=datetime.now(UTC) + timedelta(days=14))
        await self.memory.flush()

    async def draw(self, owner: str, fact: str, evidence: Sequence[UUID]) -> None:
        """Keep what memories show, as a language model may find it."""
        pattern = Pattern(category="behavior", fact=fact, confidence=1.0, evidence=tuple(evidence))
        await self.memory.consolidation.pattern_extractor.apply_patterns(owner, [pattern])

    async def list_drawn(self, owner: str, source: str) -> list[asyncpg.Record]:
        """Return the memories that were drawn from others, with those."""
        return await self._postgres.fetch(
            "SELECT m.id, m.content, m.audience, m.project_id, array_agg(d.source_id) AS sources "
            "FROM memories AS m JOIN derivations AS d ON d.user_id = m.user_id AND d.derived_id = m.id "
            "WHERE m.user_id = $1 AND m.source = $2 GROUP BY m.user_id, m.id",
            owner,
            source,
        )

    async def empty_redis(self) -> None:
        await self._redis.flushdb()

    async def empty(self) -> None:
        """Leave nothing of anybody."""
        self.release_writer()
        await self.memory.flush()
        await self._postgres.execute(f"TRUNCATE {_TABLES}")
        if keys := [key for key in await self._redis.keys() if key != JOURNAL.encode()]:
            await self._redis.delete(*keys)
        self.memory.postgres.large_owners._sizes.clear()
