"""Lets a language model read what people said, after a pause or a count, within what it may cost.

A memory that it did not read is its own queue: nothing is lost when a process dies, or the model is away or too dear.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta

from cortex_core.audience import Audience
from cortex_core.background import BackgroundLoop
from cortex_core.config import LearningConfig
from cortex_core.consolidation.allowance import Allowance, Verdict
from cortex_core.consolidation.reading import MemoryReader
from cortex_core.consolidation.runs import RunKeeper
from cortex_core.errors import (
    BudgetExhaustedError,
    BudgetReservedError,
    ProviderError,
    ProviderUnavailableError,
    StoreDataError,
    UnreadableAnswerError,
)
from cortex_core.metrics import Metrics, Operation
from cortex_core.models import Memory, utc_now
from cortex_core.providers.analysis import Analysis, Analyst, KnownFact, Statement
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.dead_letters import DeadLetter
from cortex_core.stores.postgres.learning import Awaiting

_log = logging.getLogger("cortex.analysis")

_JOB = "analysis"
_MODEL_AT_ONCE = 40
_OWNERS_AT_ONCE = 2_000
_LONGEST_POLL_SECONDS = 5.0
_LONGEST_REST_SECONDS = 300.0


class _CountedAnalyst:
    """An analyst each of whose answers is noted, also those that can't be read."""

    def __init__(self, analyst: Analyst, note: Callable[[], object]) -> None:
        self.name = analyst.name
        self._analyst = analyst
        self._note = note

    async def analyse(self, statements: Sequence[Statement], known: Sequence[KnownFact], *, account: str) -> Analysis:
        try:
            analysis = await self._analyst.analyse(statements, known, account=account)
        except UnreadableAnswerError:
            self._note()
            raise
        self._note()
        return analysis


