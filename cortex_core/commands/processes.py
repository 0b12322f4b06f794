"""Commands that run Clara or a part of her until somebody stops them."""

import os
import sys
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from cortex_core.commands.console import stderr
from cortex_core.commands.running import run, wait_for_signal
from cortex_core.config import load_config
from cortex_core.errors import ConfigError
from cortex_core.manager import MemoryManager

_CHECKOUT = Path(__file__).parents[2]


def run_bot() -> None:
    """Run Clara: online with DISCORD_TOKEN, otherwise in the playground; the same as `python bot.py`."""
    bot = _import_entry_point("bot")
    sys.argv = ["cortex run"]  # it reads a command line of its own, and nothing was said in it
    raise typer.Exit(bot.main())


def run_playground(
    place: Annotated[str, typer.Option(envvar="PLACE", help="general, staff or dm")] = "general",
    port: Annotated[int | None, typer.Option(envvar="PORT", help="a free one when left out")] = None,
) -> None:
    """Open Clara in a simulated Discord in the browser."""
    playground = _import_entry_point("playground")
    port = playground.check_stage(place, port)

    async def work() -> None:
        async with MemoryManager(load_config()) as memory:
            await playground.run_playground(memory, place=place, port=port)

    run(work())


def work() -> None:
    """Write and embed what others acknowledge, without Discord, until SIGTERM or Ctrl-C."""

    async def work() -> None:
        async with MemoryManager(load_config()):
            stderr.print("Worker: ready. SIGTERM or Ctrl-C ends it.")
            await wait_for_signal()

    run(work())


def _import_entry_point(name: str) -> ModuleType:
    """Import `bot` or `playground`, which know Discord; the core finds them by name when they are asked for.

    A checkout has them beside the core, an installed wheel as `cortex_bot` and `cortex_playground`.
    """
    if (_CHECKOUT / "pyproject.toml").is_file():
        sys.path.insert(0, os.fspath(_CHECKOUT))  # before a module of that name in the working folder
        return import_module(name)
    if util.find_spec(f"cortex_{name}") is None:
        raise ConfigError(f"This installation lacks cortex_{name}.py; install clara-cortex again.")
    return import_module(f"cortex_{name}")
