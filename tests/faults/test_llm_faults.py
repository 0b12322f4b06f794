"""A language model that is wrong one time in five, in every way that one can be: the work gets done, within bounds.

A job is an owner of whom one thing is to be done: what they said is read, or their memories are looked at for patterns
or contradictions, or are compacted. The checker judges by the database, and by what the model was shown and gave.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from asyncpg import Record
from pydantic import SecretStr

from cortex_core import Memory, MemoryConfig, PostgresStore
from cortex_core.audience import Audience
from cortex_core.config import ConsolidationConfig, LearningConfig, LLMConfig
from cortex_core.consolidation import patterns
from cortex_core.consolidation.asking import ModelWorker
from cortex_core.consolidation.compaction import CompactionJob
from cortex_core.consolidation.contradictions import ContradictionDetector
from cortex_core.consolidation.patterns import PatternExtractor
from cortex_core.consolidation.reading import MemoryReader
from cortex_core.consolidation.runner import Job
from cortex_core.consolidation.runs import RunKeeper
from cortex_core.errors import BudgetExhaustedError, ProviderError
from cortex_core.knowledge.identity import IdentityKeeper
from cortex_core.knowledge.learning import FactKeeper
from cortex_core.metrics import Metrics, Operation
from cortex_core.providers import openai_llm
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.providers.llm_analyst import LLMAnalyst
from cortex_core.providers.metering import Ledger, MeteredChat
from cortex_core.providers.openai_llm import OpenAIChat, OpenAIChatServer
from cortex_core.stores.postgres.connection import Connection
from cortex_core.stores.postgres.store import PendingWrite
from cortex_core.stores.redis import RedisStore
from tests.faults.faulty_model import (
    FORGED,
    NOW,
    VICTIM,
    VICTIMS_MEMORY,
    Fault,
    FaultyModel,
    Owner,
    Task,
    make_owner,
    make_owners,
)
from tests.harness import ScriptedEmbedder, times_of
from tests.openai_server import ScriptedOpenAI

FAULTY = 0.2
ACCOUNTS = 10
AT_ONCE = 4
RUNS = 3
"""How often a job is begun at most: the retry budget, as `learning.max_attempts` has it."""

LLM = LLMConfig(timeout_seconds=0.6, max_concurrent=AT_ONCE, daily_tokens=2_000_000)
SMALL_CAP = 15_000
"""Tokens for twenty jobs: less than they take, and about twice what one request may take."""


@dataclass
class World:
    """Everything that takes part, open."""

    owners: dict[str, Owner]
    model: FaultyModel
    postgres: PostgresStore
    keeper: RunKeeper
    worker: ModelWorker
    metrics: Metrics
    jobs: Mapping[Task, Job]

    async def work(self, *, seconds: float = 600.0) -> None:
        """Do all jobs, each begun again while it isn't done and the retry budget lasts."""
        reading = {owner.id for owner in self.owners.values() if owner.task is Task.ANALYSIS}
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            group.create_task(self._read(reading))
            for owner in self.owners.values():
                if owner.task is not Task.ANALYSIS:
                    group.create_task(self._consolidate(owner, slots))

    async def list_done(self) -> set[str]:
        """Return the owners whose job has come to what it should."""
        async with self.postgres.pool.connection() as connection:
            return {row["user_id"] for row in await connection.fetch(_DONE)}

    async def _read(self, owners: set[str]) -> None:
        """Read until nothing is left, or nothing was asked for a second: then there is no budget for the rest."""
        done, done_at = 0, time.monotonic()
        while await self._is_left(owners) and time.monotonic() < done_at + 1.0:
            await self.worker.look()
            if (asked := times_of(self.metrics, Operation.ASK, Operation.POSTPONE)) > done:
                done, done_at = asked, time.monotonic()
            await asyncio.sleep(0.01)

    async def _is_left(self, owners: set[str]) -> bool:
        async with self.postgres.pool.connection() as connection:
            return bool(await connection.fetchval(_LEFT, list(owners)))

    async def _consolidate(self, owner: Owner, slots: asyncio.Semaphore) -> None:
        job = self.jobs[owner.task]
        async with slots:
            for _ in range(RUNS):
                try:
                    async with self.keeper.holding(owner.id) as lease:
                        assert lease, "nobody else works on it"
                        async with self.keeper.running(lease, job.name) as run:
                            await job.work(run, now=NOW)
                except BudgetExhaustedError:
                    return
                except ProviderError:
                    continue
                if owner.id in await self.list_done():
                    return


