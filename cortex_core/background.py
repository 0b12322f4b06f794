"""Work that goes on behind the scenes, owned by an object that ends it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from cortex_core.errors import ProviderUnavailableError, StoreUnavailableError

_log = logging.getLogger("cortex.background")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_ASK_AGAIN = 0.1


class BackgroundLoop:
    """Calls `step` again and again until it is closed.

    A server that is away or a bug doesn't end it: it pauses, twice as long each time with full jitter, and goes on.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._step = step
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the loop belongs to the running event loop."""
        self._task = asyncio.create_task(self._run(), name=f"cortex {self._name}")

    async def close(self) -> None:
        """Stop at the next point where it waits."""
        if self._task is None:
            return
        while not self._task.done():  # redis-py swallows a cancellation that comes while it connects
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_ASK_AGAIN)
        self._task = None

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._step()
                pause = _FIRST_PAUSE
            except (StoreUnavailableError, ProviderUnavailableError) as error:
                is_first = pause == _FIRST_PAUSE
                _log.log(logging.WARNING if is_first else logging.DEBUG, "%s waits: %s", self._name, error)
            except Exception:  # noqa: BLE001  the edge where background work ends: logged, and it goes on
                _log.exception("%s failed and will be tried again", self._name)
            else:
                continue
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  jitter, not a secret
            pause = min(2 * pause, _LONGEST_PAUSE)
