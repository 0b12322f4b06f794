"""Keeps what this process counts: gathered in memory, written in bulk."""

from datetime import datetime

from cortex_core.background import WriteBehind
from cortex_core.errors import StoreUnavailableError
from cortex_core.metrics import Metrics
from cortex_core.models import utc_now
from cortex_core.stores.postgres import PostgresStore

_WRITE_SECONDS = 60.0


class ActivityLog(WriteBehind):
    """Writes what was counted, once a minute."""

    def __init__(self, metrics: Metrics, postgres: PostgresStore) -> None:
        super().__init__("activity log", seconds=_WRITE_SECONDS)
        self._metrics = metrics
        self._postgres = postgres

    async def flush(self) -> None:
        """Write what was counted since the last time, under the hour that it is now; raises `StoreUnavailableError`."""
        taken = self._metrics.take()
        if not taken:
            return
        try:
            await self._postgres.activity.add(taken, hour=hour_of(utc_now()))
        except StoreUnavailableError:
            self._metrics.put_back(taken)
            raise


def hour_of(time: datetime) -> datetime:
    """Return when the hour of a time began."""
    return time.replace(minute=0, second=0, microsecond=0)