_DONE = """
SELECT user_id FROM identity_facts WHERE attribute = 'likes' AND value = to_jsonb('topic of ' || user_id)
UNION SELECT user_id FROM memories WHERE source = 'consolidation' AND content = 'often speaks of ' || user_id
UNION SELECT owner_a FROM contradictions WHERE explanation LIKE 'Both can''t be true of %'
UNION SELECT user_id FROM memories WHERE source = 'compaction' AND content = 'A week of ' || user_id || '.'
"""
_LEFT = "SELECT EXISTS (SELECT FROM memories WHERE user_id = ANY($1) AND analysed_at IS NULL)"
_READ = "UPDATE memories SET learned_at = now(), analysed_at = now() WHERE NOT (id = ANY($1))"


@asynccontextmanager
async def open_world(
    config: MemoryConfig,
    owners: Sequence[Owner],
    *,
    llm: LLMConfig = LLM,
    share: float = FAULTY,
    kinds: Sequence[Fault] = tuple(Fault),
    open_ledger: Callable[[PostgresStore], Ledger] = lambda postgres: postgres.spending,
) -> AsyncIterator[World]:
    """Open the stores, store what the owners said, and open what works on it."""
    async with AsyncExitStack() as stack:
        postgres = PostgresStore(config.postgres)
        stack.push_async_callback(postgres.close)
        await postgres.connect()
        await postgres.vectors.open_space(ScriptedEmbedder.model, ScriptedEmbedder.dimensions)
        await seed(postgres, owners)
        redis = RedisStore(config.redis)
        stack.push_async_callback(redis.close)
        await redis.connect()

        server = await stack.enter_async_context(ScriptedOpenAI.running())
        model = FaultyModel({owner.id: owner for owner in owners}, share, kinds)
        server.answer_with(model)
        sender = OpenAIChatServer.open(
            model="faulty", base_url=server.base_url, api_key=SecretStr(""), timeout_seconds=llm.timeout_seconds
        )
        metered = MeteredChat(sender, open_ledger(postgres), llm)
        chat = OpenAIChat(metered, timeout_seconds=llm.timeout_seconds)
        stack.push_async_callback(chat.close)

        identity = IdentityKeeper(redis, postgres)
        facts = FactKeeper(LearningConfig(), postgres, identity)
        metrics = Metrics()
        worker = ModelWorker(
            LearningConfig(pause_seconds=0.02, max_attempts=RUNS),
            postgres,
            MemoryReader(redis, postgres, facts, nothing_recalled, base_ttl=3600),
            LLMAnalyst(chat),
            metrics,
        )
        settings, embedder = ConsolidationConfig(), CachingEmbedder(ScriptedEmbedder())
        yield World(
            owners={owner.id: owner for owner in owners},
            model=model,
            postgres=postgres,
            keeper=RunKeeper(postgres),
            worker=worker,
            metrics=metrics,
            jobs={
                Task.PATTERNS: PatternExtractor(settings, postgres, embedder, chat, facts),
                Task.CONTRADICTIONS: ContradictionDetector(settings, redis, postgres, chat, None, lambda: None),
                Task.COMPACTION: CompactionJob(settings, postgres, embedder, chat, lambda: None),
            },
        )


async def nothing_recalled(*_: object) -> list[tuple[datetime, str]]:
    return []


