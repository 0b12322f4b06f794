"""PostgresStore against a real server: what TDD 4.6 and 7.2 promise, the owner on every call."""

import math
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import uuid_utils.compat as uuid7

from cortex_core import (
    Audience,
    InvalidInputError,
    Memory,
    MemoryStatus,
    MemoryType,
    PostgresConfig,
    PostgresStore,
    SchemaError,
    StoreDataError,
    StoreUnavailableError,
)
from cortex_core.late_interaction import Embedding
from cortex_core.stores.postgres.candidates import Inquiry
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from tests.harness import Connect, own

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def store(postgres: PostgresStore) -> PostgresStore:
    await postgres.vectors.open_space("plane", 2)
    return postgres


def a_memory(content: str = "text", **fields) -> Memory:
    return Memory(**{"user_id": "ann", "content": content, "created_at": WHEN, **fields})


def at_angle(degrees: float) -> Embedding:
    return Embedding(
        np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], dtype=np.float32), None
    )


async def test_all_of_a_memory_comes_back(store: PostgresStore, connect: Connect):
    async with connect() as connection, connection.transaction():
        await connection.execute("INSERT INTO projects (id, name, owner_id) VALUES ('p', 'P', 'ann')")
        await connection.execute("INSERT INTO project_members (project_id, user_id, role) VALUES ('p', 'ann', 'owner')")
    memory = a_memory(
        "It's 5 o'clock ☕",
        memory_type=MemoryType.SEMANTIC,
        author_id="7",
        author_name="Ben",
        project_id="p",
        audience="guild:1",
        emotional_score=0.5,
        importance=0.25,
        confidence=0.75,
        valid_from=WHEN,
        valid_to=WHEN + timedelta(days=1),
        source="import",
        source_id="s",
        channel_id="c",
        tags=("pinned", "x"),
        metadata={"a": [1, {"b": None}], "": "\\u0000"},
        version=3,
    )

    await store.store(memory, at_angle(0))

    kept = await store.get("ann", memory.id)
    assert kept.updated_at is not None
    assert kept == memory.model_copy(update={"updated_at": kept.updated_at, "position": 0})


async def test_storing_again_changes_nothing(store: PostgresStore):
    memory = a_memory()

    assert await store.write([PendingWrite(memory)]) == [WriteOutcome.WRITTEN]
    assert await store.write([PendingWrite(memory)]) == [WriteOutcome.KNOWN]
    assert await store.write([PendingWrite(memory.model_copy(update={"content": "x"}))]) == [WriteOutcome.MISMATCH]
    assert (await store.get("ann", memory.id)).content == "text"


async def test_versions_converge_whatever_the_order_and_number_of_deliveries(store: PostgresStore):
    dice = random.Random(7)
    for _ in range(30):
        original = a_memory()
        versions = [original.model_copy(update={"content": f"v{n}", "version": n}) for n in range(4)]
        deliveries = versions * 3
        dice.shuffle(deliveries)
        for version in deliveries:
            await store.write([PendingWrite(version)])

        kept = await store.get("ann", original.id)
        assert (kept.content, kept.version) == ("v3", 3)


async def test_a_batch_answers_in_its_order(store: PostgresStore):
    known, changed, new, gone = (a_memory(name) for name in ("known", "changed", "new", "gone"))
    await store.write([PendingWrite(known), PendingWrite(changed)])
    await store.erasure.erase("ann", [gone.id])

    batch = [gone, new, changed.model_copy(update={"content": "x"}), known]
    assert await store.write([PendingWrite(memory) for memory in batch]) == [
        WriteOutcome.FORGOTTEN,
        WriteOutcome.WRITTEN,
        WriteOutcome.MISMATCH,
        WriteOutcome.KNOWN,
    ]


async def test_two_owners_may_have_the_same_id(store: PostgresStore):
    memory = a_memory("hers", source_id="m")
    await store.store(memory)
    await store.store(memory.model_copy(update={"user_id": "ben", "content": "his"}))

    assert (await store.get("ann", memory.id)).content == "hers"
    assert (await store.get("ben", memory.id)).content == "his"
    assert set(await store.list_owners_of_source("m")) == {"ann", "ben"}
    assert (await store.get_by_source("ben", "m")).content == "his"
    assert await store.get("eve", memory.id) is None


async def test_positions_count_without_gaps_per_owner_and_channel(store: PostgresStore):
    memories = [a_memory(str(n), channel_id="c") for n in range(5)]
    await store.write([PendingWrite(memory) for memory in memories[:3]])
    await store.write([PendingWrite(memory) for memory in memories])
    await store.store(a_memory("elsewhere", channel_id="d"))
    await store.store(a_memory("nowhere"))

    kept = await store.get_memories("ann")
    assert {m.content: m.position for m in kept} == {
        **{str(n): n for n in range(5)},
        "elsewhere": 0,
        "nowhere": None,
    }


