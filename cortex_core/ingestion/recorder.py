"""Acknowledges memories: into the journal and working memory at once, or straight into Postgres when Redis is away."""

import logging
import time
from collections.abc import Callable, Sequence

from cortex_core.config import IngestionConfig
from cortex_core.errors import IdempotencyError, InvalidInputError, StoreDataError, StoreUnavailableError
from cortex_core.ingestion.intake import Intake, NewMemory
from cortex_core.knowledge.preferences import PreferenceKeeper
from cortex_core.metrics import Metrics, Operation
from cortex_core.models import OWNER_ONLY, Durability, Memory, StoreResult, utc_now
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
        preferences: PreferenceKeeper,
        journal_durability: Durability,
        on_written: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._intake = intake
        self._redis = redis
        self._postgres = postgres
        self._embedder = embedder
        self._preferences = preferences
        self._journal_durability = journal_durability
        self._on_written = on_written
        self._metrics = metrics

    async def store(self, user_id: str, new: NewMemory) -> StoreResult:
        """Store a memory; a `success` that is true is never taken back."""
        started = time.perf_counter()
        memory = (await self._prepare_all(user_id, [new]))[0]
        if isinstance(memory, StoreResult):
            return memory
        result = await self._finish(memory, await self._acknowledge(memory))
        self._count([result], time.perf_counter() - started)
        return result

    async def store_many(self, user_id: str, many: Sequence[NewMemory]) -> list[StoreResult]:
        """Store memories in their order and answer for each, in that order; a batch takes one round trip."""
        results: list[StoreResult] = []
        for start in range(0, len(many), _AT_ONCE):
            started = time.perf_counter()
            prepared = await self._prepare_all(user_id, many[start : start + _AT_ONCE])
            answers = iter(await self._acknowledge_many([m for m in prepared if isinstance(m, Memory)]))
            batch = [
                memory if isinstance(memory, StoreResult) else await self._finish(memory, next(answers))
                for memory in prepared
            ]
            self._count(batch, time.perf_counter() - started)
            results += batch
        return results

    def _count(self, results: Sequence[StoreResult], seconds: float) -> None:
        """Count what was acknowledged within that time; `_finish` counts what failed."""
        if times := sum(result.success for result in results):
            self._metrics.observe(Operation.STORE, seconds, times=times)

    async def _prepare_all(self, user_id: str, many: Sequence[NewMemory]) -> list[Memory | StoreResult]:
        """Ask what the owner wishes before anything is read, scored or stored."""
        try:
            preferences = await self._preferences.get(user_id)
        except InvalidInputError as error:
            return [StoreResult(success=False, error=str(error)) for _ in many]
        if reason := preferences.why_not_stored(utc_now()):
            return [StoreResult(success=False, error=reason, is_unwanted=True) for _ in many]
        return [self._prepare(user_id, new, keeps_private=preferences.keeps_private) for new in many]

    def _prepare(self, user_id: str, new: NewMemory, *, keeps_private: bool) -> Memory | StoreResult:
        try:
            memory = self._intake.prepare(user_id, new)
        except InvalidInputError as error:
            return StoreResult(success=False, error=str(error))
        return _keep_private(memory) if keeps_private else memory

    async def _acknowledge(self, memory: Memory) -> Acknowledgement:
        try:
            return await self._redis.remember(
                memory,
                ttl=self._ttl_of(memory),
                max_backlog=self._config.max_backlog,
                embedding=self._embedder.peek(memory.content),
                model=self._embedder.model,
            )
        except StoreUnavailableError:
            return Acknowledgement.FULL

    async def _acknowledge_many(self, memories: Sequence[Memory]) -> Sequence[Acknowledgement]:
        try:
            return await self._redis.remember_many(
                [(memory, self._ttl_of(memory), self._embedder.peek(memory.content)) for memory in memories],
                max_backlog=self._config.max_backlog,
                model=self._embedder.model,
            )
        except StoreUnavailableError:
            return [await self._acknowledge(memory) for memory in memories]

    async def _finish(self, memory: Memory, answer: Acknowledgement) -> StoreResult:
        """Tell what became of a memory; what the journal doesn't take goes to Postgres at once."""
        try:
            durability, is_new = await self._make_durable(memory, answer)
        except StoreUnavailableError as error:
            _log.error("A memory of %s was not stored: %s", memory.user_id, error)
            self._metrics.fail(Operation.STORE)
            return StoreResult(success=False, error=_BOTH_AWAY)
        except (InvalidInputError, StoreDataError) as error:
            return StoreResult(success=False, error=str(error))
        return StoreResult(
            success=True,
            memory_id=str(memory.id),
            emotional_score=memory.emotional_score,
            ttl=self._ttl_of(memory),
            durability=durability,
            is_duplicate=not is_new,
        )

    async def _make_durable(self, memory: Memory, answer: Acknowledgement) -> tuple[Durability, bool]:
        match answer:
            case Acknowledgement.MISMATCH:
                raise IdempotencyError(_MISMATCH)
            case Acknowledgement.FULL:
                embedding = self._embedder.peek(memory.content)
                return await self._write_through(PendingWrite.of(memory, embedding, acknowledged_at=utc_now()))
            case _:
                return self._journal_durability, answer is Acknowledgement.JOURNALLED

    def _ttl_of(self, memory: Memory) -> int:
        return calculate_ttl(memory.emotional_score, self._config.base_ttl_seconds)

    async def _write_through(self, pending: PendingWrite) -> tuple[Durability, bool]:
        [outcome] = await self._postgres.write([pending])
        self._on_written()
        if outcome is WriteOutcome.MISMATCH:
            raise IdempotencyError(_MISMATCH)
        if outcome is WriteOutcome.FORGOTTEN:
            raise InvalidInputError("This was forgotten before, and stays so.")
        return Durability.COMMITTED, outcome is WriteOutcome.WRITTEN


def _keep_private(memory: Memory) -> Memory:
    """Let what is said in a conversation surface to its owner alone; what somebody publishes on purpose stays so."""
    if memory.source != "conversation":
        return memory
    return memory.model_copy(update={"audience": OWNER_ONLY, "project_id": None})
