"""The weekly digest: wished for, sent once a week with something in it, and what is wrong in it is taken back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import discord
import pytest
from cortex_cogs._digest import digest_embed, digest_view

from bot import Clara
from cortex_core import Fact, Memory, MemoryConfig, MemoryManager, MemoryType, NotFoundError
from cortex_core.config import CorrectionsConfig
from cortex_core.consolidation.digest import Digest, News
from cortex_core.consolidation.patterns import Pattern
from cortex_core.knowledge.learning import ProvenClaim
from cortex_core.models import utc_now
from cortex_core.providers.analysis import Claim, ClaimKind
from cortex_core.providers.local import LocalEmbedder
from tests.cogs.conftest import World
from tests.cogs.test_cards import fail
from tests.cogs.test_contradictions import EVIL, know
from tests.cogs.test_memory_commands import buttons_of, use
from tests.cogs.test_project_commands import close_messages, last_in, press
from tests.harness import Connect

SWITCH = "cortex:v1:privacy:digest"
WEEK = timedelta(days=7)


@pytest.fixture
async def memory(memory_config: MemoryConfig, embedder: LocalEmbedder) -> AsyncIterator[MemoryManager]:
    """A memory that lets people be written to at any hour."""
    awake = CorrectionsConfig(quiet_from_hour=0, quiet_until_hour=0)
    config = memory_config.model_copy(update={"corrections": awake})
    async with MemoryManager(config, embedder=embedder) as memory:
        yield memory


async def learn(
    world: World, attribute: str, value: object, *, kind: ClaimKind = ClaimKind.STATES, subject: str | None = None
) -> None:
    """Learn something from what Sam says."""
    memory = await know(world, world.sam, f"{attribute} {value} {kind}")
    claim = Claim(attribute=attribute, value=value, kind=kind, subject=subject, confidence=0.9, evidence=(1,))
    await world.memory._open_parts.facts.learn(
        world.owner(world.sam), [ProvenClaim(claim, (memory.id,))], learned_by="rules"
    )


async def notice(world: World, fact: str) -> None:
    """Find a pattern in what Sam says."""
    shown_by = [await know(world, world.sam, f"{fact} {number}", memory_type=MemoryType.EPISODIC) for number in (1, 2)]
    pattern = Pattern(category="behavior", fact=fact, confidence=0.9, evidence=tuple(memory.id for memory in shown_by))
    extractor = world.memory.consolidation.pattern_extractor
    await extractor.apply_patterns(world.owner(world.sam), [pattern])


async def patterns(world: World) -> list[str]:
    """What was found and counts."""
    return [memory.content for memory in await world.memories(world.sam) if memory.source == "consolidation"]


async def wish(world: World) -> None:
    await world.memory.change_preferences(world.owner(world.sam), wants_digest=True)


async def pass_a_week(world: World, connect: Connect) -> None:
    """Let a week pass since the last digest, and a round be made."""
    async with connect() as connection:
        await connection.execute(
            "UPDATE owners SET digest_sent_at = digest_sent_at - $1::interval, "
            "digest_claimed_at = digest_claimed_at - $1::interval",
            WEEK,
        )
    await world.env.advance_time(61)
    await world.env.settle()


async def the_digest(world: World, connect: Connect) -> discord.Message:
    """Let Sam be sent a digest."""
    await wish(world)
    await pass_a_week(world, connect)
    return last_in(world.sam.user.dm_channel)


def text_of(message: discord.Message) -> str:
    return message.embeds[0].description or ""


def menu_of(message: discord.Message) -> discord.SelectMenu | None:
    menus = [item for row in message.components for item in row.children if isinstance(item, discord.SelectMenu)]
    return menus[0] if menus else None


async def take_back(world: World, message: discord.Message, label: str) -> discord.Message:
    menu = menu_of(message)
    assert menu is not None
    value = next(option.value for option in menu.options if option.label == label)
    await world.sam.user.select(message, [value], custom_id=menu.custom_id)
    return last_in(world.sam.user.dm_channel)


async def identity(world: World) -> dict[str, object]:
    return await world.memory.get_identity(world.owner(world.sam))


class TestSending:
    async def test_tells_what_was_learned_changed_and_ended(self, world: World, connect: Connect) -> None:
        await learn(world, "location", "Oslo")
        await learn(world, "pets", "Rex")
        await world.memory.change_preferences(world.owner(world.sam), wants_digest=True)
        async with connect() as connection:
            await connection.execute("UPDATE consolidation_runs SET completed_at = completed_at - interval '30 days'")
        await learn(world, "location", "Bergen")
        await learn(world, "likes", "tea")
        await learn(world, "pets", "Rex", kind=ClaimKind.ENDS)
        await learn(world, "job", "nurse", subject="sister")

        digest = await the_digest(world, connect)

        assert text_of(digest).splitlines() == [
            "*new* · **likes**: tea",
            "*changed* · **location**: Bergen, not Oslo any more",
            "*ended* · **pets**: Rex",
            "*new* · **sister\\, job**: nurse",
        ]
        assert world.general.last_message is None
        assert world.robin.user.dm_channel.last_message is None

    async def test_tells_what_was_noticed(self, world: World, connect: Connect) -> None:
        await notice(world, "goes running before work")
        await wish(world)
        async with connect() as connection:
            await connection.execute("UPDATE consolidation_runs SET completed_at = completed_at - interval '30 days'")
        await learn(world, "likes", "tea")
        await notice(world, "reads about old ships")

        digest = await the_digest(world, connect)

        assert text_of(digest).splitlines() == ["*new* · **likes**: tea", "*noticed* · reads about old ships"]

    async def test_is_sent_for_what_was_noticed_alone(self, world: World, connect: Connect) -> None:
        await notice(world, EVIL)

        digest = await the_digest(world, connect)

        assert text_of(digest).startswith("*noticed* · ")
        assert "@\u200beveryone" in text_of(digest)
        assert "[click](" not in text_of(digest)

    async def test_is_sent_only_if_wished(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        await pass_a_week(world, connect)

        assert world.sam.user.dm_channel.last_message is None

    async def test_comes_a_week_after_the_wish_and_once_a_week(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        await wish(world)
        await world.env.advance_time(61)
        assert world.sam.user.dm_channel.last_message is None
        await pass_a_week(world, connect)
        await world.env.advance_time(61)
        assert len(world.sam.user.dm_channel.history()) == 1

        await learn(world, "likes", "rain")
        await pass_a_week(world, connect)

        assert len(world.sam.user.dm_channel.history()) == 2
        assert text_of(last_in(world.sam.user.dm_channel)).count("rain") == 1

    async def test_is_not_sent_with_nothing_to_say(self, world: World, connect: Connect) -> None:
        await wish(world)
        await world.memory.update_identity(world.owner(world.sam), "city", "Porto")
        await pass_a_week(world, connect)

        assert world.sam.user.dm_channel.last_message is None

    async def test_is_not_sent_to_who_opted_out(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        await wish(world)
        await world.memory.change_preferences(world.owner(world.sam), opted_out=True)
        await pass_a_week(world, connect)

        assert world.sam.user.dm_channel.last_message is None

    async def test_is_sent_once_by_many_processes(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        await wish(world)
        async with connect() as connection:
            await connection.execute("UPDATE owners SET digest_sent_at = digest_sent_at - $1::interval", WEEK)

        async def claim() -> int:
            return len([digest async for digest in world.memory.digests.claim_due()])

        assert sum(await asyncio.gather(*(claim() for _ in range(8)))) == 1

    async def test_is_sent_later_if_whoever_was_to_send_it_was_stopped(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        await wish(world)
        async with connect() as connection:
            await connection.execute("UPDATE owners SET digest_sent_at = digest_sent_at - $1::interval", WEEK)
        now = utc_now()

        async def claim(hours: float) -> list[Digest]:
            return [digest async for digest in world.memory.digests.claim_due(now=now + timedelta(hours=hours))]

        rounds = [await claim(hours) for hours in (0, 19, 20, 39, 40)]

        assert [len(digests) for digests in rounds] == [1, 0, 1, 0, 1]
        [first], [last] = rounds[0], rounds[-1]
        assert (last.since, last.news) == (first.since, first.news)
        await world.memory.digests.note_sent(last)
        assert await claim(60) == []
        assert await claim(40 + 7 * 24) == [], "nothing was learned since"
        assert await claim(40 + 7 * 24 + 21) == []

    @pytest.mark.parametrize("error", [OSError("reset"), TimeoutError(), aiohttp.ServerDisconnectedError()])
    async def test_is_sent_later_if_discord_is_away(
        self, world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        await learn(world, "likes", "tea")
        await wish(world)
        with monkeypatch.context() as patched:
            fail(patched, discord.abc.Messageable, "send", error)
            await pass_a_week(world, connect)
        await world.env.advance_time(61)
        assert world.sam.user.dm_channel.last_message is None
        assert not world.env.errors

        async with connect() as connection:
            await connection.execute("UPDATE owners SET digest_claimed_at = digest_claimed_at - interval '20 hours'")
        await world.env.advance_time(61)

        assert text_of(last_in(world.sam.user.dm_channel)) == "*new* · **likes**: tea"

    async def test_who_takes_no_direct_messages_gets_none(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        await wish(world)
        close_messages(world, world.sam)
        await pass_a_week(world, connect)

        assert world.sam.user.dm_channel.last_message is None
        assert not world.env.errors

    async def test_nothing_in_it_works(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", EVIL)
        digest = await the_digest(world, connect)

        assert not digest.mention_everyone
        assert "@\u200beveryone" in text_of(digest)
        assert "[click](" not in text_of(digest)

    def test_the_longest_fits(self) -> None:
        evil = "*" * 3000
        fact = Fact(
            id="0" * 32, user_id="discord-1", attribute=evil, subject=evil, value=evil, source="rules",
            valid_from=utc_now(), recorded_at=utc_now(),
        )  # fmt: skip
        pattern = Memory(user_id="discord-1", content=evil)
        for facts, noticed, shown in ((30, 0, (12, 0)), (30, 30, (6, 6)), (2, 30, (2, 10)), (30, 1, (11, 1))):
            digest = Digest("discord-1", utc_now() - WEEK, utc_now(), [News(fact, evil)] * facts, [pattern] * noticed)

            embed = digest_embed(digest, "A note.")
            text = embed.description or ""
            assert len(text) <= 4000
            assert (text.count("*changed*"), text.count("*noticed*")) == shown
            rest = facts + noticed - 12
            assert text.endswith(f"*and {rest} more: `/memory profile` and `/memory list` show everything.*")
            menu, stop = digest_view(digest, 2**64 - 1).children
            assert all(len(item.custom_id or "") <= 100 for item in (menu, stop))


class TestTakingBack:
    async def test_what_was_new_holds_no_more(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        await learn(world, "likes", "rain")
        digest = await the_digest(world, connect)

        digest = await take_back(world, digest, "likes: rain")

        assert await identity(world) == {"likes": ["tea"]}
        assert text_of(digest) == "Taken back: I go by what I knew before.\n*new* · **likes**: tea"
        digest = await take_back(world, digest, "likes: tea")
        assert await identity(world) == {}
        assert text_of(digest).endswith("*Nothing else.*")
        assert menu_of(digest) is None

    async def test_what_was_before_holds_again(self, world: World, connect: Connect) -> None:
        await world.memory.update_identity(world.owner(world.sam), "location", "Oslo")
        await learn(world, "location", "Bergen", kind=ClaimKind.CORRECTS)
        assert await identity(world) == {"location": "Bergen"}
        digest = await the_digest(world, connect)

        await take_back(world, digest, "location: Bergen")

        assert await identity(world) == {"location": "Oslo"}
        assert "location: Oslo" in [memory.content for memory in await world.memories(world.sam)]

    async def test_what_ended_holds_again(self, world: World, connect: Connect) -> None:
        await learn(world, "pets", "Rex")
        await learn(world, "pets", "Rex", kind=ClaimKind.ENDS)
        digest = await the_digest(world, connect)

        await take_back(world, digest, "pets: Rex")

        assert await identity(world) == {"pets": ["Rex"]}

    async def test_not_over_something_newer(self, world: World, connect: Connect) -> None:
        await learn(world, "location", "Oslo")
        await learn(world, "location", "Oslo", kind=ClaimKind.ENDS)
        digest = await the_digest(world, connect)
        await world.memory.update_identity(world.owner(world.sam), "location", "Porto")

        digest = await take_back(world, digest, "location: Oslo")

        assert await identity(world) == {"location": "Porto"}
        assert text_of(digest).startswith("That is taken back already or forgotten, or something newer holds.")

    async def test_not_what_is_forgotten(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        digest = await the_digest(world, connect)
        await world.memory.forget_everything(world.owner(world.sam))

        digest = await take_back(world, digest, "likes: tea")

        assert text_of(digest) == "That is taken back already or forgotten, or something newer holds.\n*Nothing else.*"

    async def test_is_not_learned_again_from_the_same_words(self, world: World, connect: Connect) -> None:
        memory = await know(world, world.sam, "likes tea")
        claim = ProvenClaim(Claim(attribute="likes", value="tea", confidence=0.9, evidence=(1,)), (memory.id,))
        facts = world.memory._open_parts.facts
        await facts.learn(world.owner(world.sam), [claim], learned_by="rules")
        await take_back(world, await the_digest(world, connect), "likes: tea")

        await facts.learn(world.owner(world.sam), [claim], learned_by="a model")

        assert await identity(world) == {}

    async def test_what_was_noticed(self, world: World, connect: Connect) -> None:
        await notice(world, "goes running before work")
        await notice(world, "reads about old ships")
        digest = await the_digest(world, connect)

        digest = await take_back(world, digest, "goes running before work")

        assert await patterns(world) == ["reads about old ships"]
        note = "Taken back: I go by what I knew before."
        assert text_of(digest) == f"{note}\n*noticed* · reads about old ships"
        await notice(world, "goes running before work")
        assert await patterns(world) == ["reads about old ships"], "it isn't found again"

    async def test_what_was_noticed_is_taken_back_once(self, world: World, connect: Connect) -> None:
        await notice(world, "goes running before work")
        digest = await the_digest(world, connect)
        [found] = [memory for memory in await world.memories(world.sam) if memory.source == "consolidation"]
        await world.memory.retire(found.user_id, found.id)

        digest = await take_back(world, digest, "goes running before work")

        assert text_of(digest).startswith("That is taken back already or forgotten")

    async def test_nobody_takes_back_what_was_said_itself(self, world: World) -> None:
        said = await know(world, world.sam, "I like tea.")

        with pytest.raises(NotFoundError):
            await world.memory.digests.take_back_pattern(world.owner(world.sam), said.id)

        assert [memory.content for memory in await world.memories(world.sam)] == ["I like tea."]

    async def test_works_after_a_restart(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        digest = await the_digest(world, connect)
        await world.bot.close()
        restarted = Clara(world.memory)
        await world.env.restart_bot(restarted)

        await take_back(world, digest, "likes: tea")

        assert await identity(world) == {}
        await restarted.close()

    async def test_is_the_persons_alone(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        digest = await the_digest(world, connect)
        stop = next(
            item.custom_id for row in digest.components for item in row.children if isinstance(item, discord.Button)
        )

        [refused] = await press(world, (world.robin.user, digest, stop))

        assert refused.response is not None
        assert refused.response.content == "This digest is somebody else's."
        assert (await world.memory.get_preferences(world.owner(world.sam))).wants_digest

    @pytest.mark.parametrize("kind", [ClaimKind.STATES, ClaimKind.ENDS])
    async def test_twice_at_once_is_taken_back_once(self, world: World, kind: ClaimKind) -> None:
        await learn(world, "likes", "tea")
        await learn(world, "likes", "tea", kind=kind)
        owner = world.owner(world.sam)
        [fact] = await world.memory.get_identity_history(owner)
        has_ended = kind is ClaimKind.ENDS

        outcomes = await asyncio.gather(
            *(world.memory.digests.take_back(owner, fact.id, has_ended=has_ended) for _ in range(3)),
            return_exceptions=True,
        )

        assert [type(outcome) for outcome in outcomes].count(NotFoundError) == 2
        assert await identity(world) == ({"likes": ["tea"]} if has_ended else {})


class TestSwitch:
    async def test_stops_from_the_message(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        digest = await the_digest(world, connect)

        stopped = await world.sam.user.click(digest, label="Stop sending")

        assert [followup.content for followup in stopped.followups] == [
            "I'll write no more digests. `/memory privacy` turns them on again."
        ]
        assert not (await world.memory.get_preferences(world.owner(world.sam))).wants_digest

    async def test_is_turned_on_and_off_with_privacy(self, world: World) -> None:
        answer = await use(world, "privacy")
        assert buttons_of(answer)[SWITCH]["label"] == "Weekly digest: off"

        await world.sam.click(answer, custom_id=SWITCH)
        assert buttons_of(answer)[SWITCH]["label"] == "Weekly digest: on"
        assert answer.content.endswith("Once a week I write to you what I learned about you.")
        assert (await world.memory.get_preferences(world.owner(world.sam))).wants_digest
        await world.sam.click(answer, custom_id=SWITCH)

        assert not (await world.memory.get_preferences(world.owner(world.sam))).wants_digest

    async def test_an_unloaded_extension_sends_nothing(self, world: World, connect: Connect) -> None:
        await learn(world, "likes", "tea")
        await wish(world)
        await world.bot.unload_extension("cortex_cogs.memory")
        await pass_a_week(world, connect)

        assert world.sam.user.dm_channel.last_message is None
        await world.bot.load_extension("cortex_cogs.memory")
        await world.env.advance_time(61)
        await world.env.settle()
        assert world.sam.user.dm_channel.last_message is not None
