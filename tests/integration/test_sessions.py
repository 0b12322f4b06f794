"""Sessions (TDD 4.4): state in Redis, a copy in Postgres, and what of them stays."""

import asyncio

import pytest

from cortex_core import Audience, InvalidInputError, MemoryConfig, MemoryManager, MemoryType
from tests.harness import Gate, ScriptedEmbedder, eventually

MOVING = "I am devastated, my grandmother died and I miss her terribly!"


async def test_lifecycle(memory: MemoryManager):
    started = await memory.start_session("ann", {"current_topic": "cats"})
    assert {"started_at", "last_active", "current_topic"} == started.keys()

    updated = await memory.update_session("ann", {"mood": ["good", {"very": True}]})
    assert updated["started_at"] == started["started_at"]
    assert (await memory.get_context("ann")).session == updated

    assert await memory.end_session("ann") == 0
    assert (await memory.get_context("ann")).session == {}


async def test_starting_again_is_afresh(memory: MemoryManager):
    await memory.start_session("ann", {"old": 1})

    assert "old" not in await memory.start_session("ann")


async def test_the_copy_in_postgres_is_the_last_state(memory: MemoryManager):
    for n in range(20):
        await memory.start_session("ann", {"n": n})
        last = await memory.update_session("ann", {"done": n})
    await memory.flush()

    assert await memory.postgres.sessions.get("ann") == last


async def test_nobody_but_the_owner_hears_it(memory: MemoryManager):
    await memory.start_session("ann", {"current_topic": "my illness"})

    assert (await memory.get_context("ann", audience=Audience.guild(1))).session == {}


async def test_moving_fleeting_memories_stay_as_episodes(memory: MemoryManager):
    moving = await memory.store("ann", MOVING, memory_type=MemoryType.WORKING)
    await memory.store("ann", "The meeting is at three.", memory_type=MemoryType.WORKING)
    await memory.store("ann", MOVING + " Always.", memory_type=MemoryType.SEMANTIC)

    assert await memory.end_session("ann") == 1
    await memory.flush()

    kinds = {m.content: m.memory_type for m in await memory.list_memories("ann")}
    assert kinds == {
        MOVING: MemoryType.EPISODIC,
        "The meeting is at three.": MemoryType.WORKING,
        MOVING + " Always.": MemoryType.SEMANTIC,
    }
    found = await memory.search("ann", "grandmother")
    assert moving.memory_id in {str(m.id) for m in found.memories}
    assert all(m.similarity is not None for m in found.memories)


async def test_ending_twice_promotes_once(memory: MemoryManager):
    await memory.store("ann", MOVING, memory_type=MemoryType.SESSION)

    assert await memory.end_session("ann") == 1
    await memory.flush()
    assert await memory.end_session("ann") == 0
    assert await memory.count_memories("ann") == 1


async def test_a_session_that_was_ended_does_not_come_back_from_the_journal(memory: MemoryManager):
    for n in range(10):
        await memory.start_session("ann", {"n": n})
    await memory.end_session("ann")
    await memory.flush()

    assert await memory.postgres.sessions.get("ann") == {}


@pytest.mark.parametrize(
    "state", [{"a": float("nan")}, {"a": "\0"}, {"\ud800": 1}, {"a": "\udfff"}, {"a": "x" * 1_000_000}]
)
async def test_what_no_store_can_hold_is_refused(memory: MemoryManager, state: dict):
    with pytest.raises(InvalidInputError):
        await memory.start_session("ann", state)
    with pytest.raises(InvalidInputError):
        await memory.update_session("ann", state)

    await memory.flush()
    assert await memory.postgres.dead_letters.count() == 0
    assert (await memory.get_context("ann")).session == {}


async def test_awkward_states_come_through_to_postgres(memory: MemoryManager):
    awkward = {'a"b\\': '"', "\n": [None, {"": "é🙂\u2028"}], "\\u0000": 1.5}
    state = await memory.start_session("ann", awkward)

    async def is_copied() -> bool:
        return await memory.postgres.sessions.get("ann") == state

    await eventually(is_copied)
    assert awkward.items() <= state.items()


async def test_ending_does_not_bring_back_what_was_forgotten_meanwhile(
    memory_config: MemoryConfig, monkeypatch: pytest.MonkeyPatch
):
    ingestion = memory_config.ingestion.model_copy(update={"consumers": 0})
    config = memory_config.model_copy(update={"ingestion": ingestion})
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        await memory.store("ann", MOVING, memory_type=MemoryType.SESSION)
        monkeypatch.setattr(memory.postgres, "write", gate := Gate(memory.postgres.write))
        ending = asyncio.create_task(memory.end_session("ann"))
        await gate.wait_until_reached()

        await memory.forget_everything("ann")
        gate.open()

        assert await ending == 0
        assert await memory.list_memories("ann") == []


async def test_a_state_is_bounded(memory: MemoryManager):
    await memory.start_session("ann", {"a": "x" * 40_000})
    kept = await memory.update_session("ann", {"b": "x" * 40_000})

    with pytest.raises(InvalidInputError, match="100,000"):
        await memory.update_session("ann", {"c": "x" * 40_000})
    assert (await memory.get_context("ann")).session == kept


async def test_a_state_of_many_fields_is_kept(memory: MemoryManager):
    many = {f"k{n}": 0 for n in range(4_000)}

    assert many.items() <= (await memory.update_session("ann", many)).items()
