"""Questions to language models about an owner's memories: which were answered, and which were asked in vain."""

from dataclasses import dataclass
from datetime import datetime

from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.leases import Lease

_SQL = load_queries("questions")


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of a question so far.

    Attributes:
        attempts: How many answers were of no use.
    """

    attempts: int = 0
    is_answered: bool = False


class Questions:
    """The table `questions`: one row for each that came up while somebody held a lease, known by its digest."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def look_up(self, lease: Lease, digest: bytes) -> Asked:
        """Return what became of a question."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(_SQL["look_up"], lease.user_id, lease.job, digest)
        return Asked(**row) if row else Asked()

    async def drop_old(self, *, before: datetime) -> None:
        """Forget those that did not come up since then."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["drop_old"], before)


async def count_attempt(connection: Connection, lease: Lease, digest: bytes) -> None:
    """Note that an answer was of no use, within a transaction that holds the lease."""
    await connection.execute(_SQL["count_attempt"], lease.user_id, lease.job, digest)


async def mark_answered(connection: Connection, lease: Lease, digest: bytes) -> None:
    """Note that a question need not be asked again, within such a transaction."""
    await connection.execute(_SQL["mark_answered"], lease.user_id, lease.job, digest)
