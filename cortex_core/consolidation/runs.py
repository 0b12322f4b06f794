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
from cortex_core.stores.postgres.questions import Asked

_log = logging.getLogger("cortex.consolidation")

_LEASE = "consolidation"
_LEASE_LASTS = timedelta(seconds=60)
_INTERRUPTED = "It was interrupted, or failed in a way that the log tells."


class OpenRun:
    """A run that goes on at this moment.

    Attributes:
        entry: It in the log, as it began or has ended.
        counts: What it has done so far, by name.
        failure: Why it fails, if it does without an error.
    """

    def __init__(self, entry: Run, lease: Lease, postgres: PostgresStore) -> None:
        self._lease = lease
        self._postgres = postgres
        self.entry = entry
        self.counts: Counter[str] = Counter()
        self.failure: str | None = None

    @property
    def id(self) -> UUID:
        """What its changes are noted under."""
        return self.entry.id

    @property
    def user_id(self) -> str:
        """The owner it works on."""
        return self._lease.user_id

    @property
    def lease(self) -> Lease:
        """The right to that work."""
        return self._lease

    def committing(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a transaction for what it changes; raises `LeaseLostError` if another process took the work over."""
        return self._postgres.leases.committing(self._lease)

    async def look_up(self, question: bytes) -> Asked:
        """Return what became of a question to a language model so far, by its digest."""
        return await self._postgres.questions.look_up(self._lease, question)


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
        if job == _LEASE or not user_id:  # their epochs are those of the runs; others count their own
            await self._postgres.runs.close_interrupted(user_id, job, epoch=lease.epoch)
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
        run = OpenRun(Run(job=job, user_id=lease.user_id or None, epoch=lease.epoch), lease, self._postgres)
        await self._postgres.runs.log(run.entry)
        why: str | None = _INTERRUPTED
        try:
            yield run
            why = run.failure
        except CortexError as error:
            why = str(error)
            raise
        finally:
            status = RunStatus.FAILED if why else RunStatus.SUCCEEDED
            ended = {"status": status, "error": why, "completed_at": utc_now(), "counts": dict(run.counts)}
            run.entry = run.entry.model_copy(update=ended)
            with suppress(StoreUnavailableError):  # then the next holder of the lease notes that this one is gone
                await self._postgres.runs.log(run.entry)

    async def _keep_renewing(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._lease_lasts.total_seconds() / 3)
            try:
                if not await self._postgres.leases.renew(lease, lasts=self._lease_lasts):
                    return
            except StoreUnavailableError as error:
                _log.debug("The lease on an owner could not be renewed: %s", error)