async def test_an_edit_gets_a_new_vector(store: PostgresStore):
    memory = a_memory()
    await store.store(memory, at_angle(0))
    await store.store(memory.model_copy(update={"content": "edited", "version": 1}))

    [missing] = await store.vectors.list_missing(10)
    assert (missing.content, missing.version) == ("edited", 1)


async def test_a_vector_that_comes_after_an_edit_is_not_taken(store: PostgresStore):
    memory = a_memory()
    await store.store(memory)
    missing = await store.vectors.list_missing(10)
    await store.store(memory.model_copy(update={"content": "edited", "version": 1}))

    await store.vectors.fill(missing, [at_angle(0)])

    assert await store.vectors.is_any_missing(before=await store.vectors.now())


async def test_given_up_texts_wait_no_longer_until_they_are_edited(store: PostgresStore):
    memory = a_memory()
    await store.store(memory)
    [missing] = await store.vectors.list_missing(10)
    await store.vectors.give_up(missing, "too odd")

    assert await store.vectors.is_any_missing(before=await store.vectors.now()) is False
    await store.store(memory.model_copy(update={"content": "edited", "version": 1}))
    assert await store.vectors.is_any_missing(before=await store.vectors.now())


async def test_update_changes_what_it_names(store: PostgresStore):
    memory = a_memory(metadata={"a": 1})
    await store.store(memory)

    assert await store.update("ann", memory.id, {"confidence": 0.5, "tags": ["x"], "valid_to": WHEN + timedelta(1)})
    assert await store.update_status("ann", memory.id, MemoryStatus.ARCHIVED)
    kept = await store.get("ann", memory.id)
    assert (kept.confidence, kept.tags, kept.status) == (0.5, ("x",), MemoryStatus.ARCHIVED)
    assert (kept.content, kept.metadata, kept.valid_to) == ("text", {"a": 1}, WHEN + timedelta(1))


async def test_update_touches_neither_foreign_nor_fixed_things(store: PostgresStore):
    memory = a_memory()
    await store.store(memory)

    assert not await store.update("eve", memory.id, {"confidence": 0.0})
    with pytest.raises(InvalidInputError, match="content, user_id"):
        await store.update("ann", memory.id, {"content": "x", "user_id": "eve"})
    with pytest.raises(StoreDataError):
        await store.update("ann", memory.id, {"confidence": 7})
    assert (await store.get("ann", memory.id)).confidence == 1


class TestListing:
    @pytest.fixture(autouse=True)
    async def some(self, store: PostgresStore):
        for n in range(6):
            kind = MemoryType.SEMANTIC if n % 2 else MemoryType.EPISODIC
            audience = "guild:1" if n < 2 else "owner"
            await store.store(
                a_memory(str(n), created_at=WHEN + timedelta(hours=n), memory_type=kind, audience=audience)
            )
        await store.store(a_memory("archived", status=MemoryStatus.ARCHIVED))
        await store.store(a_memory("foreign", user_id="ben"))

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({}, "543210"),
            ({"limit": 2}, "54"),
            ({"limit": 2, "offset": 2}, "32"),
            ({"memory_types": [MemoryType.SEMANTIC]}, "531"),
            ({"since": WHEN + timedelta(hours=4)}, "54"),
            ({"before": WHEN + timedelta(hours=2)}, "10"),
            ({"audience": Audience.guild(1)}, "10"),
            ({"audience": Audience.guild(2)}, ""),
            ({"memory_types": []}, ""),
            ({"project_id": "p"}, ""),
        ],
    )
    async def test_filters(self, store: PostgresStore, filters: dict, expected: str):
        listed = await store.get_memories("ann", **filters)

        assert "".join(memory.content for memory in listed) == expected
        if not {"limit", "offset"} & filters.keys():
            assert await store.count_memories("ann", **filters) == len(expected)

    async def test_any_status(self, store: PostgresStore):
        assert len(await store.get_memories("ann", status=None)) == 7


