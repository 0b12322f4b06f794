"""`/memory pause`, `resume`, `privacy` and `export`: what people wish for all that they say."""

import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import discord
import pytest
from cortex_cogs._privacy import FOR_EVER, end_of_pause

from cortex_cogs import _export
from cortex_core import Audience, MemoryConfig, MemoryManager
from tests.cogs.conftest import World
from tests.cogs.test_memory_commands import buttons_of, tell, use
from tests.harness import ScriptedEmbedder

TOLD = "My cat is called Miso and she hates the vacuum cleaner."
ASKED = "Clara, what is my cat called?"
NOT_KEPT = "I'm not keeping that: remembering is off, for you or in this channel. `/memory privacy` tells more."
OPT = "cortex:v1:privacy:opt"
CONFIRM = "cortex:v1:confirmation:confirm"
PRIVATE = "cortex:v1:privacy:private"


async def opt(world: World) -> str:
    """Opt out, or in again, and return what Sam is told."""
    answer = await use(world, "privacy")
    await world.sam.click(answer, custom_id=OPT)
    await world.sam.click(answer, custom_id=CONFIRM)
    return answer.content


class TestPause:
    async def test_keeps_nothing_and_still_recalls(self, world: World) -> None:
        await world.sam.send(world.general, TOLD)
        paused = await use(world, "pause")
        assert paused.content == "I remember nothing of what you say until you use `/memory resume`."

        assert "Miso" in await world.ask(world.sam, ASKED)
        assert await world.ask(world.sam, "Clara, I live in Lisbon.") == NOT_KEPT
        assert [memory.content for memory in await world.memories(world.sam)] == [TOLD]
        resumed = await use(world, "resume")
        assert resumed.content == "I remember what you say again."
        await world.sam.send(world.general, "I live in Porto.")
        assert len(await world.memories(world.sam)) == 2

    async def test_warns_nobody_and_refuses_nothing(self, world: World, caplog: pytest.LogCaptureFixture) -> None:
        await use(world, "pause", until="1 hour")

        assert await world.ask(world.sam, "Clara, I live in Lisbon.") == NOT_KEPT

        assert [record for record in caplog.records if record.name == "cortex.discord"] == []

    async def test_an_edit_in_a_pause_takes_the_older_wording_away(self, world: World) -> None:
        message = await world.sam.send(world.general, TOLD)
        await world.flush()
        await use(world, "pause")

        await world.sam.edit(message, "My cat is called Mochi.")

        assert await world.memories(world.sam) == []

    async def test_an_edit_in_a_pause_leaves_what_was_pinned(self, world: World) -> None:
        message = await world.sam.send(world.general, TOLD)
        await world.flush()
        await world.sam.context_menu(world.general, "Remember this", message)
        await use(world, "pause")

        await world.sam.edit(message, "My cat is called Mochi.")

        [memory] = await world.memories(world.sam)
        assert (memory.content, memory.is_pinned) == (TOLD, True)

    async def test_remembers_nothing_on_purpose_either(self, world: World) -> None:
        await use(world, "pause", until="7 days")

        answer = await use(world, "remember", text="My cat is called Miso.")

        assert answer.content == "Remembering is paused; `/memory resume` goes on."

    async def test_is_one_persons_own(self, world: World) -> None:
        await use(world, "pause")
        await world.robin.send(world.general, TOLD)

        assert len(await world.memories(world.robin)) == 1

    async def test_tells_when_it_ends(self, world: World) -> None:
        answer = await use(world, "pause", until="1 hour")

        paused_until = (await world.memory.get_preferences(world.owner(world.sam))).paused_until
        assert paused_until is not None
        assert f"<t:{int(paused_until.timestamp())}:f>" in answer.content

    @pytest.mark.parametrize(
        ("until", "end"),
        [
            ("1 hour", datetime(2026, 3, 31, 23, 30, tzinfo=UTC)),
            ("today", datetime(2026, 4, 1, tzinfo=UTC)),
            ("7 days", datetime(2026, 4, 7, 22, 30, tzinfo=UTC)),
            ("until I resume", FOR_EVER),
        ],
    )
    def test_ends(self, until: str, end: datetime) -> None:
        assert end_of_pause(until, datetime(2026, 3, 31, 22, 30, tzinfo=UTC)) == end

    async def test_for_ever_stays_for_ever(self, world: World) -> None:
        await use(world, "pause")
        await world.memory.redis.forget_everything(world.owner(world.sam))

        assert (await world.memory.get_preferences(world.owner(world.sam))).paused_until == FOR_EVER


