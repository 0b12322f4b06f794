"""What owners of many memories need to be searched as fast as others: counted words, and an index of their own."""

import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cortex_core.errors import StoreError
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool, translate_errors
from cortex_core.stores.postgres.vectors import Vectors

_log = logging.getLogger("cortex.large_owners")

_SQL = load_queries("large_owners")
_MEMORIES = load_queries("memories")

MANY = 3_000
"""Memories from which an owner's are found by indexes instead of by looking at each."""
MOST = 30_000
"""Memories from which an owner's vectors have an index of their own."""
_TOO_FEW_FOR_AN_INDEX = 20_000  # so that an owner near the border doesn't get one made and dropped by turns

_COMMON = 100
_REMEMBERED = 10_000
_REMEMBERED_SECONDS = 60.0
_BUILD_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class OwnerSize:
    """How an owner's memories are searched.

    Attributes:
        memories: How many there are.
        has_own_index: Whether there is an index of this owner's vectors alone.
        literal: The owner's id as PostgreSQL quotes it.
    """

    memories: int
    has_own_index: bool
    literal: str


UNKNOWN = OwnerSize(0, has_own_index=False, literal="")


class LargeOwners:
    """The columns of `owners` that tell sizes, the table `common_words`, and indexes of single owners."""

    def __init__(self, pool: Pool, vectors: Vectors) -> None:
        self._pool = pool
        self._vectors = vectors
        self._sizes: OrderedDict[str, tuple[float, OwnerSize]] = OrderedDict()

    async def look_up(self, user_id: str) -> OwnerSize:
        """Return an owner's size as it was within the last minute; being late costs time, never results."""
        known = self._sizes.get(user_id)
        if known and time.monotonic() - known[0] < _REMEMBERED_SECONDS:
            return known[1]
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(_SQL["look_up"], user_id)
        size = OwnerSize(row["memory_count"], row["has_own_index"], row["literal"]) if row else UNKNOWN
        self._sizes[user_id] = (time.monotonic(), size)
        self._sizes.move_to_end(user_id)
        if len(self._sizes) > _REMEMBERED:
            self._sizes.popitem(last=False)
        return size

    async def keep(self) -> None:
        """Count words, make and drop indexes where that is due, unless another process is at it.

        One owner's failure leaves the others' work done.
        """
        async with self._hold_lock() as connection:
            if connection is None:
                return
            for row in await connection.fetch(_SQL["list_uncounted"], MANY):
                await self._try(self._count_words(connection, row["user_id"]))
            await connection.execute(_SQL["unmark_indexes"], _TOO_FEW_FOR_AN_INDEX)
            for row in await connection.fetch(_SQL["word_drop_needless_indexes"]):
                await self._try(connection.execute(row["statement"], timeout=_BUILD_SECONDS))
            for row in await connection.fetch(_SQL["list_unindexed"], MOST):
                await self._try(self._make_index(connection, row["user_id"]))

    async def _try(self, work: Awaitable[object]) -> None:
        try:
            with translate_errors():
                await work
        except StoreError as error:
            _log.warning("What makes recall fast for an owner of many memories is not done: %s", error)

    @asynccontextmanager
    async def _hold_lock(self) -> AsyncIterator[Connection | None]:
        """Lend a connection that may take its time, or None if another process has the lock."""
        async with self._pool.connection() as connection:
            try:
                if await connection.fetchval(_SQL["lock"]):
                    await connection.execute("SET statement_timeout = 0")
                    await connection.execute("SET maintenance_work_mem = '256MB'")  # holds the graph of a 100,000
                    yield connection
                else:
                    yield None
            finally:
                await connection.reset()  # also the lock, whatever came in between

    async def _count_words(self, connection: Connection, user_id: str) -> None:
        """Count without holding anybody up, and keep it unless something was forgotten meanwhile."""
        before = await connection.fetchval(_SQL["count_memories"], user_id)
        rows = await connection.fetch(_SQL["count_words"], user_id, _COMMON, timeout=_BUILD_SECONDS)
        async with connection.transaction():
            await connection.execute(_MEMORIES["lock_owners"], [user_id])
            words, numbers = [row["word"] for row in rows], [row["memories"] for row in rows]
            await connection.execute(_SQL["forget_words"], user_id, before)
            await connection.execute(_SQL["keep_words"], user_id, before, words, numbers)

    async def _make_index(self, connection: Connection, user_id: str) -> None:
        statement = await connection.fetchval(_SQL["word_create_index"], user_id, self._vectors.dimensions)
        await connection.execute(statement, timeout=_BUILD_SECONDS)
        await connection.execute(_SQL["mark_index"], user_id)
        self._sizes.pop(user_id, None)
