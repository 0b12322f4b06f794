"""Forgetting: everywhere, for good, of the right owner, with a receipt that tells the truth."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import asyncpg
import pytest
import redis.asyncio as redis
import uuid_utils.compat as uuid7

from cortex_core import Memory, MemoryConfig, MemoryManager, MemoryType, NewMemory
from cortex_core.ingestion.intake import memory_id_of
from cortex_core.models import utc_now
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.dead_letters import DeadLetter
from cortex_core.stores.postgres.rows import to_json
from tests.harness import Connect, eventually, flag_contradiction

CANARY = "xylocanary"
STEM = "xylocanar"


async def traces(connection: asyncpg.Connection, client: redis.Redis) -> list[str]:
    """Tell where the canary is still found."""
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found = [
        row["tablename"]
        for row in tables
        if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {row['tablename']} AS t WHERE t::text ~ $1)", STEM)  # noqa: S608
    ]
    async for key in client.scan_iter():
        kind = await client.type(key)
        if kind == b"hash":
            content: object = await client.hgetall(key)
        elif kind == b"stream":
            content = await client.xrange(key)
        elif kind == b"list":
            content = await client.lrange(key, 0, -1)
        elif kind == b"string":
            content = await client.get(key)
        else:
            content = await client.zrange(key, 0, -1)
        if STEM in repr(content):
            found.append(key.decode())
    return found


async def fill(memory: MemoryManager, user_id: str) -> UUID:
    """Leave the canary wherever it can be left, and return the memory's id."""
    result = await memory.store(user_id, f"My secret is {CANARY}.", metadata={"a": CANARY}, source_id="m1")
    await memory.update_identity(user_id, "secret", CANARY)
    await memory.start_session(user_id, {"topic": CANARY})
    await memory.redis.update_meta(user_id, {"note": CANARY})
    await memory.get_context(user_id, CANARY)
    return UUID(result.memory_id)


async def test_one_memory_is_gone_everywhere(memory: MemoryManager, connect: Connect, raw_redis: redis.Redis):
    result = await memory.store("ann", f"My secret is {CANARY}.")
    await memory.store("ann", "This stays.")
    await memory.flush()

    receipt = await memory.forget("ann", [UUID(result.memory_id)])

    assert (receipt.long_term, receipt.working, receipt.total) == (1, 1, 1)
    async with connect() as connection:
        assert await traces(connection, raw_redis) == []
    context = await memory.get_context("ann", CANARY)
    assert {m.content for m in (*context.working, *context.retrieved)} == {"This stays."}


async def test_everything_is_gone_everywhere(memory: MemoryManager, connect: Connect, raw_redis: redis.Redis):
    await fill(memory, "ann")
    await memory.flush()
    await memory.store("ann", f"{CANARY} is on its way")

    receipt = await memory.forget_everything("ann")
    await memory.flush()

    assert receipt.session
    assert receipt.identity_facts == 1
    assert receipt.total >= 3
    async with connect() as connection:
        assert await traces(connection, raw_redis) == []
    assert await memory.get_identity("ann") == {}


