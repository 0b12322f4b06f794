"""Gives the cogs of a bot one MemoryManager: the bot's own, or one that they open and the last of them closes."""

import asyncio
import logging

from discord.ext import commands

from cortex_core import CortexError, MemoryConfig, MemoryManager, load_config

log = logging.getLogger("cortex.discord")

ATTRIBUTE = "cortex"  # the only name that we add to a host's bot


class SharedMemory(MemoryManager):
    """A manager that extensions opened themselves, and who of them holds it."""

    def __init__(self, config: MemoryConfig) -> None:
        super().__init__(config)
        self.holders: set[str] = set()
        self.opening = asyncio.Lock()


async def acquire_memory(bot: commands.Bot, holder: str) -> MemoryManager:
    """Return `bot.cortex`, opening it first when the host brought none.

    Args:
        bot: The host.
        holder: The extension that asks; it has to release in its `teardown`, which runs after a failed load as well.

    Raises:
        CortexError: It can't be opened; the message, which is logged too, says what to do.
    """
    memory = getattr(bot, ATTRIBUTE, None)
    try:
        if memory is None:
            memory = SharedMemory(load_config())
            setattr(bot, ATTRIBUTE, memory)
        if isinstance(memory, SharedMemory):
            memory.holders.add(holder)
            async with memory.opening:
                await memory.initialize()
    except CortexError as error:
        log.error("%s is not loaded: %s", holder, error)  # noqa: TRY400  the sentence is for the operator
        raise
    if not isinstance(memory, MemoryManager):
        raise TypeError(f"bot.{ATTRIBUTE} has to be a cortex_core.MemoryManager.")
    return memory


async def release_memory(bot: commands.Bot, holder: str) -> None:
    """Give it back; the last holder closes what was opened here. Releasing twice is fine."""
    memory = getattr(bot, ATTRIBUTE, None)
    if not isinstance(memory, SharedMemory):
        return
    memory.holders.discard(holder)
    if not memory.holders:
        delattr(bot, ATTRIBUTE)
        await memory.close()
