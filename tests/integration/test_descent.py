"""What was drawn from memories follows them: no further than they may be heard, and not beyond what they still say."""

from datetime import UTC, datetime, timedelta

import pytest

from cortex_core import Audience, Memory, MemoryStatus, MemoryType, PostgresStore
from cortex_core.stores.postgres.contradictions import MERGED, Decision, Resolution
from cortex_core.stores.postgres.store import PendingWrite
from tests.harness import Connect, flag_contradiction

HERE = Audience.channel(1, 10)
LONG_AGO = datetime(2026, 3, 2, tzinfo=UTC)


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


async def say(store: PostgresStore, content: str) -> Memory:
    memory = Memory(
        user_id="ann", content=content, memory_type=MemoryType.SEMANTIC, audience=str(HERE), created_at=LONG_AGO
    )
    await store.write([PendingWrite.of(memory, None)])
    return memory


async def merge(store: PostgresStore, one: Memory, other: Memory) -> Memory:
    """Decide that one memory takes the place of two that contradict each other."""
    await flag_contradiction(store.pool, "ann", one.id, other.id, f"{one.content} against {other.content}")
    [found] = await store.contradictions.list_open("ann")
    merged = Memory(
        user_id="ann",
        content=f"{one.content}, {other.content}",
        memory_type=MemoryType.SEMANTIC,
        audience=str(HERE),
        source=MERGED,
    )
    await store.contradictions.resolve(found.id, Decision("ann", Resolution.MERGE, merged=merged))
    return merged


async def all_of(store: PostgresStore) -> dict[str, MemoryStatus]:
    return {memory.content: memory.status for memory in await store.get_memories("ann", status=None)}


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


async def test_a_pattern_goes_no_further_than_its_evidence(store: PostgresStore, connect: Connect):
    pattern, sources = await draw(store, connect, "consolidation", 3)
    other = await say(store, "The opposite")
    await merge(store, pattern, other)

    await store.identity.set_memory_audience("ann", sources[0].id, Audience.owner())

    heard = {memory.id for memory in await store.get_memories("ann", audience=HERE)}
    assert heard == {memory.id for memory in (*sources[1:], other)}
    assert (await store.get("ann", pattern.id)).audience == "owner"


async def test_a_pattern_leaves_its_project_with_its_evidence(store: PostgresStore, connect: Connect):
    """Also where all of them are the owner's alone apart from the project."""
    pattern, [taken_back, *_] = await draw(store, connect, "consolidation", 2)
    async with connect() as connection, connection.transaction():
        await connection.execute("INSERT INTO projects (id, name, owner_id) VALUES ('p', 'P', 'ann')")
        await connection.execute("INSERT INTO project_members (project_id, user_id, role) VALUES ('p', 'ann', 'owner')")
        await connection.execute("UPDATE memories SET project_id = 'p', audience = 'owner'")

    await store.identity.set_memory_audience("ann", taken_back.id, Audience.owner())

    assert [memory.project_id for memory in await store.get_memories("ann") if memory.id == pattern.id] == [None]


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


@pytest.mark.parametrize("source", ["compaction", "consolidation"])
async def test_an_edit_that_only_narrows_is_followed(store: PostgresStore, connect: Connect, source: str):
    drawn, [first, *others] = await draw(store, connect, source, 3)
    async with connect() as connection:
        await connection.execute("UPDATE memories SET status = 'archived' WHERE id = $1", first.id)

    await store.write([PendingWrite(first.model_copy(update={"audience": "owner", "version": 5}))])

    heard = {memory.id for memory in await store.get_memories("ann", audience=HERE)}
    assert heard == {memory.id for memory in others} | ({drawn.id} if source == "consolidation" else set())
    assert first.id not in {memory.id for memory in await store.derivations.list_sources("ann", drawn.id)}