class ModelWorker:
    """Lets a language model read what people said, in batches of one owner and one audience.

    A batch is due after a pause or a count, and is read if the calls stay within the `Allowance`: large batches pay for
    small ones. Everybody has a turn before anybody has the next, and who has waited longest comes first. What neither
    the allowance nor the day's budget paid for in `learning.wait_hours` is left to the rules.
    """

    def __init__(
        self, config: LearningConfig, postgres: PostgresStore, reader: MemoryReader, model: Analyst, metrics: Metrics
    ) -> None:
        self._config = config
        self._postgres = postgres
        self._reader = reader
        self._model = _CountedAnalyst(model, self._note_call)
        self._metrics = metrics
        self._keeper = RunKeeper(postgres)
        self._allowance = Allowance()
        self._owners: deque[str] = deque()
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
        """Read what is due of the owners whose turn it is.

        Raises:
            StoreUnavailableError: A store is away; what is left is read later.
        """
        if self._is_resting(None):
            return
        groups = await self._list_groups()
        for place, group in enumerate(groups):
            if self._is_resting(None):
                late = dict.fromkeys(other.user_id for other in groups[place:])
                self._owners.extendleft(reversed(late))  # they come first afterwards
                return
            verdict = self._allowance.judge(group.waiting, is_overdue=group.is_overdue)
            if verdict is Verdict.WAIT or self._is_resting(_account_of(group)):
                continue
            async with self._keeper.holding(group.user_id, job=_JOB) as lease:
                if lease is not None:
                    await self._work_on(group)

    async def _list_groups(self) -> Sequence[Awaiting]:
        """Return what is due of the next owners; after the last one, it is everybody's turn again."""
        if not self._owners:
            self._owners.extend(await self._postgres.learning.list_awaiting_owners())
        now = utc_now()
        return await self._postgres.learning.list_groups(
            [self._owners.popleft() for _ in range(min(_OWNERS_AT_ONCE, len(self._owners)))],
            at_least=self._config.batch_count,
            silent_since=now - timedelta(seconds=self._config.pause_seconds),
            overdue_since=now - timedelta(hours=self._config.wait_hours),
        )

    async def _work_on(self, group: Awaiting) -> None:
        memories = await self._postgres.learning.list_to_analyse(group, _MODEL_AT_ONCE)
        if not memories:
            return
        match self._allowance.judge(len(memories), is_overdue=group.is_overdue):
            case Verdict.ASK:
                await self._ask(group, memories)
            case Verdict.LEAVE:
                await self._leave_to_rules(memories)

    async def _ask(self, group: Awaiting, memories: Sequence[Memory]) -> None:
        batch = (group.user_id, group.audience, memories[0].id, memories[0].version)
        try:
            learned = await self._reader.read(self._model, "analysed", memories)
        except UnreadableAnswerError as error:
            await self._try_again(batch, memories, error)
        except ProviderError as error:
            await self._put_off(group, memories, error)
        except StoreDataError as error:
            _log.error("Nothing is learned from %d memories of %s: %s", len(memories), group.user_id, error)
            await self._give_up(memories)
        else:
            self._note_done(Operation.ANALYSE, len(learned.read))
            self._failures = 0
            self._attempts.pop(batch, None)

    async def _put_off(self, group: Awaiting, memories: Sequence[Memory], error: ProviderError) -> None:
        """Leave them for later, or to the rules if they have waited too long and it isn't only that nobody answers."""
        match error:
            case BudgetReservedError():
                self._rest(error, _account_of(group))
            case BudgetExhaustedError() if group.is_overdue:
                await self._leave_to_rules(memories)  # and whatever else the account could not pay for so long
            case BudgetExhaustedError():
                self._rest(error, _account_of(group))
            case ProviderUnavailableError():
                self._rest(error, None)
            case _:
                if group.is_overdue:
                    await self._leave_to_rules(memories)
                self._rest(error, None)

    async def _leave_to_rules(self, memories: Sequence[Memory]) -> None:
        left = await self._reader.give_up("analysed", memories, self._model.name)
        self._note_done(Operation.LEAVE, len(left.read))

    async def _give_up(self, memories: Sequence[Memory]) -> int:
        """Mark memories as read from which nothing can be learned, and return how many still were to be read."""
        given_up = await self._reader.give_up("analysed", memories, self._model.name)
        self._note_done(Operation.GIVE_UP, len(given_up.read))
        return len(given_up.read)

    def _note_call(self) -> None:
        self._allowance.note_call()
        self._metrics.count(Operation.ASK)

    def _note_done(self, operation: Operation, messages: int) -> None:
        self._allowance.note_done(messages)
        self._metrics.count(operation, times=messages)

    def _rest(self, error: ProviderError, account: str | None) -> None:
        """Ask nothing for a while: nothing that an account pays for, or nothing at all (None)."""
        self._metrics.count(Operation.POSTPONE)
        self._failures += 1
        seconds = min(_LONGEST_REST_SECONDS, self._config.pause_seconds * 2.0 ** min(self._failures, 20))
        if isinstance(error, ProviderUnavailableError) and error.retry_after is not None:
            seconds = max(seconds, error.retry_after.total_seconds())
        _log.warning("The analysis of what was said waits for %.0f s: %s", seconds, error)
        self._rests_until[account] = time.monotonic() + seconds

    def _is_resting(self, account: str | None) -> bool:
        if self._rests_until.get(account, 0.0) > time.monotonic():
            return True
        self._rests_until.pop(account, None)
        return False

    async def _try_again(
        self, batch: tuple[object, ...], memories: Sequence[Memory], error: UnreadableAnswerError
    ) -> None:
        """Leave it for later; after some attempts keep the answer for a person to look at, and go on."""
        self._metrics.count(Operation.POSTPONE)
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
        if await self._give_up(memories) < len(memories):  # what was forgotten meanwhile may stand in the answer
            await self._postgres.dead_letters.drop(letter.entry_id)


def _account_of(group: Awaiting) -> str:
    """Return whose budget pays for a batch of it; see `account_of`, which tells it of each memory."""
    return Audience.parse(group.said_in).account_of(group.user_id)
