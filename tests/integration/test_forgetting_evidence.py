"""What goes with a memory and what stays, and that what was forgotten can't be learned again from another source."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
import uuid_utils.compat as uuid7
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_core import Audience, Memory, MemoryConfig, MemoryManager, MemoryStatus, MemoryType
from cortex_core.models import MAX_VERSION, utc_now
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from tests.harness import ScriptedEmbedder, eventually, flag_contradiction

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
STORY = "My sister Ann lives in Lisbon."


@pytest.fixture(scope="module")
async def memory(shared_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    """One memory for all tests: owners of their own keep them apart."""
    async with MemoryManager(shared_config, embedder=ScriptedEmbedder()) as memory:
        yield memory


@pytest.fixture
def owner() -> str:
    return uuid4().hex


async def write(
    memory: MemoryManager, owner: str, content: str, *, created_at: datetime = LONG_AGO, version: int = 0
) -> tuple[WriteOutcome, UUID]:
    """Write a memory under an id that nobody knows, as an import or a replay does."""
    new = Memory(user_id=owner, content=content, created_at=created_at, version=version)
    [outcome] = await memory.postgres.write([PendingWrite(new)])
    return outcome, new.id


async def contents_of(memory: MemoryManager, owner: str) -> list[str]:
    return [m.content for m in await memory.postgres.get_memories(owner, status=None)]


class TestLearningAgain:
    async def test_what_was_said_before_is_refused_under_any_id(self, memory: MemoryManager, owner: str):
        _, memory_id = await write(memory, owner, STORY)
        await memory.forget(owner, [memory_id])

        for content in (STORY, STORY.upper(), f"  {STORY}\n", "my sister — Ann — lives in LISBON!!"):
            assert (await write(memory, owner, content))[0] is WriteOutcome.FORGOTTEN
        assert await contents_of(memory, owner) == []

    async def test_saying_it_anew_is_a_new_memory(self, memory: MemoryManager, owner: str):
        _, memory_id = await write(memory, owner, STORY)
        await memory.forget(owner, [memory_id])

        await memory.store(owner, STORY)
        await memory.flush()

        assert await contents_of(memory, owner) == [STORY]

    @pytest.mark.parametrize(
        ("forgotten", "other"),
        [(STORY, "My sister Bea lives in Lisbon."), ("猫が好き", "犬が好き"), ("🙂", "😢"), ("Привет", "Пока")],
    )
    async def test_other_contents_are_not_meant(self, memory: MemoryManager, owner: str, forgotten: str, other: str):
        _, memory_id = await write(memory, owner, forgotten)
        await memory.forget(owner, [memory_id])

        assert (await write(memory, owner, other))[0] is WriteOutcome.WRITTEN
        assert (await write(memory, owner, forgotten))[0] is WriteOutcome.FORGOTTEN

    async def test_nor_are_other_owners(self, memory: MemoryManager, owner: str):
        _, memory_id = await write(memory, owner, STORY)
        await memory.forget(owner, [memory_id])

        assert (await write(memory, uuid4().hex, STORY))[0] is WriteOutcome.WRITTEN

    async def test_after_everything_was_forgotten_it_holds_for_all_of_it(self, memory: MemoryManager, owner: str):
        contents = [f"{n}. {STORY}" for n in range(20)]
        for content in contents:
            await write(memory, owner, content)
        await memory.forget_everything(owner)

        assert {(await write(memory, owner, content))[0] for content in contents} == {WriteOutcome.FORGOTTEN}

    async def test_what_was_forgotten_on_its_way_is_buried_when_it_arrives(self, memory: MemoryManager, owner: str):
        """Its text isn't known before."""
        one, all_of_it = uuid7.uuid7(), uuid4().hex
        await memory.forget(owner, [one])
        said = Memory(id=one, user_id=owner, content=STORY, created_at=LONG_AGO)
        await memory.forget_everything(all_of_it)
        other = Memory(user_id=all_of_it, content=STORY, created_at=LONG_AGO)

        outcomes = await memory.postgres.write([PendingWrite(m, acknowledged_at=LONG_AGO) for m in (said, other)])

        assert outcomes == [WriteOutcome.FORGOTTEN] * 2
        for user_id in (owner, all_of_it):
            assert (await write(memory, user_id, STORY))[0] is WriteOutcome.FORGOTTEN

    async def test_the_same_said_twice_stays_once(self, memory: MemoryManager, owner: str):
        """Only what is named goes; delivering the other again finds that it stands."""
        _, first = await write(memory, owner, STORY)
        second = Memory(user_id=owner, content=STORY, created_at=LONG_AGO)
        await memory.postgres.write([PendingWrite(second)])

        await memory.forget(owner, [first])

        assert await memory.postgres.write([PendingWrite(second)]) == [WriteOutcome.KNOWN]
        assert [m.id for m in await memory.list_memories(owner)] == [second.id]

    @pytest.mark.parametrize("is_later", [False, True])
    async def test_an_edit_counts_from_when_it_was_made(self, memory: MemoryManager, owner: str, *, is_later: bool):
        _, forgotten = await write(memory, owner, STORY)
        _, edited = await write(memory, owner, "something else")
        await memory.forget(owner, [forgotten])
        made_at = utc_now() + timedelta(hours=1 if is_later else -1)
        edit = Memory(
            id=edited, user_id=owner, content=STORY, created_at=LONG_AGO, version=int(made_at.timestamp() * 1000)
        )

        [outcome] = await memory.postgres.write([PendingWrite(edit)])

        assert outcome is (WriteOutcome.WRITTEN if is_later else WriteOutcome.FORGOTTEN)
        assert await contents_of(memory, owner) == [STORY if is_later else "something else"]

    async def test_emptied_and_refilled_with_the_same_words(self, memory: MemoryManager, owner: str):
        emptied, refilled = utc_now() - timedelta(hours=2), utc_now() - timedelta(hours=1)
        source = f"m-{owner}"
        await memory.store(owner, STORY, source_id=source, created_at=LONG_AGO)
        await memory.flush()
        await memory.forget_source(source, owner=owner, edited_at=emptied)

        await memory.store(owner, STORY, source_id=source, created_at=LONG_AGO, edited_at=refilled)
        await memory.flush()

        assert await contents_of(memory, owner) == [STORY]

    async def test_without_the_check_it_would_come_back(
        self, memory: MemoryManager, owner: str, monkeypatch: pytest.MonkeyPatch
    ):
        """The negative control."""
        _, memory_id = await write(memory, owner, STORY)
        await memory.forget(owner, [memory_id])
        check = "f.digest = named.digest"
        assert load_queries("memories")["write"].count(check) == 1

        careless = load_queries("memories")["write"].replace(check, "false")
        monkeypatch.setitem(load_queries("memories"), "write", careless)

        assert (await write(memory, owner, STORY))[0] is WriteOutcome.WRITTEN

    async def test_the_database_keeps_no_words(self, memory: MemoryManager, owner: str):
        _, memory_id = await write(memory, owner, STORY)
        await memory.forget(owner, [memory_id])

        async with memory.postgres.pool.connection() as connection:
            [row] = await connection.fetch("SELECT digest FROM forgotten_contents WHERE user_id = $1", owner)
            unkeyed = await connection.fetchval("SELECT sha256(convert_to($1, 'UTF8'))", STORY)
        assert len(row["digest"]) == 32
        assert row["digest"] != unkeyed

    @pytest.mark.parametrize(
        "statement",
        [
            "SELECT * FROM forgotten_contents",
            "SELECT * FROM secrets",
            "SELECT digest_of('ann', 'x')",
            "TABLE tombstones",
        ],
    )
    async def test_nobody_who_reads_for_a_person_gets_at_it(self, memory: MemoryManager, statement: str):
        async with memory.postgres.pool.connection() as connection, connection.transaction():
            await connection.execute(load_queries("connection")["read_as"], "ann")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(statement)


