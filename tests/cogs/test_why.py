"""`/memory why` and the menu *Why did you say that?*: what a reply drew on."""

from datetime import UTC, datetime

import discord
import pytest
import simcord

from cortex_core import Audience, Memory, MemoryStatus, StoreUnavailableError
from tests.cogs.conftest import World
from tests.cogs.test_memory_commands import AWAY, buttons_of, text_of, use
from tests.harness import eventually

TOLD = "My cat is called Miso and she hates the vacuum cleaner."
ASKED = "Clara, what is my cat called?"
MENU = "cortex:v1:chooser:menu"
WHY = "Why did you say that?"


async def get_answer(world: World) -> discord.Message:
    """Let Sam tell and ask, and return the reply."""
    await world.sam.send(world.general, TOLD)
    assert "Miso" in await world.ask(world.sam, ASKED)
    reply = world.general.last_message
    assert reply is not None
    return reply


async def open_reason(world: World) -> simcord.ResponseMessage:
    await get_answer(world)
    answer = await use(world, "why")
    await world.sam.select(answer, ["0"], custom_id=MENU)
    return answer


async def test_says_so_when_there_was_no_reply(world: World) -> None:
    assert (await use(world, "why")).content == "I know of no reply to you in the last week."


async def test_says_so_when_the_reply_drew_on_nothing(world: World) -> None:
    await world.ask(world.sam, ASKED)

    assert (await use(world, "why")).content.endswith("drew on no memory.")


async def test_lists_what_the_last_reply_drew_on_with_score_and_source(world: World) -> None:
    reply = await get_answer(world)

    answer = text_of(await use(world, "why"))

    assert "drew on 1 memory, best first." in answer
    assert f"> {TOLD}" in answer
    assert "relevance 0." in answer
    assert f"https://discord.com/channels/{world.guild.id}/{world.general.id}/" in answer
    by_menu = await world.sam.context_menu(world.general, WHY, reply)
    assert by_menu.response is not None
    assert by_menu.response.ephemeral
    assert f"> {TOLD}" in text_of(by_menu.response)


async def test_explains_a_reply_only_to_whom_it_was_for(world: World) -> None:
    reply = await get_answer(world)

    asked = await world.robin.context_menu(world.general, WHY, reply)

    assert asked.response is not None
    assert asked.response.content == "I can explain my replies only to whom they were for, and only for a week."
    assert "Miso" not in text_of(asked.response)


async def test_explains_only_what_clara_said(world: World) -> None:
    said = await world.robin.send(world.general, "I know everything.")

    asked = await world.sam.context_menu(world.general, WHY, said)

    assert asked.response is not None
    assert asked.response.content == "Please choose something that I said."


async def test_a_summary_can_be_undone(world: World) -> None:
    owner = world.owner(world.sam)
    for hour in range(12):
        said = Memory(user_id=owner, content=f"Miso slept {hour} h.", created_at=datetime(2026, 1, 6, hour, tzinfo=UTC))
        await world.memory.postgres.store(said)
    await world.memory.consolidation.compaction_job.compact_user(owner)
    [summary] = await world.memory.postgres.get_memories(owner)
    await world.memory.note_reply(owner, "1", [summary])
    answer = await use(world, "why")
    await world.sam.select(answer, ["0"], custom_id=MENU)

    await world.sam.click(answer, label="Undo summary")

    note = "Undone: I go by 12 memories again, and won't summarise them any more."
    assert note in text_of(answer)
    assert len(await world.memory.postgres.get_memories(owner)) == 12
    await world.sam.select(answer, ["0"], custom_id=MENU)
    assert "cortex:v1:why:undo-summary" not in buttons_of(answer)


async def test_what_is_no_summary_has_nothing_to_undo(world: World) -> None:
    assert "cortex:v1:why:undo-summary" not in buttons_of(await open_reason(world))


