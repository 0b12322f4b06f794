"""Reads new memories for what they say of their authors: by rules at once, by a language model after a pause.

A memory that was not read is its own queue: what a process that died left is read by the next.
"""

import asyncio
import logging
import traceback
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from cortex_core.background import BackgroundLoop, Outage, wait_for_work
from cortex_core.config import LearningConfig
from cortex_core.consolidation.asking import ModelWorker
from cortex_core.consolidation.reading import MemoryReader
from cortex_core.errors import StoreDataError, StoreUnavailableError
from cortex_core.metrics import Metrics, Operation
from cortex_core.models import Memory, utc_now
from cortex_core.providers.analysis import Analyst
from cortex_core.stores.postgres import PostgresStore

_log = logging.getLogger("cortex.analysis")

_RULES_AT_ONCE = 32
_POLL_SECONDS = 0.01


class RulesWorker:
    """Reads every memory once by rules, as soon as it is written; after a restart, what is left."""

    def __init__(self, postgres: PostgresStore, reader: MemoryReader, rules: Analyst, metrics: Metrics) -> None:
        self._postgres = postgres
        self._reader = reader
        self._rules = rules
        self._metrics = metrics
        self._wake = asyncio.Event()
        self._is_reading = False  # also after the last memory is marked: what is cached follows
        self._outage = Outage()
        self._loop = BackgroundLoop("learning", self._step)

    def start(self) -> None:
        """Begin, with what earlier runs left."""
        self._wake.set()
        self._loop.start()

    def wake(self) -> None:
        """Tell that there is something new."""
        self._wake.set()

    async def drain(self) -> None:
        """Wait until all that is written by now was read.

        Raises:
            StoreUnavailableError: A store has been away for ten seconds.
        """
        while await self._postgres.learning.list_to_learn(1) or self._is_reading:
            self._outage.check()
            self._wake.set()
            await asyncio.sleep(_POLL_SECONDS)

    async def close(self) -> None:
        """Stop; what was not read is after the next start."""
        await self._loop.close()

    async def _step(self) -> None:
        await wait_for_work(self._wake)
        self._is_reading = True
        try:
            waiting = await self._postgres.learning.list_to_learn(_RULES_AT_ONCE)
            if waiting:
                self._wake.set()  # there may be more, also after a failure
            for _, group in groupby(waiting, key=lambda pair: (pair[0].user_id, pair[0].audience, pair[1])):
                some = list(group)
                await self._read([memory for memory, _ in some], is_to_read=some[0][1])
        except StoreUnavailableError as error:
            self._wake.set()
            self._outage.begin(error)
            raise
        finally:
            self._is_reading = False
        self._outage.end()

    async def _read(self, memories: Sequence[Memory], *, is_to_read: bool) -> None:
        user_id = memories[0].user_id
        if not is_to_read:
            await self._postgres.learning.mark_as_none(user_id, memories, now=utc_now())
            return
        try:
            learned = await self._reader.read(self._rules, "learned", memories)
            self._metrics.count(Operation.LEARN, times=len(learned.read))
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  a text that nobody thought of must not keep all others waiting
            if len(memories) > 1:
                for memory in memories:
                    await self._read([memory], is_to_read=True)
                return
            _log.error("Nothing is learned from memory %s: %s", memories[0].id, _describe(error))
            await self._reader.give_up("learned", memories, self._rules.name)


def _describe(error: Exception) -> str:
    """Return what went wrong and where; an unexpected error's own message may quote what it was about."""
    if isinstance(error, StoreDataError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.name}, line {place.lineno} of {Path(place.filename).name}"


class AnalysisWorker:
    """Both readers, as one thing to start, wake and close; either may be missing."""

    def __init__(
        self,
        config: LearningConfig,
        postgres: PostgresStore,
        reader: MemoryReader,
        metrics: Metrics,
        *,
        rules: Analyst | None,
        model: Analyst | None,
    ) -> None:
        self._rules = RulesWorker(postgres, reader, rules, metrics) if config.enabled and rules else None
        self._model = ModelWorker(config, postgres, reader, model, metrics) if config.enabled and model else None

    def start(self) -> None:
        """Begin, with what earlier runs left."""
        if self._rules:
            self._rules.start()
        if self._model:
            self._model.start()

    def wake(self) -> None:
        """Tell that there is something new."""
        if self._rules:
            self._rules.wake()

    async def drain(self) -> None:
        """Wait until the rules read all that is written by now; raises as `RulesWorker.drain` does."""
        if self._rules:
            await self._rules.drain()

    async def close(self) -> None:
        """Stop both."""
        if self._rules:
            await self._rules.close()
        if self._model:
            await self._model.close()
