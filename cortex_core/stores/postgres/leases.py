"""Leases: who works on an owner, so that two processes never do the same work and a late one commits nothing.

A lease is a row with an epoch, not a database lock: its holder may ask a language model for minutes without holding a
transaction open. A holder that was stopped meanwhile finds the next epoch when it wants to commit, and can't.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import uuid_utils.compat as uuid7

from cortex_core.errors import LeaseLostError
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool

_SQL = load_queries("leases")
_MEMORIES = load_queries("memories")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on an owner; the holder tells apart even equal epochs, after the owner was forgotten."""

    user_id: str
    job: str
    epoch: int
    holder: UUID


class Leases:
    """The table `leases`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take(self, user_id: str, job: str, *, lasts: timedelta) -> Lease | None:
        """Return the lease, or None while somebody else holds it."""
        holder = uuid7.uuid7()
        async with self._pool.connection() as connection:
            epoch = await connection.fetchval(_SQL["take"], user_id, job, holder, lasts)
        return None if epoch is None else Lease(user_id, job, epoch, holder)

    async def renew(self, lease: Lease, *, lasts: timedelta) -> bool:
        """Let it last from now on, and tell whether it is still held."""
        async with self._pool.connection() as connection:
            return await connection.fetchval(_SQL["renew"], *_key(lease), lasts) is not None

    async def give_back(self, lease: Lease) -> None:
        """Let the next one begin."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["give_back"], *_key(lease))

    @asynccontextmanager
    async def committing(self, lease: Lease) -> AsyncIterator[Connection]:
        """Lend a transaction that commits only if the lease is still held; no other write of that owner goes between.

        Raises:
            LeaseLostError: Somebody else took the work over.
        """
        async with self._pool.transaction() as connection:
            await connection.execute(_MEMORIES["lock_owners"], [lease.user_id])
            if await connection.fetchval(_SQL["fence"], *_key(lease)) is None:
                raise LeaseLostError(
                    f"The work {lease.job} was taken over by another process; nothing of it was written here."
                )
            yield connection


def _key(lease: Lease) -> tuple[object, ...]:
    return lease.user_id, lease.job, lease.epoch, lease.holder
