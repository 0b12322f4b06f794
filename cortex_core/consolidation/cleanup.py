"""Cleanup: importance follows time and use, and what has expired goes (TDD 3.4, 3.5)."""

from datetime import datetime, timedelta

from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.runs import OpenRun
from cortex_core.models import utc_now
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.importance import set_importance
from cortex_core.stores.redis import RedisStore

_EMPTY_RUNS_STAY = timedelta(days=30)
_NAMED_COSTS_STAY = timedelta(days=30)
_QUESTIONS_STAY = timedelta(days=90)  # after they came up last: of owners who say nothing that is once a week
_SPOKE_WITHIN = timedelta(days=1)  # working memory lasts six hours at most (TDD 3.2)


class Cleanup:
    """Keeps scores current and stores tidy."""

    name = "cleanup"

    def __init__(self, config: ConsolidationConfig, redis: RedisStore, postgres: PostgresStore) -> None:
        self._config = config
        self._redis = redis
        self._postgres = postgres

    async def work(self, run: OpenRun, *, now: datetime | None = None) -> None:
        """Refresh the importance of an owner's memories, within a run; raises `StoreUnavailableError`."""
        off = await self._postgres.importance.list_off(
            run.user_id, now=now or utc_now(), limit=self._config.max_memories_per_run
        )
        async with run.committing() as connection:
            await set_importance(connection, run.user_id, off)
        run.counts["importance_refreshed"] += len(off)

    async def remove_expired(self, *, now: datetime | None = None) -> int:
        """Remove expired working memories, old runs that changed nothing, and old questions; return how many memories.

        In whose direct messages language models were once asked is not told any more either.

        Raises:
            StoreUnavailableError: A store is away.
        """
        now = now or utc_now()
        removed = 0
        for user_id in await self._postgres.runs.list_speakers(since=now - _SPOKE_WITHIN):
            removed += await self._redis.cleanup_expired_working(user_id)
        await self._postgres.runs.drop_empty(before=now - _EMPTY_RUNS_STAY)
        await self._postgres.questions.drop_old(before=now - _QUESTIONS_STAY)
        await self._postgres.spending.unname_persons(before=(now - _NAMED_COSTS_STAY).date())
        return removed
