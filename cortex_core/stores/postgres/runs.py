"""Runs of background work: their log, what each changed, and how that is taken back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from asyncpg import Record

from cortex_core.errors import InvalidInputError, NotFoundError
from cortex_core.models import Run, RunStatus
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.erasure import PATIENCE_SECONDS

_SQL = load_queries("runs")
_CONTRADICTIONS = load_queries("contradictions")
_FORGETTING = load_queries("forgetting")
_MEMORIES = load_queries("memories")

_REFUSALS = {
    "running": "This run has not ended yet.",
    "undone": "This run was undone already.",
    "built upon": "A later run changed the same memories or facts; undo that one first.",
}


class ChangeKind(StrEnum):
    """What a run does to a memory or a fact."""

    MEMORY_ADDED = "memory added"
    MEMORY_ARCHIVED = "memory archived"
    MEMORY_SUPERSEDED = "memory superseded"
    MEMORY_CHANGED = "memory changed"
    FACT_ADDED = "fact added"
    FACT_ENDED = "fact ended"


@dataclass(frozen=True, slots=True)
class Undone:
    """What was taken back.

    Attributes:
        restored: Memories that are active again.
        withdrawn: Memories that the run had added.
        facts: Facts that hold again, or don't any more.
    """

    restored: tuple[UUID, ...] = ()
    withdrawn: tuple[UUID, ...] = ()
    facts: tuple[UUID, ...] = ()


class Runs:
    """The tables `consolidation_runs` and `changes`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def log(self, run: Run) -> None:
        """Record the start or the end of a run."""
        async with self._pool.connection() as connection:
            await self.log_in(connection, run)

    async def log_in(self, connection: Connection, run: Run) -> None:
        """Record it within a transaction."""
        await connection.execute(
            _SQL["log"],
            run.id, run.user_id, run.job, run.status, run.started_at, run.completed_at, run.counts, run.error,
            run.epoch,
        )  # fmt: skip

    async def close_interrupted(self, user_id: str, *, epoch: int) -> None:
        """Mark what an earlier holder of the lease left running as failed."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["close_interrupted"], user_id, epoch)

    async def list_runs(
        self,
        *,
        since: datetime | None = None,
        user_id: str | None = None,
        job: str | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """Return runs, the latest first; what is None doesn't filter."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list"], since, user_id, job, limit)
        return [_to_run(row) for row in rows]

    async def get_last_success(self, user_id: str | None, job: str) -> datetime | None:
        """Return when the last run that succeeded began; without an owner of those that are nobody's."""
        async with self._pool.connection() as connection:
            began: datetime | None = await connection.fetchval(_SQL["last_success"], user_id, job)
        return began

    async def list_due_owners(self, job: str, *, at_least_every: timedelta, now: datetime) -> list[str]:
        """Return whose turn a job is: who said something since, and whoever had no turn for that long."""
        async with self._pool.transaction() as connection:
            await connection.execute(_FORGETTING["take_time"])
            rows = await connection.fetch(_SQL["list_due"], at_least_every, now, job, timeout=PATIENCE_SECONDS)
        return [row["user_id"] for row in rows]

    async def list_speakers(self, *, since: datetime) -> list[str]:
        """Return who said something since then."""
        async with self._pool.transaction() as connection:
            await connection.execute(_FORGETTING["take_time"])
            rows = await connection.fetch(_SQL["list_speakers"], since, timeout=PATIENCE_SECONDS)
        return [row["user_id"] for row in rows]

    async def drop_empty(self, *, before: datetime) -> int:
        """Delete the log of old runs that changed nothing, and return how many."""
        async with self._pool.connection() as connection:
            status: str = await connection.execute(_SQL["drop_empty"], before)
        return int(status.rpartition(" ")[2])

    async def undo(self, user_id: str, run_id: UUID) -> Undone:
        """Take back what a run changed, all or nothing.

        What the owner or somebody else decided since stays, and so does what was forgotten.

        Raises:
            NotFoundError: The owner has no such run.
            InvalidInputError: It still runs, is undone already, or a later run has to be undone first.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            return await undo_in(connection, user_id, run_id, owners={user_id})


async def undo_in(connection: Connection, user_id: str | None, run_id: UUID, *, owners: Collection[str]) -> Undone:
    """Take a run back within a transaction; raises as `Runs.undo` does.

    Args:
        connection: That of the transaction, which holds the locks of these owners.
        user_id: Whose run it is; None for a project's.
        run_id: The run.
        owners: Whose memories it may have changed.
    """
    run = await connection.fetchrow(_SQL["lock"], user_id, run_id)
    if run is None:
        raise NotFoundError("There is no such run of yours.")
    if refusal := await _refusal(connection, run_id, run):
        raise InvalidInputError(_REFUSALS[refusal])

    async def take_back(query: str) -> tuple[UUID, ...]:
        return tuple(row["id"] for row in await connection.fetch(_SQL[query], run_id, list(owners)))

    restored = await take_back("take_back_memories")
    withdrawn = await take_back("take_back_added_memories")
    facts = await take_back("take_back_added_facts") + await take_back("take_back_ended_facts")
    await connection.execute(_CONTRADICTIONS["reopen"], run_id)
    await connection.execute(_SQL["mark_undone"], run_id)
    return Undone(restored, withdrawn, facts)


async def note_changes(
    connection: Connection,
    run_id: UUID,
    user_id: str,
    kind: ChangeKind,
    targets: Sequence[UUID],
    before: Sequence[str] | None = None,
) -> None:
    """Note what a run changed, in the transaction that changes it.

    Args:
        connection: That of the transaction.
        run_id: The run.
        user_id: Whose memories or facts they are.
        kind: What was done.
        targets: Their ids.
        before: What each was before, as JSON with `status`, `valid_from` and `valid_to`.
    """
    await connection.execute(_SQL["add_changes"], run_id, user_id, kind, targets, before or [None] * len(targets))


async def _refusal(connection: Connection, run_id: UUID, run: Record) -> str | None:
    if run["status"] == RunStatus.RUNNING:
        return "running"
    if run["undone_at"] is not None:
        return "undone"
    return "built upon" if await connection.fetchval(_SQL["is_built_upon"], run_id) else None


def _to_run(row: Record) -> Run:
    return Run.model_construct(**{**row, "status": RunStatus(row["status"])})
