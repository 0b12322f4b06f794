"""Who is listened to, who hears it, and what follows when people or the bot come and go."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import discord
import pytest
import simcord
from discord.ext import commands

from cortex_core import (
    Audience,
    LLMConfig,
    MemoryConfig,
    MemoryContext,
    MemoryManager,
    StoreUnavailableError,
)
from cortex_core.providers.local import LocalEmbedder
from tests.cogs.conftest import World, simulate
from tests.cogs.test_memory_commands import EVIL
from tests.harness import eventually
from tests.openai_server import ScriptedOpenAI

NEWS = "The concrete for the bridge arrives on Tuesday."
ASKED = "Clara, when does the concrete for the bridge arrive?"
UNKNOWN = "I don't remember anything about that."


def channel_id(channel: simcord.ChannelHandle) -> str:
    return f"discord-channel-{channel.id}"


async def share(world: World, *people: simcord.MemberActor, channel: simcord.ChannelHandle | None = None) -> str:
    """Link #general, unless told otherwise, with a project of Robin's and these people."""
    owner = world.owner(world.robin)
    project = await world.memory.project_memory.create_project(None, "Bridge", owner, [*map(world.owner, people)])
    place = channel or world.general
    await world.memory.channel_links.link_channel(channel_id(place), project.id, by=owner, guild_id=world.guild.id)
    return project.id