@pytest.mark.parametrize("label", ["Wrong", "Outdated"])
async def test_what_is_wrong_or_outdated_is_recalled_no_more(world: World, label: str) -> None:
    answer = await open_reason(world)

    await world.sam.click(answer, label=label)

    assert "I won't bring that up again" in text_of(answer)
    assert "~~no longer used~~" in text_of(answer)
    [told] = [memory for memory in await all_memories(world) if memory.content == TOLD]
    assert told.status is MemoryStatus.SUPERSEDED
    assert "Miso" not in await world.ask(world.sam, ASKED)


@pytest.mark.parametrize(("label", "has_held"), [("Wrong", False), ("Outdated", True)])
async def test_what_is_outdated_held_until_now_and_what_is_wrong_never(
    world: World, label: str, *, has_held: bool
) -> None:
    answer, owner = await open_reason(world), world.owner(world.sam)
    await eventually(lambda: world.memory.get_identity(owner))

    await world.sam.click(answer, label=label)

    [fact] = await world.memory.get_identity_history(owner)
    assert fact.valid_to is not None
    assert (fact.valid_to > fact.valid_from) is has_held


async def test_not_here_leaves_it_for_direct_messages(world: World) -> None:
    answer = await open_reason(world)

    await world.sam.click(answer, label="Not here")

    assert "That comes up only in direct messages with me from now on." in text_of(answer)
    assert "Miso" not in await world.ask(world.sam, ASKED)
    await world.sam.send_dm("What is my cat called?")
    reply = world.sam.user.dm_channel.last_message
    assert reply is not None
    assert "Miso" in reply.content


async def test_forget_previews_and_confirms(world: World) -> None:
    answer = await open_reason(world)

    await world.sam.click(answer, label="Forget")
    assert answer.embeds[0].title == "Forget this for good?"
    await world.sam.click(answer, label="Forget 1 memory")

    assert answer.content.startswith("Forgotten for good: 1 memory.")
    assert (await use(world, "why")).content.endswith(
        ": 1 memory of it can't be shown: forgotten since, or not shared with you any more."
    )


async def test_back_leads_back(world: World) -> None:
    answer = await open_reason(world)

    await world.sam.click(answer, label="Back")

    assert "drew on 1 memory" in text_of(answer)


async def test_what_went_meanwhile_is_told(world: World) -> None:
    answer = await open_reason(world)
    await world.memory.forget_everything(world.owner(world.sam))

    pressed = await world.sam.click(answer, label="Wrong")

    assert [message.content for message in pressed.followups] == ["There is no such memory of yours any more."]
    assert world.env.errors


async def test_of_what_others_told_a_project_one_sees_who_said_it_and_changes_nothing(world: World) -> None:
    project = await world.memory.project_memory.create_project(
        None, "Bridge", world.owner(world.robin), [world.owner(world.sam)]
    )
    await world.memory.channel_links.link_channel(
        f"discord-channel-{world.general.id}", project.id, by=world.owner(world.robin), guild_id=world.guild.id
    )
    await world.robin.send(world.general, "The concrete for the bridge arrives on Tuesday.")
    answered = await world.ask(world.sam, "Clara, when does the concrete for the bridge arrive?")
    assert "Tuesday" in answered
    assert "robin said" in answered

    answer = await use(world, "why")
    await world.sam.select(answer, ["0"], custom_id=MENU)

    assert "said by robin" in text_of(answer)
    assert answer.embeds[0].footer.text == "It comes from a project. Only its author can change it."
    assert [button["label"] for row in answer.components for button in row["components"]] == ["Back"]
    await world.memory.project_memory.remove_member(project.id, world.owner(world.sam), by=world.owner(world.robin))
    await world.sam.click(answer, label="Back")
    assert "can't be shown" in answer.content
    assert "Tuesday" not in text_of(answer)


async def test_a_hot_layer_that_is_away_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("Redis can't be reached.")

    monkeypatch.setattr(world.memory.redis, "get_replies", away)

    assert (await use(world, "why")).content == AWAY


async def all_memories(world: World) -> list[Memory]:
    await world.flush()
    return await world.memory.postgres.get_memories(
        world.owner(world.sam), status=None, audience=Audience.owner(), limit=50
    )
