"""When a language model is asked about what people say, and what becomes of that for which it isn't."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from cortex_core import Audience, MemoryConfig, MemoryManager
from cortex_core.config import LearningConfig
from cortex_core.consolidation import asking
from cortex_core.consolidation.asking import ModelWorker
from cortex_core.consolidation.reading import MemoryReader
from cortex_core.errors import (
    BudgetExhaustedError,
    BudgetReservedError,
    ProviderError,
    ProviderUnavailableError,
    StoreUnavailableError,
)
from cortex_core.metrics import Metrics, Operation
from cortex_core.providers.analysis import Analysis, KnownFact, Statement
from tests.harness import Connect, Gate, ScriptedEmbedder, eventually, times_of

GUILD, OTHER_GUILD = Audience.guild(7), Audience.guild(8)
NO_TIME = 1e-9
"""Hours."""


class Model:
    """Finds nothing; `before` may raise first, given the account that pays."""

    name = "model"

    def __init__(self) -> None:
        self.before: Callable[[str], object] = lambda _: None
        self.asked: list[tuple[str, int]] = []

    async def analyse(self, statements: Sequence[Statement], _known: Sequence[KnownFact], *, account: str) -> Analysis:
        self.before(account)
        self.asked.append((account, len(statements)))
        return Analysis()


@pytest.fixture
def memory(silent: MemoryManager) -> MemoryManager:
    return silent


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def open_worker(memory: MemoryManager, model: Model, metrics: Metrics):
    """Opens a worker that looks when it is told to."""

    def open_worker(**settings: float) -> ModelWorker:
        config = LearningConfig(**{"pause_seconds": 1e-6, **settings})
        parts = memory._open_parts
        reader = MemoryReader(memory.redis, memory.postgres, parts.facts, parts.replies.list_recalled, base_ttl=1800)
        return ModelWorker(config, memory.postgres, reader, model, metrics)

    return open_worker


async def say(memory: MemoryManager, user_id: str, number: int = 1, **fields: object) -> None:
    for _ in range(number):
        await memory.store(user_id, "a", **fields)
    await memory._open_parts.writer.drain()


async def count_waiting(connect: Connect) -> dict[str, int]:
    async with connect() as connection:
        rows = await connection.fetch(
            "SELECT user_id, count(*) AS waiting FROM memories WHERE analysed_at IS NULL GROUP BY user_id"
        )
    return {row["user_id"]: row["waiting"] for row in rows}


async def test_what_waited_too_long_is_left_to_the_rules_or_read_at_the_cost_of_that(
    memory, open_worker, model, metrics, connect
):
    worker, overdue = open_worker(), open_worker(wait_hours=NO_TIME)
    for number in range(12):
        await say(memory, f"user {number:02}")

    await worker.look()
    assert (model.asked, len(await count_waiting(connect))) == ([], 12)

    await overdue.look()
    assert await count_waiting(connect) == {}
    assert model.asked == [("owner:user 04", 1), ("owner:user 09", 1)]
    assert times_of(metrics, Operation.ANALYSE) == times_of(metrics, Operation.ASK) == 2
    assert times_of(metrics, Operation.LEAVE) == 10


@pytest.mark.parametrize("seed", range(3))
async def test_calls_stay_within_a_fifth_and_nothing_waits_while_messages_come_in(
    memory, open_worker, model, metrics, connect, seed
):
    """Also where some can't pay, and some say what the model doesn't take."""
    chance = random.Random(seed)
    accounts = {"7": GUILD, "8": OTHER_GUILD, "": None}

    def before(account: str) -> None:
        if account == "8":
            raise BudgetExhaustedError("Spent.", retry_after=timedelta(seconds=0.05))
        if account == "owner:eve":
            raise ProviderError("It doesn't take this request.")

    model.before = before
    worker = open_worker(wait_hours=0.3 / 3600)
    said = 0
    for _ in range(40):
        speaker, audience = chance.choice(["ann", "ben", "cy", "dan", "eve"]), chance.choice([*accounts.values()])
        number = chance.choice([1, 1, 1, 2, 3, 8])
        await say(memory, speaker, number, audience=audience)
        said += number
        await worker.look()
        assert 5 * len(model.asked) <= times_of(metrics, Operation.ANALYSE, Operation.LEAVE)
    await eventually(lambda: _all_done(worker, connect))

    assert times_of(metrics, Operation.ANALYSE, Operation.LEAVE) == said
    assert {account.partition(":")[0] for account, _ in model.asked} == {"7", "owner"}
    assert times_of(metrics, Operation.ANALYSE) == sum(number for _, number in model.asked)


async def _all_done(worker: ModelWorker, connect: Connect) -> bool:
    await worker.look()
    return not await count_waiting(connect)


async def test_who_has_waited_longest_comes_first_and_everybody_once(memory, open_worker, model):
    await say(memory, "zoe", 90)
    for name in ("mia", "ann"):
        await say(memory, name, 5)
    worker = open_worker()

    await worker.look()
    assert model.asked == [("owner:zoe", 40), ("owner:mia", 5), ("owner:ann", 5)]
    await worker.look()
    assert model.asked[3:] == [("owner:zoe", 40)]


async def test_after_a_failure_it_goes_on_with_those_that_come_next(memory, open_worker, model):
    """What the model never takes keeps nobody else from being read."""

    def before(account: str) -> None:
        if account == "owner:zoe":
            raise ProviderError("It doesn't take this request.")

    model.before = before
    for name in ("zoe", "mia", "ann"):
        await say(memory, name, 10)
    worker = open_worker(pause_seconds=0.25)

    await worker.look()
    assert model.asked == []
    await asyncio.sleep(0.5)
    await worker.look()
    assert model.asked == [("owner:mia", 10), ("owner:ann", 10)]


async def test_with_many_owners_the_turn_goes_on_where_it_was(memory, open_worker, model, monkeypatch):
    monkeypatch.setattr(asking, "_OWNERS_AT_ONCE", 1)
    for name in ("zoe", "mia", "ann"):
        await say(memory, name, 45)
    worker = open_worker()

    for _ in range(4):
        await worker.look()
    assert [account for account, _ in model.asked] == ["owner:zoe", "owner:mia", "owner:ann", "owner:zoe"]


async def test_whose_budget_pays_goes_by_where_it_was_said(memory, open_worker, model):
    """Also where its owner lets it surface nowhere."""
    await say(memory, "ann", 5, audience=GUILD)
    await say(memory, "ann", 5)
    for kept_private in await memory.list_memories("ann", limit=10):
        if kept_private.audience != "owner":
            await memory.set_audience("ann", kept_private.id, Audience.owner())

    await open_worker().look()
    assert sorted(model.asked) == [("7", 5), ("owner:ann", 5)]


async def test_a_budget_that_is_only_set_aside_leaves_nothing_to_the_rules(
    memory, open_worker, model, metrics, connect
):
    def before(_account: str) -> None:
        raise BudgetReservedError("Set aside.", retry_after=timedelta(seconds=0.1))

    model.before = before
    worker = open_worker(wait_hours=NO_TIME)
    await say(memory, "ann", 5)

    await worker.look()
    await worker.look()
    assert (await count_waiting(connect), times_of(metrics, Operation.POSTPONE)) == ({"ann": 5}, 1)

    model.before = lambda _: None
    await eventually(lambda: _all_done(worker, connect))
    assert times_of(metrics, Operation.ANALYSE) == 5


async def test_a_model_that_is_away_leaves_nothing_to_the_rules(memory, open_worker, model, metrics, connect):
    def before(_account: str) -> None:
        raise ProviderUnavailableError("Away.")

    model.before = before
    await say(memory, "ann", 5)
    await say(memory, "ben", 5)

    await open_worker(wait_hours=NO_TIME, pause_seconds=1e-6).look()
    assert await count_waiting(connect) == {"ann": 5, "ben": 5}
    assert times_of(metrics, Operation.LEAVE) == 0


async def test_an_answer_that_is_not_kept_was_a_call_all_the_same(memory, open_worker, metrics, monkeypatch):
    await say(memory, "ann", 5)
    worker = open_worker()
    monkeypatch.setattr(worker._reader._facts, "learn", _fail)
    with pytest.raises(StoreUnavailableError):
        await worker.look()
    assert times_of(metrics, Operation.ASK) == 1


async def _fail(*_args: object, **_kwargs: object) -> None:
    raise StoreUnavailableError("Away.")


async def test_no_connection_is_held_while_the_model_thinks(memory_config: MemoryConfig, model, metrics, monkeypatch):
    """With one connection for everybody, others are served all the while."""
    one = memory_config.postgres.model_copy(update={"min_connections": 1, "max_connections": 1})
    config = memory_config.model_copy(update={"postgres": one, "learning": LearningConfig(enabled=False)})
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        await say(memory, "ann", 5)
        parts = memory._open_parts
        reader = MemoryReader(memory.redis, memory.postgres, parts.facts, parts.replies.list_recalled, base_ttl=1800)
        worker = ModelWorker(LearningConfig(pause_seconds=1e-6), memory.postgres, reader, model, metrics)
        monkeypatch.setattr(model, "analyse", gate := Gate(model.analyse))

        asking_now = asyncio.create_task(worker.look())
        await gate.wait_until_reached()
        assert await memory.list_memories("ann")
        gate.open()
        await asking_now

    assert times_of(metrics, Operation.ANALYSE) == 5
