"""A host bot that loads, reloads and unloads the extension; run by test_host_bot.py in the folder of a host.

Prints one line of JSON per state: what the bot has, and what the process runs.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import discord
import simcord
from discord.ext import commands

import cortex_core
from cortex_core import MemoryManager, load_config

EXTENSIONS = ("memory", "clara", "projects", "channels")
MOMENT_SECONDS = 5.0


def running() -> set[asyncio.Task[object]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def let_moments_pass() -> None:
    """Wait for what has no name: a query that the host's own memory is making just now is no leftover."""
    until = time.monotonic() + MOMENT_SECONDS
    while moments := [task for task in running() if task.get_name().startswith("Task-")]:
        if (left := until - time.monotonic()) <= 0:
            return
        await asyncio.wait(moments, timeout=left)


def state_of(bot: commands.Bot) -> dict[str, object]:
    views = bot._connection._view_store
    return {
        "cogs": sorted(bot.cogs),
        "commands": sorted(command.name for command in bot.tree.get_commands()),
        "listeners": sorted(name for name, listeners in bot.extra_events.items() if listeners),
        "views": sum(map(len, (views._views, views._synced_message_views, views._dynamic_items))),
        "tasks": sorted(task.get_name() for task in running()),
        "modules": sorted(
            name for name in sys.modules if name.split(".")[-1] in EXTENSIONS and name.split(".")[0].endswith("cogs")
        ),
        "has_memory": hasattr(bot, "cortex"),
        "installed_in": str(Path(cortex_core.__file__).parent.parent),
    }


async def main(package: str, opened_by_host: str) -> None:
    bot = commands.Bot(command_prefix="!", intents=discord.Intents.all())
    await bot.load_extension("cogs.own")
    if opened_by_host == "host":
        async with MemoryManager(load_config()) as memory:
            bot.cortex = memory
            await live_through(bot, package)
            assert memory.is_open
    else:
        await live_through(bot, package)


async def live_through(bot: commands.Bot, package: str) -> None:
    async with simcord.run(bot, settle_timeout=20):
        await report("before", bot)
        for _ in range(2):
            await load(bot, package)
            await report("loaded", bot)
            for name in EXTENSIONS:
                await bot.reload_extension(f"{package}.{name}")
            await report("reloaded", bot)
            # In another order than they were loaded: whoever goes last closes.
            for name in (*EXTENSIONS[2:], *EXTENSIONS[:2]):
                await bot.unload_extension(f"{package}.{name}")
            await report("unloaded", bot)
            await bot.load_extension(f"{package}.projects")
            await report("alone", bot)
            await bot.unload_extension(f"{package}.projects")
            await report("unloaded", bot)


async def load(bot: commands.Bot, package: str) -> None:
    for name in EXTENSIONS:
        await bot.load_extension(f"{package}.{name}")
    owner = "discord-1"
    assert (await bot.cortex.store(owner, "My cat is called Miso.")).success
    await bot.cortex.flush()
    assert await bot.cortex.list_memories(owner)


async def report(name: str, bot: commands.Bot) -> None:
    await let_moments_pass()
    sys.stdout.write(json.dumps({"name": name, **state_of(bot)}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