class TestIdentity:
    async def test_its_evidence_is_not_learned_again(self, memory: MemoryManager, owner: str):
        await memory.update_identity(owner, "city", "Lisbon")
        [evidence] = await memory.list_memories(owner, memory_types=[MemoryType.IDENTITY])

        receipt = await memory.forget(owner, [evidence.id])

        assert (receipt.identity_facts, receipt.long_term) == (1, 1)
        assert (await write(memory, owner, "City: LISBON"))[0] is WriteOutcome.FORGOTTEN
        await memory.update_identity(owner, "city", "Lisbon")
        assert await memory.get_identity(owner) == {"city": "Lisbon"}

    @pytest.mark.parametrize("value", ["Lisbon", 41, None, False, {"b": ["x", 1]}])
    async def test_a_fact_that_goes_alone_is_not_either(self, memory: MemoryManager, owner: str, value):
        fact = await memory.update_identity(owner, "it", value)

        receipt = await memory._open_parts.forgetter.forget_facts(owner, [fact.id])

        assert (receipt.identity_facts, receipt.total) == (1, 1)
        assert await memory.get_identity(owner) == {}
        words = value if isinstance(value, str) else json.dumps(value)
        assert (await write(memory, owner, f"it: {words}"))[0] is WriteOutcome.FORGOTTEN

    async def test_what_it_had_superseded_stays_so(self, memory: MemoryManager, owner: str):
        await memory.update_identity(owner, "city", "Lisbon")
        await memory.update_identity(owner, "city", "Porto")
        newer = next(m for m in await memory.list_memories(owner) if "Porto" in m.content)

        await memory.forget(owner, [newer.id])

        assert await memory.get_identity(owner) == {}
        [older] = await memory.postgres.get_memories(owner, status=None)
        assert (older.content, older.status) == ("city: Lisbon", MemoryStatus.SUPERSEDED)
        [fact] = await memory.get_identity_history(owner)
        assert fact.valid_to is not None

    async def test_a_deletion_that_is_out_of_date_takes_nothing_along(self, memory: MemoryManager, owner: str):
        source = f"m-{owner}"
        await memory.store(owner, "Tram 28 was late again", source_id=source, edited_at=utc_now())
        await memory.flush()
        [stands] = await memory.list_memories(owner)
        async with memory.postgres.pool.connection() as connection:
            await add_fact(connection, owner, "city", [stands.id], Audience.owner())

        [receipt] = await memory.forget_source(source, owner=owner, edited_at=utc_now() - timedelta(hours=1))

        assert receipt.total == 0
        assert await memory.get_identity(owner) == {"city": "x"}