async def seed(postgres: PostgresStore, owners: Sequence[Owner]) -> None:
    """Store what was said, also by somebody who has no job, and leave to read only what jobs read."""
    victim = Memory(id=UUID(VICTIMS_MEMORY), user_id=VICTIM, content="I live in Oslo.", created_at=NOW)
    pending = [PendingWrite(victim)]
    topics = np.eye(ScriptedEmbedder.dimensions, dtype=np.float32)
    for owner in owners:
        pending += [PendingWrite(memory, topics[0]) for memory in owner.offered]
        pending += [PendingWrite(memory, topics[place]) for place, memory in enumerate(owner.hidden, 1)]
    for start in range(0, len(pending), 200):
        await postgres.write(pending[start : start + 200])
    to_read = [memory.id for owner in owners if owner.task is Task.ANALYSIS for memory in owner.offered]
    async with postgres.pool.connection() as connection:
        await connection.execute(_READ, to_read)


@dataclass
class Verdict:
    """What the database tells of how it went.

    Attributes:
        undone: Owners whose job has not come to what it should.
        lost: Originals that are gone, changed, or set aside for nothing.
        outside: What was drawn from, said of or shown to whom it should not.
        over_caps: Accounts that spent more than they may, or than is booked for them.
    """

    undone: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    over_caps: list[str] = field(default_factory=list)


async def check(world: World, *, cap: int = LLM.daily_tokens) -> Verdict:
    async with world.postgres.pool.connection() as connection:
        return await judge(world, connection, cap=cap)


async def judge(world: World, connection: Connection, *, cap: int = LLM.daily_tokens) -> Verdict:
    rows = {name: await connection.fetch(query) for name, query in _ROWS.items()}
    done = {row["user_id"] for row in rows["done"]}
    return Verdict(
        undone=[owner for owner in world.owners if owner not in done],
        lost=[*find_lost(world.owners, rows)],
        outside=[*find_outside(world, rows)],
        over_caps=[*find_over_caps(world, rows["spending"], cap)],
    )


_ROWS = {
    "done": _DONE,
    "memories": "SELECT * FROM memories",
    "facts": """
        SELECT user_id, id, array_to_string(heard_in(f), ' ') AS audience, value #>> '{}' AS content
        FROM identity_facts AS f
    """,
    "evidence": "SELECT user_id, fact_id AS id, memory_id AS source_id, '' AS source FROM evidence",
    "derivations": """
        SELECT d.user_id, d.derived_id AS id, d.source_id, m.source
        FROM derivations AS d JOIN memories AS m ON m.user_id = d.user_id AND m.id = d.derived_id
    """,
    "contradictions": """
        SELECT owner_a AS user_id, id, memory_a AS source_id, explanation FROM contradictions
        UNION ALL SELECT owner_b, id, memory_b, explanation FROM contradictions
    """,
    "touched": """
        SELECT user_id FROM changes UNION SELECT user_id FROM corrections UNION SELECT user_id FROM consolidation_runs
    """,
    "spending": """
        SELECT account, sum(input_tokens + output_tokens + reserved_tokens) AS tokens FROM llm_spending GROUP BY account
    """,
}

Rows = Mapping[str, Sequence[Record]]


def find_lost(owners: Mapping[str, Owner], rows: Rows) -> Iterator[str]:
    kept = {row["id"]: row for row in rows["memories"]}
    summarised = {row["source_id"] for row in rows["derivations"] if row["source"] == "compaction"}
    for memory in (memory for owner in owners.values() for memory in (*owner.offered, *owner.hidden)):
        row = kept.get(memory.id)
        if row is None:
            yield f"{memory.content} is gone"
        elif (row["user_id"], row["content"], row["audience"]) != (memory.user_id, memory.content, memory.audience):
            yield f"{memory.content} is another one"
        elif row["status"] != ("archived" if memory.id in summarised else "active"):
            yield f"{memory.content} is {row['status']}"


