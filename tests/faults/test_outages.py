"""Redis away, Postgres away, both away: what product.md promises for each, and that it heals."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from cortex_core import (
    ConfigError,
    Degradation,
    Durability,
    InvalidInputError,
    Memory,
    MemoryConfig,
    MemoryManager,
    ProviderUnavailableError,
    RedisConfig,
    StoreUnavailableError,
)
from tests.faults.conftest import StartValkey
from tests.faults.proxy import Proxy
from tests.harness import ScriptedEmbedder, eventually


@pytest.fixture
async def impatient(fragile_config: MemoryConfig, redis_proxy: Proxy) -> AsyncIterator[MemoryManager]:
    """A memory with the default time limit for Redis, which is what is measured here."""
    redis = fragile_config.redis.model_copy(update={"timeout_seconds": RedisConfig().timeout_seconds})
    config = fragile_config.model_copy(update={"redis": redis})
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        yield memory
        await redis_proxy.heal()


async def break_redis(proxy: Proxy, how: str) -> None:
    if how == "refused":
        await proxy.refuse()
    else:
        proxy.black_hole()


async def is_journalling(memory: MemoryManager) -> bool:
    result = await memory.store("probe", "is it back?")
    return result.durability is Durability.JOURNALLED


async def is_stored(memory: MemoryManager, user_id: str, content: str) -> bool:
    try:
        return content in {m.content for m in await memory.list_memories(user_id, limit=1000)}
    except StoreUnavailableError:
        return False


async def timed(call: Callable[[], Any], times: int) -> list[float]:
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        await call()
        durations.append(time.perf_counter() - started)
    return durations


@pytest.mark.parametrize("how", ["refused", "black hole"])
class TestRedisAway:
    async def test_storing_goes_to_postgres(self, fragile: MemoryManager, redis_proxy: Proxy, how: str):
        await break_redis(redis_proxy, how)

        result = await fragile.store("ann", "My cat is called Miso.", source_id="m1")
        again = await fragile.store("ann", "My cat is called Miso.", source_id="m1")

        assert (result.success, result.durability, result.is_duplicate) == (True, Durability.COMMITTED, False)
        assert again.is_duplicate
        assert [m.content for m in await fragile.list_memories("ann")] == ["My cat is called Miso."]

    async def test_a_turn_still_has_identity_session_and_recall(
        self, fragile: MemoryManager, redis_proxy: Proxy, how: str
    ):
        await fragile.update_identity("ann", "name", "Ann")
        await fragile.start_session("ann", {"topic": "cats"})
        await fragile.store("ann", "My cat is called Miso.")
        await fragile.flush()
        await break_redis(redis_proxy, how)

        context = await fragile.get_context("ann", "what is my cat called?")

        assert context.degraded == (Degradation.HOT_LAYER,)
        assert context.identity["name"] == "Ann"
        assert context.session["topic"] == "cats"
        assert "My cat is called Miso." in {m.content for m in context.retrieved}

    async def test_identity_and_session_can_be_changed(self, fragile: MemoryManager, redis_proxy: Proxy, how: str):
        await break_redis(redis_proxy, how)

        await fragile.update_identity("ann", "name", "Ann")
        await fragile.start_session("ann", {"topic": "cats"})
        await fragile.update_session("ann", {"topic": "dogs"})

        assert await fragile.get_identity("ann") == {"name": "Ann"}
        assert (await fragile.get_context("ann")).session["topic"] == "dogs"

    async def test_few_wait_for_it(
        self, impatient: MemoryManager, redis_proxy: Proxy, how: str, monkeypatch: pytest.MonkeyPatch
    ):
        ask, asked = impatient.redis._remember, 0

        async def count_and_ask(**call: Any) -> object:
            nonlocal asked
            asked += 1
            return await ask(**call)

        monkeypatch.setattr(impatient.redis, "_remember", count_and_ask)
        await break_redis(redis_proxy, how)
        began = time.monotonic()
        for n in range(200):
            await impatient.store("ann", f"text {n}")

        assert 1 <= asked <= 3 + 1 + (time.monotonic() - began), "three to find out, then one a second"
        assert await impatient.count_memories("ann") == 200

    @pytest.mark.slow
    async def test_storing_is_quick(self, impatient: MemoryManager, redis_proxy: Proxy, how: str):
        await break_redis(redis_proxy, how)
        number = iter(range(1000))

        durations, floor = [], []
        for _ in range(50):  # in turn, so that a busy machine delays both
            durations += await timed(lambda: impatient.store("ann", f"text {next(number)}"), 4)
            floor += await timed(lambda: impatient.postgres.store(Memory(user_id="ben", content="text")), 2)

        p99 = statistics.quantiles(durations, n=100)[98]
        print(f"\nRedis {how}: store p50 {statistics.median(durations) * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms")  # noqa: T201
        assert p99 <= 0.25 + max(floor)  # whatever the disk makes of a commit
        assert await impatient.count_memories("ann") == 200

    async def test_it_heals_by_itself(self, fragile: MemoryManager, redis_proxy: Proxy, how: str):
        await fragile.store("ann", "before")
        await break_redis(redis_proxy, how)
        await fragile.store("ann", "meanwhile")
        await redis_proxy.heal()

        await eventually(lambda: is_journalling(fragile))
        await fragile.flush()
        assert {m.content for m in await fragile.list_memories("ann")} == {"before", "meanwhile"}


async def test_a_session_that_changed_while_redis_was_away_stays_changed(fragile: MemoryManager, redis_proxy: Proxy):
    await fragile.start_session("ann", {"topic": "cats"})
    await fragile.flush()
    await redis_proxy.refuse()
    await fragile.update_session("ann", {"topic": "dogs"})
    await redis_proxy.heal()

    async def topic() -> object:
        return (await fragile.get_context("ann")).session.get("topic")

    async def is_repaired() -> bool:
        return await is_journalling(fragile) and await topic() == "dogs"

    await eventually(is_repaired)
    assert (await fragile.update_session("ann", {"mood": "calm"}))["topic"] == "dogs"


async def test_a_session_stays_bounded_while_redis_is_away(fragile: MemoryManager, redis_proxy: Proxy):
    await redis_proxy.refuse()
    await fragile.update_session("ann", {"a": "x" * 40_000})
    kept = await fragile.update_session("ann", {"b": "x" * 40_000})

    with pytest.raises(InvalidInputError, match="100,000"):
        await fragile.update_session("ann", {"c": "x" * 40_000})
    assert (await fragile.get_context("ann")).session == kept


async def test_what_was_forgotten_is_not_stored_again_past_redis(fragile: MemoryManager, redis_proxy: Proxy):
    await fragile.store("ann", "I love tea", source_id="m1")
    await fragile.flush()
    await fragile.forget_source("m1", owner="ann")
    await redis_proxy.refuse()

    result = await fragile.store("ann", "I love tea", source_id="m1")

    assert not result.success
    assert "forgotten" in result.error
    assert await fragile.list_memories("ann") == []


async def test_a_turn_waits_for_postgres_until_its_deadline_and_no_longer(
    fragile_config: MemoryConfig, postgres_proxy: Proxy
):
    config = fragile_config.model_copy(
        update={
            "postgres": fragile_config.postgres.model_copy(update={"statement_timeout_seconds": 20.0}),
            "retrieval": fragile_config.retrieval.model_copy(update={"deadline_seconds": 0.1}),
        }
    )
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        await memory.store("ann", "My cat is called Miso.")
        await memory.flush()
        await memory.search("ann", "cat")
        postgres_proxy.black_hole()

        context = await asyncio.wait_for(memory.get_context("ann", "what is my cat called?"), 5)

        assert context.degraded == (Degradation.LONG_TERM,)
        assert [m.content for m in context.working] == ["My cat is called Miso."]
        await postgres_proxy.heal()


class TestFlush:
    @pytest.fixture(autouse=True)
    def hopeless_soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cortex_core.background._HOPELESS_AFTER", 0.1)

    async def test_it_does_not_wait_for_postgres_for_ever(self, fragile: MemoryManager, postgres_proxy: Proxy):
        await postgres_proxy.refuse()
        await fragile.store("ann", "text")

        with pytest.raises(StoreUnavailableError):
            await asyncio.wait_for(fragile.flush(), 10)

    async def test_nor_for_the_embedder(self, memory_config: MemoryConfig):
        def fail(_: Sequence[str]) -> None:
            raise ProviderUnavailableError("away")

        async with MemoryManager(memory_config, embedder=ScriptedEmbedder(fail)) as memory:
            await memory.store("ann", "text")

            with pytest.raises(ProviderUnavailableError):
                await asyncio.wait_for(memory.flush(), 10)

    async def test_an_embedder_that_nobody_needs_any_more_is_not_held_against_later_memories(
        self, memory_config: MemoryConfig
    ):
        failed = asyncio.Event()

        def fail(_: Sequence[str]) -> None:
            failed.set()
            raise ProviderUnavailableError("away")

        scripted = ScriptedEmbedder(fail)
        async with MemoryManager(memory_config, embedder=scripted) as memory:
            await memory.store("ann", "text")
            await failed.wait()
            await memory.forget_everything("ann")
            scripted.before = lambda _: None

            vectorizer = memory._parts.vectorizer
            await eventually(lambda: vectorizer._outage._error is None, seconds=5)


@pytest.mark.parametrize("how", ["refused", "black hole"])
class TestPostgresAway:
    async def test_writes_are_journalled_and_arrive_later(
        self, fragile: MemoryManager, postgres_proxy: Proxy, how: str
    ):
        await break_redis(postgres_proxy, how)

        results = [await fragile.store("ann", f"text {n}") for n in range(50)]
        assert {result.durability for result in results} == {Durability.JOURNALLED}
        await asyncio.sleep(1)
        await postgres_proxy.heal()

        for n in range(50):
            await eventually(lambda n=n: is_stored(fragile, "ann", f"text {n}"))
        assert await fragile.count_memories("ann") == 50
        assert await fragile.postgres.dead_letters.count() == 0

    async def test_a_turn_has_what_redis_knows_and_names_what_is_missing(
        self, fragile: MemoryManager, postgres_proxy: Proxy, how: str
    ):
        await fragile.update_identity("ann", "name", "Ann")
        await fragile.start_session("ann", {"topic": "cats"})
        await fragile.flush()
        await break_redis(postgres_proxy, how)
        await fragile.store("ann", "My cat is called Miso.")

        for _ in range(3):
            context = await asyncio.wait_for(fragile.get_context("ann", "what is my cat called?"), 20)

            assert context.degraded == (Degradation.LONG_TERM,)
            assert context.identity == {"name": "Ann"}
            assert context.session["topic"] == "cats"
            assert [m.content for m in context.working] == ["My cat is called Miso."]

    async def test_what_needs_postgres_says_so(self, fragile: MemoryManager, postgres_proxy: Proxy, how: str):
        await break_redis(postgres_proxy, how)

        for call in (
            lambda: fragile.search("ann", "cats"),
            lambda: fragile.update_identity("ann", "name", "Ann"),
            lambda: fragile.forget_everything("ann"),
        ):
            with pytest.raises(StoreUnavailableError, match="PostgreSQL"):
                await asyncio.wait_for(call(), 20)


@pytest.mark.parametrize("how", ["refused", "black hole"])
class TestBothAway:
    async def test_storing_fails_loudly_and_a_turn_is_empty(
        self, fragile: MemoryManager, redis_proxy: Proxy, postgres_proxy: Proxy, how: str
    ):
        await fragile.store("ann", "before")
        await fragile.flush()
        await break_redis(redis_proxy, how)
        await break_redis(postgres_proxy, how)

        result = await asyncio.wait_for(fragile.store("ann", "lost, and told so"), 20)
        context = await asyncio.wait_for(fragile.get_context("ann", "anything"), 20)

        assert not result.success
        assert "PostgreSQL" in result.error
        assert context.degraded == (Degradation.HOT_LAYER, Degradation.LONG_TERM)
        assert context.working == context.retrieved == []

        await redis_proxy.heal()
        await postgres_proxy.heal()
        await eventually(lambda: is_journalling(fragile))
        await eventually(lambda: is_stored(fragile, "ann", "before"))


async def test_cut_connections_lose_nothing_that_was_acknowledged(
    fragile: MemoryManager, redis_proxy: Proxy, postgres_proxy: Proxy
):
    acknowledged: set[str] = set()

    async def write(writer: int) -> None:
        for n in range(60):
            content = f"{writer}-{n}"
            if (await fragile.store("ann", content)).success:
                acknowledged.add(content)
            else:
                await asyncio.sleep(0.02)

    async def cut() -> None:
        for n in range(40):
            await asyncio.sleep(0.02)
            (redis_proxy if n % 2 else postgres_proxy).reset()

    await asyncio.gather(cut(), *(write(writer) for writer in range(8)))
    await eventually(lambda: is_journalling(fragile))
    await fragile.flush()

    stored = [m.content for m in await fragile.list_memories("ann", limit=1000)]
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    assert len(acknowledged) > 20


async def test_a_redis_that_was_killed_and_came_back(memory_config: MemoryConfig, start_valkey: StartValkey):
    with start_valkey() as server:
        config = memory_config.model_copy(update={"redis": RedisConfig(url=server.url, timeout_seconds=1.0)})
        async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
            acknowledged = set()
            for round_ in range(3):
                for n in range(20):
                    content = f"{round_}-{n}"
                    result = await memory.store("ann", content)
                    if result.success:
                        acknowledged.add(content)
                server.kill()
                meanwhile = await memory.store("ann", f"meanwhile {round_}")
                assert meanwhile.durability is Durability.COMMITTED
                server.start()
                await eventually(lambda: is_journalling(memory))
            await memory.flush()

            stored = {m.content for m in await memory.list_memories("ann", limit=200)}
            assert acknowledged <= stored
            assert len(acknowledged) == 60


async def test_a_redis_that_lost_everything_is_used_again(memory: MemoryManager):
    await memory.store("ann", "before")
    await memory.flush()
    await memory.redis.client.flushdb()

    assert (await memory.store("ann", "after")).success
    await asyncio.wait_for(memory.flush(), 20)

    assert {m.content for m in await memory.list_memories("ann")} == {"before", "after"}


class TestDurability:
    async def test_a_redis_that_would_evict_the_journal_is_refused(
        self, memory_config: MemoryConfig, start_valkey: StartValkey
    ):
        with start_valkey(maxmemory_policy="allkeys-lru") as server:
            config = memory_config.model_copy(update={"redis": RedisConfig(url=server.url, timeout_seconds=2.0)})
            memory = MemoryManager(config, embedder=ScriptedEmbedder())

            with pytest.raises(ConfigError, match="maxmemory-policy"):
                await memory.initialize()
            assert not memory.is_open

    @pytest.mark.parametrize(
        ("settings", "durability"),
        [
            ({}, Durability.JOURNALLED),
            ({"maxmemory_policy": "volatile-lru"}, Durability.JOURNALLED),
            ({"appendfsync": "everysec"}, Durability.FAST),
            ({"appendonly": "no"}, Durability.FAST),
            ({"rename_command": 'CONFIG ""'}, Durability.FAST),
        ],
    )
    async def test_the_acknowledgement_tells_what_it_survives(
        self, memory_config: MemoryConfig, start_valkey: StartValkey, settings: dict[str, str], durability: Durability
    ):
        with start_valkey(**settings) as server:
            config = memory_config.model_copy(update={"redis": RedisConfig(url=server.url, timeout_seconds=2.0)})
            async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
                assert (await memory.store("ann", "text")).durability is durability

    async def test_a_full_redis_is_an_outage_of_redis(self, memory_config: MemoryConfig, start_valkey: StartValkey):
        with start_valkey() as server:
            config = memory_config.model_copy(update={"redis": RedisConfig(url=server.url, timeout_seconds=2.0)})
            async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
                await memory.redis.client.config_set("maxmemory", "1")

                assert (await memory.store("ann", "text")).durability is Durability.COMMITTED
                await memory.redis.client.config_set("maxmemory", "0")

    async def test_a_backlog_at_its_limit_goes_to_postgres(self, memory_config: MemoryConfig):
        ingestion = memory_config.ingestion.model_copy(update={"consumers": 0, "max_backlog": 3})
        config = memory_config.model_copy(update={"ingestion": ingestion})
        async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
            results = [await memory.store("ann", f"text {n}") for n in range(5)]

        assert [r.durability for r in results] == [Durability.JOURNALLED] * 3 + [Durability.COMMITTED] * 2
