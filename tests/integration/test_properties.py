"""What holds for every text, every user id and every order of delivery."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cortex_core import MemoryConfig, MemoryManager
from cortex_core.cleaning import clean_text
from tests.harness import ScriptedEmbedder

relaxed = settings(deadline=None, max_examples=40)

ODD_IDS = [
    "*",
    "?",
    ":",
    "{}",
    "{a}",
    "[a]",
    "a",
    "a:session",
    "cortex:{a}",
    "\n",
    " ",
    "%",
    "%2A",
    "🙂",
    "é",
    "e\u0301",
    "'",
    "\\",
    "0",
]
user_ids = st.sampled_from(ODD_IDS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
async def memory(shared_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    """One memory for all examples: ids and texts of their own keep them apart."""
    async with MemoryManager(shared_config, embedder=ScriptedEmbedder()) as memory:
        yield memory


async def everything_of(memory: MemoryManager, user_id: str, canary: str) -> str:
    context = await memory.get_context(user_id, canary)
    listed = await memory.list_memories(user_id, limit=1000)
    recent = await memory.redis.get_recent(user_id, limit=1000)
    return f"{context!r} {listed!r} {recent!r} {await memory.get_identity(user_id)!r}"


@given(user_ids, user_ids)
@example("*", "a")
@example("[a]", "a")
@example("a", "a:session")
@example("%2A", "*")
@example("é", "e\u0301")
@relaxed
async def test_no_user_sees_or_forgets_anything_of_another(memory: MemoryManager, one: str, other: str):
    if one == other:
        return
    canary = uuid4().hex
    stored = await memory.store(one, f"my secret {canary}")
    await memory.update_identity(one, "secret", canary)
    await memory.start_session(one, {"secret": canary})
    await memory.flush()

    assert canary not in await everything_of(memory, other, f"my secret {canary}")
    await memory.forget_everything(other)
    await memory.end_session(other)

    kept = await everything_of(memory, one, f"my secret {canary}")
    assert kept.count(canary) >= 4
    assert stored.memory_id in kept
    await memory.forget_everything(one)
    assert canary not in await everything_of(memory, one, f"my secret {canary}")


@given(st.text(st.characters(), max_size=400))
@example("a\0b\ud800c\ud83d\ude42")
@example("\ufeffbyte order mark")
@example("\r\n\x85\u2028line ends")
@relaxed
async def test_any_text_comes_back_in_its_cleaned_form(memory: MemoryManager, text: str):
    user_id = uuid4().hex
    result = await memory.store(user_id, text)
    await memory.flush()

    listed = [m.content for m in await memory.list_memories(user_id)]
    working = [m.content for m in (await memory.get_context(user_id)).working]
    assert listed == working == ([clean_text(text).strip()] if result.success else [])
    assert result.success or result.error


@given(json_values)
@relaxed
async def test_metadata_and_identity_come_back_as_they_were_given(memory: MemoryManager, value: object):
    user_id = uuid4().hex
    result = await memory.store(user_id, "text", metadata={"value": value})
    if not result.success:
        assert "\0" in repr(value) or "\\x00" in repr(value) or "\\ud" in repr(value)
        return
    await memory.update_identity(user_id, "value", value)
    await memory.flush()

    [kept] = [m for m in await memory.list_memories(user_id) if m.content == "text"]
    assert kept.metadata == {"value": value}
    assert await memory.get_identity(user_id) == {"value": value}
    await memory.redis.clear_identity(user_id)
    assert await memory.get_identity(user_id) == {"value": value}


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.randoms())
@relaxed
async def test_the_last_version_wins_in_every_tier(memory: MemoryManager, versions: list[int], dice: random.Random):
    user_id, source_id, now = uuid4().hex, uuid4().hex, datetime.now(UTC)
    for version in versions:
        edited_at = now + timedelta(seconds=version) if version else None
        result = await memory.store(
            user_id, f"version {version}", source_id=source_id, created_at=now, edited_at=edited_at
        )
        assert result.success
        if dice.random() < 0.3:
            await memory.flush()
        if dice.random() < 0.2:
            await memory.redis.forget_everything(user_id)
    await memory.flush()

    [kept] = await memory.list_memories(user_id)
    assert kept.content == f"version {max(versions)}"


@given(st.text(st.characters(), max_size=200))
@example("' & | ! :* <-> \\ ( )")
@example("a" * 3000)
@relaxed
async def test_any_text_can_be_asked(memory: MemoryManager, query: str):
    if clean_text(query).strip():
        assert (await memory.search("ann", query)).memories == []
