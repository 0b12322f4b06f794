"""The "Wait, what?" card: asks whom it concerns, in private, seldom, and its buttons outlive restarts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import discord
import pytest
from cortex_cogs._cards import card_text, card_view

from bot import Clara
from cortex_core import Correction, CorrectionAnswer, MemoryConfig, MemoryManager, StoreUnavailableError
from cortex_core.config import CorrectionsConfig
from cortex_core.consolidation.corrections import CorrectionAsker
from cortex_core.knowledge.learning import ProvenClaim
from cortex_core.models import utc_now
from cortex_core.providers.analysis import Claim
from cortex_core.providers.local import LocalEmbedder
from tests.cogs.conftest import World
from tests.cogs.test_contradictions import EVIL, clash, know, use
from tests.cogs.test_project_commands import close_messages, last_in, press
from tests.harness import Connect

SETTLED = "This is settled already, or what it was about is forgotten."
DAY = "cortex:v1:date:day"


@pytest.fixture
async def memory(memory_config: MemoryConfig, embedder: LocalEmbedder) -> AsyncIterator[MemoryManager]:
    """A memory that lets people be written to at any hour."""
    awake = CorrectionsConfig(quiet_from_hour=0, quiet_until_hour=0)
    config = memory_config.model_copy(update={"corrections": awake})
    async with MemoryManager(config, embedder=embedder) as memory:
        yield memory


async def contradict(
    world: World, held: object, said: object, attribute: str = "number of children", *, subject: str | None = None
) -> Correction:
    """Let Sam have said something that is held, and then something else of what doesn't change."""
    owner, facts = world.owner(world.sam), world.memory._open_parts.facts
    for days_ago, value in ((2, held), (1, said)):
        memory = await know(world, world.sam, f"{attribute} {value}", days_ago)
        claim = Claim(attribute=attribute, value=value, subject=subject, confidence=0.9, evidence=(1,))
        await facts.learn(owner, [ProvenClaim(claim, (memory.id,))], learned_by="rules")
    return (await world.memory.list_corrections(owner))[-1]


async def make_round(world: World) -> None:
    """Let a minute pass, after which cards are sent."""
    await world.env.advance_time(61)
    await world.env.settle()


async def pass_the_pause(connect: Connect) -> None:
    """Let the time pass in which nobody is asked again."""
    async with connect() as connection:
        await connection.execute("UPDATE owners SET card_claimed_at = card_claimed_at - interval '20 hours'")


def fail(patch: pytest.MonkeyPatch, where: type, name: str, error: Exception) -> None:
    """Let something fail as it does when the other side goes away."""

    async def away(*_: object, **__: object) -> None:
        raise error

    patch.setattr(where, name, away)


async def counts(connect: Connect) -> tuple[int, int]:
    """Return how many cards were asked, and answered."""
    async with connect() as connection:
        return tuple(await connection.fetchrow("SELECT cards_asked, cards_answered FROM owners"))


async def ask(world: World, held: object = "two", said: object = "three") -> discord.Message:
    """Let Sam be asked, and return the card."""
    await contradict(world, held, said)
    await make_round(world)
    return last_in(world.sam.user.dm_channel)


def labels_of(message: discord.Message) -> list[str]:
    return [button.label for row in message.components for button in row.children]


async def children(world: World) -> object:
    return (await world.memory.get_identity(world.owner(world.sam))).get("number of children")


