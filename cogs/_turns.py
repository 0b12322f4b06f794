"""The turns of a channel: how many of its messages are worked on at a time, and how many may wait for that."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

log = logging.getLogger("cortex.discord")

MESSAGES_AT_ONCE = 10
MESSAGES_WAITING = 100


class Turns:
    """The turns of one channel, as long as anybody has one or waits."""

    def __init__(self, channel_id: int) -> None:
        self._channel_id = channel_id
        self._free = asyncio.Semaphore(MESSAGES_AT_ONCE)
        self._taken = 0
        self._is_overrun = False

    @asynccontextmanager
    async def take(self) -> AsyncIterator[bool]:
        """Wait for a turn; gives False, at once, when too many are waiting already."""
        if self._taken == MESSAGES_AT_ONCE + MESSAGES_WAITING:
            if not self._is_overrun:
                log.info("Channel %d is too busy: some messages are remembered without recall.", self._channel_id)
            self._is_overrun = True
            yield False
            return
        self._taken += 1
        try:
            async with self._free:
                yield True
        finally:
            self._taken -= 1
