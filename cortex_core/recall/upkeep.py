"""Keeps recall fast for owners of many memories, behind the scenes."""

import asyncio

from cortex_core.background import BackgroundLoop
from cortex_core.stores.postgres import PostgresStore

_PAUSE_SECONDS = 300.0


class LargeOwnersKeeper:
    """Looks now and then whether an owner has grown or shrunk so far as to be searched in another way."""

    def __init__(self, postgres: PostgresStore) -> None:
        self._postgres = postgres
        self._loop = BackgroundLoop("large owners", self._step)

    def start(self) -> None:
        """Begin, in five minutes: starting is busy enough."""
        self._loop.start()

    async def close(self) -> None:
        """Stop; an index that is being made is begun anew after the next start."""
        await self._loop.close()

    async def _step(self) -> None:
        await asyncio.sleep(_PAUSE_SECONDS)
        await self._postgres.large_owners.keep()
