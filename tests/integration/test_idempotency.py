"""The same thing said twice is one memory, whichever way it comes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cortex_core import Audience, MemoryManager, NewMemory

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_repeated_source_is_the_same_memory(memory: MemoryManager):
    first = await memory.store("ann", "text", source_id="m1")
    again = await memory.store("ann", "text", source_id="m1")
    await memory.flush()
    await memory.redis.forget_everything("ann")  # it has faded
    much_later = await memory.store("ann", "text", source_id="m1")
    await memory.flush()

    assert first.memory_id == again.memory_id == much_later.memory_id
    assert (first.is_duplicate, again.is_duplicate) == (False, True)
    assert await memory.count_memories("ann") == 1


async def test_at_once_from_many_places(memory: MemoryManager):
    results = await asyncio.gather(*(memory.store("ann", "text", source_id="m1") for _ in range(30)))
    await memory.flush()

    assert sum(not result.is_duplicate for result in results) == 1
    assert await memory.count_memories("ann") == 1


async def test_without_a_source_the_same_words_are_two_memories(memory: MemoryManager):
    await memory.store("ann", "text")
    await memory.store("ann", "text")
    await memory.flush()

    assert await memory.count_memories("ann") == 2


async def test_another_content_is_refused_with_a_sentence(memory: MemoryManager):
    await memory.store("ann", "text", source_id="m1")

    result = await memory.store("ann", "another", source_id="m1")

    assert not result.success
    assert "edited_at" in result.error
    await memory.flush()
    assert [m.content for m in await memory.list_memories("ann")] == ["text"]


async def test_an_edit_replaces_the_content_everywhere(memory: MemoryManager):
    await memory.store("ann", "My cat is called Miso.", source_id="m1", created_at=datetime.now(UTC))
    await memory.flush()
    await memory.store("ann", "My dog is called Rex.", source_id="m1", edited_at=datetime.now(UTC))
    await memory.store("ann", "My cat is called Miso.", source_id="m1")
    await memory.flush()

    context = await memory.get_context("ann", "what is my dog called?")
    assert [m.content for m in context.working] == ["My dog is called Rex."]
    [kept] = await memory.list_memories("ann")
    assert kept.content == "My dog is called Rex."
    assert "Rex" in (await memory.search("ann", "my dog")).memories[0].content


async def test_edits_in_any_order_end_with_the_last(memory: MemoryManager):
    for n in (3, 1, 0, 2):
        edited_at = WHEN + timedelta(seconds=n) if n else None
        await memory.store("ann", f"v{n}", source_id="m1", created_at=WHEN, edited_at=edited_at)
    await memory.flush()

    assert [m.content for m in await memory.list_memories("ann")] == ["v3"]


async def test_the_same_source_of_two_owners_are_two_memories(memory: MemoryManager):
    for user_id in ("ann", "ben"):
        assert not (await memory.store(user_id, f"of {user_id}", source_id="m1")).is_duplicate
    await memory.flush()

    assert [m.content for m in await memory.list_memories("ben")] == ["of ben"]


async def test_many_are_answered_in_their_order(memory: MemoryManager):
    many = [NewMemory(content="" if n % 10 == 3 else f"text {n}", channel_id="c") for n in range(50)]

    results = await memory.store_many("ann", many)
    await memory.flush()

    assert [n for n, result in enumerate(results) if not result.success] == [3, 13, 23, 33, 43]
    stored = await memory.list_memories("ann")
    assert {str(m.id): m.content for m in stored} == {
        result.memory_id: new.content for result, new in zip(results, many, strict=True) if result.success
    }
    assert sorted(m.position for m in stored) == list(range(45))


@pytest.mark.parametrize(
    "wrong",
    [
        {"content": ""},
        {"content": None},
        {"content": "\ud800"},
        {"content": "x", "emotional_score": 7},
        {"content": "x", "emotional_score": float("nan")},
        {"content": "x", "metadata": {"a": float("nan")}},
        {"content": "x", "metadata": {"a": object()}},
        {"content": "x", "created_at": WHEN.replace(tzinfo=None)},
        {"content": "x", "created_at": datetime.max.replace(tzinfo=UTC)},
        {"content": "x", "created_at": "yesterday"},
        {"content": "x", "source_id": "\ud800"},
        {"content": "x", "source_id": "x" * 100_000},
        {"content": "x", "tags": ("x" * 100_000,)},
        {"content": "x", "memory_type": "dream"},
    ],
)
async def test_bad_input_is_answered_and_never_raised(memory: MemoryManager, wrong: dict):
    result = await memory.store("ann", **wrong)
    await memory.flush()

    is_cleaned = "\ud800" in wrong.values()
    assert result.success if is_cleaned else result.error.endswith(".")
    assert await memory.postgres.dead_letters.count() == 0


async def test_a_wrong_owner_is_answered_and_never_raised(memory: MemoryManager):
    for user_id in ("", "\0", "\ud800", "x" * 201, 7, None):
        result = await memory.store(user_id, "text")
        assert "user id" in result.error


async def test_everything_that_was_said_comes_back(memory: MemoryManager):
    await memory.project_memory.create_project("p", "P", "ann")
    metadata = {"jump": "https://example.org", "n": 1.5, "list": [None, True, {"é": "🙂"}]}
    result = await memory.store(
        "ann",
        "text",
        project_id="p",
        metadata=metadata,
        created_at=WHEN,
        source_id="m1",
        channel_id="c",
        author_id="7",
        author_name="Ben",
        audience=Audience.channel(1, 2),
        source="import",
        tags=["pinned"],
    )
    await memory.flush()

    [kept] = await memory.list_memories("ann")
    assert str(kept.id) == result.memory_id
    assert (kept.project_id, kept.metadata, kept.created_at, kept.source_id) == ("p", metadata, WHEN, "m1")
    assert (kept.channel_id, kept.author_id, kept.author_name, kept.audience) == ("c", "7", "Ben", "channel:1:2")
    assert (kept.source, kept.tags, kept.is_pinned) == ("import", ("pinned",), True)
