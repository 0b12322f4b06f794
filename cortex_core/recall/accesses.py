"""Counts which memories were used, off the hot path: gathered in memory, written in bulk."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from cortex_core.background import WriteBehind
from cortex_core.errors import StoreUnavailableError
from cortex_core.models import Memory
from cortex_core.stores.postgres import PostgresStore

_WRITE_SECONDS = 1.0
_MOST_PENDING = 10_000


class AccessLog(WriteBehind):
    """Access counts that wait to be written, each second."""

    def __init__(self, postgres: PostgresStore) -> None:
        super().__init__("access log", seconds=_WRITE_SECONDS)
        self._postgres = postgres
        self._pending: Counter[tuple[str, UUID]] = Counter()

    def count(self, memories: Iterable[Memory]) -> None:
        """Note that these went into a context."""
        if len(self._pending) < _MOST_PENDING:
            self._pending.update((memory.user_id, memory.id) for memory in memories)

    async def flush(self) -> None:
        """Write what is pending; raises `StoreUnavailableError`, and it stays pending."""
        pending, self._pending = self._pending, Counter()
        if not pending:
            return
        try:
            await self._postgres.count_accesses(pending)
        except StoreUnavailableError:
            self._pending.update(pending)
            raise
