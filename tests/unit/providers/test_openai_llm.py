"""The chat client against a scripted server on loopback; faults in common are tested with the embedder."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr

from cortex_core.errors import ProviderError, ProviderUnavailableError
from cortex_core.providers import ChatMessage
from cortex_core.providers.openai_llm import OpenAIChat
from tests.openai_server import Answer, ScriptedOpenAI

TALK = [ChatMessage("system", "You are Clara."), ChatMessage("user", "the canary text of a user")]


def open_chat(base_url: str, *, timeout_seconds: float = 5.0) -> OpenAIChat:
    return OpenAIChat.open(
        model="chat-1", base_url=base_url, api_key=SecretStr("sk-canary"), timeout_seconds=timeout_seconds
    )


@pytest.fixture
async def chat(server: ScriptedOpenAI) -> AsyncIterator[OpenAIChat]:
    chat = open_chat(server.base_url)
    yield chat
    await chat.close()


async def test_the_conversation_is_sent_and_the_answer_comes_back(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    server.then(Answer.chat("  Hello Ada.\n"))
    assert await chat.complete(TALK, max_tokens=50) == "Hello Ada."
    (request,) = server.requests
    assert request.authorization == "Bearer sk-canary"
    assert request.body == {
        "model": "chat-1",
        "messages": [
            {"role": "system", "content": "You are Clara."},
            {"role": "user", "content": "the canary text of a user"},
        ],
        "max_tokens": 50,
    }


async def test_a_model_that_wants_the_newer_limit_gets_it_from_then_on(
    server: ScriptedOpenAI, chat: OpenAIChat
) -> None:
    server.then(Answer.error(400, "Use 'max_completion_tokens' instead.", param="max_tokens"))
    await chat.complete(TALK, max_tokens=50)
    await chat.complete(TALK, max_tokens=60)
    limits = [{name: value for name, value in request.body.items() if "tokens" in name} for request in server.requests]
    assert limits == [{"max_tokens": 50}, {"max_completion_tokens": 50}, {"max_completion_tokens": 60}]


async def test_a_model_that_wants_no_limit_at_all_is_an_error(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    server.then(Answer.error(400, param="max_tokens"), Answer.error(400, param="max_completion_tokens"))
    with pytest.raises(ProviderError, match="settings under `llm`"):
        await chat.complete(TALK, max_tokens=50)


async def test_another_refusal_of_the_request_is_not_tried_again(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    server.then(Answer.error(400, param="messages"))
    with pytest.raises(ProviderError, match="settings under `llm`"):
        await chat.complete(TALK, max_tokens=50)
    assert len(server.requests) == 1


@pytest.mark.parametrize("content", [None, "", " \n"])
async def test_an_empty_answer_is_an_error(server: ScriptedOpenAI, chat: OpenAIChat, content: str | None) -> None:
    server.then(Answer.chat(content))
    with pytest.raises(ProviderError, match=r"an answer without text: check `llm\.base_url`"):
        await chat.complete(TALK, max_tokens=50)


@pytest.mark.parametrize("body", ["<html>", {"choices": []}, {"choices": [{"message": None}]}, {"data": []}])
async def test_an_answer_that_is_none_is_an_error(
    server: ScriptedOpenAI, chat: OpenAIChat, body: str | dict[str, object]
) -> None:
    server.then(Answer(body=body))
    with pytest.raises(ProviderError, match="isn't an answer of the OpenAI API"):
        await chat.complete(TALK, max_tokens=50)


async def test_a_refused_key_names_the_setting(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    server.then(Answer.error(401))
    with pytest.raises(ProviderUnavailableError, match=r"check `llm\.api_key`"):
        await chat.complete(TALK, max_tokens=50)


async def test_a_slow_answer_is_given_up(server: ScriptedOpenAI) -> None:
    server.then(*[Answer(delay=2)] * 3)
    chat = open_chat(server.base_url, timeout_seconds=0.2)
    with pytest.raises(ProviderUnavailableError, match=r"llm\.timeout_seconds"):
        await chat.complete(TALK, max_tokens=50)
    await chat.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Without chance: no pause but what the server asks for; the longest that might have been."""
    longest: list[float] = []

    def uniform(low: float, high: float) -> float:
        assert low == 0
        longest.append(high)
        return 0.0

    monkeypatch.setattr(random, "uniform", uniform)
    return longest


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 503, 599])
async def test_what_may_pass_is_tried_again_with_full_jitter(
    server: ScriptedOpenAI, chat: OpenAIChat, pauses: list[float], status: int
) -> None:
    server.then(Answer(status=status, body={}), Answer(status=status, body="<html>", content_type="text/html"))
    await chat.complete(TALK, max_tokens=50)
    assert len(server.requests) == 3
    assert pauses == [0.5, 1.0]