class TestCapture:
    async def test_off_keeps_nothing_and_says_so(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        await world.memory.channel_links.set_capture(
            channel_id(world.general), is_captured=False, guild_id=world.guild.id
        )

        assert (await world.ask(world.sam, "Clara, I live in Lisbon.")).startswith("I'm not keeping that")

        assert await world.memories(world.sam) == []
        assert [record for record in caplog.records if record.name == "cortex.discord"] == []
        await world.sam.send(world.staff, "I live in Porto.")
        assert len(await world.memories(world.sam)) == 1

    async def test_off_holds_in_its_threads(self, world: World) -> None:
        await world.memory.channel_links.set_capture(
            channel_id(world.staff), is_captured=False, guild_id=world.guild.id
        )
        place = await open_thread(world, discord.ChannelType.public_thread)

        await world.sam.send(place, "Said aside.")

        assert await world.memories(world.sam) == []


class TestProjectChannels:
    async def test_one_members_statement_answers_another_by_todays_name(self, world: World) -> None:
        await share(world, world.sam)
        await world.robin.send(world.general, NEWS)
        world.env.backend.edit_member(world.guild.id, world.robin.id, {"nick": "Chief"})
        await world.env.settle()
        await world.robin.send(world.general, "Good morning everybody.")

        answer = await world.ask(world.sam, ASKED)

        assert answer.startswith("Chief said <t:")
        assert NEWS in answer
        (memory, *_) = [memory for memory in await world.memories(world.robin) if memory.content == NEWS]
        assert memory.project_id is not None
        assert [m.content for m in await world.memories(world.sam)] == ["when does the concrete for the bridge arrive?"]

    async def test_somebody_else_is_not_answered_from_it(self, world: World) -> None:
        await share(world)
        await world.robin.send(world.general, NEWS)

        assert await world.ask(world.sam, ASKED) == UNKNOWN

    async def test_what_somebody_else_says_there_stays_their_own(self, world: World) -> None:
        await share(world)
        await world.sam.send(world.general, NEWS)

        assert await world.ask(world.robin, ASKED) == UNKNOWN
        assert [memory.project_id for memory in await world.memories(world.sam)] == [None]

    async def test_nothing_of_it_comes_up_in_a_channel_that_is_not_linked(self, world: World) -> None:
        await share(world, world.sam)
        await world.robin.send(world.general, NEWS)

        assert await world.ask(world.sam, ASKED, world.staff) == UNKNOWN
        assert NEWS in await world.ask(world.sam, ASKED)

    async def test_it_comes_up_in_direct_messages_of_members(self, world: World) -> None:
        await share(world, world.sam)
        await world.robin.send(world.general, NEWS)
        await world.flush()

        await world.sam.send_dm("When does the concrete for the bridge arrive?")

        answer = world.sam.user.dm_channel.last_message
        assert answer is not None
        assert NEWS in answer.content

    async def test_nothing_comes_up_after_a_removal(self, world: World) -> None:
        project = await share(world, world.sam)
        await world.robin.send(world.general, NEWS)
        assert NEWS in await world.ask(world.sam, ASKED)

        await world.memory.project_memory.remove_member(project, world.owner(world.sam), by=world.owner(world.robin))

        assert await world.ask(world.sam, ASKED) == UNKNOWN

    async def test_a_thread_follows_its_parent_and_a_private_one_only_reads(self, world: World) -> None:
        await share(world, world.sam, channel=world.staff)
        await world.robin.send(world.staff, NEWS)
        place = await open_thread(world, discord.ChannelType.private_thread)

        assert NEWS in await world.ask(world.sam, ASKED, place)
        await world.sam.send(place, "The steel for the bridge arrives on Friday.")
        await world.flush()

        answer = await world.ask(world.robin, "Clara, when does the steel for the bridge arrive?", world.staff)
        assert "steel" not in answer

    async def test_who_opted_out_takes_back_what_they_told(self, world: World) -> None:
        await share(world, world.sam)
        await world.robin.send(world.general, NEWS)
        await world.flush()

        await world.memory.change_preferences(world.owner(world.robin), opted_out=True)

        assert await world.ask(world.sam, ASKED) == UNKNOWN

    async def test_names_and_words_that_would_work_do_not(self, world: World) -> None:
        await share(world, world.sam)
        world.env.backend.edit_member(world.guild.id, world.robin.id, {"nick": "@everyone [x](http://e)"})
        await world.env.settle()
        await world.robin.send(world.general, f"The bridge is {EVIL}")

        await world.ask(world.sam, "Clara, what is the bridge?")

        reply = world.general.last_message
        assert reply is not None
        assert "bridge" in reply.content
        assert not reply.mention_everyone
        assert reply.role_mentions == []
        assert "[x](http" not in reply.content
        assert "[click](http" not in reply.content

    async def test_what_is_said_of_somebody_is_attributed_to_who_said_it(self, world: World) -> None:
        await share(world, world.sam)
        await world.sam.send(world.general, "Robin is allergic to nuts.")

        answer = await world.ask(world.robin, "Clara, who is allergic to nuts?")

        assert answer.startswith("sam said <t:")
        assert await world.memory.get_identity(world.owner(world.robin)) == {}


class TestNames:
    async def test_contexts_are_handed_out_with_todays_names(self, world: World) -> None:
        contexts: list[MemoryContext] = []

        async def keep(_: discord.Message, context: MemoryContext) -> None:
            contexts.append(context)

        world.bot.add_listener(keep, "on_cortex_context")
        await world.sam.send(world.general, f"I am {world.sam.mention} and I like tea.")
        world.env.backend.edit_member(world.guild.id, world.sam.id, {"nick": "Chief"})
        await world.env.settle()

        await world.ask(world.sam, "Clara, who likes tea?")

        (memory,) = contexts[-1].memories
        assert memory.author_name == "Chief"
        assert memory.content == "I am @Chief and I like tea."


class TestAtSendTime:
    """Permissions, members and memories may change between recall and answer."""

    async def test_a_channel_that_opened_meanwhile_hears_nothing_of_before(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lab = world.guild.create_text_channel("lab", overwrites=dict(world.bot.get_channel(world.staff.id).overwrites))
        await world.sam.send(world.staff, NEWS)
        assert NEWS in await world.ask(world.sam, ASKED, lab)
        search = world.memory.search

        async def search_and_open(*args: object, **kwargs: object) -> object:
            found = await search(*args, **kwargs)
            opened = world.bot.get_channel(lab.id)
            await opened.set_permissions(opened.guild.default_role, view_channel=True)
            await asyncio.sleep(0.05)
            return found

        monkeypatch.setattr(world.memory, "search", search_and_open)

        assert await world.ask_now(world.sam, ASKED, lab) == UNKNOWN

    async def test_a_removal_meanwhile_holds(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        project = await share(world, world.sam)
        await world.robin.send(world.general, NEWS)
        await world.flush()
        search = world.memory.search

        async def search_and_remove(*args: object, **kwargs: object) -> object:
            found = await search(*args, **kwargs)
            await world.memory.project_memory.remove_member(
                project, world.owner(world.sam), by=world.owner(world.robin)
            )
            return found

        monkeypatch.setattr(world.memory, "search", search_and_remove)

        assert await world.ask_now(world.sam, ASKED) == UNKNOWN

    async def test_what_is_forgotten_meanwhile_is_not_said(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        await world.sam.send(world.general, NEWS)
        await world.flush()
        search = world.memory.search

        async def search_and_forget(*args: object, **kwargs: object) -> object:
            found = await search(*args, **kwargs)
            await world.memory.forget_everything(world.owner(world.sam))
            return found

        monkeypatch.setattr(world.memory, "search", search_and_forget)

        assert await world.ask_now(world.sam, ASKED) == UNKNOWN


class TestAtSendTimeWithALanguageModel:
    @pytest.fixture
    async def server(self) -> AsyncIterator[ScriptedOpenAI]:
        async with ScriptedOpenAI.running() as server:
            yield server

    @pytest.fixture
    async def memory(
        self, memory_config: MemoryConfig, embedder: LocalEmbedder, server: ScriptedOpenAI
    ) -> AsyncIterator[MemoryManager]:
        llm = LLMConfig(base_url=server.base_url, model="scripted")
        async with MemoryManager(memory_config.model_copy(update={"llm": llm}), embedder=embedder) as memory:
            yield memory

    async def test_it_words_the_answer_anew_without_what_was_taken_away(
        self, world: World, server: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project = await share(world, world.sam)
        await world.robin.send(world.general, NEWS)
        await world.memory.update_identity(world.owner(world.sam), "city", "Lisbon", audience=Audience.everywhere())
        await world.flush()
        complete = world.memory.llm.complete
        is_first = True

        async def complete_and_remove(*args: object, **kwargs: object) -> str:
            nonlocal is_first
            said = await complete(*args, **kwargs)
            if is_first:
                is_first = False
                await world.memory.project_memory.remove_member(
                    project, world.owner(world.sam), by=world.owner(world.robin)
                )
                await world.memory.set_identity_audience(world.owner(world.sam), "city", Audience.owner())
            return said

        monkeypatch.setattr(world.memory.llm, "complete", complete_and_remove)
        server.reply = "So I hear."

        assert await world.ask_now(world.sam, ASKED) == "So I hear."

        first, second = (str(request.body) for request in server.requests[-2:])
        assert "Tuesday" in first
        assert "Lisbon" in first
        assert "Tuesday" not in second
        assert "Lisbon" not in second

    async def test_an_answer_that_never_holds_is_not_given(
        self, world: World, server: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.reply = "Tuesday!"

        async def recheck(context: MemoryContext, **_: object) -> MemoryContext:
            return context.model_copy(update={"identity": {"n": len(server.requests)}})

        monkeypatch.setattr(world.memory, "recheck", recheck)

        assert await world.ask_now(world.sam, ASKED) == UNKNOWN


class TestRecheck:
    """`MemoryManager.recheck` and `still_heard`, as hosts use them."""

    async def test_vouches_for_nothing_that_no_server_can_tell(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.sam.send(world.general, NEWS)
        await world.flush()
        owner = world.owner(world.sam)
        context = await world.memory.get_context(owner, NEWS)
        assert (await world.memory.recheck(context)).memories == context.memories != []

        async def away(*_: object, **__: object) -> None:
            raise StoreUnavailableError("It can't be reached.")

        for store, method in ((world.memory.postgres, "list_by_key"), (world.memory.redis, "load")):
            monkeypatch.setattr(store, method, away)

        assert await world.memory.still_heard(owner, context.memories) == []

    async def test_leaves_whoever_opted_out_nothing(self, world: World) -> None:
        owner = world.owner(world.sam)
        await world.memory.update_identity(owner, "city", "Lisbon")
        await world.memory.start_session(owner, {"task": "bridge"})
        await world.sam.send(world.general, NEWS)
        context = await world.memory.get_context(owner, NEWS)
        elsewhere = await world.memory.recheck(context, audience=Audience.channel(1, 2))
        assert (elsewhere.identity, elsewhere.session, elsewhere.memories) == ({}, {}, [])

        await world.memory.change_preferences(owner, opted_out=True)

        assert await world.memory.recheck(context) == MemoryContext(user_id=owner)


class TestComingAndGoing:
    @pytest.fixture
    async def env(self, memory: MemoryManager) -> AsyncIterator[simcord.Env]:
        """A bot that is told who comes and goes."""
        bot = commands.Bot("!", intents=discord.Intents.all())
        bot.cortex = memory
        await bot.load_extension("cortex_cogs.memory")
        async with simulate(bot) as env:
            yield env

    async def wait_for(self, world: World, *expected: tuple[int, str | None]) -> None:
        """Wait until these are the ones who left, with most of the term before them."""

        async def are_due() -> bool:
            async with world.memory.postgres.pool.connection() as connection:
                rows = await connection.fetch("SELECT guild_id, user_id, erase_at FROM departures")
            soon = datetime.now(UTC) + timedelta(days=29)
            return [(row["guild_id"], row["user_id"]) for row in rows if row["erase_at"] > soon] == [*expected]

        await eventually(are_due)

    async def test_who_leaves_has_a_term_until_they_are_back(self, world: World) -> None:
        robot = world.guild.add_member(world.env.create_user("robot", bot=True))
        for person in (robot, world.sam):
            world.guild.remove_member(person)
        await self.wait_for(world, (world.guild.id, world.owner(world.sam)))

        for person in (robot, world.sam):
            world.guild.add_member(person.user)
        await self.wait_for(world)

    async def test_a_server_that_the_bot_leaves_has_a_term_until_it_is_back(self, world: World) -> None:
        guild = world.bot.get_guild(world.guild.id)
        world.bot.dispatch("guild_remove", guild)
        await self.wait_for(world, (world.guild.id, None))

        world.bot.dispatch("guild_join", guild)
        await self.wait_for(world)

    async def test_a_failure_stays_in_the_log(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def away(*_: object, **__: object) -> None:
            raise StoreUnavailableError("Postgres can't be reached.")

        monkeypatch.setattr(world.memory, "leave_guild", away)
        monkeypatch.setattr(world.memory, "return_to_guild", away)
        guild = world.bot.get_guild(world.guild.id)
        for event in ("guild_remove", "guild_join"):
            world.bot.dispatch(event, guild)
        await world.env.settle()

        told = [record.message for record in caplog.records if str(world.guild.id) in record.message]
        assert len(told) == 2


async def open_thread(world: World, kind: discord.ChannelType) -> simcord.ChannelHandle:
    """Open a thread in #staff with everybody in it."""
    parent = world.bot.get_channel(world.staff.id)
    assert isinstance(parent, discord.TextChannel)
    thread = await parent.create_thread(name="aside", type=kind)
    for person in (world.sam, world.robin):
        await thread.add_user(discord.Object(person.id))
    await world.env.settle()
    (place,) = world.staff.threads
    return place
