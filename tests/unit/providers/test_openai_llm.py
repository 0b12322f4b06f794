"""The chat client against a scripted server on loopback; faults in common are tested with the embedder."""

from collections.abc import AsyncIterator

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


def test_a_message_keeps_its_content_out_of_logs() -> None:
    assert "canary" not in repr(TALK)
