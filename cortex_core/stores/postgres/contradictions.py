"""Pairs of memories that can't both be true, and what was decided about them (TDD 8.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import uuid_utils.compat as uuid7
from asyncpg import Record
from pydantic import AwareDatetime, Field, JsonValue

from cortex_core.errors import AccessDeniedError, InvalidInputError, NotFoundError
from cortex_core.models import Memory, Model, Run, RunStatus, UserId, Vector, utc_now
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.derivations import Derivations
from cortex_core.stores.postgres.resolving import Resolver
from cortex_core.stores.postgres.rows import to_memory
from cortex_core.stores.postgres.runs import Runs, Undone, undo_in
from cortex_core.stores.postgres.vectors import Vectors

_SQL = load_queries("contradictions")
_MEMORIES = load_queries("memories")

RESOLVING = "contradiction resolved"
"""The job under which a decision is logged."""
MERGED = "contradiction_merge"
"""The source of a memory that took the place of two."""

_NO_SUCH = "There is no such contradiction for you to decide."
_DECIDED = "Somebody has decided this already."
_MOOT = "One of the two memories doesn't hold any more, so that there is nothing to decide."
_TWO_PEOPLE = "What two people said can't be merged; let one of them win, or keep both."


class Resolution(StrEnum):
    """What was decided about two memories that can't both be true (TDD 8.4)."""

    A_WINS = "a_wins"
    B_WINS = "b_wins"
    MERGE = "merge"
    BOTH_VALID = "both_valid"
    CHANGED = "changed"
    """The older one held until a date, the newer one from then on."""


class Contradiction(Model):
    """Two memories that can't both be true.

    Attributes:
        project_id: The project that both belong to, whose admins decide; None where their owner does.
        explanation: Why, in words for people.
        found_by: `rules`, or the name of a model.
        changed_on: From when on the newer one holds, if that was the decision.
    """

    id: UUID
    owner_a: UserId
    memory_a: UUID
    owner_b: UserId
    memory_b: UUID
    project_id: str | None = None
    explanation: str = Field(repr=False)
    found_by: str
    detected_at: AwareDatetime
    resolution: Resolution | None = None
    resolved_at: AwareDatetime | None = None
    resolved_by: str | None = None
    note: str | None = Field(default=None, repr=False)
    changed_on: AwareDatetime | None = None
    run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Comparable:
    """A memory and what it is compared by."""

    memory: Memory
    vector: Vector