class TestMergedMemories:
    async def test_without_one_of_the_two_the_other_speaks_for_itself(self, store: PostgresStore):
        tea, milk = await say(store, "Tea"), await say(store, "Milk")
        merged = await merge(store, tea, milk)

        erased = await store.erasure.erase("ann", [tea.id])

        assert set(erased.memory_ids) == {tea.id, merged.id}
        assert await all_of(store) == {"Milk": MemoryStatus.ACTIVE}
        assert (await store.get("ann", milk.id)).valid_to is None
        assert await store.contradictions.list_open("ann") == []

    async def test_nor_does_what_it_was_merged_with_later_get_lost(self, store: PostgresStore):
        tea, milk, sugar = [await say(store, content) for content in ("Tea", "Milk", "Sugar")]
        await merge(store, await merge(store, tea, milk), sugar)

        await store.erasure.erase("ann", [tea.id])

        assert await all_of(store) == {"Milk": MemoryStatus.ACTIVE, "Sugar": MemoryStatus.ACTIVE}

    async def test_forgotten_itself_it_takes_both_along(self, store: PostgresStore):
        tea, milk, sugar = [await say(store, content) for content in ("Tea", "Milk", "Sugar")]
        merged = await merge(store, await merge(store, tea, milk), sugar)

        await store.erasure.erase("ann", [merged.id])

        assert await all_of(store) == {}

    async def test_what_was_merged_into_something_wrong_is_not_brought_back(self, store: PostgresStore):
        tea, milk = await say(store, "Tea"), await say(store, "Milk")
        merged = await merge(store, tea, milk)
        await store.identity.retire_evidence("ann", merged.id, at=LONG_AGO + timedelta(days=1))

        await store.erasure.erase("ann", [tea.id])

        assert await all_of(store) == {"Milk": MemoryStatus.SUPERSEDED}

    async def test_it_goes_with_words_that_were_edited_away(self, store: PostgresStore):
        tea, milk, sugar = [await say(store, content) for content in ("Tea", "Milk", "Sugar")]
        await merge(store, await merge(store, tea, milk), sugar)

        await store.write([PendingWrite(tea.model_copy(update={"content": "Water", "version": 5}))])

        assert await all_of(store) == dict.fromkeys(["Water", "Milk", "Sugar"], MemoryStatus.ACTIVE)
        async with store.pool.connection() as connection:
            assert not await connection.fetchval("SELECT count(*) FROM contradictions WHERE explanation LIKE '%Tea%'")
        await flag_contradiction(store.pool, "ann", tea.id, milk.id, "the new words")
        assert len(await store.contradictions.list_open("ann")) == 1

    @pytest.mark.parametrize("how", ["forgotten", "edited"])
    async def test_each_takes_along_what_it_alone_had_told(self, store: PostgresStore, connect: Connect, how: str):
        tea, milk = await say(store, "Tea"), await say(store, "Milk")
        async with connect() as connection:
            for memory in (tea, milk):
                fact_id = await connection.fetchval(
                    "INSERT INTO identity_facts (user_id, id, attribute, value, confidence, source, valid_from) "
                    "VALUES ('ann', gen_random_uuid(), $1, 'true', 1, 'rules', now()) RETURNING id",
                    memory.content,
                )
                await connection.execute("INSERT INTO evidence VALUES ('ann', $1, $2)", fact_id, memory.id)
        await merge(store, tea, milk)

        if how == "forgotten":
            await store.erasure.erase("ann", [tea.id])
        else:
            await store.write([PendingWrite(tea.model_copy(update={"content": "Water", "version": 5}))])

        [fact] = await store.identity.list_history("ann")
        assert (fact.attribute, fact.valid_to) == ("Milk", None)
        assert {fact_id: [m.id for m in of] for fact_id, of in (await store.identity.list_evidence("ann")).items()} == {
            fact.id: [milk.id]
        }

    async def test_it_goes_with_a_pattern_that_goes(self, store: PostgresStore, connect: Connect):
        pattern, [first, second] = await draw(store, connect, "consolidation", 2)
        other = await say(store, "The opposite")
        await merge(store, pattern, other)

        await store.write([PendingWrite(first.model_copy(update={"content": "Nothing happened", "version": 5}))])

        assert set(await all_of(store)) == {"Nothing happened", second.content, other.content}
        assert await status_of(store, other) is MemoryStatus.ACTIVE

    async def test_moved_elsewhere_both_are_there_again_to_be_decided(self, store: PostgresStore):
        tea, milk = await say(store, "Tea"), await say(store, "Milk")
        await merge(store, tea, milk)

        await store.identity.set_memory_audience("ann", tea.id, Audience.owner())

        assert await all_of(store) == dict.fromkeys(["Tea", "Milk"], MemoryStatus.ACTIVE)
        assert [memory.id for memory in await store.get_memories("ann", audience=HERE)] == [milk.id]
        [found] = await store.contradictions.list_open("ann")
        await store.contradictions.resolve(found.id, Decision("ann", Resolution.BOTH_VALID))

    async def test_taken_back_one_leaves_the_other(self, store: PostgresStore):
        tea, milk = await say(store, "Tea"), await say(store, "Milk")
        await merge(store, tea, milk)

        await store.identity.retire_evidence("ann", tea.id, at=LONG_AGO + timedelta(days=1))

        assert await all_of(store) == {"Tea": MemoryStatus.SUPERSEDED, "Milk": MemoryStatus.ACTIVE}

    async def test_a_merger_that_was_taken_back_brings_nothing_back(self, store: PostgresStore):
        """What is decided since stays."""
        tea, milk = await say(store, "Tea"), await say(store, "Milk")
        await merge(store, tea, milk)
        async with store.pool.connection() as connection:
            decided = await connection.fetchval("SELECT id FROM contradictions")
        await store.contradictions.reopen("ann", decided)
        [found] = await store.contradictions.list_open("ann")
        wins = Resolution.A_WINS if found.memory_a == tea.id else Resolution.B_WINS
        await store.contradictions.resolve(found.id, Decision("ann", wins))

        await store.write([PendingWrite(tea.model_copy(update={"content": "Water", "version": 5}))])

        assert await all_of(store) == {"Water": MemoryStatus.ACTIVE, "Milk": MemoryStatus.SUPERSEDED}
