"""What is durably true of a user: set, superseded, cached, heard by the right people (TDD 4.5)."""

import asyncio

import pytest
import redis.asyncio as redis

from cortex_core import Audience, InvalidInputError, MemoryManager, MemoryStatus, MemoryType
from cortex_core.stores.keys import UserKeys
from tests.harness import Connect, Gate

GUILD = Audience.guild(1)


async def test_values_of_any_shape_come_back(memory: MemoryManager):
    values = {"name": "Josh", "family": {"children": ["Maddie"]}, "age": 41, "vegan": False, "car": None}
    for key, value in values.items():
        await memory.update_identity("ann", key, value)

    assert await memory.get_identity("ann") == values


async def test_a_birthday_is_kept_as_a_day_and_told_in_words(memory: MemoryManager):
    await memory.update_identity("ann", "birthday", "May 3rd, 1990")
    await memory.flush()

    assert await memory.get_identity("ann") == {"birthday": "1990-05-03"}
    assert [found.content for found in await memory.list_memories("ann")] == ["birthday: 3 May 1990"]
    context = await memory.get_context("ann", "hello")
    assert '"birthday": "3 May 1990"' in context.to_prompt_string()
    assert not context.retrieved


async def test_an_update_supersedes_and_the_history_is_kept(memory: MemoryManager):
    first = await memory.update_identity("ann", "city", "Lisbon")
    second = await memory.update_identity("ann", "city", "Porto")
    await memory.update_identity("ann", "name", "Ann")

    assert (await memory.get_identity("ann"))["city"] == "Porto"
    history = await memory.get_identity_history("ann", "city")
    assert [fact.value for fact in history] == ["Lisbon", "Porto"]
    assert history[0].valid_to == history[1].valid_from
    assert (second.supersedes, second.valid_to) == (first.id, None)
    assert len(await memory.get_identity_history("ann")) == 3


async def test_the_facts_evidence_is_a_memory_that_can_be_found(memory: MemoryManager):
    await memory.update_identity("ann", "city", "Lisbon")
    await memory.update_identity("ann", "city", "Porto")
    await memory.flush()

    found = await memory.search("ann", "city Porto Lisbon", memory_types=[MemoryType.IDENTITY])
    assert [m.content for m in found.memories] == ["city: Porto"]
    superseded = await memory.postgres.get_memories("ann", status=MemoryStatus.SUPERSEDED)
    assert [m.content for m in superseded] == ["city: Lisbon"]
    assert found.memories[0].supersedes == superseded[0].id


async def test_at_once_from_several_places_leaves_one_current_value(memory: MemoryManager):
    await asyncio.gather(*(memory.update_identity("ann", "city", n) for n in range(8)))

    history = await memory.get_identity_history("ann", "city")
    assert len(history) == 8
    [current] = [fact.value for fact in history if fact.valid_to is None]
    await memory.redis.clear_identity("ann")
    assert await memory.get_identity("ann") == {"city": current}


async def test_a_lost_cache_is_loaded_again(memory: MemoryManager, raw_redis: redis.Redis):
    await memory.update_identity("ann", "name", "Ann")
    await raw_redis.flushdb()

    assert (await memory.get_context("ann")).identity == {"name": "Ann"}
    assert await raw_redis.exists(UserKeys("ann").identity)


async def test_each_fact_has_its_audience(memory: MemoryManager):
    await memory.update_identity("ann", "name", "Ann", audience=Audience.everywhere())
    await memory.update_identity("ann", "illness", "private")
    await memory.update_identity("ann", "team", "blue", audience=GUILD)

    for _ in range(2):  # from the cache and from Postgres
        assert (await memory.get_context("ann", audience=GUILD)).identity == {"name": "Ann", "team": "blue"}
        assert await memory.get_identity("ann", audience=Audience.guild(2)) == {"name": "Ann"}
        assert len(await memory.get_identity("ann")) == 3
        await memory.redis.clear_identity("ann")


async def test_what_came_into_the_cache_without_an_audience_is_the_owners_alone(memory: MemoryManager):
    await memory.redis.update_identity_field("ann", "name", "Ann")

    assert await memory.get_identity("ann") == {"name": "Ann"}
    assert await memory.get_identity("ann", audience=GUILD) == {}


@pytest.mark.parametrize("attribute", ["", "x" * 101, "a\nb", "a\0", "audiences", "updated_at", "\ud800"])
async def test_what_is_not_a_name_is_refused(memory: MemoryManager, attribute: str):
    with pytest.raises(InvalidInputError, match="attribute"):
        await memory.update_identity("ann", attribute, 1)


@pytest.mark.parametrize("value", ["a\0b", "\ud800", float("nan"), {"a": float("inf")}, {"a\0": 1}, "x" * 1_000_000])
async def test_what_no_store_can_hold_is_refused_or_cleaned(memory: MemoryManager, connect: Connect, value: object):
    with pytest.raises(InvalidInputError):
        await memory.update_identity("ann", "attribute", value)

    async with connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM identity_facts") == 0
    assert await memory.get_identity("ann") == {}


async def test_what_was_forgotten_while_it_was_loaded_is_not_cached(
    memory: MemoryManager, monkeypatch: pytest.MonkeyPatch
):
    await memory.update_identity("ann", "secret", "swordfish")
    await memory.redis.clear_identity("ann")
    monkeypatch.setattr(memory.redis, "cache_identity", gate := Gate(memory.redis.cache_identity))
    loading = asyncio.create_task(memory.get_identity("ann"))
    await gate.wait_until_reached()

    await memory.forget_everything("ann")
    gate.open()
    await loading

    assert await memory.get_identity("ann") == {}


async def test_the_cache_follows_the_last_of_two_changes(memory: MemoryManager, monkeypatch: pytest.MonkeyPatch):
    facts = memory.postgres.identity
    monkeypatch.setattr(facts, "list_current", gate := Gate(facts.list_current, holds_answer=True))

    async def change_and_ask() -> None:
        await memory.update_identity("ann", "city", "Oslo")
        await memory.get_identity("ann")

    first = asyncio.create_task(change_and_ask())
    await gate.wait_until_reached()
    await memory.update_identity("ann", "city", "Rome")
    await memory.get_identity("ann")
    gate.open()
    await first

    assert await memory.get_identity("ann") == {"city": "Rome"}
    [fact] = await memory.postgres.identity.list_current("ann")
    assert fact.value == "Rome"