def find_outside(world: World, rows: Rows) -> Iterator[str]:
    for owner in world.owners.values():
        for text in world.model.seen[owner.id] - {memory.content for memory in owner.offered}:
            yield f"the model was shown: {text}"
    for row in rows["touched"]:
        if row["user_id"] not in world.owners:
            yield f"something was done for {row['user_id']}"
    yield from find_changed(world.owners, rows["memories"])
    yield from find_misplaced(world.owners, rows)
    yield from find_unproven(world.owners, rows)


def find_changed(owners: Mapping[str, Owner], memories: Sequence[Record]) -> Iterator[str]:
    """Tell what was rated anew though it wasn't shown."""
    hidden = {memory.id: memory for owner in owners.values() for memory in owner.hidden}
    for row in memories:
        if row["id"] in hidden and row["emotional_score"] != pytest.approx(hidden[row["id"]].emotional_score):
            yield f"{row['content']} is rated"


def find_misplaced(owners: Mapping[str, Owner], rows: Rows) -> Iterator[str]:
    """Tell what surfaces elsewhere than what it was drawn from, or was made up."""
    for row in list_drawn(rows):
        owner = owners.get(row["user_id"])
        if owner is None or row["audience"] != str(Audience.guild(owner.guild)):
            yield f"what was drawn for {row['user_id']} surfaces in {row['audience']}"
        if row["content"] == FORGED:
            yield f"what was drawn for {row['user_id']} was made up"


def find_unproven(owners: Mapping[str, Owner], rows: Rows) -> Iterator[str]:
    """Tell what rests on nothing, or on what the model wasn't shown."""
    offered = {(owner.id, memory.id) for owner in owners.values() for memory in owner.offered}
    proofs = [*rows["evidence"], *rows["derivations"], *rows["contradictions"]]
    for row in proofs:
        if (row["user_id"], row["source_id"]) not in offered:
            yield f"what was drawn for {row['user_id']} rests on {row['source_id']}"
    proven = {row["id"] for row in proofs}
    for row in list_drawn(rows):
        if row["id"] not in proven:
            yield f"what was drawn for {row['user_id']} rests on nothing"


def list_drawn(rows: Rows) -> list[Record]:
    return [row for row in rows["memories"] if row["source"] != "conversation"] + [*rows["facts"]]


def find_over_caps(world: World, spending: Sequence[Record], cap: int) -> Iterator[str]:
    booked = Counter({row["account"]: int(row["tokens"]) for row in spending})
    for account, tokens in booked.items():
        if tokens > cap:
            yield f"{account} spent {tokens:,} of {cap:,} tokens"
    for account, tokens in world.model.spent.items():
        if tokens > booked[account]:
            yield f"{account} took {tokens:,} tokens, of which {booked[account]:,} are booked"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_llm, "_FIRST_PAUSE", 0.02)


