"""Sessions: a stretch of conversation with its state in Redis and a copy of it in Postgres (TDD 4.4)."""

from collections.abc import Mapping
from datetime import timedelta

from pydantic import JsonValue

from cortex_core.cleaning import check_json
from cortex_core.config import IngestionConfig
from cortex_core.errors import StoreUnavailableError
from cortex_core.models import MemoryType, utc_now
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from cortex_core.stores.redis import RedisStore

_FLEETING = {MemoryType.WORKING, MemoryType.SESSION}


class Sessions:
    """Starts, updates and ends sessions; works from Postgres alone while Redis is away."""

    def __init__(self, config: IngestionConfig, redis: RedisStore, postgres: PostgresStore) -> None:
        self._config = config
        self._redis = redis
        self._postgres = postgres

    async def start(self, user_id: str, initial: Mapping[str, JsonValue] | None = None) -> dict[str, JsonValue]:
        """Start afresh and return the new state; raises `InvalidInputError` for what isn't JSON."""
        _check(initial or {})
        now = utc_now().isoformat()
        state = {"started_at": now, "last_active": now, **(initial or {})}
        try:
            return await self._redis.set_session(user_id, state)
        except StoreUnavailableError:
            return await self._put(user_id, state)

    async def update(self, user_id: str, updates: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Change some fields and return the whole state; raises `InvalidInputError` for what isn't JSON."""
        _check(updates)
        try:
            return await self._redis.update_session(user_id, updates)
        except StoreUnavailableError:
            state = await self._postgres.sessions.get(user_id)
            return await self._put(user_id, {**state, **updates, "last_active": utc_now().isoformat()})

    async def end(self, user_id: str) -> int:
        """End the session and return how many of its fleeting memories were moving enough to stay as episodes."""
        hot = await self._redis.load(user_id)
        promoted = [
            memory.model_copy(update={"memory_type": MemoryType.EPISODIC, "version": memory.version + 1})
            for memory in hot.working
            if memory.memory_type in _FLEETING and memory.emotional_score > self._config.promote_emotion_above
        ]
        # The next version, not one of its own time: ending the session again doesn't promote again.
        outcomes = await self._postgres.write([PendingWrite(memory) for memory in promoted]) if promoted else []
        await self._redis.clear_session(user_id)
        await self._postgres.sessions.put(user_id, {}, revised_at=utc_now(), expires_at=utc_now())
        return outcomes.count(WriteOutcome.WRITTEN)

    async def _put(self, user_id: str, state: dict[str, JsonValue]) -> dict[str, JsonValue]:
        now = utc_now()
        lasts: timedelta = self._redis.session_ttl
        await self._postgres.sessions.put(user_id, state, revised_at=now, expires_at=now + lasts)
        return state


def _check(fields: Mapping[str, JsonValue]) -> None:
    check_json("A session's state", dict(fields))
