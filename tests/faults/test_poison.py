"""Entries that Postgres refuses or nobody can read: set aside once, and never in the way of the good ones."""

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import numpy as np
import pytest
import redis.asyncio as redis

from cortex_core import Memory, MemoryConfig, MemoryManager
from cortex_core.models import MAX_VERSION, Deletion, hash_content
from cortex_core.stores.keys import JOURNAL
from cortex_core.stores.redis import RedisStore
from tests.harness import ScriptedEmbedder

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
INCOMPRESSIBLE = "".join(random.Random(1).choices("abcdefghijk0123456789", k=20_000))


def a_memory(content: str = "poison", **fields) -> Memory:
    return Memory(**{"user_id": "eve", "content": content, "created_at": WHEN, **fields})


def payload_of(memory: Memory) -> str:
    return f"{memory.version}:{hash_content(memory.content).hex()}:{memory.model_dump_json()}"


def with_field(**fields) -> str:
    values = {**json.loads(a_memory().model_dump_json()), **fields}
    return f"0:{'0' * 64}:{json.dumps(values)}"


def an_entry(payload: str | bytes, **fields: str | bytes) -> dict[str, str | bytes]:
    return {
        "kind": "memory",
        "payload": payload,
        "at": "1767225600000",
        "model": ScriptedEmbedder.model,
        "signs": b"",
        **fields,
    }


def deletion_of(source_id: str, *, owner: str | None = None) -> str:
    return Deletion(source_id=source_id, memory_id=a_memory().id, owner=owner).model_dump_json()


UNREADABLE: list[dict[str, str | bytes]] = [
    {"nonsense": "x"},
    {"kind": "memory"},
    {"kind": b"\xff\xfe", "payload": b"\xff"},
    {"kind": "of the future", "payload": "{}", "at": "1767225600000"},
    an_entry(""),
    an_entry("no colons"),
    an_entry("0:ab:{not json"),
    an_entry("0:ab:[]"),
    an_entry(b"0:ab:\xff\xff"),
    an_entry(with_field(user_id="")),
    an_entry(with_field(of_the_future=1)),
    an_entry(with_field(created_at="2026-01-01T00:00:00")),
    an_entry(with_field(content="\ud800")),
    an_entry(with_field(emotional_score=7)),
    {"kind": "deletion", "payload": "{}"},
    {"kind": "deletion", "payload": deletion_of("m1").replace(f"{MAX_VERSION}", f"{MAX_VERSION + 1}")},
    {"kind": "deletion", "payload": deletion_of("m1", owner="e\0ve")},
    {"kind": "session", "owner": "eve", "payload": "{not json", "at": "1767225600000"},
    {"kind": "session", "owner": "eve", "payload": "[1]", "at": "1767225600000"},
    {"kind": "session", "owner": "eve", "payload": "{}", "at": "253402300799999"},
]
REFUSED: list[dict[str, str | bytes]] = [
    an_entry(payload_of(a_memory("a\0b"))),
    an_entry(payload_of(a_memory(user_id="e\0ve"))),
    an_entry(payload_of(a_memory(metadata={"a": "\0"}))),
    an_entry(payload_of(a_memory(tags=("\0",)))),
    an_entry(payload_of(a_memory(audience="\0"))),
    an_entry(payload_of(a_memory(source_id=INCOMPRESSIBLE))),
    an_entry(payload_of(a_memory(channel_id=INCOMPRESSIBLE))),
    an_entry(payload_of(a_memory(author_name=" ".join(map(str, range(400_000)))))),
    an_entry(payload_of(a_memory(valid_from=WHEN, valid_to=WHEN.replace(year=2000)))),
    an_entry(payload_of(a_memory(supersedes=a_memory().id))),
    an_entry(payload_of(a_memory("not a number")), vector=np.full(8, np.nan, dtype=np.float32).tobytes()),
    {"kind": "session", "owner": "e\0ve", "payload": "{}", "at": "1767225600000"},
    {"kind": "session", "owner": "eve" * 9000, "payload": '{"a": "\\u0000"}', "at": "1767225600000"},
    {"kind": "session", "owner": "eve", "payload": '{"a": "\\u0000"}', "at": "1767225600000"},
    {"kind": "session", "owner": "eve", "payload": '{"a": NaN}', "at": "1767225600000"},
    {"kind": "deletion", "payload": deletion_of("a\0b")},
]
HARMLESS: list[dict[str, str | bytes]] = [
    an_entry(payload_of(a_memory("a vector of another space")), vector=np.ones(3, dtype=np.float32).tobytes()),
    an_entry(payload_of(a_memory("a torn vector")), vector=b"\x00\x01\x02"),
    {"kind": "memory", "payload": payload_of(a_memory("without a time"))},
    an_entry(payload_of(a_memory("a time that is none")), at="soon"),
    an_entry(payload_of(a_memory("a time out of this world")), at="9" * 40),
]