@pytest.mark.parametrize("jobs", [60, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_the_work_gets_done_and_nothing_else_does(memory_config: MemoryConfig, jobs: int):
    async with open_world(memory_config, make_owners(jobs, accounts=ACCOUNTS)) as world:
        began = time.monotonic()
        await world.work()
        verdict = await check(world)
        report(world, verdict, time.monotonic() - began)

    assert len(verdict.undone) <= jobs / 100
    assert verdict.lost == verdict.outside == verdict.over_caps == []
    assert world.model.faults.total() == pytest.approx(FAULTY * world.model.requests, rel=0.3)
    assert world.model.faults.keys() == set(Fault)


@pytest.mark.parametrize("jobs", [20, pytest.param(200, marks=pytest.mark.slow)])
async def test_a_small_budget_is_kept_and_what_it_leaves_undone_is_left_as_it_was(
    memory_config: MemoryConfig, jobs: int
):
    cap = SMALL_CAP * jobs // 20
    llm = LLM.model_copy(update={"daily_tokens": cap})
    async with open_world(memory_config, make_owners(jobs, accounts=1), llm=llm) as world:
        await world.work()
        verdict = await check(world, cap=cap)
        spent = sum(world.model.spent.values())

    assert verdict.lost == verdict.outside == verdict.over_caps == []
    assert 0 < len(verdict.undone) < jobs
    assert spent > cap / 4


class Spendthrift:
    """A deliberately broken ledger, which notes everything and refuses nothing."""

    def __init__(self, postgres: PostgresStore) -> None:
        self._spending = postgres.spending
        self.settle = postgres.spending.settle

    async def reserve(self, day: date, account: str, **amounts: Any) -> bool:
        return await self._spending.reserve(day, account, **{**amounts, "daily_tokens": 0, "daily_dollars": 0.0})


async def test_control_a_ledger_that_refuses_nothing_is_caught(memory_config: MemoryConfig):
    llm = LLM.model_copy(update={"daily_tokens": SMALL_CAP})
    async with open_world(memory_config, make_owners(20, accounts=1), llm=llm, open_ledger=Spendthrift) as world:
        await world.work()
        assert (await check(world, cap=SMALL_CAP)).over_caps


async def test_control_numbers_that_are_not_checked_are_caught(
    memory_config: MemoryConfig, monkeypatch: pytest.MonkeyPatch
):
    owners = [make_owner(number, Task.PATTERNS, 1) for number in range(5)]
    hidden = {owner.id: owner.hidden for owner in owners}
    judge = patterns._judge

    def judge_credulously(found: patterns.FoundPattern, memories: Sequence[Memory]) -> patterns.Pattern | None:
        return judge(found, [*memories, *hidden[memories[0].user_id]])

    monkeypatch.setattr(patterns, "_judge", judge_credulously)
    async with open_world(memory_config, owners, share=1.0, kinds=[Fault.UNOFFERED]) as world:
        await world.work()
        assert (await check(world)).outside


TAMPERING = {
    "DELETE FROM memories WHERE content = 'owner-0 said 3'": "lost",
    "UPDATE memories SET status = 'archived' WHERE content = 'owner-1 said 3'": "lost",
    "UPDATE memories SET content = 'x' WHERE content = 'owner-0 hid 1'": "lost",
    "DELETE FROM derivations WHERE user_id = 'owner-4'": "lost",
    "UPDATE identity_facts SET audience = 'everywhere'": "outside",
    "DELETE FROM evidence": "outside",
    "UPDATE consolidation_runs SET user_id = 'victim'": "outside",
    "UPDATE memories SET emotional_score = 1 WHERE content = 'owner-1 hid 1'": "outside",
    "UPDATE llm_spending SET reserved_tokens = 10000000": "over_caps",
    "UPDATE llm_spending SET account = 'another'": "over_caps",
    "DELETE FROM contradictions": "undone",
}


async def test_control_what_is_tampered_with_is_noticed(memory_config: MemoryConfig):
    async with open_world(memory_config, make_owners(5, accounts=1), share=0.0) as world:
        await world.work()
        assert await check(world) == Verdict()
        async with world.postgres.pool.connection() as connection:
            for statement, blamed in TAMPERING.items():
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute(statement)
                verdict = await judge(world, connection)
                await transaction.rollback()
                assert getattr(verdict, blamed), statement


def report(world: World, verdict: Verdict, seconds: float) -> None:
    faults = ", ".join(f"{fault} {world.model.faults[fault]}" for fault in Fault)
    spent = max(world.model.spent.values())
    sys.stdout.write(
        f"\n{len(world.owners)} jobs, {len(verdict.undone)} undone, {world.model.requests} requests, {seconds:.0f} s\n"
        f"faults: {faults}\n"
        f"lost {len(verdict.lost)}, outside {len(verdict.outside)}, over caps {len(verdict.over_caps)}; "
        f"the dearest account took {spent:,} tokens of {LLM.daily_tokens:,}\n"
    )