async def add_fact(
    connection: asyncpg.Connection, owner: str, attribute: str, evidence: Sequence[UUID], audience: Audience
) -> UUID:
    fact_id = uuid7.uuid7()
    await connection.execute(
        "INSERT INTO identity_facts (user_id, id, attribute, value, confidence, audience, source, valid_from) "
        "VALUES ($1, $2, $3, '\"x\"'::text::jsonb, 1, $4, 'test', now())",
        owner, fact_id, attribute, str(audience),
    )  # fmt: skip
    await connection.executemany(
        "INSERT INTO evidence VALUES ($1, $2, $3)", [(owner, fact_id, memory_id) for memory_id in evidence]
    )
    return fact_id


@dataclass(frozen=True)
class Life:
    """Memories by number; facts and contradictions name theirs by it."""

    memories: list[tuple[str, Audience, MemoryStatus]]
    facts: list[tuple[frozenset[int], Audience]]
    contradictions: set[frozenset[int]]
    forgotten: set[int]


@st.composite
def lives(draw: st.DrawFn) -> Life:
    audiences = st.sampled_from(
        [Audience.owner(), Audience.channel(1, 2), Audience.channel(1, 3), Audience.guild(1), Audience.everywhere()]
    )
    texts = st.sampled_from(["Tea", "tea!", "coffee", "猫", "猫。", "犬", "🙂", "c o f f e e", ""]).map(
        "it is {}".format
    )
    memory = st.tuples(texts, audiences, st.sampled_from(MemoryStatus))
    memories = draw(st.lists(memory, min_size=2, max_size=8))
    numbers = st.integers(0, len(memories) - 1)
    facts = st.tuples(st.frozensets(numbers, min_size=1), audiences)
    return Life(
        memories,
        draw(st.lists(facts, max_size=5)),
        draw(st.sets(st.frozensets(numbers, min_size=2, max_size=2), max_size=4)),
        draw(st.sets(numbers)),
    )


def plain(text: str) -> str:
    return "".join(c for c in text.casefold() if c not in "!。").strip()


