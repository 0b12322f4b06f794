"""Moves acknowledged writes from the journal into Postgres, whatever fails in between.

An entry leaves the journal after its effect is committed, so it may be delivered twice but is never lost; every write
is idempotent. What PostgreSQL refuses for good is isolated by halving the batch and ends as a dead letter.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import numpy as np
import uuid_utils.compat as uuid7

from cortex_core.background import BackgroundLoop, Outage
from cortex_core.cleaning import clean_text
from cortex_core.config import IngestionConfig
from cortex_core.errors import StoreDataError, StoreUnavailableError
from cortex_core.late_interaction import WORD_BYTES
from cortex_core.metrics import Metrics, Operation
from cortex_core.models import Deletion, Memory, utc_now
from cortex_core.stores.journal import Entry, Journal
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.dead_letters import DeadLetter
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from cortex_core.stores.redis import RedisStore, parse_payload

_log = logging.getLogger("cortex.writer")

_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)  # then the last again and again; well under any claim_idle
_POLL_SECONDS = 0.005
_MAX_OWNER_CHARS = 200  # of a dead letter's, which may be made of anything


@dataclass(frozen=True, slots=True)
class _Job:
    entry: Entry
    write: PendingWrite

    @property
    def key(self) -> tuple[str, UUID]:
        return self.write.memory.user_id, self.write.memory.id


class JournalWriter:
    """One or more consumers of the journal in this process."""

    def __init__(
        self,
        config: IngestionConfig,
        journal: Journal,
        redis: RedisStore,
        postgres: PostgresStore,
        *,
        on_written: Callable[[], None],
        on_deletion: Callable[[Deletion], Awaitable[object]],
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._journal = journal
        self._redis = redis
        self._postgres = postgres
        self._on_written = on_written
        self._on_deletion = on_deletion
        self._metrics = metrics
        self._claim_idle = timedelta(seconds=config.claim_idle_seconds)
        self._next_claim = 0.0
        self._outage = Outage()
        process = uuid7.uuid7().hex
        self._consumers = [f"{process}-{number}" for number in range(config.consumers)]
        self._loops = [BackgroundLoop(f"writer {name}", partial(self._step, name)) for name in self._consumers]

    def start(self) -> None:
        """Begin to consume."""
        for loop in self._loops:
            loop.start()

    async def drain(self) -> None:
        """Wait until everything that is in the journal now is written.

        Raises:
            StoreUnavailableError: Redis is away, Postgres has been for ten seconds, or the writers have stopped.
        """
        newest = await self._journal.newest()
        while newest and await self._journal.waits_for(newest):
            self._outage.check()
            if self._loops and not any(loop.is_running for loop in self._loops):
                raise StoreUnavailableError("The writers of this process have stopped; open the memory again.")
            await asyncio.sleep(_POLL_SECONDS)  # other processes empty it too, so there is no event to wait for

    async def close(self) -> None:
        """Give the journal some time to empty, then stop; what is left stays in it for the next start."""
        try:
            if self._loops:
                async with asyncio.timeout(self._config.drain_seconds):
                    await self.drain()
        except (TimeoutError, StoreUnavailableError):
            _log.warning("The journal is not empty; what it holds is written at the next start.")
        for loop in self._loops:
            await loop.close()
        for consumer in self._consumers:
            try:
                await self._journal.leave(consumer)
            except StoreUnavailableError:
                break

    async def _step(self, consumer: str) -> None:
        entries = await self._claim(consumer) or await self._journal.read(consumer, self._config.batch_size)
        if not entries:
            return
        await self._finish(consumer, entries)
        self._count(entries)
        await self._journal.remove(entries)
        self._on_written()

    def _count(self, entries: Sequence[Entry]) -> None:
        """Note how long memories took from their acknowledgement to Postgres."""
        now = utc_now()
        for entry in entries:
            if entry.kind == "memory":
                self._metrics.observe(Operation.WRITE, (now - entry.at).total_seconds())

    async def _claim(self, consumer: str) -> list[Entry]:
        """Take over what a dead consumer left; now and then is enough."""
        now = time.monotonic()
        if now < self._next_claim:
            return []
        entries = await self._journal.claim(consumer, self._config.batch_size, idle=self._claim_idle)
        if not entries:
            self._next_claim = now + self._claim_idle.total_seconds() / 2
        return entries

    async def _finish(self, consumer: str, entries: Sequence[Entry]) -> None:
        """Make the entries' effect durable, however long Postgres is away."""
        attempt = 0
        while True:
            try:
                await self._write(entries)
            except StoreUnavailableError as error:
                self._outage.begin(error)
                if attempt == 0:
                    _log.warning("%d acknowledged writes wait in the journal: %s", len(entries), error)
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
                await self._journal.hold(consumer, entries)
                attempt += 1
            else:
                self._outage.end()
                return

    async def _write(self, entries: Sequence[Entry]) -> None:
        jobs: list[_Job] = []
        for entry in entries:
            try:
                match entry.kind:
                    case "session":
                        await self._write_session(entry)
                    case "deletion":
                        await self._on_deletion(Deletion.model_validate_json(entry.payload))
                    case _:
                        jobs.append(_Job(entry, self._to_write(entry)))
            except (ValueError, OverflowError):
                await self._bury(entry, "The entry can't be read by this version of Cortex.")
            except StoreDataError as error:
                await self._bury(entry, str(error), sqlstate=error.sqlstate)
        while jobs:
            by_key: dict[tuple[str, UUID], _Job] = {}
            for job in jobs:
                by_key.setdefault(job.key, job)
            await self._write_memories(list(by_key.values()))
            jobs = [job for job in jobs if by_key[job.key] is not job]

    async def _write_memories(self, jobs: Sequence[_Job], attempt: int = 1) -> None:
        try:
            outcomes = await self._postgres.write([job.write for job in jobs])
        except StoreDataError as error:
            if len(jobs) > 1:
                middle = len(jobs) // 2
                await self._write_memories(jobs[:middle])
                await self._write_memories(jobs[middle:])
            elif attempt < self._config.max_attempts:
                await self._write_memories(jobs, attempt + 1)
            else:
                await self._bury(jobs[0].entry, str(error), jobs[0].write.memory, error.sqlstate, attempt)
            return
        for job, outcome in zip(jobs, outcomes, strict=True):
            memory = job.write.memory
            if memory.version:  # what was learned from the words before the edit is withdrawn
                await self._redis.clear_identity(memory.user_id)
            if outcome is WriteOutcome.MISMATCH:
                reason = "idempotency mismatch: the source was stored before with another content"
                await self._bury(job.entry, reason, memory)
            elif outcome is WriteOutcome.FORGOTTEN:
                await self._redis.forget(memory.user_id, [memory.id], up_to_version=memory.version)

    async def _write_session(self, entry: Entry) -> None:
        state = json.loads(entry.payload)
        if not isinstance(state, dict):
            raise ValueError("a session's state is an object")  # noqa: TRY004  as every other unreadable entry
        expires_at = entry.at + self._redis.session_ttl
        await self._postgres.sessions.put(entry.owner, state, revised_at=entry.at, expires_at=expires_at)

    async def _bury(
        self, entry: Entry, reason: str, memory: Memory | None = None, sqlstate: str | None = None, attempts: int = 1
    ) -> None:
        _log.error("Journal entry %s can't be written and is kept as a dead letter: %s", entry.id, reason)
        letter = DeadLetter(
            entry_id=entry.id,
            payload=ascii(entry.payload.decode(errors="replace")),
            reason=reason,
            attempts=attempts,
            first_failed_at=utc_now(),
            user_id=clean_text(memory.user_id if memory else entry.owner)[:_MAX_OWNER_CHARS] or None,
            memory_id=memory.id if memory else None,
            sqlstate=sqlstate,
        )
        await self._postgres.dead_letters.add(letter, acknowledged_at=entry.at)

    def _to_write(self, entry: Entry) -> PendingWrite:
        """Read a memory; a vector that is torn, of another model or without pieces is left out and computed anew."""
        memory = parse_payload(entry.payload)
        is_ours = entry.model == self._postgres.vectors.model and entry.signs is not None
        is_whole = len(entry.vector) % np.float32().itemsize == 0 and len(entry.signs or b"") % WORD_BYTES == 0
        if not entry.vector or not is_ours or not is_whole:
            return PendingWrite(memory, acknowledged_at=entry.at)
        return PendingWrite(memory, np.frombuffer(entry.vector, np.float32), entry.signs or b"", entry.at)
