"""Runs a command's asynchronous work, so that Ctrl-C and SIGTERM end it with everything closed."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end and return its result.

    A signal cancels it; a second one changes nothing, because it would cut the closing short.

    Raises:
        typer.Exit: It was stopped by a signal; the exit code is the shell's for that, 130 for Ctrl-C.
    """
    return asyncio.run(_run_until_signal(work))


async def _run_until_signal(work: Coroutine[Any, Any, T]) -> T:
    received: list[signal.Signals] = []
    task = asyncio.create_task(work)

    def stop(number: signal.Signals) -> None:
        if not received:
            task.cancel()
        received.append(number)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        raise typer.Exit(128 + received[0]) from None


async def wait_for_signal() -> None:
    """Wait until `run` cancels, and take that for a regular end."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in one
        task.uncancel()
