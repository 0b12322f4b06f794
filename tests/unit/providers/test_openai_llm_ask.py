"""Answers in a shape: how they are asked for, read, sent back and given up, over real HTTP."""

import json
import random
import traceback
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from cortex_core.errors import ProviderError, ProviderUnavailableError, UnreadableAnswerError
from cortex_core.prompts import Prompt
from cortex_core.prompts.analysis import Findings
from cortex_core.providers._answers import read_answer, schema_of
from cortex_core.providers.openai_llm import OpenAIChat
from tests.openai_server import Answer, ScriptedOpenAI

CANARY = "the canary text of a user"
PROMPT = Prompt("Find the pets.", CANARY)
GOOD = {"pets": [{"name": "Miso", "kind": "cat", "age": None}], "sure": 0.9}


class Pet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=20)
    kind: Literal["cat", "dog"]
    age: int | None = Field(default=None, ge=0)


class Pets(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pets: list[Pet] = Field(max_length=3)
    sure: float


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda _low, _high: 0.0)


@pytest.fixture
async def chat(server: ScriptedOpenAI) -> AsyncIterator[OpenAIChat]:
    chat = OpenAIChat.open(
        model="chat-1", base_url=server.base_url, api_key=SecretStr("sk-canary"), timeout_seconds=5.0
    )
    yield chat
    await chat.close()


async def ask(chat: OpenAIChat) -> dict[str, Any]:
    return (await chat.ask(PROMPT, Pets, max_tokens=100)).model_dump()


def forms(server: ScriptedOpenAI) -> list[str | None]:
    return [request.body.get("response_format", {}).get("type") for request in server.requests]


async def test_the_schema_goes_with_the_request_in_the_subset_of_the_strict_mode(
    server: ScriptedOpenAI, chat: OpenAIChat
) -> None:
    server.then(Answer.json(GOOD))
    assert await ask(chat) == GOOD
    (request,) = server.requests
    assert request.body["messages"] == [
        {"role": "system", "content": "Find the pets."},
        {"role": "user", "content": CANARY},
    ]
    assert request.body["max_tokens"] == 100
    pet = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "kind": {"type": "string", "enum": ["cat", "dog"]},
            "age": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "required": ["name", "kind", "age"],
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "$defs": {"Pet": pet},
        "properties": {"pets": {"type": "array", "items": {"$ref": "#/$defs/Pet"}}, "sure": {"type": "number"}},
        "required": ["pets", "sure"],
        "additionalProperties": False,
    }
    assert request.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": schema},
    }


REFUSALS = [
    Answer.error(400, param="response_format"),
    Answer.error(400, param="response_format.type"),
    Answer.error(422),
    Answer.error(400, param=""),
    Answer(status=400, body={"error": "'response_format.type' must be 'json_object'"}),
    Answer(status=400, body="bad request", content_type="text/plain"),
]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_server_without_schemas_is_asked_for_json_from_then_on(
    server: ScriptedOpenAI, chat: OpenAIChat, refusal: Answer
) -> None:
    server.then(refusal, Answer.json(GOOD), Answer.json(GOOD))
    assert [await ask(chat), await ask(chat)] == [GOOD, GOOD]
    assert forms(server) == ["json_schema", "json_object", "json_object"]
    system, user = server.requests[-1].body["messages"]
    assert (system["role"], user["content"]) == ("system", CANARY)
    assert json.dumps(schema_of(Pets)) in system["content"]


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_server_without_any_of_it_is_asked_in_words_from_then_on(
    server: ScriptedOpenAI, chat: OpenAIChat, refusal: Answer
) -> None:
    server.then(refusal, refusal, Answer.json(GOOD), Answer.json(GOOD))
    assert [await ask(chat), await ask(chat)] == [GOOD, GOOD]
    assert forms(server) == ["json_schema", "json_object", None, None]


async def test_the_names_of_both_parameters_are_learned_in_one_request(
    server: ScriptedOpenAI, chat: OpenAIChat
) -> None:
    server.then(Answer.error(400, param="max_tokens"), Answer.error(400, param="response_format"), Answer.json(GOOD))
    assert await ask(chat) == GOOD
    assert "max_completion_tokens" in server.requests[-1].body
    assert forms(server)[-1] == "json_object"


async def test_a_refusal_of_something_else_is_no_reason_to_ask_otherwise(
    server: ScriptedOpenAI, chat: OpenAIChat
) -> None:
    server.then(Answer.error(400, param="messages"), Answer.json(GOOD))
    with pytest.raises(ProviderError, match="settings under `llm`"):
        await ask(chat)
    await ask(chat)
    assert forms(server) == ["json_schema", "json_schema"]


async def test_a_server_that_refuses_everything_is_asked_for_the_best_again(
    server: ScriptedOpenAI, chat: OpenAIChat
) -> None:
    server.then(*[Answer.error(400)] * 3, Answer.json(GOOD))
    with pytest.raises(ProviderError):
        await ask(chat)
    await ask(chat)
    assert forms(server) == ["json_schema", "json_object", None, "json_schema"]


