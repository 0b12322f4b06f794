"""The ledger of what language models cost: caps hold however many ask at once, and nothing blocks for ever."""

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cortex_core.config import ConsolidationConfig, PostgresConfig
from cortex_core.consolidation.cleanup import Cleanup
from cortex_core.models import Reservation
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.spending import Spending
from cortex_core.stores.redis import RedisStore
from tests.harness import Connect

TODAY = date(2026, 3, 1)
MONTH = timedelta(days=30)


@pytest.fixture
def spending(postgres: PostgresStore) -> Spending:
    return postgres.spending


async def reserve(spending: Spending, tokens: int, **others: Any) -> bool:
    return await ask_for(spending, tokens, **others) is Reservation.MADE


async def ask_for(
    spending: Spending,
    tokens: int,
    dollars: float = 0.0,
    account: str = "1",
    day: date = TODAY,
    *,
    daily_tokens: int = 1_000,
    daily_dollars: float = 1.0,
) -> Reservation:
    return await spending.reserve(
        day, account, tokens=tokens, dollars=dollars, daily_tokens=daily_tokens, daily_dollars=daily_dollars
    )


async def row_of(connect: Connect, account: str = "1", day: date = TODAY) -> Any:
    async with connect() as connection:
        return await connection.fetchrow("SELECT * FROM llm_spending WHERE day = $1 AND account = $2", day, account)


async def test_what_is_set_aside_becomes_what_was_spent(spending: Spending, connect: Connect) -> None:
    assert await reserve(spending, 600, dollars=0.5)
    row = await row_of(connect)
    assert (row["reserved_tokens"], row["reserved_usd"], row["calls"]) == (600, 0.5, 0)
    await spending.settle(TODAY, "1", tokens=600, dollars=0.5, usage=(100, 20), cost=0.25, calls=1)
    row = await row_of(connect)
    assert (row["reserved_tokens"], row["reserved_usd"], row["calls"]) == (0, 0.0, 1)
    assert (row["input_tokens"], row["output_tokens"], row["cost_usd"]) == (100, 20, 0.25)


async def test_a_cap_counts_what_is_spent_and_what_is_set_aside(spending: Spending) -> None:
    assert await reserve(spending, 600)
    await spending.settle(TODAY, "1", tokens=600, dollars=0.0, usage=(100, 200), cost=0.0, calls=1)
    assert await reserve(spending, 500)
    assert not await reserve(spending, 201)
    assert await reserve(spending, 200)
    assert not await reserve(spending, 1)


async def test_the_cap_in_dollars_holds_too(spending: Spending) -> None:
    assert await reserve(spending, 1, dollars=0.75)
    assert not await reserve(spending, 1, dollars=0.5)
    assert await reserve(spending, 1, dollars=0.25)


@pytest.mark.parametrize(("tokens", "dollars"), [(1_001, 0.0), (1, 1.01)])
async def test_the_first_request_of_a_day_is_measured_too(
    spending: Spending, connect: Connect, tokens: int, dollars: float
) -> None:
    assert not await reserve(spending, tokens, dollars=dollars)
    assert await row_of(connect) is None


async def test_what_others_set_aside_is_told_from_what_is_spent(spending: Spending) -> None:
    assert await reserve(spending, 600)
    assert await ask_for(spending, 500) is Reservation.PENDING
    assert await ask_for(spending, 1, dollars=2.0) is Reservation.REFUSED
    assert await ask_for(spending, 1_001) is Reservation.REFUSED
    await spending.settle(TODAY, "1", tokens=600, dollars=0.0, usage=(100, 100), cost=0.75, calls=1)
    assert await ask_for(spending, 500, 0.5) is Reservation.REFUSED
    assert await reserve(spending, 500, dollars=0.25)
    assert await ask_for(spending, 301) is Reservation.PENDING
    assert await ask_for(spending, 801) is Reservation.REFUSED


