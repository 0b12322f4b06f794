"""Budgets, accounts and places of a chat model: real HTTP to a scripted server, a real database for the ledger."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import BaseModel, SecretStr

from cortex_core.audience import Audience
from cortex_core.config import LLMConfig, PostgresConfig
from cortex_core.errors import (
    BudgetExhaustedError,
    BudgetReservedError,
    ProviderError,
    ProviderUnavailableError,
    StoreUnavailableError,
    UnreadableAnswerError,
)
from cortex_core.prompts import Prompt
from cortex_core.providers import ChatMessage, ChatModel
from cortex_core.providers.metering import MeteredChat
from cortex_core.providers.openai_llm import OpenAIChat, OpenAIChatServer
from cortex_core.stores.postgres import PostgresStore
from tests.harness import Connect, eventually
from tests.openai_server import Answer, ScriptedOpenAI

TALK = [ChatMessage("user", "x" * 300)]
AT_MOST = 300 + 16 * 2 + 100
"""Tokens that are set aside for `TALK` and an answer of 100 tokens."""


class Cat(BaseModel):
    name: str


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, _high: 0.0)


@pytest.fixture
async def postgres(postgres_config: PostgresConfig) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_config)
    await store.connect()
    yield store
    await store.close()


def open_chat(server: ScriptedOpenAI, postgres: PostgresStore, **settings: Any) -> OpenAIChat:
    config = LLMConfig(**{"base_url": server.base_url, "timeout_seconds": 5.0, **settings})
    requests = OpenAIChatServer.open(
        model="m", base_url=config.base_url, api_key=SecretStr(""), timeout_seconds=config.timeout_seconds
    )
    return OpenAIChat(MeteredChat(requests, postgres.spending, config), timeout_seconds=config.timeout_seconds)


async def complete(chat: ChatModel, account: str = "1") -> str:
    return await chat.complete(TALK, max_tokens=100, account=account)


async def accounts(connect: Connect) -> dict[str, asyncpg.Record]:
    async with connect() as connection:
        return {row["account"]: row for row in await connection.fetch("SELECT * FROM llm_spending")}


async def test_what_the_server_counted_is_entered_with_its_cost(
    server: ScriptedOpenAI, postgres: PostgresStore, connect: Connect
) -> None:
    chat = open_chat(server, postgres, input_dollars_per_million=1.0, output_dollars_per_million=10.0)
    server.then(*[Answer.chat("Hi.", usage=(1000, 200))] * 3)
    for account in ("1", "1", ""):
        await complete(chat, account)
    rows = await accounts(connect)
    assert set(rows) == {"1", ""}
    assert (rows["1"]["calls"], rows["1"]["input_tokens"], rows["1"]["output_tokens"]) == (2, 2000, 400)
    assert rows["1"]["cost_usd"] == pytest.approx(2 * (0.001 + 0.002))
    assert rows["1"]["reserved_tokens"] == 0
    assert rows["1"]["reserved_usd"] == pytest.approx(0, abs=1e-12)
    assert rows["1"]["day"] == datetime.now(UTC).date()
    await chat.close()


NONSENSE: list[object] = [
    None,
    (0, 0),
    (-5, 3),
    (10**12, 1),
    "many",
    [],
    {"prompt_tokens": None},
    {"prompt_tokens": "1", "completion_tokens": {}},
]


@pytest.mark.parametrize("usage", NONSENSE)
async def test_where_the_server_counts_nothing_it_is_estimated(
    server: ScriptedOpenAI, postgres: PostgresStore, connect: Connect, usage: object
) -> None:
    chat = open_chat(server, postgres)
    server.then(Answer.chat("y" * 30, usage=usage))
    assert await complete(chat) == "y" * 30
    row = (await accounts(connect))["1"]
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (1, 100, 10)
    await chat.close()


async def test_each_attempt_is_entered_repairs_included(
    server: ScriptedOpenAI, postgres: PostgresStore, connect: Connect
) -> None:
    chat = open_chat(server, postgres)
    server.then(
        Answer.limited(), Answer.chat("no", usage=(50, 5)), Answer.broken(), Answer.json({"name": 3}, usage=(70, 7))
    )
    with pytest.raises(UnreadableAnswerError):
        await chat.ask(Prompt("Name the cat.", "Miso"), Cat, max_tokens=100, account="1")
    row = (await accounts(connect))["1"]
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (2, 120, 12)
    assert row["reserved_tokens"] == 0
    await chat.close()


@pytest.mark.parametrize("refusal", [Answer.broken(), Answer.limited(), Answer.error(401), Answer.error(400)])
async def test_what_a_server_refuses_costs_nothing(
    server: ScriptedOpenAI, postgres: PostgresStore, connect: Connect, refusal: Answer
) -> None:
    chat = open_chat(server, postgres)
    server.then(*[refusal] * 3)
    with pytest.raises(ProviderError):
        await complete(chat)
    row = (await accounts(connect))["1"]
    assert [row[column] for column in ("calls", "input_tokens", "output_tokens", "reserved_tokens")] == [0] * 4
    await chat.close()


@pytest.mark.parametrize(
    "fault",
    [Answer.hang(2), Answer.dripping(), Answer.huge(), Answer.chat(None)],
    ids=["hang", "drip", "5 MB", "empty"],
)
async def test_what_may_be_charged_for_is_entered_although_nothing_came(
    server: ScriptedOpenAI, postgres: PostgresStore, connect: Connect, fault: Answer
) -> None:
    chat = open_chat(server, postgres, timeout_seconds=0.4)
    server.then(fault)
    with pytest.raises(ProviderError):
        await complete(chat)
    await chat.close()
    row = (await accounts(connect))["1"]
    assert (row["calls"], row["input_tokens"], row["output_tokens"]) == (1, 100, 100)
    assert row["reserved_tokens"] == 0


async def test_a_caller_that_gives_up_is_charged_and_waits_for_no_ledger(
    server: ScriptedOpenAI, postgres: PostgresStore, connect: Connect
) -> None:
    chat = open_chat(server, postgres)
    server.then(Answer.hang(2))
    asking = asyncio.create_task(complete(chat))
    await eventually(lambda: server.requests)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await chat.close()
    row = (await accounts(connect))["1"]
    assert (row["calls"], row["output_tokens"], row["reserved_tokens"]) == (1, 100, 0)


async def test_beyond_the_budget_nothing_is_sent(server: ScriptedOpenAI, postgres: PostgresStore) -> None:
    chat = open_chat(server, postgres, daily_tokens=AT_MOST)
    server.then(*[Answer.chat("Hi.", usage=(1, 1))] * 2)
    await complete(chat)
    with pytest.raises(BudgetExhaustedError, match=r"midnight UTC, and `llm\.daily_tokens`, ") as caught:
        await complete(chat)
    assert caught.value.retry_after is not None
    assert timedelta(0) < caught.value.retry_after <= timedelta(days=1)
    assert len(server.requests) == 1
    await complete(chat, "2")
    await chat.close()


async def test_a_budget_that_is_only_set_aside_is_asked_for_again_soon(
    server: ScriptedOpenAI, postgres: PostgresStore
) -> None:
    chat = open_chat(server, postgres, daily_tokens=AT_MOST + 10)
    answering = asyncio.Event()

    async def answer(_body: dict[str, Any]) -> Answer:
        await answering.wait()
        return Answer.chat("Hi.", usage=(5, 5))

    server.answer_with(answer)
    first = asyncio.create_task(complete(chat))
    await eventually(lambda: server.requests)
    with pytest.raises(BudgetReservedError, match="set aside for requests that go on") as caught:
        await complete(chat)
    assert caught.value.retry_after == timedelta(seconds=5)  # by then they are answered, or have failed
    answering.set()
    assert [await first, await complete(chat)] == ["Hi.", "Hi."]
    with pytest.raises(BudgetExhaustedError) as caught:
        await complete(chat)
    assert not isinstance(caught.value, BudgetReservedError)
    await chat.close()


async def test_each_person_has_a_share_of_their_own_in_direct_messages(
    server: ScriptedOpenAI, postgres: PostgresStore
) -> None:
    ann, ben = (Audience.owner().account_of(name) for name in ("ann", "ben"))
    chat = open_chat(server, postgres, daily_tokens=5 * AT_MOST, direct_share=0.2)
    server.then(*[Answer.chat("Hi.", usage=(1, 1))] * 5)
    await complete(chat, ann)
    with pytest.raises(BudgetExhaustedError):
        await complete(chat, ann)
    await complete(chat, ben)
    for _ in range(3):
        await complete(chat, "1")
    assert len(server.requests) == 5
    await chat.close()


@pytest.mark.parametrize(("daily_tokens", "sent"), [(0, 1), (1, 0)])
async def test_a_share_of_no_cap_is_none_and_a_share_of_little_is_not(
    server: ScriptedOpenAI, postgres: PostgresStore, daily_tokens: int, sent: int
) -> None:
    chat = open_chat(server, postgres, daily_tokens=daily_tokens, daily_dollars=0.0)
    server.then(Answer.chat("Hi."))
    await asyncio.gather(complete(chat, "owner:ann"), return_exceptions=True)
    assert len(server.requests) == sent
    await chat.close()


async def test_the_budget_in_dollars_stops_it_too(server: ScriptedOpenAI, postgres: PostgresStore) -> None:
    most = (AT_MOST - 100 + 100 * 4) / 1_000_000
    prices = {"input_dollars_per_million": 1.0, "output_dollars_per_million": 4.0}
    dear = open_chat(server, postgres, daily_dollars=most * 0.99, **prices)
    with pytest.raises(BudgetExhaustedError):
        await complete(dear)
    enough = open_chat(server, postgres, daily_dollars=most * 1.01, **prices)
    await complete(enough)
    assert len(server.requests) == 1
    await dear.close()
    await enough.close()


@pytest.mark.parametrize("text", ["word " * 100, "日本語" * 100, "👩‍👩‍👧‍👦" * 50, "\ud83d" * 10, "0x9f" * 100])
async def test_no_text_has_more_tokens_than_are_set_aside(
    server: ScriptedOpenAI, postgres: PostgresStore, connect: Connect, text: str
) -> None:
    chat = open_chat(server, postgres)
    held = asyncio.Event()

    async def look(_body: dict[str, Any]) -> Answer:
        held.set()
        await asyncio.sleep(0.2)
        return Answer.chat("Hi.")

    server.answer_with(look)
    asking = asyncio.create_task(chat.complete([ChatMessage("user", text)], max_tokens=7, account="1"))
    await held.wait()
    reserved = (await accounts(connect))["1"]["reserved_tokens"]
    await asking
    assert reserved >= len(text.encode(errors="replace")) + 7
    await chat.close()


async def test_a_hundred_calls_at_once_keep_the_cap_and_the_places(
    server: ScriptedOpenAI, postgres: PostgresStore, connect: Connect
) -> None:
    running, most = 0, 0

    async def answer(_body: dict[str, Any]) -> Answer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return Answer.chat("Hi.", usage=(300, 100))

    server.answer_with(answer)
    chat = open_chat(server, postgres, daily_tokens=10_000, max_concurrent=3)
    outcomes = await asyncio.gather(*(complete(chat) for _ in range(100)), return_exceptions=True)
    answered = [outcome for outcome in outcomes if outcome == "Hi."]
    assert all(isinstance(outcome, BudgetExhaustedError) for outcome in outcomes if outcome != "Hi.")
    row = (await accounts(connect))["1"]
    assert row["input_tokens"] + row["output_tokens"] == 400 * len(answered) <= 10_000
    assert len(answered) >= 22  # all but what three requests set aside at most
    assert (most, row["reserved_tokens"]) == (3, 0)
    await chat.close()


async def test_waiting_for_a_place_is_part_of_the_deadline(server: ScriptedOpenAI, postgres: PostgresStore) -> None:
    chat = open_chat(server, postgres, max_concurrent=1, timeout_seconds=0.3)
    server.then(Answer.hang(2))
    outcomes = await asyncio.gather(complete(chat), complete(chat), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ProviderUnavailableError] * 2
    assert len(server.requests) == 1
    assert await complete(chat)
    await chat.close()


async def test_without_the_ledger_nothing_is_sent(server: ScriptedOpenAI, postgres: PostgresStore) -> None:
    chat = open_chat(server, postgres)
    await postgres.close()
    with pytest.raises(ProviderUnavailableError, match="isn't asked while its costs can't be counted: ") as caught:
        await complete(chat)
    assert not isinstance(caught.value, BudgetExhaustedError)
    assert server.requests == []
    await chat.close()


async def test_a_ledger_that_goes_away_meanwhile_costs_no_answer(
    server: ScriptedOpenAI, postgres: PostgresStore, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = open_chat(server, postgres)

    async def away(*_args: object, **_kwargs: object) -> None:
        raise StoreUnavailableError("PostgreSQL can't be reached.")

    monkeypatch.setattr(postgres.spending, "settle", away)
    assert await complete(chat)
    assert (await accounts(connect))["1"]["reserved_tokens"] == AT_MOST
    await chat.close()
