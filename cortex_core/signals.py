"""Lets SIGINT and SIGTERM end a process with everything closed; discord.py by itself knows only the first."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupted(Exception):  # noqa: N818  not an error: somebody wants the process to end
    """A signal ended the work; everything that it had opened is closed.

    Attributes:
        signal: Which one.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.signal = number


async def run_until_signal(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end and return its result, or cancel it at the first signal.

    A second signal changes nothing, because it would cut the closing short.

    Raises:
        Interrupted: A signal came first.
    """
    received: list[signal.Signals] = []
    task = asyncio.create_task(work)

    def stop(number: signal.Signals) -> None:
        if not received:
            task.cancel()
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        raise Interrupted(received[0]) from None
