"""Asks every dependency of an open memory how it is, also while others are away."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from cortex_core.background import abandon_after
from cortex_core.config import MemoryConfig
from cortex_core.consolidation.runner import WHOLE
from cortex_core.dashboard.figures import Health
from cortex_core.errors import CortexError
from cortex_core.models import utc_now
from cortex_core.providers import ChatModel
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.stores.health import (
    Check,
    DatabaseReport,
    Status,
    inspect_database,
    judge_database,
    judge_dead_letters,
    judge_redis,
)
from cortex_core.stores.journal import Journal
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.activity import JobLog

_PATIENCE = timedelta(seconds=5)
_SELDOM = timedelta(days=8)
"""After that long a round is missing: everybody has a turn once a week."""
_MANY_WAIT = 0.1
"""The share of the journal's room from which on its writers count as being behind."""


class Examiner:
    """Knows the dependencies; each is asked for five seconds at most, all at the same time."""

    def __init__(
        self,
        config: MemoryConfig,
        postgres: PostgresStore,
        journal: Journal,
        embedder: CachingEmbedder,
        llm: ChatModel | None,
    ) -> None:
        self._config = config
        self._postgres = postgres
        self._journal = journal
        self._embedder = embedder
        self._llm = llm

    async def examine(self) -> Health:
        """Ask all of them."""
        (database, postgres), (waiting, redis), embedding = await asyncio.gather(
            self._examine_postgres(), self._examine_redis(), _guard("embedding", self._examine_embedder)
        )
        log = await self._read_log() if database else None
        checks = (
            redis,
            self._judge_queue(waiting),
            postgres,
            judge_dead_letters(database),
            embedding,
            self._judge_llm(),
            self._judge_consolidation(log),
        )
        return Health(
            redis_connected=redis.status is not Status.FAILED,
            postgres_connected=postgres.status is not Status.FAILED,
            embedder_healthy=embedding.status is not Status.FAILED,
            consolidation_running=log is not None and log.is_going_on,
            last_consolidation=log and log.last_success,
            checks=checks,
        )

    async def _examine_redis(self) -> tuple[int | None, Check]:
        waiting: int | None = None

        async def look() -> Check:
            nonlocal waiting
            durability, waiting = await self._journal.check_durability(), await self._journal.depth()
            return judge_redis(self._config.redis.url, durability, waiting)

        check = await _guard("redis", look)
        return waiting, check

    async def _examine_postgres(self) -> tuple[DatabaseReport | None, Check]:
        database: DatabaseReport | None = None

        async def look() -> Check:
            nonlocal database
            database = await inspect_database(self._config.postgres.url, timeout=_PATIENCE)
            return judge_database(self._config.postgres.url, database)

        check = await _guard("postgres", look)
        return database, check

    async def _examine_embedder(self) -> Check:
        await self._embedder.embed(f"Does it work at {utc_now()}?")  # what it knows already would prove nothing
        return Check("embedding", Status.OK, f"{self._embedder.model}, {self._embedder.dimensions} dimensions")

    def _judge_queue(self, waiting: int | None) -> Check:
        if waiting is None:
            return Check("write queue", Status.WARNING, "not counted; memories are written to PostgreSQL directly")
        if waiting > _MANY_WAIT * self._config.ingestion.max_backlog:
            detail = f"{waiting} acknowledged writes wait; look after PostgreSQL, or start another `cortex worker`"
            return Check("write queue", Status.WARNING, detail)
        return Check("write queue", Status.OK, f"{waiting} acknowledged writes wait")

    def _judge_llm(self) -> Check:
        if self._llm is None:
            return Check("llm", Status.OK, "none; answers and analysis do without (set CORTEX_LLM__API_KEY for one)")
        return Check("llm", Status.OK, f"{self._llm.model}, not asked (`cortex check --llm` does)")

    def _judge_consolidation(self, log: JobLog | None) -> Check:
        name = "consolidation"
        if log is None:
            return Check(name, Status.WARNING, "not known, the database is away")
        if log.last_success is None:
            ended = "has not come to a good end yet"
        else:
            ended = f"last came to a good end at {log.last_success:%Y-%m-%d %H:%M} UTC"
        if log.last_error is not None:
            return Check(name, Status.WARNING, f"{ended}, and failed since; see `/cortex jobs`: {log.last_error}")
        if not self._config.consolidation.schedule:
            return Check(name, Status.OK, f"{ended}; only by hand, since consolidation.schedule is empty")
        if log.last_success is not None and utc_now() - log.last_success > _SELDOM:
            return Check(name, Status.WARNING, f"{ended}; look whether a process runs that does it")
        return Check(name, Status.OK, ended)

    async def _read_log(self) -> JobLog | None:
        try:
            return await abandon_after(_PATIENCE.total_seconds(), lambda: self._postgres.activity.get_job_log(WHOLE))
        except CortexError:
            return None


async def _guard(name: str, look: Callable[[], Awaitable[Check]]) -> Check:
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            return await look()
    except CortexError as error:
        return Check(name, Status.FAILED, str(error))
    except TimeoutError:
        return Check(name, Status.FAILED, f"no answer within {_PATIENCE.total_seconds():.0f} seconds")
