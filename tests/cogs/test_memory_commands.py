"""`/memory …` as people use it: slash commands, buttons, forms, suggestions."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import pytest
import simcord
from simcord.actors import _dispatch_actor_interaction

from cortex_core import Audience, StoreUnavailableError
from tests.cogs.conftest import World

EVIL = "@everyone <@&1> **bold** [click](https://evil.example)\n# heading <t:0:R> ```code``` \u202egnihton"


async def tell(world: World, *texts: str, **fields: Any) -> None:
    """Let Sam have said these things, the last one most recently."""
    start = datetime.now(UTC) - timedelta(days=1)
    for number, text in enumerate(texts):
        said = start + timedelta(minutes=number)
        await world.memory.store(world.owner(world.sam), text, created_at=said, **fields)
    await world.flush()


async def use(world: World, command: str, **options: Any) -> simcord.ResponseMessage:
    """Let Sam use a command and return the answer, which nobody else sees."""
    result = await world.sam.slash(world.general, f"memory {command}", **options)
    assert result.response is not None
    assert result.response.ephemeral
    assert not result.followups
    return result.response


def text_of(answer: simcord.ResponseMessage) -> str:
    return "\n".join([answer.content, *(embed.description or "" for embed in answer.embeds)])


def buttons_of(answer: simcord.ResponseMessage) -> dict[str, dict[str, Any]]:
    return {c["custom_id"]: c for row in answer.components for c in row["components"]}


class TestRemember:
    async def test_keeps_it_pinned_and_between_us(self, world: World) -> None:
        answer = await use(world, "remember", text="My cat is called Miso.")

        assert answer.content == (
            "I'll remember that:\n> My cat is called Miso.\nIt may come up only in direct messages with me."
        )
        (memory,) = await world.memories(world.sam)
        assert (memory.content, memory.source, memory.is_pinned) == ("My cat is called Miso.", "remember", True)
        assert memory.audience == str(Audience.owner())
        assert memory.author_name == "sam"

    async def test_is_published_only_on_request(self, world: World) -> None:
        text, everybody = "My cat is called Miso.", "everybody who can read this channel"
        openly = await use(world, "remember", text=text, where=everybody)
        to_a_few = await world.sam.slash(world.staff, "memory remember", text=text, where=everybody)

        where = "wherever everybody who can read along can read this channel too, and in direct messages with me"
        assert to_a_few.response is not None
        for answer in (openly, to_a_few.response):
            assert answer.content.endswith(f"\nIt may come up {where}.")
        assert {memory.audience for memory in await world.memories(world.sam)} == {
            str(Audience.channel(world.guild.id, world.general.id)),
            str(Audience.channel(world.guild.id, world.staff.id)),
        }

    @pytest.mark.parametrize("where", ["only between us", "everybody who can read this channel"])
    async def test_is_the_owners_alone_in_a_direct_message(self, world: World, where: str) -> None:
        result = await world.sam.user.slash("memory remember", text="My cat is called Miso.", where=where)

        assert result.response is not None
        assert result.response.content.endswith("\nIt may come up only in direct messages with me.")
        (memory,) = await world.memories(world.sam)
        assert memory.audience == str(Audience.owner())

    async def test_repeats_nothing_that_works(self, world: World) -> None:
        answer = await use(world, "remember", text=EVIL)

        assert not answer.message.mention_everyone
        assert answer.message.role_mentions == []
        quoted = answer.content.splitlines()[1]
        assert quoted.startswith("> @\u200beveryone \\<")
        assert r"\[click\]" in quoted
        assert "\u202e" not in quoted
        (memory,) = await world.memories(world.sam)
        assert memory.content == EVIL

    async def test_a_long_text_fits_into_the_answer(self, world: World) -> None:
        answer = await use(world, "remember", text="*" * 2000, where="everybody who can read this channel")

        assert len(answer.content) <= 2000

    async def test_refuses_what_holds_nothing(self, world: World) -> None:
        answer = await use(world, "remember", text="\u200b \u200b")

        assert answer.content == "There is nothing to remember in an empty text."


class TestSearch:
    async def test_shows_what_when_where_and_why(self, world: World) -> None:
        said = await world.sam.send(world.general, "My cat is called Miso.")
        await tell(world, "The weather is fine.")

        answer = text_of(await use(world, "search", query="what is my cat called"))

        first = answer.strip().split("\n\n")[0]
        assert "> My cat is called Miso." in first
        assert re.search(r"<t:\d+:R>", first)
        assert f"](https://discord.com/channels/{world.guild.id}/{world.general.id}/{said.id})" in first
        assert re.search(r" · relevance 0\.\d\d$", first)

    async def test_says_so_when_there_is_nothing(self, world: World) -> None:
        assert (await use(world, "search", query="zeppelins")).content == "I don't remember anything like that."

    async def test_finds_nothing_of_others(self, world: World) -> None:
        await world.robin.send(world.general, "My cat is called Miso.")
        await world.flush()

        assert (await use(world, "search", query="cat Miso")).content == "I don't remember anything like that."

    async def test_the_owner_finds_private_things_anywhere_since_only_they_see_the_answer(self, world: World) -> None:
        await world.sam.send_dm("My secret is a chocolate fountain.")
        await world.flush()

        answer = text_of(await use(world, "search", query="secret"))

        assert "chocolate" in answer
        assert "https://discord.com/channels/@me/" in answer

    @pytest.mark.parametrize(
        "query", ["'; DROP TABLE memories; --", "\ud800", "\u200f\u05e9\u05dc", "😀", "%", "\\", "{x}"]
    )
    async def test_any_text_may_be_asked(self, world: World, query: str) -> None:
        await tell(world, "My cat is called Miso.")

        assert await use(world, "search", query=query)
        assert len(await world.memories(world.sam)) == 1


class TestList:
    async def test_is_newest_first_in_pages(self, world: World) -> None:
        await tell(world, *(f"Thing number {number}" for number in range(12)))
        answer = await use(world, "list")
        numbers = lambda: [int(n) for n in re.findall(r"Thing number (\d+)", text_of(answer))]  # noqa: E731

        assert numbers() == [11, 10, 9, 8, 7]
        assert answer.embeds[0].title == "What I remember: 12 memories, newest first"
        assert buttons_of(answer)["cortex:v1:pages:back"]["disabled"]
        assert buttons_of(answer)["cortex:v1:pages:jump"]["label"] == "1 / 3"

        await world.sam.click(answer, custom_id="cortex:v1:pages:forward")
        assert numbers() == [6, 5, 4, 3, 2]
        await world.sam.click(answer, custom_id="cortex:v1:pages:last")
        assert numbers() == [1, 0]
        assert buttons_of(answer)["cortex:v1:pages:forward"]["disabled"]
        await world.sam.click(answer, custom_id="cortex:v1:pages:back")
        assert numbers() == [6, 5, 4, 3, 2]
        await world.sam.click(answer, custom_id="cortex:v1:pages:first")
        assert numbers() == [11, 10, 9, 8, 7]

    @pytest.mark.parametrize(("typed", "label"), [("3", "3 / 3"), ("99", "3 / 3"), ("two", "1 / 3")])
    async def test_jumps_to_a_page(self, world: World, typed: str, label: str) -> None:
        await tell(world, *(f"Thing number {number}" for number in range(12)))
        answer = await use(world, "list")

        form = await world.sam.click(answer, custom_id="cortex:v1:pages:jump")
        done = await world.sam.submit_modal(form, {"cortex:v1:pages:number": typed})

        assert buttons_of(answer)["cortex:v1:pages:jump"]["label"] == label
        if typed == "two":
            assert done.response is not None
            assert done.response.content == "Pages are numbers from 1 to 3."

    async def test_one_page_has_no_buttons(self, world: World) -> None:
        await tell(world, "One thing")

        assert (await use(world, "list")).components == []

    async def test_filters_by_type_and_time(self, world: World) -> None:
        await tell(world, "Said yesterday")
        long_ago = datetime.now(UTC) - timedelta(days=100)
        await world.memory.store(world.owner(world.sam), "Said long ago", created_at=long_ago)
        await world.flush()

        assert "long ago" not in text_of(await use(world, "list", since="7 days"))
        assert "long ago" in text_of(await use(world, "list", since="365 days", type="episodic"))
        assert (await use(world, "list", type="identity")).content == "I remember nothing of that kind."

    async def test_says_so_when_there_is_nothing(self, world: World) -> None:
        assert (await use(world, "list")).content == "I don't remember anything yet."

    async def test_the_longest_memories_fit(self, world: World) -> None:
        await tell(world, *("*_`~|<@>" * 900 for _ in range(5)))

        description = (await use(world, "list")).embeds[0].description

        assert description is not None
        assert description.count("\n\n") == 4
        assert len(description) <= 4096

    async def test_buttons_go_when_time_is_up(self, world: World) -> None:
        await tell(world, *(f"Thing number {number}" for number in range(12)))
        answer = await use(world, "list")

        await world.env.advance_time(181)

        assert answer.components == []
        assert "Thing number 11" in text_of(answer)

    async def test_nobody_else_may_press(self, world: World) -> None:
        await tell(world, *(f"Thing number {number}" for number in range(12)))
        answer = await use(world, "list")

        pressed = await press_as(world, world.robin, answer, "cortex:v1:pages:forward")

        assert pressed.response is not None
        assert pressed.response.content.startswith("Those buttons belong to somebody else's memories.")
        assert "Thing number 11" in text_of(answer)


class TestForget:
    async def test_one_memory_picked_from_the_suggestions(self, world: World) -> None:
        await tell(world, "My cat is called Miso.", "My dog is Rex.")
        (choice,) = await world.sam.autocomplete(world.general, "memory forget", "query", "cat")
        answer = await use(world, "forget", query=choice["value"])
        assert "> My cat is called Miso." in text_of(answer)
        assert "Rex" not in text_of(answer)
        assert len(await world.memories(world.sam)) == 2, "nothing goes before it is confirmed"

        await world.sam.click(answer, label="Forget 1 memory")

        assert answer.content.startswith("Forgotten for good: 1 memory.\n- long-term memory: 1")
        assert "working memory" not in answer.content
        assert answer.components == []
        assert [memory.content for memory in await world.memories(world.sam)] == ["My dog is Rex."]

    async def test_suggests_ones_own_recent_memories_questions_last(self, world: World) -> None:
        await tell(world, *(f"Cat number {number} {'is lovely ' * 20}" for number in range(30)))
        await tell(world, "My dog is Rex.", "What is my dog called?")
        await world.robin.send(world.general, "My cat is private.")
        await world.flush()

        everything = await world.sam.autocomplete(world.general, "memory forget", "query", "")
        dogs = await world.sam.autocomplete(world.general, "memory forget", "query", "DOG")

        assert len(everything) == 25
        assert all(len(choice["name"]) <= 100 and len(choice["value"]) <= 100 for choice in everything)
        assert not any("private" in choice["name"] for choice in everything)
        assert [choice["name"].partition(" (")[0] for choice in dogs] == ["My dog is Rex.", "What is my dog called?"]

    async def test_suggests_nothing_when_the_memory_is_away(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take_away(world, monkeypatch, "get_memories")

        assert await world.sam.autocomplete(world.general, "memory forget", "query", "") == []

    async def test_what_a_search_finds_is_chosen_from(self, world: World) -> None:
        await tell(world, "My cat is called Miso.", "My other cat is called Mochi.", "The weather is fine.")
        answer = await use(world, "forget", query="cat")
        options = {o["label"]: o["value"] for o in buttons_of(answer)["cortex:v1:forget:pick"]["options"]}
        assert set(options) >= {"My cat is called Miso.", "My other cat is called Mochi."}
        assert buttons_of(answer)["cortex:v1:forget:confirm"]["disabled"]

        await world.sam.select(answer, [options["My other cat is called Mochi."]], custom_id="cortex:v1:forget:pick")
        await world.sam.click(answer, label="Forget 1 memory")

        assert {m.content for m in await world.memories(world.sam)} == {
            "My cat is called Miso.",
            "The weather is fine.",
        }

    async def test_the_last_ones_also_when_they_are_in_working_memory_only(self, world: World) -> None:
        await tell(world, "Said yesterday")
        for number in range(3):
            await world.sam.send(world.general, f"Thing number {number}")
        answer = await use(world, "forget", last=3)

        await world.sam.click(answer, custom_id="cortex:v1:forget:confirm")

        assert "- working memory: 3" in answer.content
        assert [memory.content for memory in await world.memories(world.sam)] == ["Said yesterday"]
        context = await world.memory.get_context(world.owner(world.sam), "thing number")
        assert context.working == []

    async def test_can_be_called_off(self, world: World) -> None:
        await tell(world, "My cat is called Miso.")
        answer = await use(world, "forget", last=1)

        await world.sam.click(answer, label="Cancel")

        assert (answer.content, answer.embeds, answer.components) == ("Nothing was forgotten.", [], [])
        assert len(await world.memories(world.sam)) == 1

    async def test_is_off_when_time_is_up(self, world: World) -> None:
        await tell(world, "My cat is called Miso.")
        answer = await use(world, "forget", last=1)

        await world.env.advance_time(181)

        assert answer.content == "Nothing was forgotten. Time ran out before you decided."
        assert answer.components == []
        assert len(await world.memories(world.sam)) == 1

    async def test_everything_needs_a_typed_phrase(self, world: World) -> None:
        await tell(world, "My cat is called Miso.")
        await world.sam.send_dm("My secret is a chocolate fountain.")
        await world.robin.send(world.general, "I am somebody else.")
        answer = await use(world, "forget", everything=True)
        assert "2 memories" in answer.content

        form = await world.sam.click(answer, custom_id="cortex:v1:forget-all:open")
        wrong = await world.sam.submit_modal(form, {"cortex:v1:forget-all:phrase": "yes"})
        assert "That isn't the phrase." in answer.content
        assert not wrong.followups, "a hint of its own would stay below the receipt"
        form = await world.sam.click(answer, custom_id="cortex:v1:forget-all:open")
        await world.sam.submit_modal(form, {"cortex:v1:forget-all:phrase": " Forget  everything"})

        assert answer.content.startswith("Forgotten for good: 2 memories.")
        assert answer.components == []
        assert await world.memories(world.sam) == []
        assert len(await world.memories(world.robin)) == 1

    async def test_everything_can_be_called_off(self, world: World) -> None:
        await tell(world, "My cat is called Miso.")
        answer = await use(world, "forget", everything=True)

        await world.sam.click(answer, label="Cancel")

        assert answer.content == "Nothing was forgotten."

    async def test_a_wrong_phrase_after_calling_it_off_brings_nothing_back(self, world: World) -> None:
        await tell(world, "My cat is called Miso.")
        answer = await use(world, "forget", everything=True)
        form = await world.sam.click(answer, custom_id="cortex:v1:forget-all:open")
        await world.sam.click(answer, label="Cancel")

        await world.sam.submit_modal(form, {"cortex:v1:forget-all:phrase": "yes"})

        assert (answer.content, answer.components) == ("Nothing was forgotten.", [])

    @pytest.mark.parametrize("options", [{}, {"last": 1, "everything": True}, {"query": "x", "last": 1}])
    async def test_needs_exactly_one_option(self, world: World, options: dict[str, Any]) -> None:
        answer = await use(world, "forget", **options)

        assert answer.content == "Please choose one of `query`, `last` and `everything`."

    async def test_the_memory_of_another_is_unknown(self, world: World) -> None:
        await world.robin.send(world.general, "My cat is called Miso.")
        (memory,) = await world.memories(world.robin)

        answer = await use(world, "forget", query=str(memory.id))

        assert answer.content == "I don't remember anything like that."

    async def test_a_failure_is_told_once_and_can_be_repeated(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await tell(world, "My cat is called Miso.")
        answer = await use(world, "forget", last=1)
        with monkeypatch.context() as away:
            take_away(world, away, "erasure.erase")
            failed = await world.sam.click(answer, custom_id="cortex:v1:forget:confirm")

        assert [message.content for message in failed.followups] == [AWAY_WHILE_FORGETTING]
        assert [type(error) for error in world.env.errors] == [StoreUnavailableError]
        await world.sam.click(answer, custom_id="cortex:v1:forget:confirm")
        assert answer.content.startswith("Forgotten for good: 1 memory.")

    @pytest.mark.parametrize("ending", ["called off", "timed out"])
    async def test_after_a_failure_it_claims_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch, ending: str
    ) -> None:
        await tell(world, "My cat is called Miso.")
        answer = await use(world, "forget", last=1)
        take_away(world, monkeypatch, "erasure.erase")
        await world.sam.click(answer, custom_id="cortex:v1:forget:confirm")
        assert len(world.env.errors) == 1

        if ending == "called off":
            await world.sam.click(answer, label="Cancel")
        else:
            await world.env.advance_time(181)

        assert answer.content == PARTLY_GONE
        assert answer.components == []

    async def test_a_failure_to_forget_everything_claims_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await tell(world, "My cat is called Miso.")
        answer = await use(world, "forget", everything=True)
        take_away(world, monkeypatch, "erasure.erase_everything")
        form = await world.sam.click(answer, custom_id="cortex:v1:forget-all:open")

        failed = await world.sam.submit_modal(form, {"cortex:v1:forget-all:phrase": "forget everything"})

        assert [message.content for message in failed.followups] == [AWAY_WHILE_FORGETTING]
        assert len(world.env.errors) == 1
        await world.sam.click(answer, label="Cancel")
        assert answer.content == PARTLY_GONE


AWAY = "I can't reach my memory right now. Please try again later."
PARTLY_GONE = "Part of it may be gone already; please repeat that later."
AWAY_WHILE_FORGETTING = f"I can't reach my memory right now. {PARTLY_GONE}"


class TestFailures:
    async def test_is_told_once_in_a_sentence(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        take_away(world, monkeypatch, "candidates.find")

        answer = await use(world, "search", query="cat")

        assert answer.content == AWAY
        assert world.env.errors == []

    async def test_a_bug_is_left_to_the_host_which_answers_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(world.memory.postgres.candidates, "find", broken)

        result = await world.sam.slash(world.general, "memory search", query="cat")

        messages = [m for m in [result.response, *result.followups] if m is not None]
        assert [message.content for message in messages if message.content] == [
            "Something went wrong on my side; it is in the log. Please try again later."
        ]
        assert len(world.env.errors) == 1

    async def test_a_broken_button_answers(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        async def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        await tell(world, *(f"Thing number {number}" for number in range(12)))
        answer = await use(world, "list")
        monkeypatch.setattr(world.memory.postgres, "get_memories", broken)

        pressed = await world.sam.click(answer, custom_id="cortex:v1:pages:forward")

        assert [m.content for m in pressed.followups] == [
            "Something went wrong on my side; it is in the log. Please try again, or tell whoever runs me."
        ]
        assert len(world.env.errors) == 1

    async def test_too_many_commands_have_to_wait(self, world: World) -> None:
        for _ in range(6):
            await use(world, "list")

        answer = await use(world, "list")

        assert re.fullmatch(r"That was a lot at once\. Please try again <t:\d+:R>\.", answer.content)
        other = await world.robin.slash(world.general, "memory list")
        assert other.response is not None
        assert other.response.content == "I don't remember anything yet."


async def test_names_fit_into_discord_and_cannot_collide(world: World) -> None:
    (group,) = [command for command in world.bot.tree.get_commands() if command.name == "memory"]
    assert isinstance(group, discord.app_commands.Group)
    for command in group.commands:
        assert isinstance(command, discord.app_commands.Command)
        assert len(command.description) <= 100
        assert all(len(parameter.description) <= 100 for parameter in command.parameters)
    assert {command.name for command in group.commands} == {
        "remember",
        "search",
        "list",
        "profile",
        "as-of",
        "why",
        "export",
        "pause",
        "resume",
        "privacy",
        "forget",
    }


async def test_an_unloaded_extension_leaves_no_button_that_works(world: World) -> None:
    await tell(world, *(f"Thing number {number}" for number in range(12)))
    answer = await use(world, "list")

    await world.bot.unload_extension("cortex_cogs.memory")
    await world.sam.click(answer, custom_id="cortex:v1:pages:forward")

    assert "Thing number 11" in text_of(answer)
    assert world.memory.is_open, "who opened it closes it"
    await world.bot.load_extension("cortex_cogs.memory")
    assert "Thing number 11" in text_of(await use(world, "list"))


def take_away(world: World, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Let a call to Postgres fail as it does when the server is away."""

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("Postgres can't be reached.")

    part, _, name = f"postgres.{method}".rpartition(".")
    target: object = world.memory
    for attribute in part.split("."):
        target = getattr(target, attribute)
    monkeypatch.setattr(target, name, away)


async def press_as(
    world: World, person: simcord.MemberActor, answer: simcord.ResponseMessage, custom_id: str
) -> simcord.InteractionResult:
    """Send a press that Discord's client would not offer to this person."""
    message = world.env.backend.get_message(answer.channel_id, answer.id)
    return await _dispatch_actor_interaction(
        person,
        3,
        world.general,
        {"custom_id": custom_id, "component_type": 2},
        extra={"message": dict(simcord.backend.serializers.message_payload(world.env.backend, message))},
        source_message_id=message.id,
    )
