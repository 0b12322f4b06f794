"""Runs a command's asynchronous work, so that Ctrl-C and SIGTERM end it with everything closed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

from cortex_core.signals import Interrupted, run_until_signal

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end and return its result.

    Raises:
        typer.Exit: It was stopped by a signal; the exit code is the shell's for that, 130 for Ctrl-C.
    """
    try:
        return asyncio.run(run_until_signal(work))
    except Interrupted as stop:
        raise typer.Exit(128 + stop.signal) from None


async def wait_for_signal() -> None:
    """Wait until `run` cancels, and take that for a regular end."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in one
        task.uncancel()
