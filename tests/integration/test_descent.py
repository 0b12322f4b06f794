"""What was drawn from memories follows them: no further than they may be heard, and not beyond what they still say."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from cortex_core import Audience, Memory, MemoryStatus, MemoryType, PostgresConfig, PostgresStore
from cortex_core.stores.postgres.store import PendingWrite
from tests.harness import Connect, ScriptedEmbedder

HERE = Audience.channel(1, 10)
LONG_AGO = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
async def store(postgres_config: PostgresConfig) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_config)
    await store.connect()
    await store.vectors.open_space(ScriptedEmbedder.model, ScriptedEmbedder.dimensions)
    yield store
    await store.close()


async def draw(store: PostgresStore, connect: Connect, source: str, count: int) -> tuple[Memory, list[Memory]]:
    """Store something that was drawn from so many memories, which are archived if it is a summary."""
    sources = [
        Memory(
            user_id="ann",
            content=f"Thing {number} happened",
            audience=str(HERE),
            created_at=LONG_AGO + timedelta(hours=number),
            source_id=f"m{number}",
            status=MemoryStatus.ARCHIVED if source == "compaction" else MemoryStatus.ACTIVE,
        )
        for number in range(count)
    ]
    drawn = Memory(
        user_id="ann", content="Things happen", memory_type=MemoryType.SEMANTIC, audience=str(HERE), source=source
    )
    await store.write([PendingWrite.of(memory, None) for memory in (*sources, drawn)])
    async with connect() as connection:
        await connection.executemany(
            "INSERT INTO derivations (user_id, derived_id, source_id) VALUES ('ann', $1, $2)",
            [(drawn.id, memory.id) for memory in sources],
        )
    return drawn, sources


async def status_of(store: PostgresStore, memory: Memory) -> MemoryStatus | None:
    found = await store.get("ann", memory.id)
    return found and found.status


async def test_a_summary_goes_when_one_of_its_memories_is_heard_elsewhere(store: PostgresStore, connect: Connect):
    summary, sources = await draw(store, connect, "compaction", 3)

    await store.identity.set_memory_audience("ann", sources[0].id, Audience.owner())

    assert await status_of(store, summary) is None
    assert {await status_of(store, memory) for memory in sources} == {MemoryStatus.ACTIVE}
    heard = await store.get_memories("ann", audience=HERE)
    assert {memory.id for memory in heard} == {memory.id for memory in sources[1:]}


async def test_a_summary_goes_when_one_of_its_memories_is_taken_back(store: PostgresStore, connect: Connect):
    summary, [wrong, *others] = await draw(store, connect, "compaction", 3)

    await store.identity.retire_evidence("ann", wrong.id, at=LONG_AGO + timedelta(days=1))

    assert await status_of(store, summary) is None
    assert await status_of(store, wrong) is MemoryStatus.SUPERSEDED
    assert {await status_of(store, memory) for memory in others} == {MemoryStatus.ACTIVE}


@pytest.mark.parametrize("source", ["consolidation", "contradiction_merge"])
async def test_what_was_drawn_goes_no_further_than_its_evidence(store: PostgresStore, connect: Connect, source: str):
    drawn, sources = await draw(store, connect, source, 3)
    further = Memory(user_id="ann", content="And so on", audience=str(HERE), source="contradiction_merge")
    await store.write([PendingWrite.of(further, None)])
    async with connect() as connection:
        await connection.execute("INSERT INTO derivations VALUES ('ann', $1, $2)", further.id, drawn.id)

    await store.identity.set_memory_audience("ann", sources[0].id, Audience.owner())

    heard = {memory.id for memory in await store.get_memories("ann", audience=HERE)}
    assert heard == {memory.id for memory in sources[1:]}


@pytest.mark.parametrize(("proofs", "is_left"), [(3, True), (2, False)])
@pytest.mark.parametrize("how", ["taken back", "edited"])
async def test_a_pattern_goes_with_its_last_but_one_proof(
    store: PostgresStore, connect: Connect, proofs: int, how: str, *, is_left: bool
):
    pattern, [first, *_] = await draw(store, connect, "consolidation", proofs)

    if how == "edited":
        await store.write([PendingWrite(first.model_copy(update={"content": "Nothing happened", "version": 5}))])
    else:
        await store.identity.retire_evidence("ann", first.id, at=LONG_AGO + timedelta(days=1))

    assert (await status_of(store, pattern) is not None) is is_left