class TestPrivacy:
    async def test_tells_what_why_how_long_and_who(self, world: World) -> None:
        answer = await use(world, "privacy")

        for heading in ("What I keep", "Why", "How long", "Who hears it", "Your say", "Now"):
            assert f"**{heading}:**" in answer.content
        assert "30 days after" in answer.content
        assert answer.content.endswith("I remember what you say.")
        assert "30 days after you, or I, left it" in answer.content
        assert len(answer.content) <= 2000

    async def test_says_when_leaving_is_not_noticed(self, world: World) -> None:
        world.bot._connection._intents.members = False

        answer = await use(world, "privacy")

        assert "30 days after I left it; that you leave it I'm not told" in answer.content

    async def test_the_longest_text_fits(self, world: World) -> None:
        owner = world.owner(world.sam)
        await world.memory.change_preferences(
            owner, keeps_private=True, paused_until=datetime.now(UTC) + timedelta(days=7)
        )

        answer = await use(world, "privacy")

        assert "**paused** until <t:" in answer.content
        assert len(answer.content) <= 1800, "room for the sentence on a language model"

    async def test_opting_out_asks_first(self, world: World) -> None:
        answer = await use(world, "privacy")

        await world.sam.click(answer, custom_id=OPT)
        assert answer.content.startswith("Opt out?")
        await world.sam.click(answer, label="Cancel")

        assert not (await world.memory.get_preferences(world.owner(world.sam))).opted_out

    async def test_who_opted_out_is_neither_kept_nor_recalled(self, world: World) -> None:
        await world.sam.send(world.general, TOLD)
        await world.flush()

        assert (await opt(world)).startswith("You've opted out")

        await world.sam.send(world.general, "I live in Lisbon.")
        assert "Miso" not in await world.ask(world.sam, ASKED)
        assert "Miso" not in await world.ask(world.sam, "Clara, what did I tell you?")
        refused = await use(world, "remember", text="My dog is Rex.")
        assert refused.content == "This person asked to be remembered in nothing; `/memory privacy` changes that."
        assert [memory.content for memory in await world.memories(world.sam)] == [TOLD]
        assert (await use(world, "resume")).content.startswith("You've opted out")

    async def test_who_opted_in_again_is_kept_and_recalled(self, world: World) -> None:
        await world.sam.send(world.general, TOLD)
        await world.flush()
        await opt(world)

        assert await opt(world) == "Welcome back: from now on I remember what you say."

        assert "Miso" in await world.ask(world.sam, ASKED)

    async def test_what_is_between_us_comes_up_in_no_channel(self, world: World) -> None:
        answer = await use(world, "privacy")
        await world.sam.click(answer, custom_id=PRIVATE)
        assert buttons_of(answer)[PRIVATE]["label"] == "Keep what I say between us: on"
        assert answer.content.endswith("comes up only in direct messages between us.")

        await world.sam.send(world.general, TOLD)
        assert "Miso" not in await world.ask(world.sam, ASKED)
        assert {memory.audience for memory in await world.memories(world.sam)} == {str(Audience.owner())}
        await world.sam.click(answer, custom_id=PRIVATE)

        assert buttons_of(answer)[PRIVATE]["label"] == "Keep what I say between us: off"

    async def test_leads_to_forgetting_everything(self, world: World) -> None:
        await tell(world, TOLD)
        answer = await use(world, "privacy")

        await world.sam.click(answer, label="Forget everything …")

        assert answer.content.startswith("This erases **everything** I know about you: 1 memory")


class TestOptedOut:
    """Of whoever opted out nothing reaches the embedder either."""

    @pytest.fixture
    def texts(self) -> list[str]:
        return []

    @pytest.fixture
    async def memory(self, memory_config: MemoryConfig, texts: list[str]) -> AsyncIterator[MemoryManager]:
        embedder = ScriptedEmbedder()
        embedder.texts = texts
        async with MemoryManager(memory_config, embedder=embedder) as memory:
            yield memory

    async def test_is_not_embedded(self, world: World, texts: list[str]) -> None:
        await world.memory.change_preferences(world.owner(world.sam), opted_out=True)
        await world.sam.send(world.general, TOLD)
        await world.sam.send_dm("What is my cat called?")
        await world.robin.send(world.general, "I live in Lisbon.")
        await world.flush()

        assert not [text for text in texts if "cat" in text]
        assert [text for text in texts if "Lisbon" in text]


class TestExport:
    async def test_comes_by_direct_message_as_two_files(self, world: World) -> None:
        await world.sam.send(world.general, TOLD)
        await world.robin.send(world.general, "I live in Lisbon.")

        answer = await use(world, "export")

        sent = world.sam.user.dm_channel.last_message
        assert sent is not None
        assert answer.content == f"I've sent it to you by direct message: {sent.jump_url}"
        assert "1 memory" in sent.content
        jsonl, markdown = [await attachment.read() for attachment in sent.attachments]
        assert [attachment.filename for attachment in sent.attachments] == ["cortex-memory.jsonl", "cortex-memory.md"]
        assert [line for line in map(json.loads, jsonl.splitlines()) if TOLD in str(line)]
        assert TOLD in markdown.decode()
        assert b"Lisbon" not in jsonl + markdown

    async def test_comes_in_the_answer_to_who_takes_no_direct_messages(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await world.sam.send(world.general, TOLD)
        close_direct_messages(monkeypatch)

        answer = await use(world, "export")

        assert answer.content.startswith("This is everything that I keep about you: 1 memory")
        assert [attachment.filename for attachment in answer.attachments] == ["cortex-memory.jsonl", "cortex-memory.md"]

    async def test_is_packed_when_it_is_large(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        await tell(world, *(f"{number}{'x' * 1000}" for number in range(10)))
        monkeypatch.setattr(_export, "MAX_UPLOAD_BYTES", 10_000)

        await use(world, "export")

        sent = world.sam.user.dm_channel.last_message
        assert sent is not None
        assert [attachment.filename[-3:] for attachment in sent.attachments] == [".gz", ".gz"]
        assert b"9xxx" in gzip.decompress(await sent.attachments[0].read())

    async def test_that_is_too_large_names_the_command_line(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await tell(world, TOLD)
        monkeypatch.setattr(_export, "MAX_UPLOAD_BYTES", 100)

        answer = await use(world, "export")

        assert f"`cortex export {world.owner(world.sam)}`" in answer.content


def close_direct_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Discord refuse direct messages of the bot, as it does for whoever doesn't take any."""

    class Response:
        status, reason = 403, "Forbidden"

    async def refuse(*_: object, **__: object) -> None:
        raise discord.Forbidden(Response(), {"code": 50007, "message": "Cannot send messages to this user"})

    monkeypatch.setattr(discord.Member, "send", refuse)
    monkeypatch.setattr(discord.User, "send", refuse)