@pytest.fixture
async def store(memory_config: MemoryConfig) -> AsyncIterator[RedisStore]:
    store = RedisStore(memory_config.redis)
    yield store
    await store.close()


async def acknowledge(store: RedisStore, memory: Memory) -> None:
    await store.remember(memory, ttl=60, max_backlog=100_000)


async def test_the_good_ones_are_stored_and_the_bad_ones_set_aside_once(
    memory_config: MemoryConfig, store: RedisStore, raw_redis: redis.Redis
):
    bad = UNREADABLE + REFUSED
    for number, entry in enumerate(bad + HARMLESS):
        await acknowledge(store, a_memory(f"good {number}", user_id="ann"))
        await raw_redis.xadd(JOURNAL, entry)
    total = len(bad + HARMLESS)

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        await memory.flush()
        stored = {m.content for m in await memory.list_memories("ann", limit=1000)}
        assert stored == {f"good {number}" for number in range(total)}
        assert await memory.count_memories("eve") == len(HARMLESS)
        letters = await memory.postgres.dead_letters.list(1000)
        assert len(letters) == len(bad)
        assert all(letter.payload.isascii() and letter.reason for letter in letters)

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        await memory.flush()
        assert await memory.postgres.dead_letters.count() == len(bad)
        assert (await memory.search("eve", "poison")).degraded == ()


async def test_a_batch_of_nothing_but_poison_ends_too(memory_config: MemoryConfig, raw_redis: redis.Redis):
    for _ in range(20):
        for entry in (UNREADABLE[5], REFUSED[0]):
            await raw_redis.xadd(JOURNAL, entry)

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        await memory.flush()

        assert await memory.postgres.dead_letters.count() == 40
        assert await memory.count_memories("eve") == 0


async def test_redelivered_poison_is_set_aside_once(memory_config: MemoryConfig, raw_redis: redis.Redis):
    await raw_redis.xadd(JOURNAL, REFUSED[0], id="5-1")
    for _ in range(3):
        async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
            await memory.flush()
            await raw_redis.delete(JOURNAL)
            await raw_redis.xadd(JOURNAL, REFUSED[0], id="5-1")
            await memory.flush()
            assert await memory.postgres.dead_letters.count() == 1


async def test_duplicates_and_reordered_versions_converge(memory_config: MemoryConfig, raw_redis: redis.Redis):
    dice = random.Random(11)
    deliveries = []
    for number in range(60):
        original = a_memory("v0", user_id=f"user-{number % 5}", source_id=f"m{number}", channel_id="c")
        versions = [original.model_copy(update={"content": f"v{n}", "version": n}) for n in range(dice.randint(1, 4))]
        for version in versions:
            deliveries += [version] * dice.randint(1, 4)
    dice.shuffle(deliveries)
    for memory_ in deliveries:
        await raw_redis.xadd(JOURNAL, an_entry(payload_of(memory_)))

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        await memory.flush()

        for user in range(5):
            for kept in await memory.list_memories(f"user-{user}"):
                last = max(m.version for m in deliveries if (m.user_id, m.id) == (kept.user_id, kept.id))
                assert (kept.version, kept.content) == (last, f"v{last}")
            positions = [m.position for m in await memory.list_memories(f"user-{user}")]
            assert sorted(positions) == list(range(12))
        assert await memory.postgres.dead_letters.count() == 0


async def test_another_content_under_the_same_version_is_set_aside(memory_config: MemoryConfig, raw_redis: redis.Redis):
    first = a_memory("first", source_id="m1")
    for content in ("first", "second", "second", "third"):
        await raw_redis.xadd(JOURNAL, an_entry(payload_of(first.model_copy(update={"content": content}))))

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        await memory.flush()

        assert [m.content for m in await memory.list_memories("eve")] == ["first"]
        letters = await memory.postgres.dead_letters.list()
        assert len(letters) == 3
        assert {letter.memory_id for letter in letters} == {first.id}
        assert all("mismatch" in letter.reason for letter in letters)


async def test_poison_of_somebody_who_was_forgotten_meanwhile_is_not_kept(
    memory_config: MemoryConfig, raw_redis: redis.Redis
):
    ingestion = memory_config.ingestion.model_copy(update={"consumers": 0})
    idle_config = memory_config.model_copy(update={"ingestion": ingestion})
    await raw_redis.xadd(JOURNAL, REFUSED[0])
    async with MemoryManager(idle_config, embedder=ScriptedEmbedder()) as memory:
        await memory.forget_everything("eve")

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        await memory.flush()
        assert await memory.postgres.dead_letters.count() == 0
