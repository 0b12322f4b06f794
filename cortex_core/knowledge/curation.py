"""Lets people put right what is remembered of them, without erasing it."""

from uuid import UUID

from cortex_core.audience import Audience
from cortex_core.errors import NotFoundError
from cortex_core.models import PINNED, utc_now
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.redis import RedisStore

_NO_SUCH_MEMORY = "There is no such memory of yours any more."


class Curator:
    """Pins and retires memories and sets where they may surface; facts that rest on them follow.

    All methods raise `NotFoundError` for what isn't there or is another's, and `StoreUnavailableError`.
    """

    def __init__(self, redis: RedisStore, postgres: PostgresStore) -> None:
        self._redis = redis
        self._postgres = postgres

    async def pin(self, user_id: str, memory_id: UUID) -> None:
        """Protect a memory against decay, as if it had been said to be kept."""
        memory = await self._postgres.get(user_id, memory_id)
        if memory is None or not (
            memory.is_pinned or await self._postgres.update(user_id, memory_id, {"tags": [*memory.tags, PINNED]})
        ):
            raise NotFoundError(_NO_SUCH_MEMORY)

    async def retire(self, user_id: str, memory_id: UUID, *, was_wrong: bool = False) -> None:
        """Let a memory that is outdated, or was always wrong, be recalled no more; it stays in its owner's history."""
        if not await self._postgres.identity.retire_evidence(user_id, memory_id, at=utc_now(), was_wrong=was_wrong):
            raise NotFoundError(_NO_SUCH_MEMORY)
        await self._refresh(user_id, memory_id)

    async def set_audience(self, user_id: str, memory_id: UUID, audience: Audience) -> None:
        """Let a memory surface there from now on; kept for its owner alone, it leaves its project too."""
        if not await self._postgres.identity.set_memory_audience(user_id, memory_id, audience):
            raise NotFoundError(_NO_SUCH_MEMORY)
        await self._refresh(user_id, memory_id)

    async def _refresh(self, user_id: str, memory_id: UUID) -> None:
        await self._redis.forget(user_id, [memory_id])
        await self._redis.clear_identity(user_id)