async def test_after_three_attempts_it_is_given_up(
    server: ScriptedOpenAI, chat: OpenAIChat, pauses: list[float]
) -> None:
    server.then(*[Answer.broken()] * 5)
    with pytest.raises(ProviderUnavailableError, match="try again later") as caught:
        await chat.complete(TALK, max_tokens=50)
    assert (len(server.requests), len(pauses)) == (3, 2)
    assert (caught.value.retry_after, caught.value.is_billed) == (timedelta(0), False)


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_somebody_must_mend_is_not_tried_again(
    server: ScriptedOpenAI, chat: OpenAIChat, status: int
) -> None:
    server.then(Answer(status=status, body={}, headers={"retry-after": "0.01"}))
    with pytest.raises(ProviderUnavailableError) as caught:
        await chat.complete(TALK, max_tokens=50)
    assert len(server.requests) == 1
    assert caught.value.retry_after is None


async def test_a_server_that_says_it_is_no_use_is_believed(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    server.then(Answer.error(500, final=True))
    with pytest.raises(ProviderUnavailableError) as caught:
        await chat.complete(TALK, max_tokens=50)
    assert (len(server.requests), caught.value.retry_after) == (1, None)


@pytest.mark.parametrize("header", [{"retry-after": "0.3"}, {"retry-after-ms": "300"}, {"retry-after": "date"}])
async def test_the_server_says_how_long_to_wait(
    server: ScriptedOpenAI, chat: OpenAIChat, pauses: list[float], header: dict[str, str]
) -> None:
    if header.get("retry-after") == "date":
        # Dates have whole seconds: one that is still ahead by at least a second.
        header = {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)}
    server.then(Answer(status=429, body={}, headers=header))
    started = time.monotonic()
    await chat.complete(TALK, max_tokens=50)
    assert 0.3 <= time.monotonic() - started < 4
    assert pauses == [0.5]


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "Thu, 99 Foo 2026"])
async def test_nonsense_about_waiting_is_no_wait(
    server: ScriptedOpenAI, chat: OpenAIChat, pauses: list[float], value: str
) -> None:
    server.then(Answer.limited(retry_after=value))
    async with asyncio.timeout(2):
        await chat.complete(TALK, max_tokens=50)
    assert (len(server.requests), len(pauses)) == (2, 1)


@pytest.mark.parametrize("value", ["30", "inf", "9" * 40, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_pause_beyond_the_deadline_is_not_begun(server: ScriptedOpenAI, chat: OpenAIChat, value: str) -> None:
    server.then(Answer.limited(retry_after=value))
    started = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match=r"429 \(too many requests\): try again later") as caught:
        await chat.complete(TALK, max_tokens=50)
    assert time.monotonic() - started < 1
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= timedelta(seconds=30)


async def test_an_answer_that_hangs_up_is_asked_for_again(
    server: ScriptedOpenAI, chat: OpenAIChat, pauses: list[float]
) -> None:
    server.then(Answer(hang_up=True))
    await chat.complete(TALK, max_tokens=50)
    assert (len(server.requests), len(pauses)) == (2, 1)


async def test_an_answer_of_five_megabytes_is_not_read(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    server.then(Answer.huge())
    with pytest.raises(ProviderError, match="an answer of more than 1,048,576 bytes") as caught:
        await chat.complete(TALK, max_tokens=50)
    assert caught.value.is_billed


@pytest.mark.parametrize("fault", [Answer.dripping(), Answer.hang(2)])
async def test_an_answer_that_never_ends_costs_no_more_than_the_deadline(server: ScriptedOpenAI, fault: Answer) -> None:
    server.then(fault)
    chat = open_chat(server.base_url, timeout_seconds=0.3)
    started = time.monotonic()
    with pytest.raises(ProviderUnavailableError, match=r"within 0\.3 s \(`llm\.timeout_seconds`\)"):
        await chat.complete(TALK, max_tokens=50)
    assert time.monotonic() - started < 1
    await chat.close()


async def test_a_server_that_is_away_charges_nothing() -> None:
    async with ScriptedOpenAI.running() as server:
        chat = open_chat(server.base_url, timeout_seconds=0.3)
    with pytest.raises(ProviderUnavailableError, match="can't be reached") as caught:
        await chat.complete(TALK, max_tokens=50)
    assert not caught.value.is_billed
    await chat.close()


async def test_a_callers_own_deadline_is_the_callers_error(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    server.then(Answer.hang(2))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await chat.complete(TALK, max_tokens=50)


async def test_lone_surrogates_are_replaced(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    await chat.complete([ChatMessage("user", "half \ud83d a character")], max_tokens=50)
    assert server.requests[0].body["messages"][0]["content"] == "half \ufffd a character"


def test_a_message_keeps_its_content_out_of_logs() -> None:
    assert "canary" not in repr(TALK)