async def test_it_is_found_neither_by_words_nor_by_likeness_nor_in_its_project(
    memory: MemoryManager, connect: Connect, raw_redis: redis.Redis
):
    """Wherever it can be: row, vector, pieces, words, fact, evidence, contradiction, dead letter, project, cache."""

    async def answers(person: str) -> str:
        question = f"What is my secret, {CANARY}?"
        return repr(
            [
                await memory.get_context(person, question),
                await memory.search(person, question, project.id),
                await memory.project_memory.get_project_context(project.id, question, user_id=person),
            ]
        ).replace(question, "")

    project = await memory.project_memory.create_project(None, "garden", "ann", ["ben"])
    told = await memory.store("ann", f"My secret is {CANARY}.", project_id=project.id, source_id="m1")
    other = await memory.store("ann", "My secret is something else.")
    await memory.flush()
    memory_id, other_id = UUID(told.memory_id), UUID(other.memory_id)
    fact = await memory.update_identity("ann", "secret", "kept")
    await flag_contradiction(memory.postgres.pool, "ann", memory_id, other_id, f"{CANARY} or not")
    letter = DeadLetter("1-1", CANARY, "why", 1, datetime.now(UTC), "ann", memory_id)
    await memory.postgres.dead_letters.add(letter, acknowledged_at=datetime.now(UTC))
    async with connect() as connection:
        await connection.execute("UPDATE identity_facts SET value = to_jsonb($1::text) WHERE id = $2", CANARY, fact.id)
        await connection.execute("UPDATE evidence SET memory_id = $1 WHERE fact_id = $2", memory_id, fact.id)
    await memory.redis.clear_identity("ann")
    for person in ("ann", "ben"):
        assert CANARY in await answers(person)

    receipt = await memory.forget("ann", [memory_id])

    assert (receipt.long_term, receipt.working, receipt.identity_facts) == (1, 1, 1)
    assert (receipt.contradictions, receipt.dead_letters) == (1, 1)
    for person in ("ann", "ben"):
        assert CANARY not in await answers(person)
    async with connect() as connection:
        assert await traces(connection, raw_redis) == []
        for table in ("memories", "memory_pieces"):
            assert memory_id not in [row["id"] for row in await connection.fetch(f"SELECT id FROM {table}")]  # noqa: S608
        assert await connection.fetchval("SELECT count(*) FROM evidence") == 0


async def test_another_owner_is_untouched(memory: MemoryManager):
    memory_id = await fill(memory, "ann")
    await fill(memory, "ben")
    await memory.flush()
    before = [await memory.get_context("ben", CANARY), await memory.get("ben", memory_id)]

    await memory.forget("ann", [memory_id])
    await memory.forget_everything("ann")
    await memory.flush()

    after = [await memory.get_context("ben", CANARY), await memory.get("ben", memory_id)]
    assert len(before[0].working) == len(after[0].working) == 1
    assert before[0].identity == after[0].identity
    assert after[1].content == before[1].content


async def test_nobody_forgets_for_somebody_else(memory: MemoryManager):
    memory_id = await fill(memory, "ann")
    await memory.flush()

    receipt = await memory.forget("eve", [memory_id])

    assert (receipt.long_term, receipt.working, receipt.total) == (0, 0, 0)
    assert await memory.get("ann", memory_id)


async def test_a_receipt_counts_only_what_was_there(memory: MemoryManager):
    result = await memory.store("ann", "one")
    await memory.flush()
    wanted = [UUID(result.memory_id), uuid7.uuid7()]

    receipt = await memory.forget("ann", wanted)
    again = await memory.forget("ann", wanted)

    assert (receipt.memory_ids, receipt.total) == ((wanted[0],), 1)
    assert (again.memory_ids, again.total) == ((), 0)


@pytest.fixture
async def idle(memory_config: MemoryConfig, embedder) -> MemoryManager:
    """A memory whose journal nobody reads."""
    ingestion = memory_config.ingestion.model_copy(update={"consumers": 0})
    async with MemoryManager(memory_config.model_copy(update={"ingestion": ingestion}), embedder=embedder) as memory:
        yield memory


async def write_journal(config: MemoryConfig, embedder) -> None:
    async with MemoryManager(config, embedder=embedder) as memory:
        await memory.flush()


async def test_queued_writes_do_not_come_back(
    idle: MemoryManager, memory_config: MemoryConfig, embedder, connect: Connect, raw_redis: redis.Redis
):
    one = await idle.store("ann", f"first {CANARY}")
    await idle.store("ben", f"second {CANARY}")
    await idle.start_session("ben", {"topic": CANARY})
    await idle.forget("ann", [UUID(one.memory_id)])
    await idle.forget_everything("ben")
    await idle.store("cleo", "unrelated")

    await write_journal(memory_config, embedder)

    async with connect() as connection:
        assert await traces(connection, raw_redis) == []
        assert await connection.fetchval("SELECT count(*) FROM memories") == 1


