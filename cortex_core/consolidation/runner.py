"""Runs the jobs of consolidation: for one owner, for all whose turn it is, and by the clock (TDD 8.6)."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.cleanup import Cleanup
from cortex_core.consolidation.compaction import CompactionJob
from cortex_core.consolidation.contradictions import ContradictionDetector
from cortex_core.consolidation.patterns import PatternExtractor
from cortex_core.consolidation.runs import OpenRun, RunKeeper
from cortex_core.consolidation.schedule import Schedule, ScheduledJob
from cortex_core.errors import LeaseLostError, ProviderError, StoreUnavailableError
from cortex_core.models import Run, RunStatus, utc_now
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.leases import Lease
from cortex_core.stores.postgres.runs import Undone
from cortex_core.stores.redis import RedisStore

_log = logging.getLogger("cortex.consolidation")

WHOLE = "consolidation"
"""The job under which the whole of an owner's jobs is logged, and a round over all owners as nobody's."""

_AT_LEAST_EVERY = timedelta(days=7)
_JITTER = timedelta(seconds=60)

Progress = Callable[[str], object]
"""Is told the name of each job as it begins."""


class Job(Protocol):
    """What is done for an owner within a run."""

    @property
    def name(self) -> str:
        """What its runs are logged as."""

    async def work(self, run: OpenRun, *, now: datetime | None = None) -> None:
        """Do it, counting in the run; raises `StoreUnavailableError` and `ProviderError`."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round over all owners came to.

    Attributes:
        processed: Owners for whom every job ended well.
        failed: Owners for whom one didn't.
        skipped: Owners on whom another process worked.
    """

    processed: int = 0
    failed: int = 0
    skipped: int = 0


class ConsolidationRunner:
    """Runs jobs for owners: one process at a time on each, some owners at once, each job logged as a run of its own.

    What fails for one owner, or in one job, doesn't keep the others from being done.
    """

    def __init__(
        self,
        config: ConsolidationConfig,
        redis: RedisStore,
        postgres: PostgresStore,
        patterns: PatternExtractor,
        contradictions: ContradictionDetector,
        compaction: CompactionJob,
        cleanup: Cleanup,
    ) -> None:
        self._config = config
        self._redis = redis
        self._postgres = postgres
        self.pattern_extractor = patterns
        self.contradiction_detector = contradictions
        self.compaction_job = compaction
        self.cleanup = cleanup
        self._jobs: Sequence[Job] = (patterns, contradictions, compaction, cleanup)
        self._keeper = RunKeeper(postgres)
        self._rounds = _read_schedule("schedule", config.schedule)
        cleanups = _read_schedule("cleanup_schedule", config.cleanup_schedule)
        self._scheduled = [
            ScheduledJob(f"consolidation {name}", schedule, work, since=since, jitter=_JITTER)
            for name, schedule, work, since in (
                ("schedule", self._rounds, self._make_due_round, self._get_last_round),
                ("cleanup_schedule", cleanups, self.cleanup_expired, _never),
            )
            if schedule
        ]

    def start(self) -> None:
        """Begin to do what is due by the clock; a round that was missed while nobody ran is made up for at once."""
        for scheduled in self._scheduled:
            scheduled.start()

    async def stop(self) -> None:
        """Stop; what goes on is cancelled, and what it has not committed is done at the next time."""
        for scheduled in self._scheduled:
            await scheduled.close()

    async def close(self) -> None:
        """Stop, as every background worker does."""
        await self.stop()

    async def run_all_users(
        self, *, now: datetime | None = None, progress: Callable[[int, int], object] | None = None
    ) -> Round:
        """Run all jobs for whoever said something since the last time, and once a week for everybody.

        Args:
            now: The time that counts.
            progress: Is told after each owner how many are through, and of how many.

        Raises:
            StoreUnavailableError: Postgres is away; what was not done is at the next time.
        """
        async with self._keeper.holding("", job=WHOLE) as lease:
            if lease is None:
                return Round()  # another process is at it
            return await self._make_round(lease, now, progress or _tell_nobody)

    async def run_for_user(
        self, user_id: str, *, now: datetime | None = None, progress: Progress | None = None
    ) -> Run | None:
        """Run all jobs for one owner and return the run in the log that sums them up.

        None means that another process works on the owner at this moment, or that the owner opted out.

        Args:
            user_id: The owner.
            now: The time that counts.
            progress: Is told each job's name as it begins.

        Raises:
            InvalidInputError: The id can't be a person's.
            StoreUnavailableError: Postgres is away.
        """
        if (await self._postgres.preferences.get(check_user_id(user_id))).opted_out:
            return None
        async with self._keeper.holding(user_id) as lease:
            if lease is None:
                return None
            async with self._keeper.running(lease, WHOLE) as whole:
                whole.failure = await self._run_jobs(whole, now, progress)
        return whole.entry

    async def cleanup_expired(self) -> int:
        """Remove expired working memories and return how many; raises `StoreUnavailableError`."""
        return await self.cleanup.remove_expired()

    async def list_runs(self, user_id: str, *, limit: int = 25) -> list[Run]:
        """Return what was done for an owner, the latest first."""
        return await self._postgres.runs.list_runs(user_id=check_user_id(user_id), limit=limit)

    async def undo(self, user_id: str, run_id: UUID) -> Undone:
        """Take back what a run changed, all or nothing; with one that `run_for_user` returned, those of all its jobs.

        Raises:
            NotFoundError: The owner has no such run.
            InvalidInputError: It still goes on, is undone already, or changed nothing; or a later run has to be undone
                first.
            StoreUnavailableError: Postgres is away.
        """
        undone = await self._postgres.runs.undo(check_user_id(user_id), run_id, whole=WHOLE)
        with suppress(StoreUnavailableError):  # a cache that Redis kept meanwhile lasts an hour at most
            await self._redis.clear_identity(user_id)
        return undone

    async def undo_summary(self, user_id: str, memory_id: UUID) -> Undone:
        """Take back one summary; what it stands for is recalled again, and isn't summarised any more.

        Raises:
            NotFoundError: The owner has no such summary.
            InvalidInputError: A later run, which built upon it, has to be undone first.
            StoreUnavailableError: Postgres is away.
        """
        return await self._postgres.runs.undo_summary(check_user_id(user_id), memory_id)

    async def _make_due_round(self) -> Round:
        """Make the round that is due by the clock, unless another process has made it."""
        async with self._keeper.holding("", job=WHOLE) as lease:
            last = await self._get_last_round()
            is_made = self._rounds and last and self._rounds.next_after(last) > utc_now()
            return Round() if lease is None or is_made else await self._make_round(lease, None, _tell_nobody)

    async def _make_round(self, lease: Lease, now: datetime | None, progress: Callable[[int, int], object]) -> Round:
        async with self._keeper.running(lease, WHOLE) as run:
            due = await self._postgres.runs.list_due_owners(WHOLE, at_least_every=_AT_LEAST_EVERY, now=now or utc_now())
            outcomes = await self._run_each(due, now, progress)
            run.counts.update(outcomes)
        return Round(**outcomes)

    async def _run_jobs(self, whole: OpenRun, now: datetime | None, progress: Progress | None) -> str | None:
        """Run each job within the owner's time, and return why one failed, if one did."""
        failure: str | None = None
        try:
            async with asyncio.timeout(self._config.user_timeout_seconds):
                for job in self._jobs:
                    if progress is not None:
                        progress(job.name)
                    failure = await self._run_job(job, whole, now) or failure
        except TimeoutError:
            return "It took longer than consolidation.user_timeout_seconds."
        return failure

    async def _run_job(self, job: Job, whole: OpenRun, now: datetime | None) -> str | None:
        run: OpenRun | None = None
        try:
            async with self._keeper.running(whole.lease, job.name) as run:
                await job.work(run, now=now)
        except LeaseLostError:
            raise
        except (ProviderError, StoreUnavailableError) as error:
            _log.warning("%s of an owner failed in run %s: %s", job.name, run and run.id, error)
            return f"{job.name}: {error}"
        except Exception:  # noqa: BLE001  the edge where a job ends: logged with its run, and the next one begins
            _log.exception("%s of an owner failed in run %s", job.name, run and run.id)
            return f"{job.name} failed in a way that the log tells."
        finally:
            if run is not None:
                whole.counts.update(run.counts)
        return None

    async def _run_each(
        self, owners: Sequence[str], now: datetime | None, progress: Callable[[int, int], object]
    ) -> dict[str, int]:
        outcomes = {"processed": 0, "failed": 0, "skipped": 0}
        left = iter(owners)

        async def work() -> None:
            for user_id in left:  # shared: each takes the next one
                outcomes[await self._run_one(user_id, now)] += 1
                progress(sum(outcomes.values()), len(owners))

        async with asyncio.TaskGroup() as group:
            for _ in range(self._config.max_concurrent_users):
                group.create_task(work())
        return outcomes

    async def _run_one(self, user_id: str, now: datetime | None) -> str:
        try:
            run = await self.run_for_user(user_id, now=now)
        except StoreUnavailableError as error:
            _log.warning("Consolidation of an owner failed: %s", error)
            return "failed"
        if run is None:
            return "skipped"
        return "processed" if run.status is RunStatus.SUCCEEDED else "failed"

    async def _get_last_round(self) -> datetime | None:
        return await self._postgres.runs.get_last_success(None, WHOLE)


def _read_schedule(setting: str, expression: str) -> Schedule | None:
    return Schedule(expression, setting=f"consolidation.{setting}") if expression else None


def _tell_nobody(_done: int, _total: int) -> None:
    pass


async def _never() -> datetime | None:
    return None
