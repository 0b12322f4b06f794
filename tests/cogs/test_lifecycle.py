"""Who opens the memory and who closes it, when several extensions share one bot."""

import asyncio

import discord
import pytest
from cortex_cogs._audience import audience_of
from discord.ext import commands

from cortex_core import Audience, ConfigError, MemoryConfig, MemoryManager

EXTENSIONS = ("cogs.memory", "cogs.clara", "cogs.projects", "cogs.channels", "cogs.contradictions", "cogs.admin")


@pytest.fixture
def bot() -> commands.Bot:
    return commands.Bot(command_prefix="!", intents=discord.Intents.all())


@pytest.fixture
def settings(memory_config: MemoryConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_REDIS__URL", memory_config.redis.url)
    monkeypatch.setenv("CORTEX_POSTGRES__URL", memory_config.postgres.url)


@pytest.mark.usefixtures("settings")
async def test_extensions_that_load_at_once_share_one_memory_and_the_last_closes_it(bot: commands.Bot) -> None:
    async with asyncio.TaskGroup() as group:
        for extension in EXTENSIONS:
            group.create_task(bot.load_extension(extension))
    memory = bot.cortex
    assert isinstance(memory, MemoryManager)

    for extension in EXTENSIONS:
        assert memory.is_open
        await bot.unload_extension(extension)

    assert not memory.is_open
    assert not hasattr(bot, "cortex")


@pytest.mark.usefixtures("settings")
async def test_closing_the_bot_writes_what_was_acknowledged(bot: commands.Bot, memory: MemoryManager) -> None:
    await bot.load_extension(EXTENSIONS[0])
    for number in range(50):
        assert (await bot.cortex.store("discord-1", f"Thing number {number}")).success

    await bot.close()

    assert await memory.count_memories("discord-1") == 50


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("extension", EXTENSIONS)
async def test_each_extension_lives_alone(bot: commands.Bot, extension: str) -> None:
    for _ in range(2):
        await bot.load_extension(extension)
        await bot.reload_extension(extension)
        assert bot.cortex.is_open
        await bot.unload_extension(extension)

    assert not hasattr(bot, "cortex")
    assert (bot.cogs, bot.tree.get_commands()) == ({}, [])
    assert not any(bot.extra_events.values())
    assert not bot._connection._view_store._dynamic_items


async def test_the_hosts_memory_stays_open(bot: commands.Bot, memory: MemoryManager) -> None:
    bot.cortex = memory
    for extension in EXTENSIONS:
        await bot.load_extension(extension)
    for extension in EXTENSIONS:
        await bot.unload_extension(extension)

    assert bot.cortex is memory
    assert memory.is_open


async def test_after_a_failed_load_nothing_is_left_and_it_can_be_repeated(
    bot: commands.Bot, memory_config: MemoryConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CORTEX_POSTGRES__URL", "mysql://nowhere")
    monkeypatch.setenv("CORTEX_REDIS__URL", memory_config.redis.url)
    with pytest.raises(commands.ExtensionFailed) as failed:
        await bot.load_extension(EXTENSIONS[0])

    assert isinstance(failed.value.original, ConfigError)
    (line,) = [record.message for record in caplog.records if record.name == "cortex.discord"]
    assert line == f"cogs.memory is not loaded: {failed.value.original}"
    assert not hasattr(bot, "cortex")
    assert (bot.cogs, bot.tree.get_commands()) == ({}, [])

    monkeypatch.setenv("CORTEX_POSTGRES__URL", memory_config.postgres.url)
    await bot.load_extension(EXTENSIONS[0])
    await bot.unload_extension(EXTENSIONS[0])


async def test_a_foreign_attribute_of_that_name_is_refused(bot: commands.Bot) -> None:
    bot.cortex = "something else"

    with pytest.raises(commands.ExtensionFailed, match=r"bot\.cortex has to be a cortex_core\.MemoryManager"):
        await bot.load_extension(EXTENSIONS[0])

    assert bot.cortex == "something else"


async def test_a_place_that_the_bot_does_not_know_is_its_own(bot: commands.Bot) -> None:
    assert audience_of(bot.get_partial_messageable(7, guild_id=5)) == Audience.channel(5, 7)
    assert audience_of(bot.get_partial_messageable(7)) == Audience.channel(0, 7)