async def test_what_was_forgotten_while_queued_can_not_be_imported_either(
    idle: MemoryManager, memory_config: MemoryConfig, embedder, connect: Connect, raw_redis: redis.Redis
):
    said_at = datetime.now(UTC)
    one = await idle.store("ann", f"first {CANARY}")
    await idle.store("ben", f"second {CANARY}")
    await idle.forget("ann", [UUID(one.memory_id)])
    await idle.forget_everything("ben")
    await write_journal(memory_config, embedder)

    for user_id, content in (("ann", "first"), ("ben", "second")):
        await idle.store(user_id, f"{content} {CANARY}", created_at=said_at, source="import")
        await idle.store(user_id, "unrelated", created_at=said_at, source="import")
    await write_journal(memory_config, embedder)

    async with connect() as connection:
        assert await traces(connection, raw_redis) == []
        assert await connection.fetchval("SELECT count(*) FROM memories") == 2
    for user_id in ("ann", "ben"):
        assert [m.content for m in (await idle.get_context(user_id)).working] == ["unrelated"]


async def test_a_repeated_delivery_does_not_bring_it_back(memory: MemoryManager):
    result = await memory.store("ann", "Forget this.", source_id="m1")
    await memory.flush()
    await memory.forget("ann", [UUID(result.memory_id)])

    await memory.store("ann", "Forget this.", source_id="m1")
    await memory.flush()

    assert await memory.list_memories("ann") == []
    await eventually(lambda: is_faded(memory))


async def is_faded(memory: MemoryManager) -> bool:
    return (await memory.get_context("ann")).working == []


async def test_life_goes_on_after_everything_was_forgotten(memory: MemoryManager):
    await memory.forget_everything("ann")
    for n in range(30):
        await memory.forget_everything("ben")
        await memory.store("ben", f"hello again {n}")
    await memory.store("ann", "hello again")
    await memory.start_session("ann", {"a": 1})
    await memory.flush()

    assert [m.content for m in await memory.list_memories("ann")] == ["hello again"]
    assert [m.content for m in await memory.list_memories("ben")] == ["hello again 29"]
    assert await memory.postgres.sessions.get("ann") != {}


async def test_storing_while_everything_is_forgotten_leaves_no_half(memory: MemoryManager):
    async def talk() -> None:
        await memory.store_many("ann", [NewMemory(content=f"text {n}") for n in range(60)])

    await asyncio.gather(talk(), memory.forget_everything("ann"), talk(), memory.forget_everything("ann"))
    await memory.flush()

    rows = {m.id for m in await memory.list_memories("ann", limit=500)}
    working = {m.id for m in (await memory.get_context("ann")).working}
    assert working <= rows


class TestFacts:
    async def test_what_rests_on_it_alone_goes_too(self, memory: MemoryManager):
        await memory.update_identity("ann", "city", "Lisbon")
        await memory.update_identity("ann", "name", "Ann")
        [evidence] = [
            m for m in await memory.list_memories("ann", memory_types=[MemoryType.IDENTITY]) if "Lisbon" in m.content
        ]

        receipt = await memory.forget("ann", [evidence.id])

        assert receipt.identity_facts == 1
        assert await memory.get_identity("ann") == {"name": "Ann"}
        assert (await memory.get_context("ann")).identity == {"name": "Ann"}
        assert [fact.attribute for fact in await memory.get_identity_history("ann")] == ["name"]

    async def test_what_has_other_evidence_stays(self, memory: MemoryManager, connect: Connect):
        fact = await memory.update_identity("ann", "city", "Lisbon")
        other = await memory.store("ann", "I live in Lisbon.")
        await memory.flush()
        async with connect() as connection:
            await connection.execute("INSERT INTO evidence VALUES ('ann', $1, $2)", fact.id, UUID(other.memory_id))

        await memory.forget("ann", [UUID(other.memory_id)])

        assert await memory.get_identity("ann") == {"city": "Lisbon"}


