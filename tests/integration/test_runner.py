"""The runner against real servers: every owner's turn, one process at a time, and what fails stays by itself."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from cortex_core import (
    ConfigError,
    Memory,
    MemoryStatus,
    MemoryType,
    PostgresStore,
    RedisStore,
    calculate_importance,
)
from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.cleanup import Cleanup
from cortex_core.consolidation.compaction import CompactionJob
from cortex_core.consolidation.contradictions import ContradictionDetector
from cortex_core.consolidation.monitor import ConsolidationMetrics, ConsolidationMonitor
from cortex_core.consolidation.patterns import PatternExtractor
from cortex_core.consolidation.runner import ConsolidationRunner, Round
from cortex_core.consolidation.runs import OpenRun, RunKeeper
from cortex_core.errors import InvalidInputError, NotFoundError
from cortex_core.models import PINNED, Run, RunStatus, utc_now
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.providers.openai_llm import OpenAIChat
from cortex_core.stores.keys import UserKeys
from cortex_core.stores.postgres.importance import set_importance
from cortex_core.stores.postgres.runs import ChangeKind, note_changes
from tests.harness import PATIENCE, Connect, Gate, ScriptedEmbedder, eventually
from tests.integration.test_patterns import Student
from tests.openai_server import Answer, ScriptedOpenAI

WEEK = timedelta(weeks=1)
JOBS = ["patterns", "contradictions", "compaction", "cleanup"]


@pytest.fixture
async def server(server: ScriptedOpenAI) -> ScriptedOpenAI:
    server.answer_with(answer)
    return server


def answer(body: dict) -> Answer:
    asked = body["messages"][0]["content"]
    if "condense" in asked:
        return Answer.json({"summary": "A week in a sentence."})
    if "patterns" in asked:
        pattern = {"category": "behavior", "fact": "talks about tea", "confidence": 0.9, "evidence": [1, 2]}
        return Answer.json({"patterns": [{**pattern, "attribute": None, "value": None}]})
    return Answer.json({"conflicts": []})


def a_runner(store: PostgresStore, redis: RedisStore, chat: OpenAIChat | None, **settings) -> ConsolidationRunner:
    config = ConsolidationConfig(**{"schedule": "", "cleanup_schedule": "", **settings})
    embedder = CachingEmbedder(ScriptedEmbedder())
    return ConsolidationRunner(
        config,
        redis,
        store,
        PatternExtractor(config, store, embedder, chat, Student()),
        ContradictionDetector(config, redis, store, chat, None, lambda: None),
        CompactionJob(config, store, embedder, chat, lambda: None),
        Cleanup(config, redis, store),
    )


@pytest.fixture
def runner(store: PostgresStore, redis: RedisStore, chat: OpenAIChat) -> ConsolidationRunner:
    return a_runner(store, redis, chat)


async def live(store: PostgresStore, owner: str = "ann", *, old: int = 12, recent: int = 6) -> None:
    """Let somebody say something long ago and lately."""
    now = utc_now()
    for number in range(old):
        await store.store(
            Memory(user_id=owner, content=f"Old tea {number}.", created_at=datetime(2026, 1, 6, number, tzinfo=UTC))
        )
    for number in range(recent):
        said_at = now - timedelta(hours=30 + number)
        await store.store(Memory(user_id=owner, content=f"New tea {number}.", created_at=said_at))


async def test_all_jobs_are_run_for_an_owner_and_logged(store: PostgresStore, runner: ConsolidationRunner):
    await live(store)
    begun = []

    whole = await runner.run_for_user("ann", progress=begun.append)

    assert begun == JOBS
    assert (whole.status, whole.error) == (RunStatus.SUCCEEDED, None)
    assert whole.counts.items() >= {"patterns_added": 1, "summaries": 1, "memories_compacted": 12}.items()
    logged = await runner.list_runs("ann")
    assert [run.job for run in reversed(logged)] == ["consolidation", *JOBS]
    assert {run.status for run in logged} == {RunStatus.SUCCEEDED}
    assert {run.epoch for run in logged} == {1}
    assert next(run for run in logged if run.job == "consolidation") == whole


async def test_a_run_can_be_undone(store: PostgresStore, redis: RedisStore, runner: ConsolidationRunner):
    await live(store)
    await runner.run_for_user("ann")
    await redis.set_identity("ann", {"cached": "yes"})
    compaction = next(run for run in await runner.list_runs("ann") if run.job == "compaction")

    undone = await runner.undo("ann", compaction.id)

    assert (len(undone.restored), len(undone.withdrawn)) == (12, 1)
    assert await redis.get_identity("ann") == {}
    with pytest.raises(NotFoundError):
        await runner.undo("ben", compaction.id)
    with pytest.raises(InvalidInputError):
        await runner.run_for_user("")


async def test_the_whole_of_a_run_can_be_undone(store: PostgresStore, runner: ConsolidationRunner):
    await live(store)
    before = await tell_status(store)
    whole = await runner.run_for_user("ann")
    assert await tell_status(store) != before

    undone = await runner.undo("ann", whole.id)

    assert (len(undone.restored), len(undone.withdrawn)) == (12, 2)
    assert (await tell_status(store)).items() >= before.items()
    assert {memory.id for memory in await store.get_memories("ann")} == before.keys()
    assert all(run.undone_at for run in await runner.list_runs("ann"))
    with pytest.raises(InvalidInputError, match="undone already"):
        await runner.undo("ann", whole.id)

    again = await runner.run_for_user("ann")
    with pytest.raises(InvalidInputError, match="changed nothing"):
        await runner.undo("ann", again.id)


async def test_the_whole_is_undone_with_what_was_not_undone_by_itself(
    store: PostgresStore, runner: ConsolidationRunner
):
    await live(store)
    whole = await runner.run_for_user("ann")
    compaction = next(run for run in await runner.list_runs("ann") if run.job == "compaction")
    await runner.undo("ann", compaction.id)

    undone = await runner.undo("ann", whole.id)

    assert (undone.restored, len(undone.withdrawn)) == ((), 1)  # the pattern


async def test_the_whole_is_undone_all_or_nothing(store: PostgresStore, runner: ConsolidationRunner):
    await live(store)
    whole = await runner.run_for_user("ann")
    [pattern] = [memory for memory in await store.get_memories("ann") if memory.source == "consolidation"]
    later = Run(job="contradiction", user_id="ann", status=RunStatus.SUCCEEDED)
    await store.runs.log(later)
    async with store.pool.transaction() as connection:
        await note_changes(connection, later.id, "ann", ChangeKind.MEMORY_CHANGED, [pattern.id])
    before = await tell_status(store)

    with pytest.raises(InvalidInputError, match="undo that one first"):  # having undone the compaction, which came last
        await runner.undo("ann", whole.id)

    assert await tell_status(store) == before
    assert not any(run.undone_at for run in await runner.list_runs("ann"))


async def test_one_summary_of_several_can_be_undone(store: PostgresStore, runner: ConsolidationRunner):
    await live(store)
    for number in range(6):
        await store.store(
            Memory(user_id="ann", content=f"Coffee {number}.", created_at=datetime(2026, 2, 3, number, tzinfo=UTC))
        )
    whole = await runner.run_for_user("ann")
    one, other = sorted(await summaries(store), key=lambda memory: memory.created_at)

    undone = await runner.undo_summary("ann", other.id)

    assert (len(undone.restored), undone.withdrawn) == (6, (other.id,))
    assert await summaries(store) == [one]
    with pytest.raises(NotFoundError):
        await runner.undo_summary("ann", other.id)
    with pytest.raises(NotFoundError):
        await runner.undo_summary("ben", one.id)
    await runner.run_for_user("ann", now=utc_now() + timedelta(days=1))
    assert await summaries(store) == [one]

    assert len((await runner.undo("ann", whole.id)).restored) == 12
    assert await summaries(store) == []


async def tell_status(store: PostgresStore) -> dict[UUID, MemoryStatus]:
    return {memory.id: memory.status for memory in await store.get_memories("ann", status=None)}


async def summaries(store: PostgresStore) -> list[Memory]:
    return [memory for memory in await store.get_memories("ann") if memory.source == "compaction"]


async def test_a_job_that_fails_keeps_no_other_from_being_done(
    store: PostgresStore, runner: ConsolidationRunner, server: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
):
    await live(store)
    server.answer_with(lambda body: Answer.error(500) if "patterns" in body["messages"][0]["content"] else answer(body))

    async def break_down(run: OpenRun, **_: object) -> None:
        run.counts["tried"] += 1
        raise ZeroDivisionError

    monkeypatch.setattr(runner.contradiction_detector, "work", break_down)

    whole = await runner.run_for_user("ann")

    outcomes = {run.job: run.status for run in await runner.list_runs("ann")}
    assert outcomes == {
        "consolidation": RunStatus.FAILED,
        "patterns": RunStatus.FAILED,
        "contradictions": RunStatus.FAILED,
        "compaction": RunStatus.SUCCEEDED,
        "cleanup": RunStatus.SUCCEEDED,
    }
    assert whole.error
    assert whole.counts.items() >= {"summaries": 1, "tried": 1}.items()


async def test_a_model_that_is_away_is_told_of_and_not_beset(
    store: PostgresStore, runner: ConsolidationRunner, server: ScriptedOpenAI
):
    await live(store)
    server.answer_with(lambda _: Answer.error(503))

    whole = await runner.run_for_user("ann")

    assert whole.status is RunStatus.FAILED
    assert whole.error.startswith("compaction: ")
    outcomes = {run.job: (run.status, bool(run.error)) for run in await runner.list_runs("ann")}
    assert outcomes == {
        "consolidation": (RunStatus.FAILED, True),
        "patterns": (RunStatus.FAILED, True),
        "contradictions": (RunStatus.SUCCEEDED, False),  # there is nothing to compare
        "compaction": (RunStatus.FAILED, True),
        "cleanup": (RunStatus.SUCCEEDED, False),
    }
    assert len(server.requests) <= 2 * 3

    server.answer_with(answer)
    assert (await runner.run_for_user("ann")).counts.items() >= {"patterns_added": 1, "summaries": 1}.items()


async def test_an_answer_that_can_t_be_read_costs_three_rounds(
    store: PostgresStore, runner: ConsolidationRunner, server: ScriptedOpenAI
):
    await live(store)
    server.answer_with(lambda _: Answer.chat("I see."))

    rounds = [await runner.run_all_users() for _ in range(5)]

    assert [one.failed for one in rounds] == [1, 1, 1, 0, 0]
    assert len(server.requests) == 3 * 2 * 2  # patterns and a summary, each with one try to mend it
    whole = next(run for run in await runner.list_runs("ann") if run.job == "consolidation")
    assert (whole.status, whole.counts["given_up"]) == (RunStatus.SUCCEEDED, 2)


async def test_who_opted_out_is_left_alone(store: PostgresStore, runner: ConsolidationRunner, connect: Connect):
    await live(store)
    async with connect() as connection:
        await connection.execute("UPDATE owners SET opted_out_at = now()")

    assert await runner.run_for_user("ann") is None
    assert await runner.run_all_users() == Round()
    assert await runner.list_runs("ann") == []


async def test_of_rivals_one_works_on_an_owner(store: PostgresStore, redis: RedisStore, chat: OpenAIChat):
    await live(store)
    rivals = [a_runner(store, redis, chat) for _ in range(5)]

    runs = await asyncio.gather(*[rival.run_for_user("ann") for rival in rivals])

    assert sum(run is not None for run in runs) == 1
    assert len([m for m in await store.get_memories("ann") if m.source == "compaction"]) == 1


async def test_an_owner_has_so_much_time(
    store: PostgresStore, redis: RedisStore, chat: OpenAIChat, server: ScriptedOpenAI
):
    await live(store)
    server.answer_with(lambda _: Answer.hang(3))

    whole = await a_runner(store, redis, chat, user_timeout_seconds=0.5).run_for_user("ann")

    assert (whole.status, whole.error) == (RunStatus.FAILED, "It took longer than consolidation.user_timeout_seconds.")
    assert {run.status for run in await store.runs.list_runs(user_id="ann")} == {RunStatus.FAILED}
    assert await store.leases.take("ann", "consolidation", lasts=WEEK) is not None


class TestRounds:
    async def test_a_round_takes_whose_turn_it_is(self, store: PostgresStore, runner: ConsolidationRunner):
        owners = [f"owner-{number}" for number in range(7)]
        for owner in owners:
            await live(store, owner)

        told: list[tuple[int, int]] = []
        assert await runner.run_all_users(progress=lambda *so_far: told.append(so_far)) == Round(processed=7)
        assert told == [(done, 7) for done in range(1, 8)]
        assert await runner.run_all_users() == Round()
        assert await runner.run_all_users(now=utc_now() + WEEK + timedelta(hours=1)) == Round(processed=7)
        await store.store(Memory(user_id="owner-3", content="More."))
        assert await runner.run_all_users() == Round(processed=1)

    async def test_so_many_owners_are_worked_on_at_once(
        self, store: PostgresStore, redis: RedisStore, monkeypatch: pytest.MonkeyPatch
    ):
        runner = a_runner(store, redis, None, max_concurrent_users=3)
        for number in range(9):
            await live(store, f"owner-{number}", old=0, recent=1)
        at_once = most = 0
        three = asyncio.Barrier(3)

        async def work(_run: OpenRun, **_: object) -> None:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.wait_for(three.wait(), PATIENCE)
            at_once -= 1

        monkeypatch.setattr(runner.cleanup, "work", work)

        assert (await runner.run_all_users()).processed == 9
        assert most == 3

    async def test_what_fails_for_one_owner_is_done_for_the_others(
        self, store: PostgresStore, runner: ConsolidationRunner, server: ScriptedOpenAI
    ):
        for owner in ("ann", "ben", "cleo"):
            await live(store, owner)
        failing = "ben"
        seen: list[str] = []

        async def answer_or_fail(body: dict) -> Answer:
            seen.append(json.dumps(body))
            return Answer.error(400) if "poison" in seen[-1] else answer(body)

        await store.store(Memory(user_id=failing, content="poison", created_at=utc_now()))
        server.answer_with(answer_or_fail)

        assert await runner.run_all_users() == Round(processed=2, failed=1)
        assert await runner.run_all_users() == Round(failed=1)  # its turn comes again

    async def test_an_owner_who_is_worked_on_is_passed_by(self, store: PostgresStore, runner: ConsolidationRunner):
        await live(store, "ann")
        await live(store, "ben")
        async with RunKeeper(store).holding("ann"):
            assert await runner.run_all_users() == Round(processed=1, skipped=1)

    async def test_one_round_at_a_time(self, store: PostgresStore, redis: RedisStore, monkeypatch: pytest.MonkeyPatch):
        await live(store, old=0, recent=1)
        one, other = a_runner(store, redis, None), a_runner(store, redis, None)
        gate = Gate(one.cleanup.work)
        monkeypatch.setattr(one.cleanup, "work", gate)
        first = asyncio.create_task(one.run_all_users())
        await gate.wait_until_reached()

        assert await other.run_all_users() == Round()
        gate.open()
        assert await first == Round(processed=1)


class TestByTheClock:
    async def test_a_round_that_was_missed_is_made_up_for_at_the_start(
        self, store: PostgresStore, redis: RedisStore, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("cortex_core.consolidation.runner._JITTER", timedelta(0))
        await live(store)
        await store.runs.log(
            Run(job="consolidation", started_at=utc_now() - WEEK, completed_at=utc_now(), status=RunStatus.SUCCEEDED)
        )

        async with started(a_runner(store, redis, None, schedule="0 */6 * * *")):

            async def is_done() -> bool:
                return any(run.user_id == "ann" for run in await store.runs.list_runs(job="consolidation"))

            await eventually(is_done)

    async def test_a_round_that_fails_is_made_again_at_the_next_time(
        self,
        store: PostgresStore,
        redis: RedisStore,
        chat: OpenAIChat,
        server: ScriptedOpenAI,
        monkeypatch: pytest.MonkeyPatch,
    ):
        monkeypatch.setattr("cortex_core.consolidation.runner._JITTER", timedelta(0))
        await live(store)
        await store.runs.log(
            Run(job="consolidation", started_at=utc_now() - WEEK, completed_at=utc_now(), status=RunStatus.SUCCEEDED)
        )
        server.answer_with(lambda _: Answer.error(503))

        async with started(a_runner(store, redis, chat, schedule="0 0 * * *")):

            async def is_done() -> bool:
                return any(
                    run.user_id == "ann" and run.completed_at for run in await store.runs.list_runs(job="cleanup")
                )

            await eventually(is_done)
            asked = len(server.requests)
            await asyncio.sleep(1)

        assert len(server.requests) == asked
        assert len(await store.runs.list_runs(user_id="ann", job="consolidation")) == 1

    async def test_of_many_processes_one_makes_the_round(
        self, store: PostgresStore, redis: RedisStore, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr("cortex_core.consolidation.runner._JITTER", timedelta(0))
        await live(store)
        await store.store(Memory(user_id="ann", content="Just now, so that she is due all the time."))
        await store.runs.log(
            Run(job="consolidation", started_at=utc_now() - WEEK, completed_at=utc_now(), status=RunStatus.SUCCEEDED)
        )

        for _ in range(3):
            runner = a_runner(store, redis, None, schedule="0 0 * * *")
            async with started(runner):

                async def is_done() -> bool:
                    return any(r.completed_at and r.user_id for r in await store.runs.list_runs(job="consolidation"))

                await eventually(is_done)
                await asyncio.sleep(0.2)
                assert await runner._make_due_round() == Round()  # as one would that slept meanwhile

        assert len(await store.runs.list_runs(user_id="ann", job="consolidation")) == 1

    async def test_a_new_installation_waits_for_the_first_time(self, store: PostgresStore, redis: RedisStore):
        await live(store)
        async with started(a_runner(store, redis, None, schedule="0 0 1 1 *")):
            await asyncio.sleep(0.1)
        assert await store.runs.list_runs() == []

    async def test_a_wrong_expression_is_told_at_once(self, store: PostgresStore, redis: RedisStore):
        with pytest.raises(ConfigError, match=r"consolidation\.cleanup_schedule"):
            a_runner(store, redis, None, cleanup_schedule="hourly, please")


@asynccontextmanager
async def started(runner: ConsolidationRunner) -> AsyncIterator[None]:
    runner.start()
    yield
    await runner.stop()


class TestCleanup:
    async def test_importance_follows_the_formula(self, store: PostgresStore):
        now = utc_now()
        memories = [
            Memory(
                user_id="ann",
                content=f"{kind} {age}",
                memory_type=kind,
                created_at=now - timedelta(hours=age),
                emotional_score=emotion,
                importance=1.0,
                tags=tags,
            )
            for kind in MemoryType
            for age, emotion in ((0, 0.0), (5, 0.5), (9000, 1.0), (-3, 0.25))
            for tags in ((), (PINNED,))
        ]
        for memory in memories:
            await store.store(memory)
        await store.count_accesses({("ann", memory.id): number for number, memory in enumerate(memories)})
        updated = {m.id: m.updated_at for m in await store.get_memories("ann", limit=500)}

        refreshed = await refresh(store, now, limit=500)

        found = await store.get_memories("ann", limit=500)
        assert refreshed > 0
        for memory in found:
            is_kept = memory.is_pinned or memory.memory_type is MemoryType.IDENTITY
            expected = 1.0 if is_kept else calculate_importance(memory, now)
            assert memory.importance == pytest.approx(expected, abs=0.021)
            assert memory.updated_at == updated[memory.id]
        assert await refresh(store, now, limit=500) == 0

    @given(st.integers(0, 10**6), st.floats(0, 1), st.integers(0, 10**6), st.sampled_from(MemoryType))
    def test_importance_fades_to_a_floor(self, hours: int, emotion: float, uses: int, kind: MemoryType):
        now = datetime(2026, 6, 1, tzinfo=UTC)
        memory = Memory(
            user_id="ann",
            content="x",
            memory_type=kind,
            emotional_score=emotion,
            access_count=uses,
            created_at=now - timedelta(hours=min(hours, 10**5)),
        )
        later = calculate_importance(memory, now + timedelta(days=1000))
        floor = 0.4 * emotion + 0.2 * min(1, math.log1p(uses) / 5) + 0.2 * 0.3
        assert floor < later <= calculate_importance(memory, now) <= 1

    async def test_some_at_a_time_those_that_are_furthest_off_first(self, store: PostgresStore):
        now = utc_now()
        for number in range(10):
            await store.store(
                Memory(user_id="ann", content=f"{number}", created_at=now - WEEK, importance=0.1 * number)
            )
        assert await refresh(store, now, limit=3) == 3

        left = {memory.content for memory in await store.get_memories("ann") if memory.importance > 0.65}
        assert left == set()

    async def test_questions_that_don_t_come_up_any_more_go(
        self, store: PostgresStore, runner: ConsolidationRunner, server: ScriptedOpenAI, connect: Connect
    ):
        await live(store)
        server.answer_with(lambda _: Answer.chat("I see."))
        await runner.run_for_user("ann")

        async def count() -> int:
            async with connect() as connection:
                return await connection.fetchval("SELECT count(*) FROM questions")

        assert await count() == 2
        await runner.cleanup.remove_expired(now=utc_now() + 12 * WEEK)
        assert await count() == 2
        await runner.cleanup.remove_expired(now=utc_now() + 13 * WEEK)
        assert await count() == 0

    async def test_expired_working_memory_goes(
        self, store: PostgresStore, redis: RedisStore, runner: ConsolidationRunner, raw_redis: Redis
    ):
        fresh, gone = Memory(user_id="ann", content="fresh"), Memory(user_id="ann", content="gone")
        for memory in (fresh, gone):
            await store.store(memory)
            await redis.add_working("ann", memory, 1800)
        await raw_redis.zadd(UserKeys("ann").working, {str(gone.id): 1})

        assert await runner.cleanup_expired() == 1
        assert await raw_redis.zcard(UserKeys("ann").working) == 1


async def test_the_monitor_sums_up(store: PostgresStore, runner: ConsolidationRunner, server: ScriptedOpenAI):
    monitor = ConsolidationMonitor(store)
    assert await monitor.get_metrics() == ConsolidationMetrics()
    await live(store, "ann")
    await live(store, "ben", old=0, recent=0)
    await runner.run_all_users()
    await runner.run_for_user("ann")
    server.answer_with(lambda _: Answer.error(500))
    await live(store, "ben")
    await runner.run_for_user("ben")

    metrics = await monitor.get_metrics()

    assert (metrics.users_processed, metrics.patterns_extracted, metrics.memories_compacted) == (2, 1, 12)
    assert metrics.errors == 1
    assert metrics.duration_seconds > 0
    assert {run.user_id for run in await monitor.get_recent_runs()} == {"ann", "ben"}
    assert await monitor.get_recent_runs(now=utc_now() + timedelta(days=2)) == []
    assert await monitor.get_pending_contradictions() == []


async def refresh(store: PostgresStore, now: datetime, *, limit: int) -> int:
    off = await store.importance.list_off("ann", now=now, limit=limit)
    async with store.pool.transaction() as connection:
        await set_importance(connection, "ann", off)
    return len(off)


async def test_archived_memories_keep_their_importance(store: PostgresStore):
    memory = Memory(
        user_id="ann", content="x", importance=1.0, status=MemoryStatus.ARCHIVED, created_at=utc_now() - WEEK
    )
    await store.store(memory)
    assert await refresh(store, utc_now(), limit=9) == 0