@given(lives())
@settings(deadline=None, max_examples=150)
async def test_exactly_what_the_rule_says_remains(memory: MemoryManager, life: Life):
    owner = uuid4().hex
    ids: list[UUID] = []
    for content, audience, status in life.memories:
        ids.append(uuid7.uuid7())
        new = Memory(
            id=ids[-1], user_id=owner, content=content, audience=str(audience), status=status, created_at=LONG_AGO
        )
        assert await memory.postgres.write([PendingWrite(new)]) == [WriteOutcome.WRITTEN]
    async with memory.postgres.pool.connection() as connection:
        facts = [
            await add_fact(connection, owner, f"a{n}", [ids[number] for number in evidence], audience)
            for n, (evidence, audience) in enumerate(life.facts)
        ]
    for pair in life.contradictions:
        one, other = (ids[number] for number in pair)
        await flag_contradiction(memory.postgres.pool, owner, one, other, "why")

    receipt = await memory.forget(owner, [ids[number] for number in life.forgotten])

    kept = set(range(len(ids))) - life.forgotten
    left = {m.id: m for m in await memory.postgres.get_memories(owner, status=None)}
    assert left.keys() == {ids[number] for number in kept}
    assert all(left[ids[number]].status is life.memories[number][2] for number in kept)

    facts_kept = {
        fact_id: str(Audience.narrowest([audience, *(life.memories[number][1] for number in evidence & kept)]))
        if evidence & life.forgotten
        else str(audience)
        for fact_id, (evidence, audience) in zip(facts, life.facts, strict=True)
        if evidence & kept
    }
    current = await memory.postgres.identity.list_current(owner)
    assert {fact.id: fact.audiences for fact in current} == {fact_id: (heard,) for fact_id, heard in facts_kept.items()}

    async with memory.postgres.pool.connection() as connection:
        pairs = await connection.fetch("SELECT memory_a, memory_b FROM contradictions WHERE owner_a = $1", owner)
        links = await connection.fetch("SELECT fact_id, memory_id FROM evidence WHERE user_id = $1", owner)
    pairs_kept = {frozenset(ids[number] for number in pair) for pair in life.contradictions if pair <= kept}
    assert {frozenset(row.values()) for row in pairs} == pairs_kept
    assert {tuple(row.values()) for row in links} == {
        (fact_id, ids[number])
        for fact_id, (evidence, _) in zip(facts, life.facts, strict=True)
        for number in evidence & kept
    }

    assert set(receipt.memory_ids) == {ids[number] for number in life.forgotten}
    assert receipt.long_term == len(life.forgotten)
    assert receipt.identity_facts == len(facts) - len(facts_kept)
    assert receipt.contradictions == len(life.contradictions) - len(pairs_kept)

    gone = {plain(life.memories[number][0]) for number in life.forgotten}
    for content in {content for content, *_ in life.memories}:
        again, _ = await write(memory, owner, content)
        anew, _ = await write(memory, owner, content, created_at=utc_now())
        assert again is (WriteOutcome.FORGOTTEN if plain(content) in gone else WriteOutcome.WRITTEN)
        assert anew is WriteOutcome.WRITTEN


async def test_of_many_long_memories_too(memory: MemoryManager, owner: str):
    """Hashing them takes longer than a statement usually may."""
    many = [Memory(user_id=owner, content=f"{n} " + "word, " * 1300, created_at=LONG_AGO) for n in range(300)]
    for start in range(0, len(many), 50):
        await memory.postgres.write([PendingWrite(m) for m in many[start : start + 50]])

    receipt = await memory.forget(owner, [m.id for m in many])

    assert receipt.long_term == len(many)


async def test_a_huge_version_is_no_obstacle(memory: MemoryManager, owner: str):
    _, memory_id = await write(memory, owner, STORY)
    await memory.forget(owner, [memory_id])

    assert (await write(memory, owner, STORY, version=MAX_VERSION))[0] is WriteOutcome.WRITTEN


@pytest.mark.parametrize("is_everything", [False, True])
async def test_upkeep_that_stands_in_the_way_delays_it_only(memory: MemoryManager, owner: str, *, is_everything: bool):
    """Vectors are filled in without the owner's lock, in another order than rows are deleted in."""
    ids = [(await write(memory, owner, f"number {n}"))[1] for n in range(2)]
    touch = "UPDATE memories SET access_count = 1 WHERE user_id = $1 AND id = $2"
    async with memory.postgres.pool.connection() as upkeep:
        async with upkeep.transaction():
            await upkeep.execute(touch, owner, ids[1])
            erasing = asyncio.create_task(
                memory.forget_everything(owner) if is_everything else memory.forget(owner, ids)
            )
            await eventually(lambda: is_anybody_waiting(upkeep))
            await upkeep.execute(touch, owner, ids[0])
        receipt = await erasing

    assert receipt.long_term == 2
    assert await contents_of(memory, owner) == []


async def is_anybody_waiting(connection: asyncpg.Connection) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
    return bool(await connection.fetchval(waiting))
