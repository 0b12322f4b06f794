"""Runs of background work: their log, what each changed, and how that is taken back."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import uuid_utils.compat as uuid7
from asyncpg import Record

from cortex_core.errors import InvalidInputError, NotFoundError
from cortex_core.models import Run, RunStatus
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.erasure import PATIENCE_SECONDS
from cortex_core.stores.postgres.evidence import restore

_SQL = load_queries("runs")
_CONTRADICTIONS = load_queries("contradictions")
_CORRECTIONS = load_queries("corrections")
_FORGETTING = load_queries("forgetting")
_MEMORIES = load_queries("memories")

_REFUSALS = {
    "running": "This run has not ended yet.",
    "undone": "This run was undone already.",
    "built upon": "A later run changed the same memories or facts; undo that one first.",
    "changed nothing": "This run changed nothing that could be taken back.",
}


class ChangeKind(StrEnum):
    """What a run does to a memory or a fact."""

    MEMORY_ADDED = "memory added"
    MEMORY_ARCHIVED = "memory archived"
    MEMORY_SUPERSEDED = "memory superseded"
    MEMORY_CHANGED = "memory changed"
    FACT_ADDED = "fact added"
    FACT_ENDED = "fact ended"
    FACT_CHANGED = "fact changed"
    """It holds at other times."""


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

    def __add__(self, earlier: "Undone") -> "Undone":
        """Return both, of which the other one was of an earlier run, and undone later."""
        restored = dict.fromkeys(self.restored + earlier.restored)
        return Undone(
            tuple(memory_id for memory_id in restored if memory_id not in earlier.withdrawn),
            self.withdrawn + earlier.withdrawn,
            tuple(dict.fromkeys(self.facts + earlier.facts)),
        )


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

    async def close_interrupted(self, user_id: str, job: str, *, epoch: int) -> None:
        """Mark what an earlier holder left running as failed: all of an owner's, or of nobody's that job."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["close_interrupted"], user_id, epoch, job)

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

    async def undo(self, user_id: str, run_id: UUID, *, whole: str | None = None) -> Undone:
        """Take back what a run changed, all or nothing.

        What the owner or somebody else decided since stays, and so does what was forgotten.

        Args:
            user_id: The owner.
            run_id: The run.
            whole: The job whose runs sum others up: with one of these, those are taken back, the latest first.

        Raises:
            NotFoundError: The owner has no such run.
            InvalidInputError: It still runs, is undone already, changed nothing, or a later run has to be undone first.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            parts = await connection.fetch(_SQL["list_parts"], user_id, run_id, whole)
            runs = [run_id, *[row["id"] for row in parts]]
            changed_anything = await connection.fetchval(_SQL["changed_anything"], runs)
            undone = Undone()
            for one in runs:
                undone += await undo_in(connection, user_id, one, owners={user_id})
            if not changed_anything:
                raise InvalidInputError(_REFUSALS["changed nothing"])
        return undone

    async def undo_summary(self, user_id: str, memory_id: UUID) -> Undone:
        """Take back one summary: what it stands for speaks for itself again, and isn't summarised any more.

        Raises:
            NotFoundError: The owner has no such summary.
            InvalidInputError: A later run has to be undone first.
        """
        run_id = uuid7.uuid7()
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            if await connection.fetchval(_SQL["log_summary"], user_id, memory_id, run_id) is None:
                raise NotFoundError("There is no such summary of yours any more.")
            await connection.execute(_SQL["split_off"], user_id, memory_id, run_id)
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
    facts = await take_back("take_back_added_facts") + await take_back("take_back_changed_facts")
    for row in await connection.fetch(_SQL["list_ended_facts"], run_id, list(owners)):
        facts += tuple(fact["id"] for fact in (await restore(connection, row["user_id"], [row["target"]])).facts)
    await connection.execute(_CONTRADICTIONS["reopen"], run_id)
    await connection.execute(_CORRECTIONS["reopen"], run_id)
    await connection.execute(_SQL["mark_undone"], run_id)
    return Undone(restored, withdrawn, facts)


async def note_changes(
    connection: Connection,
    run_id: UUID,
    user_id: str,
    kind: ChangeKind,
    targets: Sequence[UUID],
    before: Sequence[str | None] | None = None,
) -> None:
    """Note what a run changed, in the transaction that changes it.

    Args:
        connection: That of the transaction.
        run_id: The run.
        user_id: Whose memories or facts they are.
        kind: What was done.
        targets: Their ids.
        before: What each was before, as `describe` gives it.
    """
    await connection.execute(_SQL["add_changes"], run_id, user_id, kind, targets, before or [None] * len(targets))


def describe(row: Record) -> str:
    """Return what a memory or a fact was before a change, as `note_changes` keeps it."""
    times = [name for name in ("valid_from", "valid_to", "ended_at") if name in row]
    was = {"status": row.get("status"), **{name: row[name] and row[name].isoformat() for name in times}}
    return json.dumps({**was, "has_many": row["has_many"]} if "has_many" in row else was)


async def _refusal(connection: Connection, run_id: UUID, run: Record) -> str | None:
    if run["status"] == RunStatus.RUNNING:
        return "running"
    if run["undone_at"] is not None:
        return "undone"
    return "built upon" if await connection.fetchval(_SQL["is_built_upon"], run_id) else None


def _to_run(row: Record) -> Run:
    return Run.model_construct(**{**row, "status": RunStatus(row["status"])})
