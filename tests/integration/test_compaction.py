"""Compaction against a real server: a summary stands for what is archived, no more and no less, and can be undone."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core import Memory, MemoryStatus, MemoryType, PostgresConfig, PostgresStore
from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.compaction import SOURCE, CompactionJob, _portions
from cortex_core.consolidation.extracts import choose_telling, split_sentences
from cortex_core.consolidation.runs import RunKeeper
from cortex_core.errors import (
    InvalidInputError,
    LeaseLostError,
    NotFoundError,
    ProviderUnavailableError,
    StoreUnavailableError,
    UnreadableAnswerError,
)
from cortex_core.models import PINNED, RunStatus
from cortex_core.providers.openai_llm import OpenAIChat
from cortex_core.stores.postgres.derivations import OldEpisode
from cortex_core.stores.postgres.leases import Leases
from tests.harness import Connect, ScriptedEmbedder
from tests.openai_server import Answer, ScriptedOpenAI

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SUMMARY = "She moved to Lyon and adopted a cat."


@pytest.fixture
async def server(server: ScriptedOpenAI) -> ScriptedOpenAI:
    server.reply = json.dumps({"summary": SUMMARY})
    return server


@pytest.fixture
def job(store: PostgresStore, chat: OpenAIChat) -> CompactionJob:
    return a_job(store, chat)


def a_job(store: PostgresStore, chat: OpenAIChat | None, on_written: Callable[[], None] = lambda: None, **settings):
    return CompactionJob(ConsolidationConfig(**settings), store, ScriptedEmbedder(), chat, on_written)


async def a_week(store: PostgresStore, count: int = 12, *, week: datetime = MONDAY, **fields) -> list[Memory]:
    """Store that many episodes of a week."""
    memories = [
        Memory(
            **{
                "user_id": "ann",
                "content": f"On day {number} of {week:%d %B} I did thing number {number}.",
                "created_at": week + timedelta(hours=number),
                "audience": "guild:1",
                "said_in": "guild:1",
                **fields,
            }
        )
        for number in range(count)
    ]
    for memory in memories:
        await store.store(memory)
    return memories


async def summaries(store: PostgresStore, status: MemoryStatus | None = MemoryStatus.ACTIVE) -> list[Memory]:
    kept = await store.get_memories("ann", memory_types=[MemoryType.SEMANTIC], status=status, limit=500)
    return [memory for memory in kept if memory.source == SOURCE]


async def ids_with(store: PostgresStore, status: MemoryStatus) -> set[UUID]:
    kept = await store.get_memories("ann", memory_types=[MemoryType.EPISODIC], status=status, limit=500)
    return {memory.id for memory in kept}


def ids_of(memories: list[Memory]) -> set[UUID]:
    return {memory.id for memory in memories}


async def test_a_week_becomes_one_summary_and_steps_back(store: PostgresStore, chat: OpenAIChat):
    woken = []
    week = await a_week(store)

    counts = await a_job(store, chat, lambda: woken.append(1)).compact_user("ann", now=NOW)

    [summary] = await summaries(store)
    assert counts == {"summaries": 1, "memories_compacted": 12}
    assert summary.content == SUMMARY
    assert (summary.audience, summary.said_in) == ("guild:1", "guild:1")
    assert (summary.valid_from, summary.created_at) == (week[0].created_at, week[-1].created_at)
    assert summary.metadata == {"week_start": "2026-03-02", "memories_compacted": 12, "model": "scripted"}
    assert await ids_with(store, MemoryStatus.ARCHIVED) == ids_of(week)
    assert await store.derivations.list_sources("ann", summary.id) == [
        await store.get("ann", memory.id) for memory in week
    ]
    assert summary.id in {missing.id for missing in await store.vectors.list_missing(500)}
    assert woken == [1]
    [run] = await store.runs.list_runs(user_id="ann")
    assert (run.job, run.status, run.counts, run.error) == ("compaction", RunStatus.SUCCEEDED, counts, None)


async def test_what_is_summarised_isn_t_summarised_again(store: PostgresStore, job: CompactionJob):
    await a_week(store)
    await job.compact_user("ann", now=NOW)

    assert await job.compact_user("ann", now=NOW) == {}
    assert len(await summaries(store)) == 1


async def test_audiences_projects_places_and_weeks_are_never_mixed(
    store: PostgresStore, job: CompactionJob, connect: Connect
):
    await a_project(connect)
    groups = [
        await a_week(store, 5),
        await a_week(store, 5, audience="channel:1:2", said_in="channel:1:2"),
        await a_week(store, 5, audience="owner", said_in="guild:1"),
        await a_week(store, 5, audience="owner", said_in="owner"),
        await a_week(store, 5, project_id="p"),
        await a_week(store, 5, week=MONDAY + timedelta(weeks=1)),
        await a_week(store, 5, week=MONDAY - timedelta(hours=5)),  # until the last hour of the Sunday before
    ]

    await job.compact_user("ann", now=NOW)

    found = await summaries(store)
    sources = {frozenset(ids_of(await store.derivations.list_sources("ann", s.id))): s for s in found}
    assert set(sources) == {frozenset(ids_of(group)) for group in groups}
    for group in groups:
        summary, first = sources[frozenset(ids_of(group))], group[0]
        assert (summary.audience, summary.said_in, summary.project_id) == (
            first.audience,
            first.said_in,
            first.project_id,
        )


async def a_project(connect: Connect, owner: str = "ann") -> None:
    async with connect() as connection, connection.transaction():
        await connection.execute("INSERT INTO projects (id, name, owner_id) VALUES ('p', 'P', $1)", owner)
        await connection.execute(
            "INSERT INTO project_members (project_id, user_id, role) VALUES ('p', $1, 'owner')", owner
        )


async def test_who_left_a_project_keeps_its_memories_as_they_are(
    store: PostgresStore, job: CompactionJob, connect: Connect
):
    await a_project(connect)
    week = await a_week(store, project_id="p")
    async with connect() as connection:
        await connection.execute("UPDATE projects SET archived_at = now()")

    assert await job.compact_user("ann", now=NOW) == {}
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(week)


async def test_a_week_waits_until_all_of_it_is_old_enough(store: PostgresStore, job: CompactionJob):
    await a_week(store)

    assert await job.compact_user("ann", now=MONDAY + timedelta(days=30 + 6, hours=23)) == {}
    assert await job.compact_user("ann", now=MONDAY + timedelta(days=30 + 7)) != {}


@pytest.mark.parametrize(("first", "second"), [(9, 0), (4, 4), (5, 4)])
async def test_few_memories_stay(store: PostgresStore, job: CompactionJob, first: int, second: int):
    await a_week(store, first)
    await a_week(store, second, week=MONDAY + timedelta(weeks=1))

    assert await job.compact_user("ann", now=NOW) == {}


async def test_what_is_pinned_or_evidence_stays(store: PostgresStore, job: CompactionJob, connect: Connect):
    week = await a_week(store, 12)
    await store.update("ann", week[3].id, {"tags": [PINNED]})
    fact_id = week[4].id
    async with connect() as connection:
        await connection.execute(
            "INSERT INTO identity_facts (user_id, id, attribute, value, confidence, audience, source, valid_from) "
            "VALUES ('ann', $1, 'location', '\"Lyon\"', 1, 'owner', 'rules', now())",
            fact_id,
        )
        await connection.execute(
            "INSERT INTO evidence (user_id, fact_id, memory_id) VALUES ('ann', $1, $2)", fact_id, week[5].id
        )

    await job.compact_user("ann", now=NOW)

    assert await ids_with(store, MemoryStatus.ACTIVE) == {week[3].id, week[5].id}
    assert len(await ids_with(store, MemoryStatus.ARCHIVED)) == 10


async def test_of_who_opted_out_nothing_is_compacted(
    store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI, connect: Connect
):
    await a_week(store)
    async with connect() as connection:
        await connection.execute("UPDATE owners SET opted_out_at = now() WHERE user_id = 'ann'")

    assert await job.compact_user("ann", now=NOW) == {}
    assert not server.requests


async def test_a_long_week_is_summarised_in_parts_and_every_original_is_covered(
    store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI
):
    week = await a_week(store, 130)

    counts = await job.compact_user("ann", now=NOW)

    assert counts == {"summaries": 3, "memories_compacted": 130}
    told = [json.loads(request.body["messages"][1]["content"])["memories"] for request in server.requests]
    assert [memory["text"] for part in told for memory in part] == [memory.content for memory in week]
    covered = [m.id for s in await summaries(store) for m in await store.derivations.list_sources("ann", s.id)]
    assert sorted(covered) == sorted(ids_of(week))


async def test_a_run_takes_whole_groups_up_to_its_limit(store: PostgresStore, chat: OpenAIChat):
    for number in range(3):
        await a_week(store, 8, week=MONDAY + timedelta(weeks=number))
    job = a_job(store, chat, max_memories_per_run=20)

    assert await job.compact_user("ann", now=NOW) == {"summaries": 2, "memories_compacted": 16}
    assert await job.compact_user("ann", now=NOW) == {}  # fewer than ten in all are left
    assert len(await ids_with(store, MemoryStatus.ACTIVE)) == 8


episodes = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["owner", "guild:1"]), st.integers(1, 9000)), max_size=90
)


@given(episodes, st.integers(1, 100))
def test_every_episode_goes_into_one_part_and_none_is_empty(drawn: list[tuple[int, str, int]], limit: int):
    offered = [
        OldEpisode(Memory(user_id="ann", content="x" * size, audience=audience), MONDAY + timedelta(weeks=week))
        for week, audience, size in sorted(drawn)
    ][:limit]

    parts = list(_portions(offered, limit))

    taken = [memory.id for _, part in parts for memory in part]
    assert all(part and len({memory.audience for memory in part}) == 1 and len(part) <= 60 for _, part in parts)
    assert taken == [episode.memory.id for episode in offered][: len(taken)]
    assert len(taken) == len(offered) or len(offered) == limit
    assert bool(taken) == bool(offered)


async def test_an_unreadable_answer_leaves_its_week_and_the_next_one_goes_on(
    store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI
):
    first = await a_week(store)
    await a_week(store, week=MONDAY + timedelta(weeks=1))

    def answer(body: dict) -> Answer:
        is_first = "2026-03-02" in json.dumps(body)
        return Answer.chat("no idea" if is_first else json.dumps({"summary": SUMMARY}))

    server.answer_with(answer)

    with pytest.raises(UnreadableAnswerError):
        await job.compact_user("ann", now=NOW)
    [run] = await store.runs.list_runs()
    assert (run.status, run.counts) == (RunStatus.FAILED, {"unreadable": 1, "summaries": 1, "memories_compacted": 12})
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(first)


async def test_what_no_store_takes_is_left_out(store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI):
    await a_week(store)
    server.reply = json.dumps({"summary": "She moved\u0000 to Lyon."})

    await job.compact_user("ann", now=NOW)

    [summary] = await summaries(store)
    assert summary.content == "She moved to Lyon."


async def test_a_week_is_asked_about_three_times_until_it_changes(
    store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI
):
    week = await a_week(store)
    server.reply = "no idea"
    for _ in range(3):
        with pytest.raises(UnreadableAnswerError):
            await job.compact_user("ann", now=NOW)
    server.requests.clear()

    server.reply = json.dumps({"summary": SUMMARY})
    assert await job.compact_user("ann", now=NOW) == {"given_up": 1}
    assert server.requests == []

    await store.erasure.erase("ann", [week[0].id])
    assert await job.compact_user("ann", now=NOW) == {"summaries": 1, "memories_compacted": 11}


async def test_weeks_that_were_given_up_keep_no_others_waiting(
    store: PostgresStore, chat: OpenAIChat, server: ScriptedOpenAI
):
    job = a_job(store, chat, max_memories_per_run=12)
    first = await a_week(store)
    server.reply = "no idea"
    for _ in range(3):
        with pytest.raises(UnreadableAnswerError):
            await job.compact_user("ann", now=NOW)
    await a_week(store, week=MONDAY + timedelta(weeks=1))
    server.reply = json.dumps({"summary": SUMMARY})

    done = await job.compact_user("ann", now=NOW)

    assert done == {"given_up": 1, "summaries": 1, "memories_compacted": 12}
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(first)


async def test_weeks_that_were_given_up_keep_no_other_waiting(
    store: PostgresStore, chat: OpenAIChat, server: ScriptedOpenAI
):
    job = a_job(store, chat, max_memories_per_run=20)
    given_up = [await a_week(store, 8, week=MONDAY + timedelta(weeks=number)) for number in range(5)]
    server.reply = "no idea"
    for _ in range(9):  # two weeks a run, three times each, and the last one alone
        with pytest.raises(UnreadableAnswerError):
            await job.compact_user("ann", now=NOW)
    later = await a_week(store, 8, week=MONDAY + timedelta(weeks=5))

    server.reply = json.dumps({"summary": SUMMARY})
    assert await job.compact_user("ann", now=NOW) == {"given_up": 5, "summaries": 1, "memories_compacted": 8}
    assert await ids_with(store, MemoryStatus.ARCHIVED) == ids_of(later)
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of([memory for week in given_up for memory in week])


async def test_what_was_asked_is_forgotten_with_everything(
    store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI, connect: Connect
):
    await a_week(store)
    server.reply = "no idea"
    with pytest.raises(UnreadableAnswerError):
        await job.compact_user("ann", now=NOW)

    await store.erasure.erase_everything("ann", forgotten_at=NOW)

    async with connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM questions") == 0


async def test_a_model_that_is_away_ends_the_run_and_what_is_done_stays(
    store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI
):
    await a_week(store)
    await a_week(store, week=MONDAY + timedelta(weeks=1))
    server.then(Answer.json({"summary": SUMMARY}), *[Answer.error(500)] * 20)

    with pytest.raises(ProviderUnavailableError):
        await job.compact_user("ann", now=NOW)

    [run] = await store.runs.list_runs()
    assert (run.status, run.counts) == (RunStatus.FAILED, {"summaries": 1, "memories_compacted": 12})
    assert run.error
    assert len(await summaries(store)) == 1
    assert await RunKeeper(store).holding("ann").__aenter__() is not None  # the lease was given back


async def test_what_changed_while_the_summary_was_worded_stays(
    store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI
):
    week = await a_week(store)

    async def answer(_: dict) -> Answer:
        await store.update("ann", week[0].id, {"tags": [PINNED]})
        return Answer.json({"summary": SUMMARY})

    server.answer_with(answer)

    assert await job.compact_user("ann", now=NOW) == {"skipped": 1}
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(week)
    assert await summaries(store, None) == []


async def test_who_lost_the_lease_meanwhile_writes_nothing(
    store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI, connect: Connect
):
    week = await a_week(store)

    async def answer(_: dict) -> Answer:
        async with connect() as connection:
            await connection.execute("UPDATE leases SET expires_at = now() - interval '1 second'")
        assert await store.leases.take("ann", "consolidation", lasts=timedelta(minutes=1)) is not None
        return Answer.json({"summary": SUMMARY})

    server.answer_with(answer)

    with pytest.raises(LeaseLostError):
        await job.compact_user("ann", now=NOW)
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(week)


async def test_who_lost_the_lease_meanwhile_counts_no_attempt(
    store: PostgresStore, job: CompactionJob, server: ScriptedOpenAI, connect: Connect
):
    await a_week(store)

    async def answer(_: dict) -> Answer:
        async with connect() as connection:
            await connection.execute("UPDATE leases SET epoch = epoch + 1")
        return Answer.chat("no idea")

    server.answer_with(answer)

    with pytest.raises(LeaseLostError):
        await job.compact_user("ann", now=NOW)
    async with connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM questions") == 0


async def test_nothing_is_done_while_another_process_works_on_the_owner(store: PostgresStore, job: CompactionJob):
    await a_week(store)
    async with RunKeeper(store).holding("ann"):
        assert await job.compact_user("ann", now=NOW) == {}
    assert await job.compact_user("ann", now=NOW) != {}


# Without a language model


async def test_without_a_model_the_most_telling_sentences_stand_for_a_week(store: PostgresStore):
    week = await a_week(store)

    await a_job(store, None).compact_user("ann", now=NOW)

    [summary] = await summaries(store)
    assert summary.metadata["extractive"] is True
    assert summary.content.startswith("In the week of 2 March 2026: “")
    quoted = [memory for memory in week if f"“{memory.content}”" in summary.content]
    assert len(quoted) == 5


async def test_without_a_model_there_may_be_no_summaries_at_all(store: PostgresStore):
    week = await a_week(store)

    assert await a_job(store, None, summarise_without_llm=False).compact_user("ann", now=NOW) == {}
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(week)


def test_telling_sentences_are_central_and_don_t_repeat_each_other():
    def at(degrees: float):
        return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], dtype=np.float32)

    vectors = [at(0), at(1), at(2), at(60), at(180)]

    assert choose_telling(vectors, [0.0] * 5, most=2) == [2, 3]
    assert choose_telling(vectors, [0, 0, 0, 0, 2.0], most=1) == [4]
    assert choose_telling(vectors, [0.0] * 5, most=9) == [0, 1, 2, 3, 4]
    assert choose_telling([], [], most=3) == []


@given(st.text(max_size=600))
def test_sentences_are_parts_of_their_text(text: str):
    for sentence in split_sentences(text):
        assert sentence.removesuffix(" …") in text


# Undoing and forgetting


async def test_undoing_brings_the_originals_back_for_good(store: PostgresStore, job: CompactionJob):
    week = await a_week(store)
    await job.compact_user("ann", now=NOW)
    [run] = await store.runs.list_runs()
    [summary] = await summaries(store)

    undone = await store.runs.undo("ann", run.id)

    assert (set(undone.restored), undone.withdrawn) == (ids_of(week), (summary.id,))
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(week)
    assert await summaries(store) == []
    assert await job.compact_user("ann", now=NOW) == {}
    with pytest.raises(InvalidInputError, match="undone already"):
        await store.runs.undo("ann", run.id)


async def test_a_run_of_somebody_else_can_t_be_undone(store: PostgresStore, job: CompactionJob):
    await a_week(store)
    await job.compact_user("ann", now=NOW)
    [run] = await store.runs.list_runs()

    with pytest.raises(NotFoundError):
        await store.runs.undo("ben", run.id)


async def test_what_its_owner_decided_since_outlives_the_undoing(store: PostgresStore, job: CompactionJob):
    week = await a_week(store)
    await job.compact_user("ann", now=NOW)
    [run] = await store.runs.list_runs()
    await store.identity.retire_evidence("ann", week[0].id, at=NOW)
    await store.erasure.erase("ann", [week[1].id])

    await store.runs.undo("ann", run.id)

    assert (await store.get("ann", week[0].id)).status == MemoryStatus.SUPERSEDED
    assert await store.get("ann", week[1].id) is None
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(week[2:])


async def test_forgetting_an_original_takes_the_summary_along_and_brings_the_others_back(
    store: PostgresStore, job: CompactionJob
):
    week = await a_week(store)
    await job.compact_user("ann", now=NOW)
    [summary] = await summaries(store)

    erased = await store.erasure.erase("ann", [week[0].id])

    assert set(erased.memory_ids) == {week[0].id, summary.id}
    assert await store.get("ann", summary.id) is None
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(week[1:])

    await job.compact_user("ann", now=NOW)  # the rest is compacted anew, also in the very same words
    [again] = await summaries(store)
    assert ids_of(await store.derivations.list_sources("ann", again.id)) == ids_of(week[1:])


async def test_forgetting_a_summary_takes_along_what_it_stands_for(store: PostgresStore, job: CompactionJob):
    week = await a_week(store)
    await a_week(store, 3, week=NOW)
    await job.compact_user("ann", now=NOW)
    [summary] = await summaries(store)

    erased = await store.erasure.erase("ann", [summary.id])

    assert set(erased.memory_ids) == {summary.id, *ids_of(week)}
    assert len(await store.get_memories("ann", status=None)) == 3


async def test_an_original_that_reads_otherwise_now_ends_its_summary(store: PostgresStore, job: CompactionJob):
    week = await a_week(store)
    await job.compact_user("ann", now=NOW)

    await store.store(week[0].model_copy(update={"content": "I did something else.", "version": 7}))

    assert await summaries(store, None) == []
    assert await ids_with(store, MemoryStatus.ACTIVE) == ids_of(week)


# Crashes


class Crash:
    """Cuts the connection before or after the n-th statement of a run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, after: bool) -> None:
        self.steps = 0
        self._at = at
        self._after = after
        self._monkeypatch = monkeypatch

    def arm(self) -> None:
        for name in ("execute", "fetch", "fetchrow", "fetchval"):
            self._monkeypatch.setattr(asyncpg.Connection, name, self._wrap(getattr(asyncpg.Connection, name)))

    def _wrap(self, call):
        async def wrapped(connection: asyncpg.Connection, *args, **kwargs):
            self.steps += 1
            is_now = self.steps == self._at
            if is_now and not self._after:
                self._cut(connection)
            result = await call(connection, *args, **kwargs)
            if is_now:
                self._cut(connection)
            return result

        return wrapped

    def _cut(self, connection: asyncpg.Connection) -> None:
        connection.terminate()
        raise ConnectionResetError("crashed")


