"""What consolidation did lately, for whoever runs it (TDD 8.7)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cortex_core.consolidation.runner import WHOLE
from cortex_core.models import Run, RunStatus, utc_now
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.contradictions import Contradiction

_MOST_RUNS = 10_000


@dataclass(frozen=True, slots=True)
class ConsolidationMetrics:
    """Sums over some time.

    Attributes:
        users_processed: Owners for whom the jobs were run, each counted once.
        errors: Runs over an owner in which a job failed.
        duration_seconds: What those runs took together.
    """

    users_processed: int = 0
    patterns_extracted: int = 0
    contradictions_found: int = 0
    memories_compacted: int = 0
    errors: int = 0
    duration_seconds: float = 0.0


class ConsolidationMonitor:
    """Reads the log of runs; all methods raise `StoreUnavailableError`."""

    def __init__(self, postgres: PostgresStore) -> None:
        self._postgres = postgres

    async def get_recent_runs(self, hours: int = 24, *, now: datetime | None = None) -> list[Run]:
        """Return the runs over an owner of the last hours, the latest first."""
        since = (now or utc_now()) - timedelta(hours=hours)
        runs = await self._postgres.runs.list_runs(since=since, job=WHOLE, limit=_MOST_RUNS)
        return [run for run in runs if run.user_id is not None]

    async def get_metrics(self, hours: int = 24, *, now: datetime | None = None) -> ConsolidationMetrics:
        """Return what the runs of the last hours came to."""
        runs = await self.get_recent_runs(hours, now=now)
        return ConsolidationMetrics(
            users_processed=len({run.user_id for run in runs}),
            patterns_extracted=sum(run.counts.get("patterns_added", 0) for run in runs),
            contradictions_found=sum(run.counts.get("contradictions_found", 0) for run in runs),
            memories_compacted=sum(run.counts.get("memories_compacted", 0) for run in runs),
            errors=sum(run.status is RunStatus.FAILED for run in runs),
            duration_seconds=sum(
                (run.completed_at - run.started_at).total_seconds() for run in runs if run.completed_at
            ),
        )

    async def get_pending_contradictions(self, *, limit: int = 100) -> list[Contradiction]:
        """Return those that nobody has decided yet, of anybody, the oldest first."""
        return await self._postgres.contradictions.list_pending(limit=limit)