class TestSearch:
    @pytest.fixture(autouse=True)
    async def some(self, store: PostgresStore):
        await store.store(a_memory("near"), at_angle(10))
        await store.store(a_memory("far"), at_angle(60))
        await store.store(a_memory("opposite"), at_angle(180))
        await store.store(a_memory("we were hiking in the mountains"))
        await store.store(a_memory("staff only", audience="channel:1:2"), at_angle(5))
        await store.store(a_memory("over", status=MemoryStatus.SUPERSEDED), at_angle(0))
        await store.store(a_memory("foreign near", user_id="ben"), at_angle(0))

    async def found(self, store: PostgresStore, query: str = "", near: Embedding | None = None, **filters) -> set[str]:
        scope = own(heard=filters.pop("heard", None))
        candidates = await store.candidates.find(Inquiry(scope, query, near.vector if near else None, **filters))
        assert len({candidate.id for candidate in candidates}) == len(candidates)
        return {candidate.content for candidate in candidates}

    async def test_by_meaning(self, store: PostgresStore):
        assert await self.found(store, near=at_angle(0)) == {"near", "far", "opposite", "staff only"}

    async def test_by_words_in_any_form(self, store: PostgresStore):
        assert await self.found(store, "hike mountain sea") == {"we were hiking in the mountains"}

    async def test_by_both(self, store: PostgresStore):
        assert await self.found(store, "hiking", at_angle(60)) == {
            "near", "far", "opposite", "staff only", "we were hiking in the mountains",
        }  # fmt: skip

    async def test_only_what_may_be_heard(self, store: PostgresStore):
        assert await self.found(store, near=at_angle(0), heard={"channel:1:2"}) == {"staff only"}

    async def test_types(self, store: PostgresStore):
        assert await self.found(store, near=at_angle(0), memory_types=[MemoryType.IDENTITY]) == set()

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "'",
            "a & b | !c",
            "\\",
            ":*",
            "<->",
            "🙂",
            "'; DROP TABLE memories; --",
            "a" * 8000,
            "b " * 4000,
            "%",
            "你好",
        ],
    )
    async def test_any_text_may_be_asked(self, store: PostgresStore, query: str):
        assert await self.found(store, query) == set()


async def test_accesses_are_counted_for_the_right_memory_only(store: PostgresStore):
    used, unused = a_memory("used"), a_memory("unused")
    await store.write([PendingWrite(used), PendingWrite(unused)])
    await store.count_accesses({("ann", used.id): 2, ("ben", unused.id): 5})
    await store.count_accesses({("ann", used.id): 1})

    assert (await store.get("ann", used.id)).access_count == 3
    assert (await store.get("ann", used.id)).last_accessed is not None
    assert (await store.get("ann", unused.id)).access_count == 0


class TestEmbeddingSpace:
    async def test_another_size_under_the_same_name_is_refused(self, store: PostgresStore):
        with pytest.raises(SchemaError, match="plane with 2 dimensions"):
            await store.vectors.open_space("plane", 3)

    async def test_another_model_is_refused_once_there_are_vectors(self, store: PostgresStore):
        await store.vectors.open_space("other", 3)
        await store.vectors.open_space("plane", 2)
        await store.store(a_memory(), at_angle(0))

        with pytest.raises(SchemaError, match=r"vectors of plane, but .* other"):
            await store.vectors.open_space("other", 3)


class TestFailures:
    async def test_nobody_there_is_one_sentence(self):
        store = PostgresStore(PostgresConfig(url="postgresql://me@/nobody?host=/tmp/nobody-listens-here"))

        with pytest.raises(StoreUnavailableError, match=r"postgres\.url"):
            await store.connect()

    async def test_a_wrong_database_is_one_sentence(self, postgres_config: PostgresConfig):
        store = PostgresStore(PostgresConfig(url=postgres_config.url.replace("@/test_", "@/no_such_")))

        with pytest.raises(StoreUnavailableError, match=r"postgres\.url"):
            await store.connect()

    async def test_before_connecting(self, postgres_config: PostgresConfig):
        with pytest.raises(StoreUnavailableError, match="connect"):
            await PostgresStore(postgres_config).get("ann", uuid7.uuid7())

    async def test_refused_data_is_never_quoted(self, store: PostgresStore):
        with pytest.raises(StoreDataError) as caught:
            await store.store(a_memory("secret\0secret"))

        assert caught.value.sqlstate
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__

    async def test_a_busy_pool_makes_nobody_wait_for_long(self, postgres_config: PostgresConfig):
        small = postgres_config.model_copy(update={"max_connections": 1, "min_connections": 1})
        store = PostgresStore(small.model_copy(update={"acquire_timeout_seconds": 0.1}))
        await store.connect()
        async with store.pool.connection():
            with pytest.raises(StoreUnavailableError):
                await store.get("ann", uuid7.uuid7())
        assert await store.get("ann", uuid7.uuid7()) is None
        await store.close()

    async def test_a_statement_that_takes_too_long_is_ended(self, postgres_config: PostgresConfig):
        store = PostgresStore(postgres_config.model_copy(update={"statement_timeout_seconds": 0.1}))
        await store.connect()
        with pytest.raises(StoreUnavailableError):
            async with store.pool.connection() as connection:
                await connection.execute("SELECT pg_sleep(30)")
        await store.close()
