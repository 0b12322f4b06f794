"""The menus on messages, and what is left of them and of buttons when an extension goes."""

import discord
import pytest
from discord import app_commands
from discord.ext import commands

from bot import Clara
from cortex_core import Audience, MemoryManager
from tests.cogs.conftest import World, make_world, simulate
from tests.cogs.test_memory_commands import EVIL, tell, text_of, use

REMEMBER, FORGET, WHY = "Remember this", "Forget this", "Why did you say that?"
TOLD = "My cat is called Miso."


async def choose(world: World, menu: str, message: discord.Message) -> str:
    result = await world.sam.context_menu(world.general, menu, message)
    assert result.response is not None
    assert result.response.ephemeral
    return text_of(result.response).strip()


class TestRemember:
    async def test_pins_what_is_kept_already(self, world: World) -> None:
        message = await world.sam.send(world.general, TOLD)

        said = await choose(world, REMEMBER, message)

        assert said.startswith(f"I'll remember that:\n> {TOLD}\nIt may come up wherever everybody who can read along")
        (memory,) = await world.memories(world.sam)
        assert memory.is_pinned
        assert memory.audience == str(Audience.channel(world.guild.id, world.general.id))
        assert await choose(world, REMEMBER, message) == said
        assert (await world.memories(world.sam))[0].tags == ("pinned",)

    async def test_keeps_what_was_not_kept(self, world: World) -> None:
        await world.memory.change_preferences(world.owner(world.sam), paused_until="2099-01-01T00:00:00Z")
        message = await world.sam.send(world.general, TOLD)
        assert await choose(world, REMEMBER, message) == "Remembering is paused; `/memory resume` goes on."
        await world.memory.change_preferences(world.owner(world.sam), paused_until=None)

        await choose(world, REMEMBER, message)

        (memory,) = await world.memories(world.sam)
        assert memory.is_pinned
        assert memory.source_id == f"discord-message-{message.id}"
        assert memory.created_at == message.created_at
        await world.sam.delete(message)
        assert await world.memories(world.sam) == []

    async def test_a_pin_outlives_an_edit(self, world: World) -> None:
        message = await world.sam.send(world.general, TOLD)
        await choose(world, REMEMBER, message)

        await world.sam.edit(message, "My cat is called Mochi.")

        (memory,) = await world.memories(world.sam)
        assert (memory.content, memory.is_pinned) == ("My cat is called Mochi.", True)

    async def test_what_was_forgotten_stays_so(self, world: World) -> None:
        message = await world.sam.send(world.general, TOLD)
        (memory,) = await world.memories(world.sam)
        await world.memory.forget(world.owner(world.sam), [memory.id])

        assert (await choose(world, REMEMBER, message)).startswith("That was forgotten before, and stays so.")
        assert await world.memories(world.sam) == []

    async def test_stays_between_us_for_whoever_wants_that(self, world: World) -> None:
        owner = world.owner(world.sam)
        await world.memory.change_preferences(owner, paused_until="2099-01-01T00:00:00Z")
        message = await world.sam.send(world.general, TOLD)
        await world.memory.change_preferences(owner, paused_until=None, keeps_private=True)

        assert (await choose(world, REMEMBER, message)).endswith("only in direct messages with me.")

        assert [memory.audience for memory in await world.memories(world.sam)] == [str(Audience.owner())]

    @pytest.mark.parametrize("menu", [REMEMBER, FORGET])
    async def test_is_for_ones_own_messages(self, world: World, menu: str) -> None:
        message = await world.robin.send(world.general, TOLD)

        assert await choose(world, menu, message) == "Please choose a message of your own: what others say is theirs."
        (memory,) = await world.memories(world.robin)
        assert not memory.is_pinned
        assert await world.memories(world.sam) == []

    async def test_pictures_alone_hold_nothing(self, world: World) -> None:
        message = await world.sam.send(world.general, "", attachments=[("cat.png", b"cat")])

        assert await choose(world, REMEMBER, message) == "There is nothing to remember in an empty text."

    async def test_repeats_nothing_that_works(self, world: World) -> None:
        message = await world.sam.send(world.general, EVIL)

        answer = await choose(world, REMEMBER, message)

        assert "[click](https" not in answer
        assert "@\u200beveryone" in answer


class TestForget:
    async def test_previews_and_confirms(self, world: World) -> None:
        message = await world.sam.send(world.general, TOLD)
        result = await world.sam.context_menu(world.general, FORGET, message)
        answer = result.response
        assert answer is not None
        assert f"> {TOLD}" in text_of(answer)
        assert len(await world.memories(world.sam)) == 1

        await world.sam.click(answer, label="Forget 1 memory")

        assert answer.content.startswith("Forgotten for good: 1 memory.")
        assert await world.memories(world.sam) == []
        await world.sam.edit(message, "My cat is called Mochi.")
        assert await world.memories(world.sam) == [], "its source is forgotten, whatever becomes of it"

    async def test_says_so_when_nothing_is_kept(self, world: World) -> None:
        message = await world.sam.send(world.general, "", attachments=[("cat.png", b"cat")])

        assert await choose(world, FORGET, message) == "I keep nothing of that message."


