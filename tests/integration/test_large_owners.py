"""Owners of many memories: searched through indexes, with the results that looking at each memory would give."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cortex_core import Memory, MemoryType, PostgresConfig, PostgresStore
from cortex_core.models import Vector
from cortex_core.stores.postgres import candidates, large_owners
from cortex_core.stores.postgres.candidates import Inquiry
from cortex_core.stores.postgres.store import PendingWrite
from tests.harness import Connect, own

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
DIMENSIONS = 64
WORDS = (
    "apple", "bear", "cello", "dune", "ember", "fjord", "grove", "harp", "iris", "jade", "kelp", "lotus", "maple",
    "north", "onyx", "pine", "quill", "rose",
)  # fmt: skip
COUNT = 400

dice = np.random.default_rng(11)


def a_direction() -> Vector:
    vector = dice.normal(size=DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.fixture
async def store(postgres_config: PostgresConfig) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_config)
    await store.connect()
    await store.vectors.open_space("random", DIMENSIONS)
    words = random.Random(5)
    pending = [
        PendingWrite(
            Memory(
                user_id="ann" if n % 4 else "ben",
                content=" ".join(["the common thing", *words.choices(WORDS, k=4)]),
                audience="guild:1" if n % 3 else "owner",
                memory_type=MemoryType.SEMANTIC if n % 2 else MemoryType.EPISODIC,
                created_at=WHEN + timedelta(minutes=n),
                channel_id=f"c{n // 100}",
            ),
            a_direction(),
        )
        for n in range(COUNT)
    ]
    await store.write(pending)
    yield store
    await store.close()


@pytest.fixture(params=["many", "most"])
async def large(store: PostgresStore, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> PostgresStore:
    """The store, in which everybody has many memories, or so many as to have an index of their own."""
    monkeypatch.setattr(candidates, "MANY", 10)
    monkeypatch.setattr(large_owners, "MANY", 10)
    monkeypatch.setattr(large_owners, "_COMMON", 60)
    monkeypatch.setattr(large_owners, "MOST", 10 if request.param == "most" else 10_000)
    monkeypatch.setattr(large_owners, "_TOO_FEW_FOR_AN_INDEX", 5)
    await store.large_owners.keep()
    assert (await store.large_owners.look_up("ann")).has_own_index == (request.param == "most")
    return store


async def find_few(store: PostgresStore, inquiry: Inquiry, monkeypatch: pytest.MonkeyPatch) -> set:
    with monkeypatch.context() as patch:
        patch.setattr(candidates, "MANY", 10_000)
        patch.setattr(store.candidates, "_owners", _EverybodyIsSmall())
        return {c.id for c in await store.candidates.find(inquiry)}


class _EverybodyIsSmall:
    async def look_up(self, _user_id: str) -> large_owners.OwnerSize:
        return large_owners.UNKNOWN


async def test_sizes_are_counted(store: PostgresStore):
    assert (await store.large_owners.look_up("ann")).memories == COUNT * 3 // 4
    assert (await store.large_owners.look_up("nobody")).memories == 0


@pytest.mark.parametrize(
    ("heard", "types"),
    [
        (None, None),
        ({"guild:1"}, None),
        (set(), None),
        (None, [MemoryType.SEMANTIC]),
        ({"guild:1"}, [MemoryType.EPISODIC]),
    ],
)
async def test_the_nearest_within_the_scope_are_found_and_nothing_else(
    large: PostgresStore, connect: Connect, heard: set[str] | None, types: list[MemoryType] | None
):
    for _ in range(5):
        vector = a_direction()
        found = await large.candidates.find(Inquiry(own(heard=heard), "", vector, memory_types=types))

        mine = await large.get_memories("ann", limit=COUNT)
        allowed = {
            m.id for m in mine if (heard is None or m.audience in heard) and (types is None or m.memory_type in types)
        }
        assert {c.id for c in found} <= allowed
        async with connect() as connection:
            rows = await connection.fetch(
                "SELECT id FROM memories WHERE user_id = 'ann' AND id = ANY($1) "
                "ORDER BY embedding <=> $2::text::halfvec LIMIT 10",
                list(allowed),
                str(vector.tolist()),
            )
        nearest = {row["id"] for row in rows}
        assert len(nearest & {c.id for c in found}) >= 0.9 * len(nearest)


async def test_words_find_what_they_find_for_a_small_owner(large: PostgresStore, monkeypatch: pytest.MonkeyPatch):
    inquiry = Inquiry(own(), "the onyx harp", None)
    found = await large.candidates.find(inquiry)

    assert {"onyx", "harp"} <= set(" ".join(c.content for c in found).split())
    best = [c for c in found if {"onyx", "harp"} <= set(c.content.split())]
    assert {c.id for c in best} <= await find_few(large, inquiry, monkeypatch)
    assert best, "both words together come first"


async def test_a_word_that_everything_holds_alone_still_finds_something(large: PostgresStore):
    assert await large.candidates.find(Inquiry(own(), "common", None))


async def test_neighbours_come_with_what_was_found(large: PostgresStore):
    found = await large.candidates.find(Inquiry(own(), "", a_direction()))

    places = {c.place for c in found}
    assert sum((channel, position + 1) in places for channel, position in places) > len(places) / 3


async def test_the_time_that_is_asked_about_is_looked_at(large: PostgresStore):
    since = WHEN + timedelta(minutes=101)
    found = await large.candidates.find(Inquiry(own(), "", None, since=since, until=since + timedelta(minutes=3)))

    assert {c.created_at for c in found} >= {since, since + timedelta(minutes=1), since + timedelta(minutes=2)}


async def test_who_has_no_memories_finds_none(large: PostgresStore):
    assert await large.candidates.find(Inquiry(own("nobody"), "onyx", a_direction())) == []


@pytest.mark.parametrize("hostile", ["'", "'; DROP TABLE memories; --", "<owner>", "$1", "\\", "%s"])
async def test_any_owner_may_have_an_index(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, connect: Connect, hostile: str
):
    monkeypatch.setattr(large_owners, "MOST", 1)
    monkeypatch.setattr(large_owners, "_TOO_FEW_FOR_AN_INDEX", 1)
    memory = Memory(user_id=hostile, content="mine", created_at=WHEN)
    await store.write([PendingWrite(memory, a_direction())])

    await store.large_owners.keep()

    assert (await store.large_owners.look_up(hostile)).has_own_index
    assert [c.id for c in await store.candidates.find(Inquiry(own(hostile), "", a_direction()))] == [memory.id]
    async with connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM memories") == COUNT + 1


async def test_an_index_goes_when_its_owner_has_few_memories_again(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, connect: Connect
):
    monkeypatch.setattr(large_owners, "MOST", 10)
    monkeypatch.setattr(large_owners, "_TOO_FEW_FOR_AN_INDEX", 5)
    await store.large_owners.keep()
    assert await count_own_indexes(connect) == 2

    await store.erasure.erase_everything("ann", forgotten_at=WHEN)
    await store.large_owners.keep()
    assert await count_own_indexes(connect) == 1
    async with connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM common_words WHERE user_id = 'ann'") == 0


async def test_only_one_process_does_the_work(store: PostgresStore, monkeypatch: pytest.MonkeyPatch, connect: Connect):
    monkeypatch.setattr(large_owners, "MOST", 10)
    monkeypatch.setattr(large_owners, "_TOO_FEW_FOR_AN_INDEX", 5)
    async with connect() as other:
        await other.execute("SELECT pg_advisory_lock(hashtext('cortex large owners'))")
        await store.large_owners.keep()
        assert await count_own_indexes(connect) == 0
    await store.large_owners.keep()
    assert await count_own_indexes(connect) == 2


async def test_an_index_that_was_broken_off_is_made_anew(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, connect: Connect
):
    monkeypatch.setattr(large_owners, "MOST", 10)
    monkeypatch.setattr(large_owners, "_TOO_FEW_FOR_AN_INDEX", 5)
    async with connect() as connection:
        await connection.execute("CREATE INDEX memories_of_5d41402abc4b2a76b9719d911017c592 ON memories (user_id)")
        name = await connection.fetchval("SELECT 'memories_of_' || md5('ann')")
        await connection.execute(f"CREATE INDEX {name} ON memories (id)")  # stands for one that isn't what it should be

    await store.large_owners.keep()

    async with connect() as connection:
        definition = await connection.fetchval("SELECT indexdef FROM pg_indexes WHERE indexname = $1", name)
    assert "hnsw" in definition


async def count_own_indexes(connect: Connect) -> int:
    async with connect() as connection:
        return await connection.fetchval("SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'memories_of_%'")
