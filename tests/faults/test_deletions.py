"""Deletions that meet an outage: carried out as soon as the servers are back, and never in vain."""

import asyncio

import pytest

from cortex_core import MemoryManager, StoreUnavailableError
from tests.faults.proxy import Proxy
from tests.harness import Gate, eventually


async def knows_only(memory: MemoryManager, content: str) -> bool:
    """Tell whether that is all in long-term memory and in working memory, with both there to ask."""
    try:
        listed = await memory.list_memories("ann")
        working = await memory.redis.get_working("ann")
    except StoreUnavailableError:
        return False
    return {m.content for m in listed} == {m.content for m in working} == {content}


@pytest.mark.parametrize("owner", ["ann", None])
@pytest.mark.parametrize("away", ["redis", "postgres", "redis and postgres"])
async def test_a_deleted_source_goes_when_the_servers_are_back(
    fragile: MemoryManager, redis_proxy: Proxy, postgres_proxy: Proxy, away: str, owner: str | None
):
    await fragile.store("ann", "deleted by its author", source_id="m1")
    await fragile.store("ann", "this stays", source_id="m2")
    await fragile.flush()
    proxies = {"redis": redis_proxy, "postgres": postgres_proxy}
    for name in away.split(" and "):
        await proxies[name].refuse()

    assert await fragile.forget_source("m1", owner=owner) == []

    for proxy in proxies.values():
        await proxy.heal()
    await eventually(lambda: knows_only(fragile, "this stays"))


async def test_long_term_memory_does_not_wait_for_redis(fragile: MemoryManager, redis_proxy: Proxy):
    await fragile.store("ann", "deleted by its author", source_id="m1")
    await fragile.flush()
    await redis_proxy.refuse()

    await fragile.forget_source("m1")

    assert await fragile.list_memories("ann") == []


async def test_a_postponed_deletion_goes_before_what_was_acknowledged_with_it(
    fragile: MemoryManager, postgres_proxy: Proxy
):
    await postgres_proxy.refuse()
    await fragile.store("ann", "deleted at once", source_id="m1")
    await fragile.store("ann", "this stays", source_id="m2")
    await fragile.forget_source("m1", owner="ann")
    await postgres_proxy.heal()

    await eventually(lambda: knows_only(fragile, "this stays"))


async def test_repeating_a_forgetting_that_broke_off_takes_what_was_learned_out_of_the_cache(
    fragile: MemoryManager, redis_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    await fragile.update_identity("ann", "secret", "swordfish")
    assert (await fragile.get_context("ann")).identity == {"secret": "swordfish"}
    [evidence] = await fragile.list_memories("ann")
    erasure = fragile.postgres.erasure
    monkeypatch.setattr(erasure, "erase", gate := Gate(erasure.erase, holds_answer=True))
    forgetting = asyncio.create_task(fragile.forget("ann", [evidence.id]))
    await gate.wait_until_reached()
    await redis_proxy.refuse()
    gate.open()
    with pytest.raises(StoreUnavailableError):
        await forgetting
    await redis_proxy.heal()

    async def is_forgotten() -> bool:
        try:
            await fragile.forget("ann", [evidence.id])
        except StoreUnavailableError:
            return False
        return True

    await eventually(is_forgotten)
    assert (await fragile.get_context("ann")).identity == {}
