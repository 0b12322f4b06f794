"""Carries out what was decided about two memories, and notes what that changes so that it can be taken back."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from cortex_core.models import utc_now
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection
from cortex_core.stores.postgres.descent import FEWEST_PROOFS
from cortex_core.stores.postgres.evidence import Shifted, end_resting_on, withdraw_resting_on
from cortex_core.stores.postgres.runs import ChangeKind, describe, note_changes

_SQL = load_queries("contradictions")
_DERIVATIONS = load_queries("derivations")
_DESCENT = load_queries("descent")
_FACTS = load_queries("evidence")
_MEMORIES = load_queries("memories")


class Resolver:
    """Changes memories, and those facts that rest on them which are the decider's own.

    Args:
        connection: That of the transaction, which holds the owners' locks.
        run_id: The run under which it is noted.
        by: Who decides.
    """

    def __init__(self, connection: Connection, run_id: UUID, by: str) -> None:
        self._connection = connection
        self._run_id = run_id
        self._by = by

    async def let_lose(self, owner: str, memory_id: UUID) -> None:
        """Let a memory hold no more. It was wrong: what rests on it alone never held."""
        await self._supersede(owner, memory_id, utc_now())
        if owner == self._by:
            await self._note_shifted(await withdraw_resting_on(self._connection, owner, memory_id))

    async def merge(self, owner: str, memory_ids: Sequence[UUID], merged_id: UUID) -> None:
        """Let one memory take the place of others: what rests on them rests on that as well."""
        if owner == self._by:
            await self._connection.execute(_FACTS["share"], owner, memory_ids, merged_id)
        for memory_id in memory_ids:
            await self._supersede(owner, memory_id, utc_now())

    async def change(self, one: tuple[str, UUID], other: tuple[str, UUID], on: datetime) -> None:
        """Let the older of two memories hold until then, and the newer one from then on; their facts likewise."""
        rows = {memory: await self._lock(*memory) for memory in (one, other)}
        older, newer = sorted(rows, key=lambda memory: (rows[memory]["created_at"], memory[1]))
        await self._supersede(*older, on)
        await self._connection.execute(_SQL["begin"], *newer, on)
        await self._note(newer[0], ChangeKind.MEMORY_CHANGED, [rows[newer]])
        if older[0] == self._by:
            await self._note_shifted(await end_resting_on(self._connection, *older, at=on))
        if older[0] == newer[0] == self._by:
            dated = await self._connection.fetch(_FACTS["date_change"], *older, newer[1], on)
            await self._note(self._by, ChangeKind.FACT_CHANGED, dated)

    async def _supersede(self, owner: str, memory_id: UUID, at: datetime) -> None:
        """Let a memory hold no more, nor the patterns that too few others show."""
        before = await self._lock(owner, memory_id)
        await self._connection.execute(_MEMORIES["retire"], owner, memory_id, at)
        await self._note(owner, ChangeKind.MEMORY_SUPERSEDED, [before])
        drawn = [row["id"] for row in await self._connection.fetch(_DESCENT["list_drawn"], owner, memory_id)]
        for row in await self._connection.fetch(_DESCENT["list_unproven"], owner, drawn, FEWEST_PROOFS):
            await self._supersede(owner, row["id"], at)

    async def _lock(self, owner: str, memory_id: UUID) -> Record:
        [row] = await self._connection.fetch(_DERIVATIONS["lock"], owner, [memory_id])
        return row

    async def _note_shifted(self, shifted: Shifted) -> None:
        ended = [row for row in shifted.facts if row["valid_to"] is None]
        others = [row for row in shifted.facts if row["valid_to"] is not None]
        for kind, rows in (
            (ChangeKind.FACT_ENDED, ended),
            (ChangeKind.FACT_CHANGED, others),
            (ChangeKind.MEMORY_CHANGED, shifted.statements),
        ):
            await self._note(self._by, kind, rows)

    async def _note(self, owner: str, kind: ChangeKind, rows: Sequence[Record]) -> None:
        """Note a change of what was as these rows say."""
        ids = [row["id"] for row in rows]
        await note_changes(self._connection, self._run_id, owner, kind, ids, [describe(row) for row in rows])