@dataclass(frozen=True, slots=True)
class AskedAbout:
    """Two values of which an owner was asked which is right, of an attribute of theirs or of somebody else's."""

    subject: str
    attribute: str
    held: JsonValue
    said: JsonValue


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decides about a pair.

    Attributes:
        by: Who.
        note: Their words for it.
        changed_on: For `Resolution.CHANGED` from when on the newer one holds.
        merged: For `Resolution.MERGE` what takes the place of both.
    """

    by: str
    resolution: Resolution
    note: str | None = None
    changed_on: datetime | None = None
    merged: Memory | None = None


class Contradictions:
    """The table `contradictions`.

    What concerns others, and what isn't there, raises the same `NotFoundError`; what a member's role doesn't allow an
    `AccessDeniedError`.
    """

    def __init__(self, pool: Pool, vectors: Vectors, derivations: Derivations, runs: Runs) -> None:
        self._pool = pool
        self._vectors = vectors
        self._derivations = derivations
        self._runs = runs

    async def list_comparable(self, user_id: str, *, limit: int) -> list[Comparable]:
        """Return what an owner knows apart from projects, the latest first."""
        return await self._list_comparable("list_comparable", user_id, limit)

    async def list_comparable_of_project(self, project_id: str, *, limit: int) -> list[Comparable]:
        """Return what a project knows, whoever said it, the latest first."""
        return await self._list_comparable("list_comparable_of_project", project_id, limit)

    async def list_projects(self, user_id: str) -> list[str]:
        """Return the live projects of somebody."""
        async with self._pool.connection() as connection:
            return [row["id"] for row in await connection.fetch(_SQL["projects_of"], user_id)]

    async def list_asked(self, user_id: str) -> list[AskedAbout]:
        """Return what an owner is asked about, or was."""
        async with self._pool.reading_as(user_id) as connection:
            return [AskedAbout(**row) for row in await connection.fetch(_SQL["list_asked"], user_id)]

    async def list_known(self, memories: Sequence[Memory]) -> set[frozenset[UUID]]:
        """Return those pairs of the memories that were ever flagged."""
        owners, ids = [memory.user_id for memory in memories], [memory.id for memory in memories]
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_known"], owners, ids)
        return {frozenset((row["memory_a"], row["memory_b"])) for row in rows}

    async def flag(
        self, connection: Connection, one: Memory, other: Memory, why: str, *, found_by: str, project_id: str | None
    ) -> bool:
        """Note that two memories can't both be true, within a transaction, and tell whether that is news.

        It isn't where one of them doesn't hold any more, or left the project, or their owner is asked about them.
        """
        return (
            await connection.fetchval(
                _SQL["flag"],
                uuid7.uuid7(), one.user_id, one.id, other.user_id, other.id, project_id, why, found_by,
            )
            is not None
        )  # fmt: skip

    async def list_open(self, person: str, *, project_id: str | None = None, limit: int = 25) -> list[Contradiction]:
        """Return what a person has to decide, the oldest first."""
        async with self._pool.reading_as(person) as connection:
            rows = await connection.fetch(_SQL["list_open"], person, project_id, limit)
        return [_to_contradiction(row) for row in rows]

    async def list_pending(self, *, limit: int) -> list[Contradiction]:
        """Return those that nobody has decided yet, of anybody, the oldest first."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_pending"], limit)
        return [_to_contradiction(row) for row in rows]

    async def get(self, person: str, contradiction_id: UUID) -> tuple[Contradiction, Memory, Memory]:
        """Return a contradiction that the person may decide, with memory a and memory b.

        Raises:
            NotFoundError, AccessDeniedError: It isn't there, or isn't the person's to decide.
        """
        async with self._pool.reading_as(person) as connection:
            row = await connection.fetchrow(_SQL["get"], person, contradiction_id)
            pair = await connection.fetch(_SQL["get_pair"], person, contradiction_id)
        if row is not None and not row["may_decide"]:
            raise AccessDeniedError("Only the owner or an admin of the project can decide that.")
        if row is None or len(pair) != len(("a", "b")):
            raise NotFoundError(_NO_SUCH)
        a, b = map(to_memory, pair)
        return _to_contradiction(row), a, b

    async def claim(self, person: str, contradiction_id: UUID, *, lasts: timedelta) -> str | None:
        """Keep others from deciding it for a while, or return who is at it already.

        Raises:
            InvalidInputError: Somebody has decided it.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_SQL["lock"], person, contradiction_id)  # that nobody leaves it in between
            if await connection.fetchval(_SQL["claim"], person, contradiction_id, lasts):
                return None
            claimant: str | None = await connection.fetchval(_SQL["get_claimant"], person, contradiction_id)
        if claimant is None:
            raise InvalidInputError(_DECIDED)
        return claimant

    async def release(self, person: str, contradiction_id: UUID) -> None:
        """Let others decide it again."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["release"], person, contradiction_id)

    async def resolve(self, contradiction_id: UUID, decision: Decision) -> Contradiction:
        """Carry a decision out, all or nothing, as a run that can be undone.

        Raises:
            NotFoundError, AccessDeniedError: It isn't there, or isn't theirs to decide.
            InvalidInputError: It was decided already, one of the memories doesn't hold any more, or two people's
                memories were to be merged.
        """
        found, _, _ = await self.get(decision.by, contradiction_id)
        owner = found.owner_a if found.project_id is None else None
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [found.owner_a, found.owner_b])
            row = await connection.fetchrow(_SQL["lock"], decision.by, contradiction_id)
            if row is None:
                raise NotFoundError(_NO_SUCH)
            if row["resolution"] is not None:
                raise InvalidInputError(_DECIDED)
            if await connection.fetchrow(_SQL["lock_pair"], contradiction_id) is None:
                raise InvalidInputError(_MOOT)
            run = Run(job=RESOLVING, user_id=owner, status=RunStatus.SUCCEEDED, completed_at=utc_now())
            await self._runs.log_in(connection, run)
            await self._carry_out(connection, run, found, decision)
            await connection.execute(
                _SQL["decide"],
                contradiction_id, decision.resolution, decision.by, decision.note, decision.changed_on, run.id,
            )  # fmt: skip
            [row] = await connection.fetch(_SQL["lock"], decision.by, contradiction_id)
        return _to_contradiction(row)

    async def reopen(self, person: str, contradiction_id: UUID) -> Undone:
        """Take a decision back with all that it changed; raises as `resolve` does."""
        found, _, _ = await self.get(person, contradiction_id)
        if found.run_id is None:
            raise InvalidInputError("Nobody has decided this yet.")
        owner = found.owner_a if found.project_id is None else None
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [found.owner_a, found.owner_b])
            return await undo_in(connection, owner, found.run_id, owners={found.owner_a, found.owner_b})

    async def _carry_out(self, connection: Connection, run: Run, found: Contradiction, decision: Decision) -> None:
        a, b = (found.owner_a, found.memory_a), (found.owner_b, found.memory_b)
        resolver = Resolver(connection, run.id, decision.by)
        match decision.resolution:
            case Resolution.A_WINS:
                await resolver.let_lose(*b)
            case Resolution.B_WINS:
                await resolver.let_lose(*a)
            case Resolution.MERGE:
                merged, both = decision.merged, [found.memory_a, found.memory_b]
                if found.owner_a != found.owner_b or merged is None:
                    raise InvalidInputError(_TWO_PEOPLE)
                if not await self._derivations.add(connection, merged, both, run_id=run.id):
                    raise InvalidInputError("The merged memory can't be stored: it was forgotten, or left its project.")
                await resolver.merge(found.owner_a, both, merged.id)
            case Resolution.CHANGED:
                await resolver.change(a, b, decision.changed_on or utc_now())
            case Resolution.BOTH_VALID:
                pass

    async def _list_comparable(self, query: str, whose: str, limit: int) -> list[Comparable]:
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL[query], whose, limit, self._vectors.model_id)
        return [Comparable(to_memory(row), row["embedding"].to_numpy().astype("float32")) for row in rows]


def _to_contradiction(row: Record) -> Contradiction:
    values = {name: row[name] for name in Contradiction.model_fields}
    resolution = row["resolution"]
    return Contradiction.model_construct(**{**values, "resolution": Resolution(resolution) if resolution else None})
