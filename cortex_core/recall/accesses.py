"""Counts which memories were used, off the hot path: gathered in memory, written in bulk."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from cortex_core.background import BackgroundLoop
from cortex_core.errors import StoreUnavailableError
from cortex_core.models import Memory
from cortex_core.stores.postgres import PostgresStore

_WRITE_SECONDS = 1.0
_MOST_PENDING = 10_000


class AccessLog:
    """Access counts that wait to be written; a crash loses a second of them, which costs nobody anything."""

    def __init__(self, postgres: PostgresStore) -> None:
        self._postgres = postgres
        self._pending: Counter[tuple[str, UUID]] = Counter()
        self._loop = BackgroundLoop("access log", self._step)

    def start(self) -> None:
        """Begin to write now and then."""
        self._loop.start()

    def count(self, memories: Iterable[Memory]) -> None:
        """Note that these went into a context."""
        if len(self._pending) < _MOST_PENDING:
            self._pending.update((memory.user_id, memory.id) for memory in memories)

    async def flush(self) -> None:
        """Write what is pending.

        Raises:
            StoreUnavailableError: Postgres is away; it stays pending.
        """
        pending, self._pending = self._pending, Counter()
        if not pending:
            return
        try:
            await self._postgres.count_accesses(pending)
        except StoreUnavailableError:
            self._pending.update(pending)
            raise

    async def close(self) -> None:
        """Write the rest, if Postgres is there, and stop."""
        await self._loop.close()
        try:
            await self.flush()
        except StoreUnavailableError:
            self._pending.clear()

    async def _step(self) -> None:
        await asyncio.sleep(_WRITE_SECONDS)
        await self.flush()
