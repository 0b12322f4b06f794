"""What the dashboard answers: figures over all processes, of one server, of one person, and how everything is."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cortex_core import (
    Audience,
    Health,
    IncomingMessage,
    InvalidInputError,
    MemoryConfig,
    MemoryManager,
    MemoryType,
    NewMemory,
    RedisConfig,
    StoreUnavailableError,
)
from cortex_core.dashboard import Learning
from cortex_core.dashboard.activity_log import hour_of
from cortex_core.metrics import BUCKETS, Operation, Tally
from cortex_core.models import Run, RunStatus, utc_now
from cortex_core.providers.local import LocalEmbedder
from cortex_core.stores.health import Check, Status
from cortex_core.stores.journal import Journal
from cortex_core.stores.postgres import PostgresStore
from tests.harness import Connect, ScriptedEmbedder

HOUR = datetime(2026, 5, 4, 13, tzinfo=UTC)
NOW = HOUR + timedelta(minutes=20)
SERVER, OTHER_SERVER = 5, 6


def tally(count: int, *, failures: int = 0, seconds: float = 0.0, **buckets: int) -> Tally:
    filled = [0] * BUCKETS
    for name, number in buckets.items():
        filled[int(name.removeprefix("b"))] = number
    return Tally(count, failures, seconds, filled)


async def say(memory: MemoryManager, user_id: str, text: str, audience: Audience, **more: object) -> None:
    assert (await memory.store(user_id, text, audience=audience, **more)).success


class TestActivity:
    async def test_processes_add_up(self, postgres: PostgresStore) -> None:
        await postgres.activity.add({"store": tally(2, seconds=0.5, b0=2)}, hour=HOUR)
        await postgres.activity.add({"store": tally(3, failures=1, seconds=0.25, b0=1, b20=1)}, hour=HOUR)
        await postgres.activity.add({"search": tally(1, b3=1)}, hour=HOUR + timedelta(hours=1))

        first, second = await postgres.activity.list_tallies(since=HOUR)

        assert (first.hour, first.operation) == (HOUR, "store")
        assert first.tally == tally(5, failures=1, seconds=0.75, b0=3, b20=1)
        assert (second.hour, second.operation, second.tally.count) == (HOUR + timedelta(hours=1), "search", 1)
        assert await postgres.activity.list_tallies(since=HOUR + timedelta(hours=2)) == []

    async def test_buckets_of_another_number_are_added_from_the_first_on(
        self, postgres: PostgresStore, connect: Connect
    ) -> None:
        async with connect() as connection:
            await connection.execute(
                "INSERT INTO activity (hour, operation, count, buckets) VALUES ($1, 'store', 3, '{1,2}')", HOUR
            )

        await postgres.activity.add({"store": tally(1, b1=1)}, hour=HOUR)

        [known] = await postgres.activity.list_tallies(since=HOUR)
        assert known.tally.buckets == [1, 3, *[0] * (BUCKETS - 2)]

    async def test_closing_writes_what_was_counted(self, memory_config: MemoryConfig, postgres: PostgresStore) -> None:
        async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
            await say(memory, "ann", "I like tea.", Audience.owner())

        done = {one.operation: one.tally for one in await postgres.activity.list_tallies(since=HOUR)}

        assert (done["store"].count, sum(done["store"].buckets)) == (1, 1)
        assert done["write"].count == 1, "what is written while it closes counts too"

    async def test_while_postgres_is_away_counting_goes_on(self, memory: MemoryManager) -> None:
        await memory.get_context("ann")
        pool, memory.postgres.pool._pool = memory.postgres.pool._pool, None
        with pytest.raises(StoreUnavailableError):
            await memory.dashboard.get_stats()
        memory.postgres.pool._pool = pool

        await memory.get_context("ann")

        assert (await memory.dashboard.get_stats()).retrievals == 2


class TestStats:
    async def test_counts_what_was_done(self, memory: MemoryManager) -> None:
        for text in ("My cat is called Miso.", "I live in Lisbon.", "I play the cello."):
            await say(memory, "ann", text, Audience.owner())
        await say(memory, "bob", "I like tea.", Audience.owner(), memory_type=MemoryType.SEMANTIC)
        await memory.flush()
        await memory.get_context("ann", "What is my cat called?")
        await memory.get_context("bob", "When does the ferry to Spitsbergen leave?")
        await memory.get_context("ann", "thanks!")
        await memory.get_context("ann")
        await memory.search("ann", "cat")

        stats = await memory.dashboard.get_stats()

        assert (stats.total_users, stats.total_memories, stats.memories_stored) == (2, 4, 4)
        assert stats.memories_by_type == {MemoryType.EPISODIC: 3, MemoryType.SEMANTIC: 1}
        assert (stats.retrievals, stats.error_count, stats.hit_rate) == (5, 0, 0.5)
        assert stats.rejections == {"thanks": 1}
        assert stats.avg_latency_ms is not None
        assert 0 < stats.avg_latency_ms < 1000
        for latency in (stats.store, stats.recall, stats.write_lag):
            assert latency.p50_ms is not None
            assert latency.p95_ms is not None
            assert 0 < latency.p50_ms <= latency.p95_ms
        assert (stats.write_lag.count, stats.dead_letters, stats.backlog, stats.vectors_waiting) == (4, 0, 0, 0)
        assert (stats.llm.calls, stats.runs, stats.last_runs) == (0, {}, ())
        assert len(stats.timeline) == 24
        assert (stats.timeline[-1].stored, stats.timeline[-1].recall.count) == (4, 5)
        assert stats.since == stats.timeline[0].start

    async def test_tells_how_memories_were_read(self, memory: MemoryManager, postgres: PostgresStore) -> None:
        await say(memory, "ann", "I live in Lisbon.", Audience.owner())
        await memory.flush()
        done = {
            Operation.ANALYSE: 20, Operation.ASK: 3, Operation.POSTPONE: 2, Operation.LEAVE: 4, Operation.GIVE_UP: 1,
        }  # fmt: skip
        await postgres.activity.add({name: tally(number) for name, number in done.items()}, hour=hour_of(utc_now()))

        learning = (await memory.dashboard.get_stats()).learning

        assert learning == Learning(by_rules=1, by_model=20, calls=3, postponed=2, left_to_rules=4, given_up=1)

    async def test_hearing_counts_as_recall_and_as_storing(self, memory: MemoryManager) -> None:
        await memory.hear(
            IncomingMessage(user_id="ann", text="I live in Lisbon.", source_id="1", channel_id="c", created_at=NOW)
        )

        stats = await memory.dashboard.get_stats()

        assert (stats.memories_stored, stats.retrievals) == (1, 1)

    async def test_a_context_that_goes_without_something_is_an_error(self, memory: MemoryManager) -> None:
        pool, memory.postgres.pool._pool = memory.postgres.pool._pool, None
        assert (await memory.get_context("ann", "Where do I live?")).degraded
        memory.postgres.pool._pool = pool

        stats = await memory.dashboard.get_stats()

        assert (stats.retrievals, stats.error_count, stats.recall.failures) == (1, 1, 1)

    async def test_each_slot_has_its_own_figures(self, memory: MemoryManager) -> None:
        activity = memory.postgres.activity
        for hours, count in ((0, 1), (1, 2), (30, 4), (47, 8), (48, 16)):
            slow = {"b10": count} if hours else {"b0": count}
            done = {"store": tally(count + 1, failures=1), "context": tally(count, seconds=count, **slow)}
            await activity.add(done, hour=HOUR - timedelta(hours=hours))

        hourly = await memory.dashboard.get_stats(48, now=NOW)
        daily = await memory.dashboard.get_stats(96, now=NOW)

        assert (hourly.memories_stored, len(hourly.timeline), hourly.since) == (15, 48, HOUR - timedelta(hours=47))
        assert [slot.stored for slot in hourly.timeline if slot.stored] == [8, 4, 2, 1]
        assert (hourly.timeline[0].stored, hourly.timeline[-1].stored) == (8, 1)
        assert (hourly.timeline[-1].recall.p95_ms, hourly.timeline[-2].recall.p95_ms) == pytest.approx((0.95, 998.4))
        assert [slot.stored for slot in daily.timeline] == [0, 16, 12, 3]
        assert hourly.avg_latency_ms == 1000

    @pytest.mark.parametrize("hours", [0, -1, 721])
    async def test_reaches_back_a_month_at_most(self, memory: MemoryManager, hours: int) -> None:
        with pytest.raises(InvalidInputError, match="1 to 720 hours"):
            await memory.dashboard.get_stats(hours)

    async def test_counts_money_by_the_day(self, memory: MemoryManager, connect: Connect) -> None:
        await spend(connect, "2026-05-04", str(SERVER), 1.5)
        await spend(connect, "2026-05-03", "", 0.5)
        await spend(connect, "2026-05-02", str(OTHER_SERVER), 0.25)

        stats = await memory.dashboard.get_stats(14, now=NOW)
        since_yesterday = await memory.dashboard.get_stats(24, now=NOW)

        assert (stats.llm.calls, stats.llm.input_tokens, stats.llm.output_tokens, stats.llm.cost_usd) == (1, 5, 2, 1.5)
        assert since_yesterday.llm.cost_usd == 2.0

    async def test_counts_a_sample_of_very_many(self, memory: MemoryManager, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cortex_core.stores.postgres.activity._COUNTED_AT_MOST", 300)
        texts = [f"Thing number {number}." for number in range(600)]
        await memory.store_many("ann", [NewMemory(content=text) for text in texts])
        await memory.flush()

        stats = await memory.dashboard.get_stats()

        assert stats.total_memories == 600
        assert 200 <= sum(stats.memories_by_type.values()) <= 1200


class TestGuildStats:
    async def test_tells_of_one_server_alone(self, memory: MemoryManager, connect: Connect) -> None:
        here, elsewhere = Audience.channel(SERVER, 7), Audience.channel(OTHER_SERVER, 8)
        await say(memory, "ann", "I live in Lisbon.", here)
        await say(memory, "bob", "I live in Porto.", here)
        await say(memory, "ann", "I like tea.", Audience.guild(SERVER), memory_type=MemoryType.SEMANTIC)
        await say(memory, "ann", "I owe money.", elsewhere)
        await say(memory, "cid", "I live in Faro.", elsewhere)
        await say(memory, "ann", "I am sad.", Audience.owner())
        await memory.flush()
        await spend(connect, f"{datetime.now(UTC):%Y-%m-%d}", str(SERVER), 1.5)
        await spend(connect, f"{datetime.now(UTC):%Y-%m-%d}", str(OTHER_SERVER), 0.25)
        for user_id, status in (("ann", "succeeded"), ("bob", "failed"), ("cid", "failed"), (None, "failed")):
            await log_run(memory, user_id, status)
        at_once = Run(job="learning", user_id="ann", status=RunStatus.SUCCEEDED, completed_at=datetime.now(UTC))
        await memory.postgres.runs.log(at_once)

        stats = await memory.dashboard.get_guild_stats(SERVER)

        assert (stats.people, stats.total_memories, stats.memories_stored) == (2, 3, 3)
        assert stats.memories_by_type == {MemoryType.EPISODIC: 2, MemoryType.SEMANTIC: 1}
        assert (stats.llm.calls, stats.llm.cost_usd) == (1, 1.5)
        assert stats.runs == {RunStatus.SUCCEEDED: 1, RunStatus.FAILED: 1}
        assert (len(stats.timeline), stats.timeline[-1].stored) == (24, 3)

        assert await memory.dashboard.list_people(SERVER) == ["ann", "bob"]
        assert [run.user_id for run in await memory.dashboard.list_runs(guild_id=SERVER)] == ["bob", "ann"]
        assert await memory.dashboard.count_runs(guild_id=SERVER) == 2
        assert await memory.dashboard.count_runs() == 4
        assert len(await memory.dashboard.list_runs(limit=2, offset=3)) == 1

    async def test_goes_by_where_it_was_said_and_not_by_where_it_may_surface(self, memory: MemoryManager) -> None:
        await say(memory, "ann", "I live in Lisbon.", Audience.channel(SERVER, 7))
        await memory.flush()
        [kept] = await memory.list_memories("ann")
        await memory.set_audience("ann", kept.id, Audience.owner())

        assert (await memory.dashboard.get_guild_stats(SERVER)).total_memories == 1

    async def test_counts_projects_that_its_channels_feed(self, memory: MemoryManager) -> None:
        for name, guild_id in (("one", SERVER), ("two", SERVER), ("three", OTHER_SERVER), ("old", SERVER)):
            await memory.project_memory.create_project(name, name, "ann")
            await memory.channel_links.link_channel(f"channel-{name}", name, by="ann", guild_id=guild_id)
        await memory.channel_links.link_channel("channel-one-more", "one", by="ann", guild_id=SERVER)
        await memory.project_memory.archive("old", by="ann")

        assert (await memory.dashboard.get_guild_stats(SERVER)).projects == 2

    async def test_has_a_slot_for_each_day_of_a_long_time(self, memory: MemoryManager) -> None:
        now = datetime.now(UTC)
        for days in (0, 0, 2, 9):
            await say(memory, "ann", f"{days}", Audience.guild(SERVER), created_at=now - timedelta(days=days))
        await memory.flush()

        stats = await memory.dashboard.get_guild_stats(SERVER, 24 * 7)

        assert [slot.stored for slot in stats.timeline] == [0, 0, 0, 0, 1, 0, 2]
        assert (stats.memories_stored, stats.total_memories) == (3, 4)

    async def test_knows_no_server_that_nobody_spoke_in(self, memory: MemoryManager) -> None:
        stats = await memory.dashboard.get_guild_stats(2**62)

        assert (stats.people, stats.total_memories, stats.llm.calls, stats.runs) == (0, 0, 0, {})


class TestUserStats:
    async def test_tells_of_one_person(self, memory: MemoryManager) -> None:
        await say(memory, "ann", "The ferry was late.", Audience.owner(), created_at=NOW)
        await say(memory, "ann", "So was the bus.", Audience.owner())
        await memory.update_identity("ann", "city", "Lisbon")
        await say(memory, "bob", "I like coffee.", Audience.owner())
        await memory.flush()

        ann = await memory.dashboard.get_user_stats("ann")
        nobody = await memory.dashboard.get_user_stats("nobody")

        assert ann.identity_facts == 1
        assert ann.total_memories == await memory.count_memories("ann")
        assert ann.working_memories >= 1
        assert ann.last_active is not None
        assert datetime.now(UTC) - ann.last_active < timedelta(minutes=1)
        assert (nobody.identity_facts, nobody.total_memories, nobody.working_memories) == (0, 0, 0)
        assert nobody.last_active is None

    async def test_needs_an_id(self, memory: MemoryManager) -> None:
        with pytest.raises(InvalidInputError):
            await memory.dashboard.get_user_stats("")


class TestHealth:
    async def test_tells_that_all_is_well(self, memory: MemoryManager) -> None:
        health = await memory.dashboard.get_health()

        assert (health.redis_connected, health.postgres_connected, health.embedder_healthy) == (True, True, True)
        by_name = {check.name: check for check in health.checks}
        assert [check.name for check in health.checks if check.status is Status.FAILED] == []
        assert by_name["dead letters"].detail == "none"
        assert by_name["write queue"].detail == "0 acknowledged writes wait"
        assert "PostgreSQL 18" in by_name["postgres"].detail
        assert LocalEmbedder.model in by_name["embedding"].detail

    async def test_answers_for_each_while_all_are_away(
        self, memory_config: MemoryConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        embedder = ScriptedEmbedder()
        async with MemoryManager(memory_config, embedder=embedder) as memory:
            parts = memory._open_parts
            nowhere = parts.config.postgres.model_copy(update={"url": "postgresql:///nowhere?host=/nowhere"})
            examiner = parts.dashboard._examiner
            monkeypatch.setattr(examiner, "_config", parts.config.model_copy(update={"postgres": nowhere}))
            monkeypatch.setattr(examiner, "_journal", Journal(RedisConfig(url="unix:///nowhere/redis.sock")))

            def fail(_: object) -> None:
                raise StoreUnavailableError("The embedder is away.")

            embedder.before = fail
            health = await memory.dashboard.get_health()
            monkeypatch.undo()
            embedder.before = lambda _: None

        assert (health.redis_connected, health.postgres_connected, health.embedder_healthy) == (False, False, False)
        assert health.last_consolidation is None
        by_name = {check.name: check for check in health.checks}
        assert "check that it runs and that postgres.url is right" in by_name["postgres"].detail
        assert by_name["embedding"].detail == "The embedder is away."
        assert by_name["write queue"].status is by_name["dead letters"].status is Status.WARNING

    async def test_tells_how_consolidation_goes(self, memory: MemoryManager) -> None:
        runs, leases = memory.postgres.runs, memory.postgres.leases

        async def look() -> tuple[Health, Check]:
            health = await memory.dashboard.get_health()
            return health, health.checks[-1]

        fresh, check = await look()
        assert (fresh.consolidation_running, fresh.last_consolidation) == (False, None)
        assert check == Check("consolidation", Status.OK, "has not come to a good end yet")

        ended = datetime.now(UTC) - timedelta(days=9)
        whole = Run(job="consolidation", user_id="ann", epoch=1, status=RunStatus.SUCCEEDED, completed_at=ended)
        await runs.log(whole)
        await runs.log(Run(job="learning", user_id="ann", status=RunStatus.FAILED, completed_at=datetime.now(UTC)))
        late, check = await look()
        assert late.last_consolidation == ended
        assert (check.status, check.detail[-42:]) == (Status.WARNING, "; look whether a process runs that does it")

        failed = {"status": RunStatus.FAILED, "error": "patterns: It was late.", "completed_at": datetime.now(UTC)}
        await runs.log(Run(job="consolidation", user_id="bob", epoch=1).model_copy(update=failed))
        _, check = await look()
        assert check.status is Status.WARNING
        assert check.detail.endswith(", and failed since; see `/cortex jobs`: patterns: It was late.")

        lease = await leases.take("cid", "consolidation", lasts=timedelta(minutes=1))
        assert lease is not None
        await runs.log(Run(job="consolidation", status=RunStatus.SUCCEEDED, completed_at=datetime.now(UTC)))
        busy, check = await look()
        assert (busy.consolidation_running, check.status) == (True, Status.OK)
        await leases.give_back(lease)
        assert not (await look())[0].consolidation_running

    async def test_waits_five_seconds_at_most(self, memory: MemoryManager, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cortex_core.dashboard.health._PATIENCE", timedelta(seconds=0.05))

        async def hang(_: str) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(memory.embedder, "embed", hang)

        health = await memory.dashboard.get_health()

        assert not health.embedder_healthy
        assert any(check.detail.startswith("no answer within") for check in health.checks)

    async def test_warns_of_writes_that_pile_up_and_of_lost_ones(
        self, memory_config: MemoryConfig, connect: Connect
    ) -> None:
        ingestion = memory_config.ingestion.model_copy(update={"consumers": 0, "max_backlog": 20, "drain_seconds": 0.1})
        async with connect() as connection:
            await connection.execute(
                "INSERT INTO dead_letters (entry_id, payload, reason, attempts, first_failed_at) "
                "VALUES ('1', '', '', 1, now())"
            )
        config = memory_config.model_copy(update={"ingestion": ingestion})
        async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
            for number in range(3):
                await say(memory, "ann", f"Thing {number}", Audience.owner())

            health = await memory.dashboard.get_health()
            stats = await memory.dashboard.get_stats()

        by_name = {check.name: check for check in health.checks}
        assert by_name["write queue"].status is Status.WARNING
        assert by_name["write queue"].detail.startswith("3 acknowledged writes wait; look after PostgreSQL")
        assert by_name["dead letters"].status is Status.WARNING
        assert (stats.backlog, stats.dead_letters) == (3, 1)


async def spend(connect: Connect, day: str, account: str, dollars: float) -> None:
    async with connect() as connection:
        await connection.execute(
            "INSERT INTO llm_spending (day, account, calls, input_tokens, output_tokens, cost_usd) "
            "VALUES ($1::text::date, $2, 1, 5, 2, $3)",
            day, account, dollars,
        )  # fmt: skip


async def log_run(memory: MemoryManager, user_id: str | None, status: str) -> None:
    now = datetime.now(UTC)
    run = Run(
        job="consolidation",
        user_id=user_id,
        epoch=1 if user_id else None,
        status=RunStatus(status),
        started_at=now,
        completed_at=now,
    )
    await memory.postgres.runs.log(run)


def test_operations_have_names_of_their_own() -> None:
    assert len({str(operation) for operation in Operation}) == len(Operation)
