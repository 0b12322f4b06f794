"""What somebody decided about a memory holds, whatever was on its way when they did, and whatever comes after."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from cortex_core import Audience, MemoryManager
from cortex_core.ingestion.intake import IncomingMessage
from tests.harness import Gate

HERE = Audience.channel(1, 10)
LATER = timedelta(seconds=1)
BEFORE, AFTER = "My salary is nine thousand crowns", "My salary is ten thousand crowns"


async def say(memory: MemoryManager, text: str, *, edited_at: datetime | None = None) -> UUID:
    message = IncomingMessage(
        user_id="sam",
        text=text,
        source_id="m1",
        channel_id="hangar",
        created_at=datetime.now(UTC),
        author_name="Sam",
        audience=HERE,
    )
    result = await memory.remember(message, edited_at=edited_at)
    assert result.success, result.error
    return UUID(result.memory_id)


async def heard_here(memory: MemoryManager) -> set[str]:
    context = await memory.get_context("sam", "What is my salary?", audience=HERE, channel_id="hangar")
    listed = await memory.list_memories("sam", audience=HERE)
    return {m.content for m in [*context.memories, *listed]}


async def found_in_project(memory: MemoryManager) -> set[str]:
    return {m.content for m in (await memory.project_memory.search("apollo", BEFORE, user_id="ada")).memories}


async def test_who_opts_out_takes_back_what_is_still_on_its_way_to_a_project(memory: MemoryManager):
    await memory.project_memory.create_project("apollo", "Apollo", "sam", ["ada"])
    gate = Gate(memory.postgres.write)
    memory.postgres.write = gate
    await memory.project_memory.store_project_memory("apollo", BEFORE, "sam")
    await gate.wait_until_reached()
    await memory.change_preferences("sam", opted_out=True)
    gate.open()
    await memory.flush()

    assert await found_in_project(memory) == set()
    [kept] = await memory.list_memories("sam")
    assert kept.project_id is None


async def test_an_edit_of_what_was_taken_back_does_not_give_it_again(memory: MemoryManager):
    await memory.project_memory.create_project("apollo", "Apollo", "sam", ["ada"])
    await memory.channel_links.link_channel("hangar", "apollo")
    memory_id = await say(memory, BEFORE)
    await memory.flush()
    assert await found_in_project(memory) == {BEFORE}
    await memory.set_audience("sam", memory_id, Audience.owner())
    await say(memory, AFTER, edited_at=datetime.now(UTC) + LATER)
    await memory.flush()

    assert await found_in_project(memory) == set()


async def test_in_long_term_memory_an_edit_surfaces_no_further_than_its_owner_let_it(memory: MemoryManager):
    memory_id = await say(memory, BEFORE)
    await memory.set_audience("sam", memory_id, Audience.owner())
    await say(memory, AFTER, edited_at=datetime.now(UTC) + LATER)
    await memory.flush()

    assert await memory.list_memories("sam", audience=HERE) == []
    [kept] = await memory.list_memories("sam")
    assert (kept.content, kept.audience) == (AFTER, "owner")


async def test_whoever_keeps_private_narrows_by_an_edit(memory: MemoryManager):
    memory_id = await say(memory, BEFORE)
    await memory.set_audience("sam", memory_id, Audience.everywhere())
    await memory.change_preferences("sam", keeps_private=True)
    await say(memory, AFTER, edited_at=datetime.now(UTC) + LATER)
    await memory.flush()

    assert await heard_here(memory) == set()


@pytest.mark.parametrize("is_settled", [False, True])
async def test_nowhere_an_edit_surfaces_further_than_its_owner_let_it(memory: MemoryManager, *, is_settled: bool):
    memory_id = await say(memory, BEFORE)
    await memory.set_audience("sam", memory_id, Audience.owner())
    await say(memory, AFTER, edited_at=datetime.now(UTC) + LATER)
    if is_settled:
        await memory.flush()

    assert await heard_here(memory) == set()


async def test_what_was_retired_and_is_edited_is_a_new_statement(memory: MemoryManager):
    memory_id = await say(memory, BEFORE)
    await memory.retire("sam", memory_id)
    await say(memory, AFTER, edited_at=datetime.now(UTC) + LATER)
    await memory.flush()

    assert await heard_here(memory) == {AFTER}


async def test_of_who_opted_out_no_session_is_kept(memory: MemoryManager):
    await memory.change_preferences("sam", opted_out=True)
    await memory.update_session("sam", {"topic": "salary"})
    await memory.flush()

    assert await memory.postgres.sessions.get("sam") == {}


async def test_of_who_opted_out_no_session_is_kept_for_a_day_either(memory: MemoryManager):
    await memory.change_preferences("sam", opted_out=True)
    await memory.update_session("sam", {"topic": "salary"})

    assert await memory.redis.get_session("sam") == {}
