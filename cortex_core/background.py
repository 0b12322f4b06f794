"""Work that goes on behind the scenes, owned by an object that ends it."""

import asyncio
import logging
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from cortex_core.errors import CortexError, ProviderUnavailableError, StoreUnavailableError

_log = logging.getLogger("cortex.background")

T = TypeVar("T")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_HOPELESS_AFTER = 10.0
_LOOK_AGAIN_SECONDS = 30.0

_abandoned: set[asyncio.Task[Any]] = set()


async def abandon_after(seconds: float, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return the work's result, or give up on it in time.

    What is given up is cancelled and not waited for: cancelling a query against a server that doesn't answer takes as
    long as the query.

    Raises:
        StoreUnavailableError: It took too long.
    """
    task = asyncio.create_task(work())
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if done:
        return task.result()
    _abandoned.add(task)
    task.add_done_callback(_forget_abandoned)
    task.cancel()
    raise StoreUnavailableError("A store did not answer in time; try again later.")


def _forget_abandoned(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # nobody waits for it any more


@contextmanager
def heed_cancellation() -> Iterator[None]:
    """End the task if it was cancelled within and a library swallowed that.

    Python 3.11's `asyncio.wait_for`, with which redis-py sends, does so when what it waits for has just ended
    (cpython issue 86296). A task that is cancelled already may go on cleaning up.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


async def wait_for_work(wake: asyncio.Event) -> None:
    """Wait until `wake` tells of work, half a minute at most: another process may have left some."""
    try:
        async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
            await wake.wait()
    except TimeoutError:
        pass
    wake.clear()


class Outage:
    """What keeps background work from going on, so that nobody waits for it for ever."""

    def __init__(self) -> None:
        self._error: CortexError | None = None
        self._since = 0.0

    def begin(self, error: CortexError) -> None:
        """Note that the work fails; only the first of a row of failures counts."""
        if self._error is None:
            self._error, self._since = error, time.monotonic()

    def end(self) -> None:
        """Note that the work goes on."""
        self._error = None

    def check(self) -> None:
        """Raise the error if it has stood for ten seconds."""
        if self._error is not None and time.monotonic() - self._since > _HOPELESS_AFTER:
            raise self._error


class BackgroundLoop:
    """Calls `step` again and again until it is closed.

    A server that is away or a bug doesn't end it: it pauses, twice as long each time with full jitter, and goes on.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._step = step
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started and neither closed nor cancelled by somebody else."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin; the loop belongs to the running event loop."""
        self._task = asyncio.create_task(self._run(), name=f"cortex {self._name}")

    async def close(self) -> None:
        """Stop at the next point where it waits."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        self._task = None

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            with heed_cancellation():
                try:
                    await self._step()
                    pause = _FIRST_PAUSE
                    continue
                except (StoreUnavailableError, ProviderUnavailableError) as error:
                    is_first = pause == _FIRST_PAUSE
                    _log.log(logging.WARNING if is_first else logging.DEBUG, "%s waits: %s", self._name, error)
                except Exception:  # noqa: BLE001  the edge where background work ends: logged, and it goes on
                    _log.exception("%s failed and will be tried again", self._name)
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311  jitter, not a secret
            pause = min(2 * pause, _LONGEST_PAUSE)


class WriteBehind(ABC):
    """Gathers in memory what `flush` writes now and then; a crash loses the latest, which must cost nobody anything."""

    def __init__(self, name: str, *, seconds: float) -> None:
        self._seconds = seconds
        self._loop = BackgroundLoop(name, self._step)

    def start(self) -> None:
        """Begin to write now and then."""
        self._loop.start()

    async def close(self) -> None:
        """Write the rest, if its store is there, and stop."""
        await self._loop.close()
        with suppress(StoreUnavailableError):
            await self.flush()

    @abstractmethod
    async def flush(self) -> None:
        """Write what is pending.

        Raises:
            StoreUnavailableError: Its store is away; it stays pending.
        """

    async def _step(self) -> None:
        await asyncio.sleep(self._seconds)
        await self.flush()
