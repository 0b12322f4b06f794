"""Keeps what this process counts: gathered in memory, written in bulk."""

import asyncio
from datetime import datetime

from cortex_core.background import BackgroundLoop
from cortex_core.errors import StoreUnavailableError
from cortex_core.metrics import Metrics
from cortex_core.models import utc_now
from cortex_core.stores.postgres import PostgresStore

_WRITE_SECONDS = 60.0


class ActivityLog:
    """Writes what was counted once a minute; a crash loses a minute of it, which costs nobody anything."""

    def __init__(self, metrics: Metrics, postgres: PostgresStore) -> None:
        self._metrics = metrics
        self._postgres = postgres
        self._loop = BackgroundLoop("activity log", self._step)

    def start(self) -> None:
        """Begin to write now and then."""
        self._loop.start()

    async def flush(self) -> None:
        """Write what was counted since the last time, under the hour that it is now.

        Raises:
            StoreUnavailableError: Postgres is away; it is written later.
        """
        taken = self._metrics.take()
        if not taken:
            return
        try:
            await self._postgres.activity.add(taken, hour=hour_of(utc_now()))
        except StoreUnavailableError:
            self._metrics.put_back(taken)
            raise

    async def close(self) -> None:
        """Write the rest, if Postgres is there, and stop."""
        await self._loop.close()
        try:
            await self.flush()
        except StoreUnavailableError:
            self._metrics.take()

    async def _step(self) -> None:
        await asyncio.sleep(_WRITE_SECONDS)
        await self.flush()


def hour_of(time: datetime) -> datetime:
    """Return when the hour of a time began."""
    return time.replace(minute=0, second=0, microsecond=0)