async def test_free_text_asks_for_no_form(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    server.then(Answer.error(400), Answer.json(GOOD))
    with pytest.raises(ProviderError):
        await chat.complete([], max_tokens=5)
    await ask(chat)
    assert forms(server) == [None, "json_schema"]


@pytest.mark.parametrize(
    "wrapped",
    [
        "```json\n{}\n```",
        "Sure! Here you go:\n{}\nHope that helps.",
        '<think>maybe {{"pets": 3}}?\nno</think>\n{}',
        "\ufeff {} ",
    ],
)
async def test_an_answer_may_come_wrapped(server: ScriptedOpenAI, chat: OpenAIChat, wrapped: str) -> None:
    server.then(Answer.chat(wrapped.format(json.dumps(GOOD, indent=2))))
    assert await ask(chat) == GOOD
    assert len(server.requests) == 1


BAD = [
    Answer.truncated(GOOD),
    Answer.truncated(GOOD, share=0.9),
    Answer.json({"pets": "none", "sure": "very"}),
    Answer.json({"pets": []}),
    Answer.json({**GOOD, "notes": CANARY}),
    Answer.json({"pets": [{"name": CANARY, "kind": "cat", "age": 1}], "sure": 1}),
    Answer.json([]),
    Answer.json("pets"),
    Answer.chat(f"I can't do that: {CANARY}"),
    Answer.chat("}{"),
    Answer.chat('{"pets": [], "sure": "\\ud83d"}'),
    Answer.chat("[" * 5000),
    Answer.chat('{"pets": ' + '{"a": ' * 5000),
]


@pytest.mark.parametrize("bad", BAD)
async def test_an_answer_that_cannot_be_read_is_sent_back_once(
    server: ScriptedOpenAI, chat: OpenAIChat, bad: Answer
) -> None:
    server.then(bad, Answer.json(GOOD))
    assert await ask(chat) == GOOD
    first, second = server.requests
    *same, answered, demand = second.body["messages"]
    assert [message["role"] for message in same] == ["system", "user"]
    assert same[1:] == first.body["messages"][1:]
    assert (answered["role"], demand["role"]) == ("assistant", "user")
    assert CANARY not in demand["content"]
    assert "response_format" in second.body


@pytest.mark.parametrize("bad", BAD)
async def test_what_cannot_be_read_twice_keeps_its_text_out_of_sight(
    server: ScriptedOpenAI, chat: OpenAIChat, bad: Answer
) -> None:
    server.then(bad, bad)
    with pytest.raises(UnreadableAnswerError, match=r"`llm\.model`") as caught:
        await ask(chat)
    assert len(server.requests) == 2
    assert isinstance(bad.body, dict)
    assert caught.value.raw_text == bad.body["choices"][0]["message"]["content"].strip()
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)


async def test_the_model_is_told_the_places_that_are_wrong(server: ScriptedOpenAI, chat: OpenAIChat) -> None:
    server.then(Answer.json({"pets": [{"name": "Rex", "kind": "bird", "age": 1}], "sure": 1}), Answer.json(GOOD))
    await ask(chat)
    assert "pets.0.kind: literal_error" in server.requests[1].body["messages"][-1]["content"]


async def test_a_server_that_takes_a_schema_and_does_not_heed_it_is_asked_otherwise(
    server: ScriptedOpenAI, chat: OpenAIChat
) -> None:
    server.then(Answer.chat("A cat called Miso."), Answer.chat("Miso, the cat!"))
    with pytest.raises(UnreadableAnswerError):
        await ask(chat)
    server.then(Answer.json(GOOD))
    assert await ask(chat) == GOOD
    assert forms(server) == ["json_schema", "json_object", None]


@pytest.mark.parametrize("fault", [Answer.huge(), Answer.chat(None), Answer(body="<html>"), Answer.limited()])
async def test_what_is_no_answer_at_all_is_asked_for_again(
    server: ScriptedOpenAI, chat: OpenAIChat, fault: Answer
) -> None:
    server.then(fault, fault, Answer.json(GOOD))
    assert await ask(chat) == GOOD
    assert [request.body["messages"] for request in server.requests] == [server.requests[0].body["messages"]] * 3
    server.then(fault, fault, fault, Answer.json(GOOD))
    with pytest.raises(ProviderError):
        await ask(chat)
    assert len(server.requests) == 6


async def test_in_the_background_each_attempt_has_its_own_time(server: ScriptedOpenAI) -> None:
    chat = OpenAIChat.open(model="m", base_url=server.base_url, api_key=SecretStr(""), timeout_seconds=0.4)
    server.then(Answer.hang(2), Answer.dripping(), Answer.json(GOOD))
    assert await ask(chat) == GOOD
    server.then(*[Answer.hang(2)] * 3)
    with pytest.raises(ProviderUnavailableError, match=r"llm\.timeout_seconds"):
        await ask(chat)
    await chat.close()


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_answer(text, Pets)
    except ValidationError:
        return
    pytest.fail("no random text is an answer")


def test_a_property_may_be_called_like_a_keyword() -> None:
    class Titled(BaseModel):
        title: str = "untitled"
        format: list[str]

    assert schema_of(Titled) == {
        "type": "object",
        "properties": {"title": {"type": "string"}, "format": {"type": "array", "items": {"type": "string"}}},
        "required": ["title", "format"],
        "additionalProperties": False,
    }


def test_the_shape_of_an_analysis_needs_nothing_that_strict_servers_refuse() -> None:
    text = json.dumps(schema_of(Findings))
    assert not {"minimum", "maxLength", "default", "title", "pattern", "format"} & set(text.replace('"', " ").split())