async def is_whole(store: PostgresStore, week: list[Memory]) -> bool:
    """Whether there is a summary if and only if all of the week is archived."""
    archived = await ids_with(store, MemoryStatus.ARCHIVED)
    found = await summaries(store)
    if len(found) != 1:
        return not found and not archived
    [summary] = found
    return archived == ids_of(week) == ids_of(await store.derivations.list_sources("ann", summary.id))


async def crash_everywhere(
    postgres_config: PostgresConfig, job_of: Callable[[PostgresStore], CompactionJob], store: PostgresStore
) -> tuple[int, list[str]]:
    """Crash before and after each statement, each time with a week of its own; return the steps and what broke."""
    broken, at, crashed = [], 0, True
    while crashed:
        at += 1
        for after in (False, True):
            await store.erasure.erase_everything("ann", forgotten_at=datetime(2026, 1, 1, tzinfo=UTC))
            async with store.pool.connection() as connection:
                await connection.execute("DELETE FROM forgotten_contents")
            week = await a_week(store, 10)
            victim = PostgresStore(postgres_config)
            await victim.connect()
            await victim.vectors.open_space(ScriptedEmbedder.model, ScriptedEmbedder.dimensions)
            with pytest.MonkeyPatch.context() as monkeypatch:
                crash = Crash(monkeypatch, at, after=after)
                crash.arm()
                with suppress(StoreUnavailableError):
                    await job_of(victim).compact_user("ann", now=NOW)
            crashed = crash.steps >= at
            await victim.close()
            if not await is_whole(store, week):
                broken.append(f"{'after' if after else 'before'} {at}")
            async with store.pool.connection() as connection:
                await connection.execute("UPDATE leases SET expires_at = now()")
            await job_of(store).compact_user("ann", now=NOW)
            if not (await is_whole(store, week) and await summaries(store)):
                broken.append(f"the run after {at}")
    return at - 1, broken


async def test_a_crash_at_any_step_leaves_nothing_half_done(store: PostgresStore, postgres_config: PostgresConfig):
    steps, broken = await crash_everywhere(postgres_config, lambda target: a_job(target, None), store)

    print(f"\n{steps} statements, a crash before and after each: {len(broken)} broken")  # noqa: T201  for whoever reads it
    assert steps > 10
    assert broken == []


async def test_the_control_without_a_transaction_breaks(
    store: PostgresStore, postgres_config: PostgresConfig, monkeypatch: pytest.MonkeyPatch
):
    def committing(leases: Leases, _lease: object):
        return leases._pool.connection()

    monkeypatch.setattr(Leases, "committing", committing)

    _, broken = await crash_everywhere(postgres_config, lambda target: a_job(target, None), store)

    assert broken
