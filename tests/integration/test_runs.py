"""Leases and runs against a real server: one holder at a time, late commits refused, changes that can be taken back."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import uuid_utils.compat as uuid7

from cortex_core import Memory, MemoryStatus, PostgresStore
from cortex_core.consolidation.runs import RunKeeper
from cortex_core.errors import InvalidInputError, LeaseLostError, NotFoundError
from cortex_core.models import Run, RunStatus, utc_now
from cortex_core.stores.postgres.leases import Lease
from cortex_core.stores.postgres.runs import ChangeKind, note_changes
from tests.harness import Connect, eventually

MINUTE = timedelta(minutes=1)
WHEN = datetime(2026, 3, 1, tzinfo=UTC)


async def expire(connect: Connect) -> None:
    async with connect() as connection:
        await connection.execute("UPDATE leases SET expires_at = clock_timestamp()")


async def take(store: PostgresStore, owner: str = "ann") -> Lease | None:
    return await store.leases.take(owner, "consolidation", lasts=MINUTE)


class TestLeases:
    async def test_one_of_many_gets_it(self, store: PostgresStore):
        taken = await asyncio.gather(*[take(store) for _ in range(40)])

        [lease] = [lease for lease in taken if lease is not None]
        assert lease.epoch == 1

    async def test_owners_and_jobs_are_apart(self, store: PostgresStore):
        assert await take(store, "ann")
        assert await take(store, "ben")
        assert await store.leases.take("ann", "another job", lasts=MINUTE)

    async def test_epochs_never_repeat(self, store: PostgresStore, connect: Connect):
        first = await take(store)
        await store.leases.give_back(first)
        second = await take(store)
        await expire(connect)
        third = await take(store)

        assert [first.epoch, second.epoch, third.epoch] == [1, 2, 3]

    async def test_whoever_comes_late_neither_commits_nor_renews_nor_gives_back(
        self, store: PostgresStore, connect: Connect
    ):
        late = await take(store)
        await expire(connect)
        current = await take(store)

        with pytest.raises(LeaseLostError):
            async with store.leases.committing(late):
                pytest.fail("a stale epoch got in")
        assert not await store.leases.renew(late, lasts=MINUTE)
        await store.leases.give_back(late)
        assert await take(store) is None
        async with store.leases.committing(current) as connection:
            assert await connection.fetchval("SELECT 1") == 1

    async def test_it_can_t_be_taken_over_while_its_holder_commits(self, store: PostgresStore, connect: Connect):
        lease = await take(store)
        await expire(connect)

        async with store.leases.committing(lease) as connection:
            takeover = asyncio.create_task(take(store))
            await asyncio.sleep(0.1)
            assert not takeover.done()
            await connection.execute("UPDATE leases SET job = job")

        assert (await takeover).epoch == 2

    async def test_forgetting_everything_stops_who_works_on_it(self, store: PostgresStore):
        lease = await take(store)
        await store.erasure.erase_everything("ann", forgotten_at=utc_now())
        assert (await take(store)).epoch == lease.epoch  # counted anew, by another holder

        with pytest.raises(LeaseLostError):
            async with store.leases.committing(lease):
                pytest.fail("it wrote about somebody who was forgotten")


class TestKeeper:
    async def test_a_lease_is_renewed_while_work_goes_on(self, store: PostgresStore):
        keeper = RunKeeper(store, lease_lasts=timedelta(seconds=0.3))

        async with keeper.holding("ann") as lease:
            await asyncio.sleep(0.8)
            assert await take(store) is None
            async with store.leases.committing(lease):
                pass
        assert await take(store) is not None

    async def test_a_run_tells_how_it_ended(self, store: PostgresStore):
        keeper = RunKeeper(store)
        async with keeper.holding("ann") as lease:
            async with keeper.running(lease, "good") as run:
                run.counts["things"] += 2
            with pytest.raises(NotFoundError):
                async with keeper.running(lease, "bad"):
                    raise NotFoundError("There is nothing.")
            with pytest.raises(ZeroDivisionError):
                async with keeper.running(lease, "broken"):
                    1 / 0  # noqa: B018

        runs = {run.job: run for run in await store.runs.list_runs(user_id="ann")}
        assert (runs["good"].status, runs["good"].counts) == (RunStatus.SUCCEEDED, {"things": 2})
        assert (runs["bad"].status, runs["bad"].error) == (RunStatus.FAILED, "There is nothing.")
        assert (runs["broken"].status, "failed" in runs["broken"].error) == (RunStatus.FAILED, True)
        assert all(run.completed_at and run.epoch == 1 for run in runs.values())

    async def test_a_run_that_is_cancelled_has_failed(self, store: PostgresStore):
        async def work() -> None:
            async with keeper.holding("ann") as lease, keeper.running(lease, "long"):
                await asyncio.sleep(60)

        keeper = RunKeeper(store)
        task = asyncio.create_task(work())
        await eventually(store.runs.list_runs)
        task.cancel()
        await asyncio.wait([task])

        [run] = await store.runs.list_runs()
        assert run.status is RunStatus.FAILED
        assert await take(store) is not None

    async def test_what_a_process_left_running_is_closed_by_the_next(self, store: PostgresStore, connect: Connect):
        lease = await take(store)
        await store.runs.log(Run(job="killed", user_id="ann", epoch=lease.epoch))
        await store.runs.log(Run(job="of another", user_id="ben", epoch=1))
        await expire(connect)

        async with RunKeeper(store).holding("ann"):
            runs = {run.job: run for run in await store.runs.list_runs()}
        assert (runs["killed"].status, runs["killed"].error) == (RunStatus.FAILED, "The process that did it ended.")
        assert runs["of another"].status is RunStatus.RUNNING

    async def test_also_what_is_nobody_s_own_each_job_by_itself(self, store: PostgresStore, connect: Connect):
        for job in ("a round", "a project", "another project"):
            lease = await store.leases.take("", job, lasts=MINUTE)
            await store.runs.log(Run(job=job, epoch=lease.epoch))
        await expire(connect)

        for _ in range(3):  # epochs of their own
            async with RunKeeper(store).holding("", job="another project"):
                runs = {run.job: run.status for run in await store.runs.list_runs()}
        assert runs == {
            "a round": RunStatus.RUNNING,
            "a project": RunStatus.RUNNING,
            "another project": RunStatus.FAILED,
        }


class TestLog:
    async def test_runs_are_listed_the_latest_first(self, store: PostgresStore):
        for number, job in enumerate(["a", "b", "a"]):
            await store.runs.log(Run(job=job, user_id="ann", started_at=WHEN + number * MINUTE))
        await store.runs.log(Run(job="a", started_at=WHEN))

        assert [run.job for run in await store.runs.list_runs(user_id="ann")] == ["a", "b", "a"]
        assert len(await store.runs.list_runs(job="a", since=WHEN + MINUTE)) == 1
        assert len(await store.runs.list_runs(limit=2)) == 2

    async def test_owners_are_due_who_spoke_or_had_no_turn_for_long(self, store: PostgresStore, connect: Connect):
        now = utc_now()

        async def add(owner: str, said_ago: timedelta, ran_ago: timedelta | None) -> None:
            for content in ("one", "two"):
                await store.store(Memory(user_id=owner, content=content, created_at=now - said_ago))
            if ran_ago is not None:
                await store.runs.log(
                    Run(job="cleanup", user_id=owner, started_at=now - ran_ago, status=RunStatus.SUCCEEDED)
                )

        day = timedelta(days=1)
        await add("new", day, None)
        await add("spoke", day, 2 * day)
        await add("was quiet", 3 * day, 2 * day)
        await add("quiet for long", 30 * day, 20 * day)
        await add("opted out", day, None)
        await add("failed", 3 * day, None)
        await store.runs.log(Run(job="cleanup", user_id="failed", started_at=now, status=RunStatus.FAILED))
        async with connect() as connection:
            await connection.execute("UPDATE owners SET opted_out_at = now() WHERE user_id = 'opted out'")

        due = await store.runs.list_due_owners("cleanup", at_least_every=timedelta(days=7), now=now)

        assert due == ["failed", "new", "quiet for long", "spoke"]

    async def test_old_runs_that_changed_nothing_are_dropped(self, store: PostgresStore):
        changed = Run(job="a", user_id="ann", started_at=WHEN, status=RunStatus.SUCCEEDED)
        for run in (
            changed,
            Run(job="b", user_id="ann", started_at=WHEN, status=RunStatus.SUCCEEDED),
            Run(job="c", user_id="ann", started_at=WHEN, status=RunStatus.RUNNING),
            Run(job="d", user_id="ann", status=RunStatus.SUCCEEDED),
        ):
            await store.runs.log(run)
        async with store.pool.transaction() as connection:
            await note_changes(connection, changed.id, "ann", ChangeKind.MEMORY_ADDED, [uuid7.uuid7()])

        assert await store.runs.drop_empty(before=utc_now() - MINUTE) == 1
        assert {run.job for run in await store.runs.list_runs()} == {"a", "c", "d"}


class TestUndoing:
    async def test_memories_and_facts_are_as_before(self, store: PostgresStore, connect: Connect):
        archived, superseded, changed, added = [
            Memory(user_id="ann", content=name, created_at=WHEN)
            for name in ("archived", "superseded", "changed", "new")
        ]
        for memory in (archived, superseded, changed, added):
            await store.store(memory)
        was = {m.id: await store.get("ann", m.id) for m in (archived, superseded, changed)}
        async with connect() as connection:
            ended = await add_fact(connection, "Lyon", archived.id, ended=True)
            learned = await add_fact(connection, "Oslo", changed.id)
        run = await a_run(store)
        await note(store, run, ChangeKind.MEMORY_ARCHIVED, archived.id, status="active")
        await note(store, run, ChangeKind.MEMORY_SUPERSEDED, superseded.id, status="active")
        await note(store, run, ChangeKind.MEMORY_CHANGED, changed.id, status="active", valid_from=WHEN.isoformat())
        for kind, target in (
            (ChangeKind.MEMORY_ADDED, added.id), (ChangeKind.FACT_ADDED, learned), (ChangeKind.FACT_ENDED, ended),
        ):  # fmt: skip
            await note(store, run, kind, target)
        await store.update("ann", archived.id, {"status": "archived"})
        await store.update("ann", superseded.id, {"status": "superseded", "valid_to": utc_now()})
        async with connect() as connection:
            await connection.execute("UPDATE memories SET valid_from = now() WHERE id = $1", changed.id)

        undone = await store.runs.undo("ann", run.id)

        assert set(undone.restored) == {archived.id, superseded.id, changed.id}
        assert (undone.withdrawn, set(undone.facts)) == ((added.id,), {learned, ended})
        for memory in (archived, superseded, changed):
            now = await store.get("ann", memory.id)
            assert now == was[memory.id].model_copy(update={"updated_at": now.updated_at})
        assert (await store.get("ann", added.id)).status is MemoryStatus.ARCHIVED
        async with connect() as connection:
            held = await connection.fetch("SELECT value FROM identity_facts WHERE valid_to IS NULL")
        assert [json.loads(row["value"]) for row in held] == ["Lyon"]
        assert (await store.runs.list_runs())[0].undone_at is not None

    async def test_a_fact_that_was_learned_since_stays(self, store: PostgresStore, connect: Connect):
        told = Memory(user_id="ann", content="told", created_at=WHEN)
        await store.store(told)
        async with connect() as connection:
            ended = await add_fact(connection, "Lyon", told.id, ended=True)
            await add_fact(connection, "Rome", told.id)
        run = await a_run(store)
        await note(store, run, ChangeKind.FACT_ENDED, ended)

        assert (await store.runs.undo("ann", run.id)).facts == ()

    async def test_a_later_run_on_the_same_has_to_be_undone_first(self, store: PostgresStore):
        memory = Memory(user_id="ann", content="told", created_at=WHEN)
        await store.store(memory)
        first, second = await a_run(store, WHEN), await a_run(store, WHEN + MINUTE)
        await note(store, first, ChangeKind.MEMORY_ADDED, memory.id)
        await note(store, second, ChangeKind.MEMORY_SUPERSEDED, memory.id, status="active")

        with pytest.raises(InvalidInputError, match="undo that one first"):
            await store.runs.undo("ann", first.id)
        await store.runs.undo("ann", second.id)
        await store.runs.undo("ann", first.id)

    async def test_it_takes_an_end_and_an_owner(self, store: PostgresStore):
        running = await a_run(store, status=RunStatus.RUNNING)

        with pytest.raises(InvalidInputError, match="not ended yet"):
            await store.runs.undo("ann", running.id)
        for person, run_id in (("ben", running.id), ("ann", uuid7.uuid7())):
            with pytest.raises(NotFoundError):
                await store.runs.undo(person, run_id)

    async def test_what_changed_nothing_can_t_be_taken_back(self, store: PostgresStore):
        run = await a_run(store)

        with pytest.raises(InvalidInputError, match="changed nothing"):
            await store.runs.undo("ann", run.id)
        assert (await store.runs.list_runs())[0].undone_at is None

    async def test_two_at_once_undo_it_once(self, store: PostgresStore):
        run = await a_run(store)
        await note(store, run, ChangeKind.MEMORY_ADDED, uuid7.uuid7())

        results = await asyncio.gather(*[store.runs.undo("ann", run.id) for _ in range(5)], return_exceptions=True)

        assert sum(isinstance(result, InvalidInputError) for result in results) == 4


async def a_run(
    store: PostgresStore, started_at: datetime | None = None, *, status: RunStatus = RunStatus.SUCCEEDED
) -> Run:
    run = Run(job="job", user_id="ann", started_at=started_at or utc_now(), status=status)
    await store.runs.log(run)
    return run


async def note(store: PostgresStore, run: Run, kind: ChangeKind, target: UUID, **before: str) -> None:
    async with store.pool.transaction() as connection:
        await note_changes(connection, run.id, "ann", kind, [target], [json.dumps(before)])


async def add_fact(connection, value: str, memory_id: UUID, *, ended: bool = False) -> UUID:
    fact_id = uuid7.uuid7()
    await connection.execute(
        "INSERT INTO identity_facts (user_id, id, attribute, value, value_key, confidence, audience, source, "
        "valid_from, valid_to, ended_at) "
        "VALUES ('ann', $1, 'location', to_jsonb($2::text), lower($2), 1, 'owner', 'rules', $3, "
        "CASE WHEN $4 THEN now() END, CASE WHEN $4 THEN now() END)",
        fact_id,
        value,
        WHEN,
        ended,
    )
    await connection.execute("INSERT INTO evidence VALUES ('ann', $1, $2)", fact_id, memory_id)
    return fact_id
