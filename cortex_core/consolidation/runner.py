"""Runs the jobs of consolidation: for one owner, for all whose turn it is, and by the clock (TDD 8.6)."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
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

    Args:
        lease_lasts: For how long nobody else works on an owner after this process was last heard of.
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
        *,
        lease_lasts: timedelta = timedelta(seconds=60),
    ) -> None:
        self._config = config
        self._redis = redis
        self._postgres = postgres
        self.pattern_extractor = patterns
        self.contradiction_detector = contradictions
        self.compaction_job = compaction
        self.cleanup = cleanup
        self._jobs: Sequence[Job] = (patterns, contradictions, compaction, cleanup)
        self._keeper = RunKeeper(postgres, lease_lasts=lease_lasts)
        self._scheduled = [
            ScheduledJob(
                f"consolidation {setting}",
                Schedule(expression, setting=f"consolidation.{setting}"),
                work,
                since=since,
                jitter=_JITTER,
            )
            for setting, expression, work, since in (
                ("schedule", config.schedule, self.run_all_users, self._get_last_round),
                ("cleanup_schedule", config.cleanup_schedule, self.cleanup_expired, _never),
            )
            if expression
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
            async with self._keeper.running(lease, WHOLE) as run:
                due = await self._postgres.runs.list_due_owners(
                    WHOLE, at_least_every=_AT_LEAST_EVERY, now=now or utc_now()
                )
                outcomes = await self._run_each(due, now, progress or _tell_nobody)
                run.counts.update(outcomes)
        return Round(**outcomes)

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
            whole = Run(job=WHOLE, user_id=user_id, epoch=lease.epoch)
            await self._postgres.runs.log(whole)
            counts: Counter[str] = Counter()
            error: str | None = "It was interrupted, or failed in a way that the log tells."
            try:
                error = await self._run_jobs(lease, counts, now, progress)
            finally:
                status = RunStatus.FAILED if error else RunStatus.SUCCEEDED
                ended = {"status": status, "error": error, "completed_at": utc_now(), "counts": dict(counts)}
                whole = whole.model_copy(update=ended)
                await self._postgres.runs.log(whole)
        return whole

    async def cleanup_expired(self) -> int:
        """Remove expired working memories and return how many; raises `StoreUnavailableError`."""
        return await self.cleanup.remove_expired()

    async def list_runs(self, user_id: str, *, limit: int = 25) -> list[Run]:
        """Return what was done for an owner, the latest first."""
        return await self._postgres.runs.list_runs(user_id=check_user_id(user_id), limit=limit)

    async def undo(self, user_id: str, run_id: UUID) -> Undone:
        """Take back what a run changed, all or nothing.

        Raises:
            NotFoundError: The owner has no such run.
            InvalidInputError: It still goes on, is undone already, or a later run has to be undone first.
            StoreUnavailableError: A store is away.
        """
        undone = await self._postgres.runs.undo(check_user_id(user_id), run_id)
        await self._redis.clear_identity(user_id)
        return undone

    async def _run_jobs(
        self, lease: Lease, counts: Counter[str], now: datetime | None, progress: Progress | None
    ) -> str | None:
        """Run each job within the owner's time, and return why one failed, if one did."""
        failure: str | None = None
        try:
            async with asyncio.timeout(self._config.user_timeout_seconds):
                for job in self._jobs:
                    if progress is not None:
                        progress(job.name)
                    failure = await self._run_job(job, lease, counts, now) or failure
        except TimeoutError:
            return "It took longer than consolidation.user_timeout_seconds."
        return failure

    async def _run_job(self, job: Job, lease: Lease, counts: Counter[str], now: datetime | None) -> str | None:
        run: OpenRun | None = None
        try:
            async with self._keeper.running(lease, job.name) as run:
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
                counts.update(run.counts)
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


def _tell_nobody(_done: int, _total: int) -> None:
    pass


async def _never() -> datetime | None:
    return None
