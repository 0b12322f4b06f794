"""Acknowledges memories: into the journal and working memory at once, or straight into Postgres when Redis is away."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from cortex_core.config import IngestionConfig
from cortex_core.errors import IdempotencyError, InvalidInputError, StoreDataError, StoreUnavailableError
from cortex_core.ingestion.intake import Intake, NewMemory
from cortex_core.models import Durability, Memory, StoreResult, utc_now
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.scoring import calculate_ttl
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from cortex_core.stores.redis import Acknowledgement, RedisStore

_log = logging.getLogger("cortex.recorder")

_BOTH_AWAY = "Neither Redis nor PostgreSQL can be reached, so this was not stored; try again later."
_MISMATCH = "This source was stored before with another content; an edit needs edited_at."
_AT_ONCE = 16


class Recorder:
    """The write path up to the acknowledgement; `JournalWriter` does the rest."""

    def __init__(
        self,
        config: IngestionConfig,
        intake: Intake,
        redis: RedisStore,
        postgres: PostgresStore,
        embedder: CachingEmbedder,
        journal_durability: Durability,
        on_written: Callable[[], None],
    ) -> None:
        self._config = config
        self._intake = intake
        self._redis = redis
        self._postgres = postgres
        self._embedder = embedder
        self._journal_durability = journal_durability
        self._on_written = on_written

    async def store(self, user_id: str, new: NewMemory) -> StoreResult:
        """Store a memory; a `success` that is true is never taken back."""
        try:
            memory = self._intake.prepare(user_id, new)
            ttl = calculate_ttl(memory.emotional_score, self._config.base_ttl_seconds)
            durability, is_new = await self._acknowledge(memory, ttl)
        except StoreUnavailableError as error:
            _log.error("A memory of %s was not stored: %s", user_id, error)
            return StoreResult(success=False, error=_BOTH_AWAY)
        except (InvalidInputError, StoreDataError) as error:
            return StoreResult(success=False, error=str(error))
        return StoreResult(
            success=True,
            memory_id=str(memory.id),
            emotional_score=memory.emotional_score,
            ttl=ttl,
            durability=durability,
            is_duplicate=not is_new,
        )

    async def store_many(self, user_id: str, many: Sequence[NewMemory]) -> list[StoreResult]:
        """Store memories in their order and answer for each, in that order."""
        results: list[StoreResult] = []
        for start in range(0, len(many), _AT_ONCE):
            batch = many[start : start + _AT_ONCE]
            results += await asyncio.gather(*(self.store(user_id, new) for new in batch))
        return results

    async def _acknowledge(self, memory: Memory, ttl: int) -> tuple[Durability, bool]:
        embedding = self._embedder.peek(memory.content)
        try:
            answer = await self._redis.remember(
                memory, ttl=ttl, max_backlog=self._config.max_backlog, embedding=embedding, model=self._embedder.model
            )
        except StoreUnavailableError:
            answer = Acknowledgement.FULL
        match answer:
            case Acknowledgement.MISMATCH:
                raise IdempotencyError(_MISMATCH)
            case Acknowledgement.FULL:
                return await self._write_through(PendingWrite.of(memory, embedding, acknowledged_at=utc_now()))
            case _:
                return self._journal_durability, answer is Acknowledgement.JOURNALLED

    async def _write_through(self, pending: PendingWrite) -> tuple[Durability, bool]:
        [outcome] = await self._postgres.write([pending])
        self._on_written()
        if outcome is WriteOutcome.MISMATCH:
            raise IdempotencyError(_MISMATCH)
        if outcome is WriteOutcome.FORGOTTEN:
            raise InvalidInputError("This was forgotten before, and stays so.")
        return Durability.COMMITTED, outcome is WriteOutcome.WRITTEN
