"""What is done and what there is, in figures."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from asyncpg import Record

from cortex_core.metrics import Tally
from cortex_core.models import MemoryType, Model, Run, RunStatus
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool

_SQL = load_queries("activity")
_CENT = 0.01

_COUNTED_AT_MOST = 200_000
"""Memories that are looked at to tell how many there are of each type; of more a sample stands for all."""


@dataclass(frozen=True, slots=True)
class HourlyTally:
    """What was done of one kind in an hour."""

    hour: datetime
    operation: str
    tally: Tally


@dataclass(frozen=True, slots=True)
class Totals:
    """What the whole database holds.

    Attributes:
        users: Owners of memories.
        vectors_waiting: Memories that have no vector yet.
        memories_by_type: Estimated, where there are very many.
    """

    users: int
    memories: int
    dead_letters: int
    vectors_waiting: int
    memories_by_type: Mapping[MemoryType, int]


@dataclass(frozen=True, slots=True)
class GuildTotals:
    """What comes from one server.

    Attributes:
        people: Who said something there.
        projects: Those that a channel of it feeds.
        memories_by_slot: Those since a time, by when their slot begins.
    """

    people: int
    projects: int
    memories_by_type: Mapping[MemoryType, int]
    memories_by_slot: Mapping[datetime, int]


@dataclass(frozen=True, slots=True)
class UserTotals:
    """What is kept about one person."""

    identity_facts: int
    memories: int
    last_active: datetime | None


@dataclass(frozen=True, slots=True)
class JobLog:
    """How a job of background work goes.

    Attributes:
        is_going_on: Whether a process is at it at this moment.
        last_success: When it last came to a good end.
        last_error: Why it failed since then, if it did.
    """

    is_going_on: bool
    last_success: datetime | None
    last_error: str | None


class Spending(Model):
    """What language models were asked in whole days (UTC), and what that cost."""

    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float

    @property
    def cost(self) -> str:
        """What it cost, as people read it: whatever isn't nothing doesn't look like nothing."""
        return "less than $0.01" if 0 < self.cost_usd < _CENT else f"${self.cost_usd:,.2f}"


class Activity:
    """The table `activity`, and counts of what other tables hold.

    All but `of_user` is about many people at once, so it is read as the role that owns the tables.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, tallies: Mapping[str, Tally], *, hour: datetime) -> None:
        """Add to what was done in an hour."""
        rows = [{"operation": operation, **asdict(tally)} for operation, tally in tallies.items()]
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["add"], hour, json.dumps(rows, allow_nan=False))

    async def list_tallies(self, *, since: datetime) -> list[HourlyTally]:
        """Return what was done since then, oldest hour first."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list"], since)
        return [
            HourlyTally(
                row["hour"], row["operation"], Tally(row["count"], row["failures"], row["seconds"], row["buckets"])
            )
            for row in rows
        ]

    async def count_everything(self) -> Totals:
        """Return what the whole database holds."""
        async with self._pool.connection() as connection:
            [totals] = await connection.fetch(_SQL["totals"])
            share = min(1.0, _COUNTED_AT_MOST / max(totals["memories"], 1))
            types = await connection.fetch(_SQL["types"], 100 * share)
        return Totals(**totals, memories_by_type=_by_type(types))

    async def count_of_guild(self, guild_id: int, *, since: datetime, slot: timedelta) -> GuildTotals:
        """Return what comes from a server, and how many memories in each slot since a time."""
        async with self._pool.connection() as connection:
            [totals] = await connection.fetch(_SQL["totals_of_guild"], guild_id)
            types = await connection.fetch(_SQL["types_of_guild"], guild_id)
            slots = await connection.fetch(_SQL["timeline_of_guild"], guild_id, since, slot)
        return GuildTotals(
            **totals,
            memories_by_type=_by_type(types),
            memories_by_slot={row["slot"]: row["memories"] for row in slots},
        )

    async def list_people_of_guild(self, guild_id: int) -> list[str]:
        """Return the owners of what was said in a server."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["people_of_guild"], guild_id)
        return [row["user_id"] for row in rows]

    async def count_of_user(self, user_id: str) -> UserTotals:
        """Return what is kept about somebody."""
        async with self._pool.reading_as(user_id) as connection:
            [totals] = await connection.fetch(_SQL["of_user"], user_id)
        return UserTotals(**totals)

    async def count_spending(self, *, since: date, account: str | None = None) -> Spending:
        """Return what language models cost from that day on, for one account or for all."""
        async with self._pool.connection() as connection:
            [totals] = await connection.fetch(_SQL["spending"], since, account)
        return Spending(**totals)

    async def count_runs(
        self, job: str, *, guild_id: int | None = None, since: datetime | None = None
    ) -> dict[RunStatus, int]:
        """Return how the runs of a job went: all, or those on people who said something in a server."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["count_runs"], guild_id, job, since)
        return {RunStatus(row["status"]): row["runs"] for row in rows}

    async def list_runs(self, job: str, *, guild_id: int | None = None, limit: int, offset: int = 0) -> list[Run]:
        """Return the runs that `count_runs` counts, the latest first."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_runs"], guild_id, job, limit, offset)
        return [Run(**row) for row in rows]

    async def get_job_log(self, job: str) -> JobLog:
        """Return how a job goes."""
        async with self._pool.connection() as connection:
            [row] = await connection.fetch(_SQL["job_log"], job)
        return JobLog(**row)


def _by_type(rows: Sequence[Record]) -> dict[MemoryType, int]:
    return {MemoryType(row["memory_type"]): row["memories"] for row in rows}
