"""How work on an owner is done: by one process at a time, logged, and so that it can be taken back."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from uuid import UUID

from cortex_core.errors import CortexError, StoreUnavailableError
from cortex_core.models import Run, RunStatus, utc_now
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.connection import Connection
from cortex_core.stores.postgres.leases import Lease

_log = logging.getLogger("cortex.consolidation")

_LEASE = "consolidation"
_LEASE_LASTS = timedelta(seconds=60)
_INTERRUPTED = "It was interrupted, or failed in a way that the log tells."


class OpenRun:
    """A run that goes on at this moment.

    Attributes:
        counts: What it has done so far, by name.
    """

    def __init__(self, run: Run, lease: Lease, postgres: PostgresStore) -> None:
        self._run = run
        self._lease = lease
        self._postgres = postgres
        self.counts: Counter[str] = Counter()

    @property
    def id(self) -> UUID:
        """What its changes are noted under."""
        return self._run.id

    @property
    def user_id(self) -> str:
        """The owner it works on."""
        return self._lease.user_id

    def committing(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a transaction for what it changes; raises `LeaseLostError` if another process took the work over."""
        return self._postgres.leases.committing(self._lease)


class RunKeeper:
    """Lends the right to work on an owner and logs what is done with it."""

    def __init__(self, postgres: PostgresStore, *, lease_lasts: timedelta = _LEASE_LASTS) -> None:
        self._postgres = postgres
        self._lease_lasts = lease_lasts

    @asynccontextmanager
    async def holding(self, user_id: str, *, job: str = _LEASE) -> AsyncIterator[Lease | None]:
        """Hold the right to work on an owner, for as long as it takes; None if another process does.

        Args:
            user_id: The owner; empty for what is nobody's own.
            job: What is done; all that changes an owner's memories is one.
        """
        lease = await self._postgres.leases.take(user_id, job, lasts=self._lease_lasts)
        if lease is None:
            yield None
            return
        await self._postgres.runs.close_interrupted(user_id, epoch=lease.epoch)
        renewal = asyncio.create_task(self._keep_renewing(lease), name="cortex lease")
        try:
            yield lease
        finally:
            renewal.cancel()
            await asyncio.wait([renewal])
            with suppress(StoreUnavailableError):  # it runs out by itself
                await self._postgres.leases.give_back(lease)

    @asynccontextmanager
    async def running(self, lease: Lease, job: str) -> AsyncIterator[OpenRun]:
        """Log that a job begins, and how it ends."""
        run = Run(job=job, user_id=lease.user_id or None, epoch=lease.epoch)
        await self._postgres.runs.log(run)
        opened = OpenRun(run, lease, self._postgres)
        status, why = RunStatus.FAILED, _INTERRUPTED
        try:
            yield opened
            status, why = RunStatus.SUCCEEDED, ""
        except CortexError as error:
            why = str(error)
            raise
        finally:
            ended = {"status": status, "error": why or None, "completed_at": utc_now(), "counts": dict(opened.counts)}
            with suppress(StoreUnavailableError):  # then the next holder of the lease notes that this one is gone
                await self._postgres.runs.log(run.model_copy(update=ended))

    async def _keep_renewing(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._lease_lasts.total_seconds() / 3)
            try:
                if not await self._postgres.leases.renew(lease, lasts=self._lease_lasts):
                    return
            except StoreUnavailableError as error:
                _log.debug("The lease on an owner could not be renewed: %s", error)
