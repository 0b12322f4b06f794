"""Sessions: a stretch of conversation with its state in Redis and a copy of it in Postgres (TDD 4.4)."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from pydantic import JsonValue

from cortex_core.background import BackgroundLoop
from cortex_core.cleaning import check_json
from cortex_core.config import IngestionConfig
from cortex_core.errors import InvalidInputError, StoreUnavailableError
from cortex_core.knowledge.preferences import PreferenceKeeper
from cortex_core.models import MemoryType, utc_now
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from cortex_core.stores.redis import MAX_SESSION_CHARS, SESSION_TOO_LONG, RedisStore

_FLEETING = {MemoryType.WORKING, MemoryType.SESSION}


class Sessions:
    """Starts, updates and ends sessions; works from Postgres alone while Redis is away.

    Between `start_repairs` and `close` it brings sessions that Redis missed a change of up to date there.
    """

    def __init__(
        self, config: IngestionConfig, redis: RedisStore, postgres: PostgresStore, preferences: PreferenceKeeper
    ) -> None:
        self._config = config
        self._redis = redis
        self._postgres = postgres
        self._preferences = preferences
        self._outdated: set[str] = set()  # owners whose session in Redis is older than the one in Postgres
        self._lock = asyncio.Lock()  # so that a repair and a change of Postgres' state don't cross
        self._wake = asyncio.Event()
        self._loop = BackgroundLoop("session repair", self._repair)

    def start_repairs(self) -> None:
        """Begin to watch for sessions that Redis missed a change of."""
        self._loop.start()

    async def close(self) -> None:
        """Stop repairing."""
        await self._loop.close()

    async def start(self, user_id: str, initial: Mapping[str, JsonValue] | None = None) -> dict[str, JsonValue]:
        """Start afresh and return the new state; raises `InvalidInputError` for what isn't JSON.

        Who opted out has no session: nothing is kept, and the state is empty.
        """
        _check(initial or {})
        if (await self._preferences.get(user_id)).opted_out:
            return {}
        now = utc_now().isoformat()
        state = {"started_at": now, "last_active": now, **(initial or {})}
        if user_id not in self._outdated:
            with suppress(StoreUnavailableError):
                return await self._redis.set_session(user_id, state)
        async with self._lock:
            return await self._put(user_id, state)

    async def update(self, user_id: str, updates: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Change some fields and return the whole state, as `start` does."""
        _check(updates)
        if (await self._preferences.get(user_id)).opted_out:
            return {}
        if user_id not in self._outdated:
            with suppress(StoreUnavailableError):
                return await self._redis.update_session(user_id, updates)
        async with self._lock:
            state = await self._postgres.sessions.get(user_id)
            return await self._put(user_id, {**state, **updates, "last_active": utc_now().isoformat()})

    async def end(self, user_id: str) -> int:
        """End the session and return how many of its fleeting memories were moving enough to stay as episodes."""
        before = utc_now()
        hot = await self._redis.load(user_id)
        promoted = [
            memory.model_copy(update={"memory_type": MemoryType.EPISODIC, "version": memory.version + 1})
            for memory in hot.working
            if memory.memory_type in _FLEETING and memory.emotional_score > self._config.promote_emotion_above
        ]
        # The next version, not one of its own time: ending the session again doesn't promote again.
        writes = [PendingWrite(memory, acknowledged_at=before) for memory in promoted]
        outcomes = await self._postgres.write(writes) if writes else []
        await self._redis.clear_session(user_id)
        await self._postgres.sessions.put(user_id, {}, revised_at=utc_now(), expires_at=utc_now())
        return outcomes.count(WriteOutcome.WRITTEN)

    async def _put(self, user_id: str, state: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if len(json.dumps(state)) > MAX_SESSION_CHARS:  # else Redis would refuse it when it is back
            raise InvalidInputError(SESSION_TOO_LONG)
        now = utc_now()
        lasts: timedelta = self._redis.session_ttl
        await self._postgres.sessions.put(user_id, state, revised_at=now, expires_at=now + lasts)
        self._outdated.add(user_id)
        self._wake.set()
        return state

    async def _repair(self) -> None:
        if not self._outdated:
            await self._wake.wait()
        self._wake.clear()
        for user_id in list(self._outdated):
            async with self._lock:
                if state := await self._postgres.sessions.get(user_id):
                    await self._redis.set_session(user_id, state)
                else:
                    await self._redis.clear_session(user_id)
                self._outdated.discard(user_id)


def _check(fields: Mapping[str, JsonValue]) -> None:
    check_json("A session's state", dict(fields))
