"""Clara in the simulator, with a real memory that is open outside of it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import discord
import pytest
import simcord
from discord.ext import commands

from bot import Clara
from cortex_core import Memory, MemoryManager


@dataclass(frozen=True)
class World:
    """A server with an open and a private channel, and two members who can both read them."""

    env: simcord.Env
    bot: Clara
    memory: MemoryManager
    guild: simcord.GuildHandle
    general: simcord.ChannelHandle
    staff: simcord.ChannelHandle
    sam: simcord.MemberActor
    robin: simcord.MemberActor

    @staticmethod
    def owner(person: simcord.MemberActor) -> str:
        return f"discord-{person.id}"

    async def memories(self, person: simcord.MemberActor) -> list[Memory]:
        """What is remembered of a person, newest first, when everything has arrived."""
        await self.flush()
        return await self.memory.list_memories(self.owner(person))

    async def flush(self) -> None:
        await self.memory.flush()

    async def ask(self, person: simcord.MemberActor, text: str, channel: simcord.ChannelHandle | None = None) -> str:
        """Say it when all that was said before has arrived; return what Clara answers, or nothing if she doesn't."""
        await self.flush()
        return await self.ask_now(person, text, channel)

    async def ask_now(
        self, person: simcord.MemberActor, text: str, channel: simcord.ChannelHandle | None = None
    ) -> str:
        place = channel or self.general
        said = await person.send(place, text)
        await self.env.settle()
        return "\n".join(m.content for m in place.history() if m.id > said.id and m.author.id == self.bot.user.id)


@asynccontextmanager
async def simulate(bot: commands.Bot) -> AsyncIterator[simcord.Env]:
    """Connect a bot to a simulated Discord whose clock is the real one, by which memories fade."""
    env = simcord.Env(bot, settle_timeout=10)
    clock = env.backend.clock
    clock.elapsed = time.monotonic()
    clock._epoch = datetime.now(UTC) - timedelta(seconds=clock.elapsed)
    await env.start()
    await bot.tree.sync()
    try:
        yield env
    finally:
        await bot.close()
        await env.shutdown()
    env._raise_errors_since(env._errors_acknowledged)  # those that the test did not look at


def make_world(env: simcord.Env, memory: MemoryManager) -> World:
    guild = env.create_guild("Cortex")
    members = guild.create_role("Members")
    sam, robin = (guild.add_member(env.create_user(name), roles=[members]) for name in ("sam", "robin"))
    readable = discord.PermissionOverwrite(view_channel=True)
    hidden = discord.PermissionOverwrite(view_channel=False)
    general = guild.create_text_channel("general")
    staff = guild.create_text_channel(
        "staff", overwrites={guild.default_role: hidden, members: readable, guild.me: readable}
    )
    return World(env, env.bot, memory, guild, general, staff, sam, robin)


@pytest.fixture
async def env(memory: MemoryManager) -> AsyncIterator[simcord.Env]:
    async with simulate(Clara(memory, extra_names=True)) as env:
        yield env


@pytest.fixture
def world(env: simcord.Env, memory: MemoryManager) -> World:
    return make_world(env, memory)
