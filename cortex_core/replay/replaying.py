"""Feeds a conversation log through the same code as a message on Discord, at its original times."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cortex_core.audience import Audience
from cortex_core.errors import IdempotencyError, InvalidInputError
from cortex_core.ingestion.intake import IncomingMessage, Intake, NewMemory, memory_id_of
from cortex_core.manager import MemoryManager
from cortex_core.models import Memory
from cortex_core.replay.log import SourceIds, parse_line
from cortex_core.stores.keys import check_user_id

_GONE = "It was forgotten before and stays so, or it became a dead letter."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that did not become a memory, and a sentence that says why."""

    line: int
    reason: str


@dataclass(slots=True)
class ReplayReport:
    """What a replay did.

    Attributes:
        lines: Messages read, empty lines not counted.
        stored: Memories that are new.
        known: Messages that were stored before; nothing was changed.
        refused: The others.
        seconds: How long it took until everything was in Postgres with its vector.
    """

    lines: int = 0
    stored: int = 0
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ms_per_memory(self) -> float | None:
        """Time for each new memory; None if there is none."""
        return self.seconds * 1000 / self.stored if self.stored else None


async def replay(
    memory: MemoryManager,
    lines: Iterable[bytes],
    *,
    owner: str | None = None,
    audience: Audience | None = None,
    on_line: Callable[[], None] | None = None,
) -> ReplayReport:
    """Hear every message of a log, in its order, and wait until all are in Postgres with their vectors.

    It may be broken off and repeated at any time: what is known is skipped.

    Args:
        memory: Open.
        lines: As `cortex_core.replay.log` describes them.
        owner: Whose memories all of them become; without one everybody owns what they said.
        audience: Where they may surface. A log doesn't tell who could read along, so by default only their owner.
        on_line: Called after each line.

    Raises:
        InvalidInputError: The owner can't be a user id.
        StoreUnavailableError: Postgres is away; what was heard until then is safe.
    """
    replayer = _Replayer(memory, None if owner is None else check_user_id(owner), audience or Audience.owner())
    return await replayer.run(lines, on_line)


class _Replayer:
    def __init__(self, memory: MemoryManager, owner: str | None, audience: Audience) -> None:
        self._memory = memory
        self._owner = owner
        self._audience = audience
        self._intake = Intake(memory.config.ingestion, memory.scorer)
        self._source_ids = SourceIds()
        self._heard: list[tuple[int, IncomingMessage]] = []
        self._report = ReplayReport()

    async def run(self, lines: Iterable[bytes], on_line: Callable[[], None] | None) -> ReplayReport:
        started = time.perf_counter()
        await self._memory.flush()  # what a broken-off run left on its way must be found
        for number, raw in enumerate(lines, 1):
            if raw.strip():
                self._report.lines += 1
                try:
                    await self._hear(number, raw)
                except InvalidInputError as error:
                    self._report.refused.append(Refusal(number, str(error)))
            if on_line:
                on_line()
        await self._memory.flush()
        await self._verify()
        self._report.seconds = time.perf_counter() - started
        return self._report

    async def _hear(self, number: int, raw: bytes) -> None:
        message = self._read(raw)
        stored = await self._find(message)
        if stored is not None:
            self._check_same(message, stored)
            self._report.known += 1
            return
        result = await self._memory.hear(message)
        if not result.success:
            raise InvalidInputError(result.error)
        self._heard.append((number, message))

    def _read(self, raw: bytes) -> IncomingMessage:
        logged = parse_line(raw)
        return IncomingMessage(
            user_id=self._owner or logged.author_id,
            author_id=logged.author_id,
            author_name=logged.author_name,
            text=logged.text,
            source_id=self._source_ids.name(logged),
            channel_id=logged.channel,
            created_at=logged.time,
            audience=self._audience,
        )

    async def _find(self, message: IncomingMessage) -> Memory | None:
        return await self._memory.get(message.user_id, memory_id_of(message.source_id))

    def _check_same(self, message: IncomingMessage, stored: Memory) -> None:
        was_edited = stored.version > 0
        heard = self._intake.prepare(message.user_id, NewMemory(content=message.text))
        if not was_edited and heard.content != stored.content:
            raise IdempotencyError("Its id was stored before with another text.")

    async def _verify(self) -> None:
        """Count as stored only what has arrived: a tombstone or a dead letter may stand behind an acknowledgement."""
        for number, message in self._heard:
            if await self._find(message) is None:
                self._report.refused.append(Refusal(number, _GONE))
            else:
                self._report.stored += 1
        self._report.refused.sort(key=lambda refusal: refusal.line)