class TestWhatOthersNeed:
    async def test_what_was_decided_for_a_project_stays_so_without_a_name(
        self, memory: MemoryManager, connect: Connect
    ):
        await memory.project_memory.create_project("p", "P", owner_id="ann")
        ids = []
        for number in range(4):
            result = await memory.store("ann", f"We ship on day {number}.", project_id="p")
            ids.append(UUID(result.memory_id))
        await memory.flush()
        for one, other in pairwise(ids):
            await flag_contradiction(memory.postgres.pool, "ann", one, other, "One day.")
        async with connect() as connection:
            flagged = [row["id"] for row in await connection.fetch("SELECT id FROM contradictions ORDER BY memory_a")]
            for which, reviewer in zip(flagged, ("cleo", "dan"), strict=False):
                await connection.execute(
                    "UPDATE contradictions SET project_id = 'p', resolution = 'a_wins', resolved_at = now(), "
                    "resolved_by = $2, note = $2 || ' said so' WHERE id = $1",
                    which, reviewer,
                )  # fmt: skip
            await connection.execute(
                "UPDATE contradictions SET claimed_by = 'cleo', claimed_until = now() WHERE id = $1", flagged[2]
            )

        await memory.forget_everything("cleo")

        async with connect() as connection:
            rows = {row["id"]: row for row in await connection.fetch("SELECT * FROM contradictions")}
        assert [rows[i]["resolution"] for i in flagged] == ["a_wins", "a_wins", None]
        assert [rows[i]["resolved_by"] for i in flagged] == [None, "dan", None]
        assert [rows[i]["note"] for i in flagged] == [None, "dan said so", None]
        assert (rows[flagged[2]]["claimed_by"], rows[flagged[2]]["claimed_until"]) == (None, None)
        assert not any("cleo" in str(dict(row)) for row in rows.values())

    async def test_what_a_language_model_cost_stays_counted_without_a_name(
        self, memory: MemoryManager, connect: Connect
    ):
        today = utc_now().date()
        for day, account, tokens in [
            (today, "owner:cleo", 5),
            (today - timedelta(days=1), "owner:cleo", 7),
            (today, "owner:cleopatra", 11),
            (today, "", 13),
        ]:
            await memory.postgres.spending.reserve(
                day, account, tokens=99, dollars=0.0, daily_tokens=0, daily_dollars=0.0
            )
            await memory.postgres.spending.settle(
                day, account, tokens=99, dollars=0.0, usage=(tokens, 1), cost=0.5, calls=1
            )

        await memory.forget_everything("cleo")

        async with connect() as connection:
            rows = await connection.fetch("SELECT day, account, calls, input_tokens FROM llm_spending ORDER BY 4")
        assert [tuple(row) for row in rows] == [
            (today - timedelta(days=1), "", 1, 7), (today, "owner:cleopatra", 1, 11), (today, "", 2, 18),
        ]  # fmt: skip
        spent = await memory.postgres.activity.count_spending(since=today - timedelta(days=1))
        assert (spent.calls, spent.input_tokens, spent.cost_usd) == (4, 36, 2.0)