def menus_of(bot: commands.Bot) -> set[str]:
    return {menu.name for menu in bot.tree.get_commands(type=discord.AppCommandType.message)}


class TestLifecycle:
    async def test_menus_come_and_go_with_the_extension(self, world: World) -> None:
        assert menus_of(world.bot) == {REMEMBER, FORGET, WHY}
        assert all(len(name) <= 32 for name in menus_of(world.bot))
        before = {name: len(listeners) for name, listeners in world.bot.extra_events.items()}

        await world.bot.unload_extension("cortex_cogs.memory")
        assert menus_of(world.bot) == set()
        assert not {"MemoryCog", "CortexListening"} & set(world.bot.cogs)
        await world.bot.load_extension("cortex_cogs.memory")
        await world.bot.reload_extension("cortex_cogs.memory")

        assert menus_of(world.bot) == {REMEMBER, FORGET, WHY}
        assert {name: len(listeners) for name, listeners in world.bot.extra_events.items()} == before

    async def test_work_in_direct_messages_and_for_whoever_brought_the_bot(self, world: World) -> None:
        for menu in world.bot.tree.get_commands(type=discord.AppCommandType.message):
            assert menu.allowed_contexts is not None
            assert menu.allowed_installs is not None
            assert menu.allowed_contexts.to_array() == [0, 1, 2]
            assert menu.allowed_installs.to_array() == [0, 1]

    async def test_buttons_that_work_bring_no_sentence_of_their_own(self, world: World) -> None:
        await tell(world, *(f"Thing number {number}" for number in range(12)))
        answer = await use(world, "list")

        for button in ("forward", "back", "last"):
            pressed = await world.sam.click(answer, custom_id=f"cortex:v1:pages:{button}")
            assert pressed.response is not None
            assert (pressed.response.id, pressed.followups) == (answer.id, [])

    async def test_a_hosts_own_menus_stay(self, memory: MemoryManager, caplog: pytest.LogCaptureFixture) -> None:
        bot = commands.Bot("!", intents=discord.Intents.all())
        bot.cortex = memory

        async def own(interaction: discord.Interaction, message: discord.Message) -> None: ...

        for name in (REMEMBER, "One", "Two", "Three"):
            bot.tree.add_command(app_commands.ContextMenu(name=name, callback=own))
        await bot.load_extension("cogs.memory")
        assert FORGET in menus_of(bot)
        assert f"The bot goes without the menu “{REMEMBER}”" in caplog.text
        await bot.unload_extension("cogs.memory")

        assert menus_of(bot) == {REMEMBER, "One", "Two", "Three"}

    async def test_a_failed_load_leaves_no_menu(self, memory: MemoryManager) -> None:
        bot = commands.Bot("!", intents=discord.Intents.all())
        bot.cortex = memory
        group = app_commands.Group(name="memory", description="The host's own")
        bot.tree.add_command(group)

        with pytest.raises(commands.ExtensionFailed):
            await bot.load_extension("cogs.memory")

        assert menus_of(bot) == set()
        assert bot.cogs == {}
        assert bot.tree.get_commands() == [group]
        assert not any(bot.extra_events.values())

    async def test_buttons_of_before_a_restart_answer_in_a_sentence(self, memory: MemoryManager) -> None:
        async with simulate(Clara(memory, extra_names=True)) as env:
            world = make_world(env, memory)
            await tell(world, *(f"Thing number {number}" for number in range(12)))
            answer = await use(world, "list")
            await env.restart_bot(Clara(memory, extra_names=True))

            pressed = await world.sam.click(answer, custom_id="cortex:v1:pages:forward")

        assert pressed.response is not None
        assert pressed.response.content == "Those buttons don't work any more. Please use the command again."
        assert pressed.response.ephemeral
        assert pressed.followups == []

    @pytest.mark.parametrize("extension", ["projects", "channels"])
    async def test_whichever_extension_is_loaded_answers_for_them(self, memory: MemoryManager, extension: str) -> None:
        async with simulate(Clara(memory, extra_names=True)) as env:
            world = make_world(env, memory)
            await tell(world, *(f"Thing number {number}" for number in range(12)))
            answer = await use(world, "list")
            alone = commands.Bot("!", intents=discord.Intents.all())
            alone.cortex = memory
            await alone.load_extension(f"cortex_cogs.{extension}")
            await env.restart_bot(alone)

            pressed = await world.sam.click(answer, custom_id="cortex:v1:pages:forward")

        assert pressed.response is not None
        assert pressed.response.content == "Those buttons don't work any more. Please use the command again."
        assert pressed.followups == []