async def test_of_a_days_first_requests_none_takes_the_budget_for_used_up(spending: Spending) -> None:
    outcomes = await asyncio.gather(*(ask_for(spending, 600, account=str(n // 8)) for n in range(80)))
    assert outcomes.count(Reservation.MADE) == 10
    assert outcomes.count(Reservation.PENDING) == 70


async def test_no_cap_is_none(spending: Spending) -> None:
    for _ in range(2):
        assert await reserve(spending, 10**9, dollars=10**6, daily_tokens=0, daily_dollars=0.0)


async def test_servers_and_days_have_budgets_of_their_own(spending: Spending) -> None:
    """What a process left behind when it died weighs on that server and that day alone."""
    assert await reserve(spending, 1_000)
    assert not await reserve(spending, 1)
    assert await reserve(spending, 1_000, account="2")
    assert await reserve(spending, 1_000, account="")
    assert await reserve(spending, 1_000, day=TODAY + timedelta(days=1))


async def test_what_was_set_aside_before_midnight_is_given_back_to_its_day(
    spending: Spending, connect: Connect
) -> None:
    assert await reserve(spending, 1_000)
    assert await reserve(spending, 1_000, day=TODAY + timedelta(days=1))
    await spending.settle(TODAY, "1", tokens=1_000, dollars=0.0, usage=(10, 10), cost=0.0, calls=1)
    assert (await row_of(connect))["reserved_tokens"] == 0
    assert (await row_of(connect, day=TODAY + timedelta(days=1)))["reserved_tokens"] == 1_000


async def test_after_a_while_nobody_can_tell_whose_direct_messages_it_was(
    spending: Spending, postgres: PostgresStore, redis: RedisStore, connect: Connect
) -> None:
    cleanup = Cleanup(ConsolidationConfig(), redis, postgres)
    for account in ("owner:ann", "owner:ben", "7"):
        for day in (TODAY - timedelta(days=1), TODAY):
            assert await reserve(spending, 10, account=account, day=day)
            await spending.settle(day, account, tokens=10, dollars=0.0, usage=(3, 2), cost=0.25, calls=1)

    for _ in range(2):
        await cleanup.remove_expired(now=datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC) + MONTH)

    async with connect() as connection:
        rows = await connection.fetch("SELECT day, account, calls, input_tokens, cost_usd FROM llm_spending")
    assert {tuple(row) for row in rows} == {
        (TODAY - timedelta(days=1), "", 2, 6, 0.5), (TODAY - timedelta(days=1), "7", 1, 3, 0.25),
        *((TODAY, account, 1, 3, 0.25) for account in ("owner:ann", "owner:ben", "7")),
    }  # fmt: skip


async def test_a_hundred_at_once_set_aside_no_more_than_the_cap(spending: Spending, connect: Connect) -> None:
    reserved = await asyncio.gather(*(reserve(spending, 30, dollars=0.02) for _ in range(100)))
    assert sum(reserved) == 33  # 33 * 30 tokens; dollars would allow 50
    assert (await row_of(connect))["reserved_tokens"] == 990


async def test_two_pools_at_once_never_break_a_cap(
    postgres_config: PostgresConfig, spending: Spending, connect: Connect
) -> None:
    """Reserving, settling with less, and never settling, from two pools; the row is watched all the while."""
    other = PostgresStore(postgres_config)
    await other.connect()
    chance = random.Random(5)
    breaches: list[int] = []
    done = asyncio.Event()

    async def work(ledger: Spending) -> bool:
        tokens = chance.randint(1, 40)
        if not await reserve(ledger, tokens):
            return False
        await asyncio.sleep(chance.random() / 50)
        if chance.random() < 0.9:
            used = chance.randint(0, tokens)
            await ledger.settle(TODAY, "1", tokens=tokens, dollars=0.0, usage=(used, 0), cost=0.0, calls=1)
        return True

    async def watch() -> None:
        async with connect() as connection:
            while not done.is_set():
                total = await connection.fetchval(
                    "SELECT coalesce(sum(input_tokens + output_tokens + reserved_tokens), 0) FROM llm_spending"
                )
                if total > 1_000:
                    breaches.append(total)
                await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    outcomes = await asyncio.gather(*(work(ledger) for ledger in (spending, other.spending) for _ in range(100)))
    done.set()
    await watching
    await other.close()
    assert breaches == []
    assert set(outcomes) == {True, False}