class TestSources:
    async def test_for_everybody_who_owns_one(self, memory: MemoryManager):
        for user_id in ("ann", "ben"):
            await memory.store(user_id, "said in a channel", source_id="m1")
            await memory.store(user_id, "something else", source_id="m2")
        await memory.flush()

        receipts = await memory.forget_source("m1")

        assert sum(receipt.long_term for receipt in receipts) == 2
        for user_id in ("ann", "ben"):
            assert [m.content for m in await memory.list_memories(user_id)] == ["something else"]

    async def test_one_that_is_still_on_its_way(self, idle: MemoryManager, memory_config: MemoryConfig, embedder):
        await idle.store("ann", "deleted at once", source_id="m1")
        await idle.forget_source("m1", owner="ann")
        assert (await idle.get_context("ann")).working == []

        await write_journal(memory_config, embedder)

        assert await idle.list_memories("ann") == []

    async def test_one_whose_owner_nobody_knows(self, idle: MemoryManager, memory_config: MemoryConfig, embedder):
        await idle.store("ann", "deleted at once", source_id="m1")
        await idle.forget_source("m1")

        await write_journal(memory_config, embedder)

        assert await idle.list_memories("ann") == []
        assert (await idle.get_context("ann")).working == []
        assert (await idle.store("ann", "deleted at once", source_id="m1")).success

    async def test_one_that_is_being_written_by_somebody_nobody_knows_of(self, memory: MemoryManager):
        written = Memory(id=memory_id_of("m1"), user_id="ann", content="deleted at once", source_id="m1")
        queries = load_queries("memories")

        async with memory.postgres.pool.transaction() as writing:
            await writing.execute(queries["lock_writes"])
            await writing.execute(queries["lock_owners"], ["ann"])
            await writing.fetch(queries["write"], to_json([(written, None)]), [None], [None], None)
            deleting = asyncio.create_task(memory.forget_source("m1"))

            async def is_up_to_the_commit() -> bool:
                waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                return deleting.done() or await writing.fetchval(waiting) > 0

            await eventually(is_up_to_the_commit)
        [receipt] = await deleting

        assert receipt.memory_ids == (written.id,)
        assert await memory.list_memories("ann") == []

    async def test_its_name_is_cleaned_as_when_it_was_stored(self, memory: MemoryManager):
        await memory.store("ann", "said in a channel", source_id="m\0\ud800")
        await memory.flush()

        [receipt] = await memory.forget_source("m\0\ud800")

        assert receipt.long_term == 1

    async def test_an_unknown_one_is_no_error(self, memory: MemoryManager):
        assert await memory.forget_source("never seen") == []


class TestEditsToNothing:
    FIRST, EMPTIED, REFILLED = (datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (1, 2, 3))

    async def test_a_later_edit_fills_it_again(self, memory: MemoryManager):
        await memory.store("ann", "I love tea", source_id="m1")
        await memory.flush()
        await memory.forget_source("m1", owner="ann", edited_at=self.EMPTIED)
        assert await memory.list_memories("ann") == []
        assert (await memory.get_context("ann")).working == []

        await memory.store("ann", "I love coffee", source_id="m1", edited_at=self.REFILLED)
        await memory.flush()

        assert [m.content for m in await memory.list_memories("ann")] == ["I love coffee"]
        assert (await memory.get_context("ann")).working == []  # an edit of what isn't there is for Postgres to place

    @pytest.mark.parametrize("is_refilled", [False, True])
    async def test_an_earlier_one_that_is_still_on_its_way_stays_gone(
        self, idle: MemoryManager, memory_config: MemoryConfig, embedder, *, is_refilled: bool
    ):
        await idle.store("ann", "I love tea", source_id="m1")
        await idle.store("ann", "I love milk", source_id="m1", edited_at=self.FIRST)
        await idle.forget_source("m1", owner="ann", edited_at=self.EMPTIED)
        if is_refilled:
            await idle.store("ann", "I love coffee", source_id="m1", edited_at=self.REFILLED)
        assert (await idle.get_context("ann")).working == []

        await write_journal(memory_config, embedder)

        left = ["I love coffee"] if is_refilled else []
        assert [m.content for m in await idle.list_memories("ann")] == left
        assert (await idle.get_context("ann")).working == []

    async def test_one_that_arrives_late_leaves_a_later_one_alone(self, memory: MemoryManager):
        await memory.store("ann", "I love coffee", source_id="m1", edited_at=self.REFILLED)
        await memory.flush()

        receipts = await memory.forget_source("m1", owner="ann", edited_at=self.EMPTIED)

        assert [receipt.total for receipt in receipts] == [0]
        assert [m.content for m in await memory.list_memories("ann")] == ["I love coffee"]


async def test_dead_letters_go_too(memory: MemoryManager, connect: Connect, raw_redis: redis.Redis):
    await memory.store("ann", "the original", source_id="m1")
    await memory.flush()
    await raw_redis.delete("cortex:{ann}:payloads", "cortex:{ann}:working")
    await memory.store("ann", f"another content {CANARY}", source_id="m1")
    await memory.flush()
    assert await memory.postgres.dead_letters.count() == 1

    receipt = await memory.forget_everything("ann")

    assert receipt.dead_letters == 1
    async with connect() as connection:
        assert await traces(connection, raw_redis) == []
