"""Lets a language model read what people said, after a pause or a count, within what it may cost.

A memory that it did not read is its own queue: nothing is lost when a process dies, or the model is away or too dear.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cortex_core.background import BackgroundLoop
from cortex_core.config import LearningConfig
from cortex_core.consolidation.reading import MemoryReader
from cortex_core.errors import (
    BudgetExhaustedError,
    ProviderError,
    ProviderUnavailableError,
    StoreDataError,
    UnreadableAnswerError,
)
from cortex_core.models import Memory, utc_now
from cortex_core.providers.analysis import Analyst
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.dead_letters import DeadLetter
from cortex_core.stores.postgres.learning import Awaiting

_log = logging.getLogger("cortex.analysis")

CALLS_PER_MESSAGE = 0.2
"""A language model is asked so often for each memory that it reads, at most."""

_MODEL_AT_ONCE = 40
_WINDOW = 2_000
_MOST_CREDIT = 5.0
_LONGEST_POLL_SECONDS = 5.0
_LONGEST_REST_SECONDS = 300.0


@dataclass(slots=True)
class AnalysisCounts:
    """What was done since the process began.

    Attributes:
        learned: Memories that the rules read.
        analysed: Memories that a language model read.
        calls: How often it answered.
        postponed: How often it could not be asked, or its answer not be read, and it was left for later.
        given_up: Memories of which it gave nothing but answers that can't be read.
    """

    learned: int = 0
    analysed: int = 0
    calls: int = 0
    postponed: int = 0
    given_up: int = 0


class ModelWorker:
    """Lets a language model read what people said, in batches of one owner and one audience.

    A batch is due after a pause or a count, and is read if the calls stay within `CALLS_PER_MESSAGE` on average: large
    batches pay for small ones.
    """

    def __init__(
        self,
        config: LearningConfig,
        postgres: PostgresStore,
        reader: MemoryReader,
        model: Analyst,
        counts: AnalysisCounts,
    ) -> None:
        self._config = config
        self._postgres = postgres
        self._reader = reader
        self._model = model
        self._counts = counts
        self._after = ""
        self._credit = 0.0
        self._failures = 0
        self._rests_until: dict[str | None, float] = {}
        self._attempts: dict[tuple[object, ...], int] = {}
        self._loop = BackgroundLoop("analysis", self._step)

    def start(self) -> None:
        """Begin, with what earlier runs left."""
        self._loop.start()

    async def close(self) -> None:
        """Stop; what was not read is after the next start."""
        await self._loop.close()

    async def _step(self) -> None:
        await asyncio.sleep(min(_LONGEST_POLL_SECONDS, self._config.pause_seconds / 4))
        await self.look()

    async def look(self) -> None:
        """Read what is due.

        Raises:
            StoreUnavailableError: A store is away; what is left is read later.
        """
        groups = await self._list_groups()
        if not groups and self._after:
            self._after = ""
            groups = await self._list_groups()
        for group in groups:
            if self._is_resting(None):
                return
            can_pay = self._credit + CALLS_PER_MESSAGE * min(group.waiting, _MODEL_AT_ONCE) >= 1
            if group.is_due and can_pay and not self._is_resting(group.audience):
                async with self._postgres.learning.claim(group.user_id) as is_mine:
                    if is_mine:
                        await self._read(group.user_id, group.audience)

    async def _list_groups(self) -> list[Awaiting]:
        """Return what waits, of the owners that come next; nothing after the last."""
        groups = await self._postgres.learning.list_groups(
            at_least=self._config.batch_count,
            silent_since=utc_now() - timedelta(seconds=self._config.pause_seconds),
            window=_WINDOW,
            after=self._after,
        )
        self._after = groups[-1].user_id if groups else self._after
        return groups

    async def _read(self, user_id: str, audience: str) -> None:
        memories = await self._postgres.learning.list_to_analyse(user_id, audience, _MODEL_AT_ONCE)
        if not memories:
            return
        batch = (user_id, audience, memories[0].id, memories[0].version)
        try:
            learned = await self._reader.read(self._model, "analysed", memories)
        except BudgetExhaustedError as error:
            self._postpone(error, audience)
        except UnreadableAnswerError as error:
            self._spend(0)
            await self._try_again(batch, memories, error)
        except ProviderError as error:
            self._postpone(error, None)
        except StoreDataError as error:
            _log.error("Nothing is learned from %d memories of %s: %s", len(memories), user_id, error)
            await self._reader.give_up("analysed", memories, self._model.name)
        else:
            self._spend(len(memories))
            self._counts.analysed += len(learned.read)
            self._failures = 0
            self._attempts.pop(batch, None)

    def _spend(self, messages: int) -> None:
        """Note a call that stands for so many memories, or for none if it has to be repeated."""
        self._counts.calls += 1
        credit = self._credit + CALLS_PER_MESSAGE * messages - 1
        self._credit = min(_MOST_CREDIT, max(-_MOST_CREDIT, credit))

    def _postpone(self, error: ProviderError, audience: str | None) -> None:
        """Leave it for later: what one audience pays for, or everything (None)."""
        self._counts.postponed += 1
        self._failures += 1
        seconds = min(_LONGEST_REST_SECONDS, self._config.pause_seconds * 2.0 ** min(self._failures, 20))
        if isinstance(error, ProviderUnavailableError) and error.retry_after is not None:
            seconds = max(seconds, error.retry_after.total_seconds())
        _log.warning("The analysis of what was said waits for %.0f s: %s", seconds, error)
        self._rests_until[audience] = time.monotonic() + seconds

    def _is_resting(self, audience: str | None) -> bool:
        if self._rests_until.get(audience, 0.0) > time.monotonic():
            return True
        self._rests_until.pop(audience, None)
        return False

    async def _try_again(
        self, batch: tuple[object, ...], memories: Sequence[Memory], error: UnreadableAnswerError
    ) -> None:
        """Leave it for later; after some attempts keep the answer for a person to look at, and go on."""
        self._counts.postponed += 1
        self._attempts[batch] = self._attempts.get(batch, 0) + 1
        if self._attempts[batch] < self._config.max_attempts:
            _log.warning("What %d memories of %s say is asked again: %s", len(memories), memories[0].user_id, error)
            return
        attempts = self._attempts.pop(batch)
        letter = DeadLetter(
            entry_id=f"analysis {memories[0].id} {memories[0].version}",
            payload=ascii(error.raw_text),
            reason=str(error),
            attempts=attempts,
            first_failed_at=utc_now(),
            user_id=memories[0].user_id,
            memory_id=memories[0].id if len(memories) == 1 else None,
        )
        _log.error("The analysis of %d memories of %s is given up: %s", len(memories), letter.user_id, error)
        await self._postgres.dead_letters.add(letter, acknowledged_at=letter.first_failed_at)
        given_up = (await self._reader.give_up("analysed", memories, self._model.name)).read
        self._counts.given_up += len(given_up)
        if len(given_up) < len(memories):  # what was forgotten meanwhile may stand in the answer
            await self._postgres.dead_letters.drop(letter.entry_id)
