"""The one thread in which a local model runs, and how its work is cut so that nobody waits long for a turn.

The thread takes jobs first come, first served. A single text is one job. A batch hands in one bounded slice at a time,
and only one batch runs at once, so at most one slice is ahead of a text that arrives meanwhile: priority without a
queue of our own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from cortex_core.errors import ProviderUnavailableError

P = ParamSpec("P")
T = TypeVar("T")

MAX_SLICE_TEXTS = 32


class ModelThread:
    """A worker thread of its own, so that a model never holds up the event loop or the default executor."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._batch = asyncio.Lock()
        self._closed = False

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one job when its turn comes.

        Raises:
            ProviderUnavailableError: The thread was closed.
        """
        if self._closed:
            raise ProviderUnavailableError("The embedder is closed: open a new one.")
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: job(*args, **kwargs))

    @asynccontextmanager
    async def background(self) -> AsyncIterator[None]:
        """Hold the turn of the one batch that may run; its slices are given to `run` one after the other."""
        async with self._batch:
            yield

    async def close(self) -> None:
        """Take no more jobs and wait for those that were taken."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown)


def plan_slices(lengths: Sequence[int], *, budget: int) -> list[list[int]]:
    """Group the indices of texts of like length, so that little is computed for padding.

    Args:
        lengths: The length of each text, in whatever the model's cost grows with.
        budget: What a slice may cost: its number of texts times its longest one. A text above it gets its own slice.

    Returns:
        Every index once, shortest texts first, at most `MAX_SLICE_TEXTS` in a slice.
    """
    slices: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        current = slices[-1] if slices else []
        if current and len(current) < MAX_SLICE_TEXTS and (len(current) + 1) * lengths[index] <= budget:
            current.append(index)
        else:
            slices.append([index])
    return slices
