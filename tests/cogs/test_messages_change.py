"""What happens to memories when messages come from programs, are edited, deleted, or written in threads and DMs."""

import discord
import pytest
from simcord.enums import MessageType

from cortex_core import Audience
from tests.cogs.conftest import World


async def contents(world: World) -> list[str]:
    return [memory.content for memory in await world.memories(world.sam)]


class TestNotHeard:
    async def test_bots(self, world: World) -> None:
        robot = world.guild.add_member(world.env.create_user("robot", bot=True))
        await robot.send(world.general, "I am a program.")

        assert await world.memories(robot) == []

    async def test_clara_herself(self, world: World) -> None:
        await world.ask(world.sam, "Clara, I live in Lisbon.")
        await world.flush()

        assert await world.memory.list_memories(f"discord-{world.bot.user.id}") == []

    async def test_webhooks(self, world: World) -> None:
        webhook = world.guild.create_webhook(world.general, "News")
        message = await webhook.send("Breaking news.")
        await world.flush()

        assert await world.memory.list_memories(f"discord-{message.author.id}") == []

    async def test_notices_of_discord(self, world: World) -> None:
        world.guild.create_system_message(world.general, MessageType.CHANNEL_NAME_CHANGE, author=world.sam)
        await world.env.settle()

        assert await contents(world) == []


class TestEdits:
    async def test_are_followed(self, world: World) -> None:
        message = await world.sam.send(world.general, "My cat is called Miso.")
        await world.flush()

        await world.sam.edit(message, "My cat is called Mochi.")

        (memory,) = await world.memories(world.sam)
        assert memory.content == "My cat is called Mochi."
        assert memory.created_at == message.created_at
        working = (await world.memory.get_context(world.owner(world.sam))).working
        assert [memory.content for memory in working] == ["My cat is called Mochi."]

    async def test_of_a_message_that_left_the_cache_are_followed(self, world: World) -> None:
        message = await world.sam.send(world.general, "My cat is called Miso.")
        world.bot._connection._messages.clear()

        await world.sam.edit(message, "My cat is called Mochi.")

        assert await contents(world) == ["My cat is called Mochi."]

    async def test_that_make_it_empty_erase_it(self, world: World) -> None:
        message = await world.sam.send(world.general, "My cat is called Miso.", attachments=[("cat.png", b"cat")])

        await world.sam.edit(message, "")

        assert await contents(world) == []

    @pytest.mark.parametrize("between", ["", "?roll"])
    async def test_that_take_it_away_leave_room_for_later_ones(
        self, world: World, monkeypatch: pytest.MonkeyPatch, between: str
    ) -> None:
        monkeypatch.setattr(world.bot, "command_prefix", "?")
        message = await world.sam.send(world.general, "My cat is called Miso.", attachments=[("cat.png", b"cat")])
        await world.sam.edit(message, between)
        assert await contents(world) == []

        await world.env.advance_time(1)
        await world.sam.edit(message, "My cat is called Mochi.")

        assert await contents(world) == ["My cat is called Mochi."]

    async def test_that_change_nothing_are_none(self, world: World) -> None:
        message = await world.sam.send(world.general, "https://example.com is my site.")
        world.env.backend.edit_message(world.general.id, message.id, {"embeds": [{"title": "Example"}]})
        await world.env.settle()

        (memory,) = await world.memories(world.sam)
        assert memory.version == 0

    async def test_of_programs_are_not_heard(self, world: World) -> None:
        robot = world.guild.add_member(world.env.create_user("robot", bot=True))
        message = await robot.send(world.general, "I am a program.")
        await robot.edit(message, "I am a better program.")

        assert await world.memories(robot) == []


class TestDeletions:
    @pytest.mark.parametrize("is_cached", [True, False])
    async def test_erase_the_memory_everywhere(self, world: World, *, is_cached: bool) -> None:
        message = await world.sam.send(world.general, "My cat is called Miso.")
        await world.sam.send(world.general, "My dog is Rex.")
        await world.flush()
        if not is_cached:
            world.bot._connection._messages.clear()

        await world.sam.delete(message)

        assert await contents(world) == ["My dog is Rex."]
        working = (await world.memory.get_context(world.owner(world.sam))).working
        assert [memory.content for memory in working] == ["My dog is Rex."]

    async def test_right_after_it_was_said_too(self, world: World) -> None:
        message = await world.sam.send(world.general, "My cat is called Miso.")
        await world.sam.delete(message)

        assert await contents(world) == []

    async def test_in_bulk(self, world: World) -> None:
        messages = [await world.sam.send(world.general, f"Thing number {number}") for number in range(5)]
        await world.flush()

        world.env.backend.bulk_delete_messages(world.general.id, [message.id for message in messages[:4]])
        await world.env.settle()

        assert await contents(world) == ["Thing number 4"]


class TestPlaces:
    async def test_a_direct_message_is_the_owners_alone(self, world: World) -> None:
        await world.sam.send_dm("My secret is a chocolate fountain.")

        (memory,) = await world.memories(world.sam)
        assert memory.audience == str(Audience.owner())

    async def test_each_channel_of_a_server_has_readers_of_its_own(self, world: World) -> None:
        await world.sam.send(world.general, "Said openly.")
        await world.sam.send(world.staff, "Said to a few.")

        said = {memory.content: memory.audience for memory in await world.memories(world.sam)}
        assert said == {
            "Said openly.": str(Audience.channel(world.guild.id, world.general.id)),
            "Said to a few.": str(Audience.channel(world.guild.id, world.staff.id)),
        }

    @pytest.mark.parametrize("kind", [discord.ChannelType.public_thread, discord.ChannelType.private_thread])
    async def test_a_public_thread_has_its_parents_readers_and_a_private_one_its_own(
        self, world: World, kind: discord.ChannelType
    ) -> None:
        parent = world.bot.get_channel(world.staff.id)
        assert isinstance(parent, discord.TextChannel)
        thread = await parent.create_thread(name="aside", type=kind)
        await thread.add_user(discord.Object(world.sam.id))
        await world.env.settle()
        (place,) = world.staff.threads
        await world.sam.send(place, "Said aside.")

        (memory,) = await world.memories(world.sam)
        readers = parent.id if kind is discord.ChannelType.public_thread else thread.id
        assert memory.audience == str(Audience.channel(world.guild.id, readers))
        assert memory.channel_id == f"discord-channel-{thread.id}"

    async def test_the_chat_of_a_voice_channel_is_for_those_who_may_join(self, world: World) -> None:
        voice = world.guild.create_voice_channel("talk")
        channel = world.bot.get_channel(voice.id)
        assert isinstance(channel, discord.VoiceChannel)
        await channel.set_permissions(channel.guild.me, connect=True)
        members = channel.guild.get_role(world.guild.roles["Members"].id)
        assert members is not None
        await channel.set_permissions(members, connect=True)
        await channel.set_permissions(channel.guild.default_role, connect=False)
        await world.env.settle()
        await world.sam.send(voice, "Said in the voice chat.")

        (memory,) = await world.memories(world.sam)
        assert memory.audience == str(Audience.channel(world.guild.id, voice.id))