class TestAsking:
    async def test_asks_whom_it_concerns_in_private(self, world: World) -> None:
        await world.sam.send(world.general, "I have two kids.")
        await world.flush()
        said = await world.sam.send(world.general, "I have three kids.")
        await world.flush()
        await make_round(world)

        card = last_in(world.sam.user.dm_channel)
        link = f"https://discord.com/channels/{world.guild.id}/{world.general.id}/{said.id}"
        assert card.content.startswith("I thought this of you: number of children **2**. You now said **3** (<t:")
        assert card.content.endswith(f"[there]({link})). Update?")
        assert labels_of(card) == ["Update", "Keep", "Both", "It changed on …"]
        assert world.general.history()[-1].author.id == world.sam.id, "nothing shows in public"
        assert world.robin.user.dm_channel.last_message is None

    async def test_asks_once(self, world: World) -> None:
        await ask(world)
        for _ in range(3):
            await make_round(world)

        assert len(world.sam.user.dm_channel.history()) == 1

    async def test_several_come_one_after_another_in_one_message(self, world: World) -> None:
        await contradict(world, "two", "three")
        await contradict(world, "Oslo", "Bergen", "hometown")
        card = await ask(world, "two", "three")
        assert card.content.endswith("Update?\n-# 1 more question after this one.")

        await world.sam.user.click(card, label="Update")

        card = last_in(world.sam.user.dm_channel)
        assert card.content.startswith("Thanks, I have **three** now.\n\nI thought this of you: hometown **Oslo**.")
        await world.sam.user.click(card, label="Keep")
        card = last_in(world.sam.user.dm_channel)
        assert (card.content, labels_of(card)) == ("Fine, **Oslo** stays.", ["Undo"])
        assert len(world.sam.user.dm_channel.history()) == 1

    async def test_what_comes_later_waits(self, world: World, connect: Connect) -> None:
        card = await ask(world)
        await world.sam.user.click(card, label="Keep")
        await contradict(world, "Oslo", "Bergen", "hometown")
        await make_round(world)
        assert len(world.sam.user.dm_channel.history()) == 1

        await pass_the_pause(connect)
        await make_round(world)

        assert "hometown" in last_in(world.sam.user.dm_channel).content

    async def test_who_takes_no_direct_messages_finds_it_in_the_list(self, world: World) -> None:
        await contradict(world, "two", "three")
        close_messages(world, world.sam)
        await make_round(world)
        assert world.sam.user.dm_channel.last_message is None

        listed = await use(world, "list")
        review = await use(world, "review")

        assert "number of children **two**" in (listed.embeds[0].description or "")
        assert review.content.startswith("I thought this of you: number of children **two**.")
        await world.sam.click(review, label="Update")
        assert review.content == "Thanks, I have **three** now."
        assert await children(world) == "three"

    @pytest.mark.parametrize("error", [OSError("reset"), TimeoutError(), aiohttp.ServerDisconnectedError()])
    async def test_is_sent_later_if_discord_is_away(
        self, world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        await contradict(world, "two", "three")
        with monkeypatch.context() as patched:
            fail(patched, discord.abc.Messageable, "send", error)
            await make_round(world)
        await make_round(world)
        assert world.sam.user.dm_channel.last_message is None
        assert not world.env.errors

        await pass_the_pause(connect)
        await make_round(world)

        assert "number of children" in last_in(world.sam.user.dm_channel).content
        assert await counts(connect) == (1, 0)

    async def test_is_sent_later_if_a_store_goes_away_between(
        self, world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await contradict(world, "two", "three")
        with monkeypatch.context() as patched:
            fail(patched, MemoryManager, "list_corrections", StoreUnavailableError("PostgreSQL is away."))
            await make_round(world)
        await pass_the_pause(connect)
        await make_round(world)

        assert "number of children" in last_in(world.sam.user.dm_channel).content

    async def test_comes_twice_rather_than_never(
        self, world: World, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await contradict(world, "two", "three")
        with monkeypatch.context() as patched:
            fail(patched, CorrectionAsker, "note_sent", StoreUnavailableError("PostgreSQL is away."))
            await make_round(world)
        await make_round(world)
        assert len(world.sam.user.dm_channel.history()) == 1
        await pass_the_pause(connect)
        await make_round(world)
        await pass_the_pause(connect)
        await make_round(world)

        assert len(world.sam.user.dm_channel.history()) == 2

    async def test_stands_beside_a_review(self, world: World) -> None:
        await contradict(world, "two", "three")
        one, other = await know(world, world.sam, "I live in Porto."), await know(world, world.sam, "I live in Rome.")
        await clash(world, one, other)

        result = await world.sam.slash(world.general, "contradictions review")

        assert result.response is not None
        assert "Porto" in (result.response.embeds[0].description or "")
        [card] = result.followups
        assert card.ephemeral
        await world.sam.click(card, label="Keep")
        assert card.content == "Fine, **two** stays."

    async def test_people_of_other_hosts_are_left_out(self, world: World) -> None:
        await world.memory.store("somebody", "I have two kids.", created_at=utc_now() - timedelta(days=1))
        await world.memory.store("somebody", "I have three kids.")
        await world.flush()
        await make_round(world)

        assert len(await world.memory.list_corrections("somebody")) == 1
        assert not world.env.errors

    async def test_nothing_in_it_works(self, world: World) -> None:
        card = await ask(world, EVIL, EVIL.replace("bold", "brazen"))

        assert not card.mention_everyone
        assert "@\u200beveryone" in card.content
        assert "[click](" not in card.content
        assert "\n#" not in card.content

    def test_the_longest_fits(self) -> None:
        evil = "*" * 3000
        longest = Correction(
            id="0" * 32, user_id="discord-1", subject=evil, attribute=evil, held=evil, said=evil, fact_id="0" * 32,
            memory_id="0" * 32, valid_from=utc_now(), created_at=utc_now(),
        )  # fmt: skip

        assert len(card_text(longest, None, more=1000)) <= 1900
        assert all(len(item.custom_id or "") <= 100 for item in card_view(longest, 2**64 - 1).children)

    async def test_speaks_of_others_as_theirs(self, world: World) -> None:
        await contradict(world, "2 May", "3 May", "birthday", subject="sister")
        await make_round(world)

        card = last_in(world.sam.user.dm_channel)
        assert card.content.startswith("I thought this of sister: birthday **2 May**. You now said **3 May**")


class TestAnswering:
    @pytest.mark.parametrize(
        ("label", "outcome", "known"),
        [
            ("Update", "Thanks, I have **three** now.", "three"),
            ("Keep", "Fine, **two** stays.", "two"),
            ("Both", "Fine, both **two** and **three** hold.", ["two", "three"]),
        ],
    )
    async def test_settles_it(self, world: World, label: str, outcome: str, known: object) -> None:
        card = await ask(world)

        await world.sam.user.click(card, label=label)

        card = last_in(world.sam.user.dm_channel)
        assert (card.content, labels_of(card)) == (outcome, ["Undo"])
        assert await children(world) == known

    async def test_it_changed(self, world: World) -> None:
        card = await ask(world)

        form = await world.sam.user.click(card, label="It changed on …")
        await world.sam.user.submit_modal(form, {DAY: "today"})

        assert last_in(world.sam.user.dm_channel).content == "Thanks: **two** until then, **three** since."
        two, three = await world.memory.get_identity_history(world.owner(world.sam), "number of children")
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        assert (two.valid_to, three.valid_from) == (today, today)

    async def test_a_date_can_be_read(self, world: World) -> None:
        card = await ask(world)

        form = await world.sam.user.click(card, label="It changed on …")
        refused = await world.sam.user.submit_modal(form, {DAY: "soon"})

        assert refused.response is not None
        assert refused.response.content.startswith("I can't read that date.")
        assert await children(world) == "two"
        assert world.env.errors

    async def test_works_after_a_restart(self, world: World) -> None:
        card = await ask(world)
        await world.bot.close()
        restarted = Clara(world.memory)
        await world.env.restart_bot(restarted)

        await world.sam.user.click(card, label="Update")

        assert await children(world) == "three"
        assert labels_of(last_in(world.sam.user.dm_channel)) == ["Undo"]
        await restarted.close()

    @pytest.mark.parametrize("labels", [("updated", "updated"), ("updated", "kept"), ("kept", "both")])
    async def test_twice_at_once_settles_once(self, world: World, labels: tuple[str, str]) -> None:
        card = await ask(world)
        ids = {button.custom_id.split(":")[3]: button.custom_id for row in card.components for button in row.children}

        results = await press(world, *((world.sam.user, card, ids[label]) for label in labels))

        assert labels_of(last_in(world.sam.user.dm_channel)) == ["Undo"]
        assert [f.content for result in results for f in result.followups] == [SETTLED]

    async def test_what_was_forgotten_meanwhile_is_told_in_a_sentence(self, world: World) -> None:
        card = await ask(world)
        await world.memory.forget_everything(world.owner(world.sam))

        pressed = await world.sam.user.click(card, label="Update")

        assert [followup.content for followup in pressed.followups] == [SETTLED]
        assert last_in(world.sam.user.dm_channel).components == []

    async def test_is_the_persons_concerned_alone(self, world: World) -> None:
        question = await contradict(world, "two", "three")
        place = world.bot.get_channel(world.general.id)
        assert isinstance(place, discord.TextChannel)
        card = await place.send("A card.", view=card_view(question, world.sam.id))

        refused = await world.robin.click(card, label="Update")

        assert refused.response is not None
        assert (refused.response.ephemeral, refused.response.content) == (True, "This question is for somebody else.")
        assert await children(world) == "two"

    async def test_an_unloaded_extension_leaves_no_button_that_works(self, world: World) -> None:
        card = await ask(world)
        await world.bot.unload_extension("cortex_cogs.contradictions")

        await world.sam.user.click(card, label="Update")

        assert await children(world) == "two"
        await world.bot.load_extension("cortex_cogs.contradictions")
        await world.sam.user.click(card, label="Update")
        assert await children(world) == "three"


class TestTakingBack:
    @pytest.mark.parametrize("answer", ["Update", "Keep", "Both", "It changed on …"])
    async def test_asks_again(self, world: World, answer: str) -> None:
        card = await ask(world)
        before = card.content
        await give(world, card, answer)
        answered = last_in(world.sam.user.dm_channel)

        await world.sam.user.click(answered, label="Undo")

        card = last_in(world.sam.user.dm_channel)
        assert card.content == f"That answer is taken back.\n\n{before}"
        assert labels_of(card) == ["Update", "Keep", "Both", "It changed on …"]
        assert await children(world) == "two"
        [two, *_] = history = await world.memory.get_identity_history(world.owner(world.sam), "number of children")
        assert (two.valid_to, two.has_many) == (None, False)
        assert all(fact.valid_to == fact.valid_from for fact in history if fact.id != two.id), "it held at no time"

        await world.sam.user.click(card, label="Update")
        assert await children(world) == "three"

    async def test_of_several_the_one_that_was_answered(self, world: World) -> None:
        await contradict(world, "Oslo", "Bergen", "hometown")
        card = await ask(world)
        await world.sam.user.click(card, label="Update")
        card = last_in(world.sam.user.dm_channel)
        assert labels_of(card) == ["Update", "Keep", "Both", "It changed on …", "Undo"]

        await world.sam.user.click(card, label="Undo")

        card = last_in(world.sam.user.dm_channel)
        assert card.content.startswith("That answer is taken back.\n\nI thought this of you: hometown **Oslo**.")
        assert (await world.memory.get_identity(world.owner(world.sam)))["hometown"] == "Oslo"

    async def test_works_after_a_restart(self, world: World) -> None:
        card = await ask(world)
        await world.sam.user.click(card, label="Update")
        await world.bot.close()
        restarted = Clara(world.memory)
        await world.env.restart_bot(restarted)

        await world.sam.user.click(last_in(world.sam.user.dm_channel), label="Undo")

        assert await children(world) == "two"
        await restarted.close()

    async def test_not_over_what_was_said_since(self, world: World) -> None:
        card = await ask(world)
        await world.sam.user.click(card, label="Update")
        await world.memory.update_identity(world.owner(world.sam), "number of children", "five")

        await world.sam.user.click(last_in(world.sam.user.dm_channel), label="Undo")

        card = last_in(world.sam.user.dm_channel)
        assert (card.content, card.components) == ("That answer is taken back.", [])
        assert await children(world) == "five"

    async def test_twice_at_once_is_taken_back_once(self, world: World) -> None:
        card = await ask(world)
        await world.sam.user.click(card, label="Update")
        card = last_in(world.sam.user.dm_channel)
        undo = card.components[0].children[0].custom_id

        results = await press(world, *[(world.sam.user, card, undo)] * 2)

        assert await children(world) == "two"
        [sentence] = [f.content for result in results for f in result.followups]
        assert sentence in {"There is no such answer of yours any more.", "This run was undone already."}
        assert "Update" in labels_of(last_in(world.sam.user.dm_channel))

    async def test_is_the_persons_concerned_alone(self, world: World) -> None:
        card = await ask(world)
        await world.sam.user.click(card, label="Update")
        card = last_in(world.sam.user.dm_channel)

        [refused] = await press(world, (world.robin.user, card, card.components[0].children[0].custom_id))

        assert refused.response is not None
        assert refused.response.content == "This question is for somebody else."
        assert await children(world) == "three"

    async def test_is_a_run_that_can_be_undone(self, world: World) -> None:
        card = await ask(world)
        await world.sam.user.click(card, label="Update")
        owner = world.owner(world.sam)
        [run] = [run for run in await world.memory.consolidation.list_runs(owner) if run.job == "question answered"]

        await world.memory.consolidation.undo(owner, run.id)

        assert await children(world) == "two"
        assert len(await world.memory.list_corrections(owner)) == 1

    async def test_is_no_news_to_the_person(self, world: World) -> None:
        owner, since = world.owner(world.sam), utc_now() - timedelta(days=5)
        await contradict(world, "two", "three")
        [question] = await world.memory.list_corrections(owner)
        await world.memory.answer_correction(owner, question.id, CorrectionAnswer.UPDATED)

        assert (await world.memory.digests.get(owner, since=since, until=utc_now())).news == []


async def give(world: World, card: discord.Message, answer: str) -> None:
    """Answer a card, with a date if it wants one."""
    pressed = await world.sam.user.click(card, label=answer)
    if pressed.modal is not None:
        await world.sam.user.submit_modal(pressed, {DAY: "today"})
