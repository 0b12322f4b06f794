"""Against a scripted server on loopback: what is sent, what comes back, and what each fault becomes."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator

import numpy as np
import pytest
from pydantic import SecretStr

from cortex_core.errors import ConfigError, InvalidInputError, ProviderError, ProviderUnavailableError
from cortex_core.providers.openai_embedder import OpenAIEmbedder
from tests.openai_server import Answer, ScriptedOpenAI

KEY = "sk-canary-key"
TEXT = "the canary text of a user"


async def open_embedder(
    base_url: str, *, dimensions: int | None = 64, key: str = KEY, timeout_seconds: float = 5.0
) -> OpenAIEmbedder:
    return await OpenAIEmbedder.open(
        model="embedder-1",
        dimensions=dimensions,
        base_url=base_url,
        api_key=SecretStr(key),
        timeout_seconds=timeout_seconds,
    )


@pytest.fixture
async def embedder(server: ScriptedOpenAI) -> AsyncIterator[OpenAIEmbedder]:
    embedder = await open_embedder(server.base_url)
    yield embedder
    await embedder.close()


async def test_says_what_it_is(embedder: OpenAIEmbedder) -> None:
    assert (embedder.model, embedder.dimensions, embedder.is_remote) == ("embedder-1", 64, True)


async def test_vectors_come_in_the_order_of_the_texts_and_with_unit_length(
    server: ScriptedOpenAI, embedder: OpenAIEmbedder
) -> None:
    texts = [f"text number {number}" for number in range(250)]
    vectors = await embedder.embed_batch(texts)
    expected = np.array([server.hashed_vector(text) for text in texts]) / 2
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert vectors[0].dtype == np.float32
    assert [len(request.body["input"]) for request in server.requests] == [100, 100, 50]


async def test_the_request_is_one_that_compatible_servers_know(
    server: ScriptedOpenAI, embedder: OpenAIEmbedder
) -> None:
    await embedder.embed(TEXT)
    (request,) = server.requests
    assert request.body == {"model": "embedder-1", "input": [TEXT], "dimensions": 64, "encoding_format": "float"}
    assert request.authorization == f"Bearer {KEY}"


async def test_without_configured_dimensions_none_are_sent_and_the_servers_are_learned(server: ScriptedOpenAI) -> None:
    embedder = await open_embedder(server.base_url, dimensions=None)
    assert embedder.dimensions == 64
    await embedder.embed(TEXT)
    await embedder.close()
    assert all("dimensions" not in request.body for request in server.requests)


async def test_the_environments_key_is_never_sent_elsewhere(
    server: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")
    embedder = await open_embedder(server.base_url, key="")
    await embedder.embed(TEXT)
    await embedder.close()
    assert server.requests[0].authorization == "Bearer none"


async def test_lone_surrogates_are_replaced(server: ScriptedOpenAI, embedder: OpenAIEmbedder) -> None:
    await embedder.embed("half \ud83d a character")
    assert server.requests[0].body["input"] == ["half \ufffd a character"]


async def test_an_empty_text_is_refused_before_the_server_sees_it(
    server: ScriptedOpenAI, embedder: OpenAIEmbedder
) -> None:
    with pytest.raises(InvalidInputError):
        await embedder.embed_batch(["fine", " "])
    assert server.requests == []


async def test_nothing_is_sent_for_an_empty_batch(server: ScriptedOpenAI, embedder: OpenAIEmbedder) -> None:
    assert await embedder.embed_batch([]) == []
    assert server.requests == []


async def test_wrong_dimensions_name_the_setting(server: ScriptedOpenAI, embedder: OpenAIEmbedder) -> None:
    server.then(Answer(body={"data": [{"index": 0, "embedding": [1.0, 2.0]}]}))
    with pytest.raises(ProviderError, match=r"\[2\] dimensions instead of 64: correct `embedding.dimensions`"):
        await embedder.embed(TEXT)


@pytest.mark.parametrize("value", ["0.0", "NaN", "1e999"])
async def test_a_vector_without_direction_is_an_error(
    server: ScriptedOpenAI, embedder: OpenAIEmbedder, value: str
) -> None:
    row = ", ".join([value] * 64)
    server.then(Answer(body=f'{{"data": [{{"index": 0, "embedding": [{row}]}}]}}'))
    with pytest.raises(ProviderError):
        await embedder.embed(TEXT)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_passing_fault_is_tried_again(server: ScriptedOpenAI, embedder: OpenAIEmbedder, status: int) -> None:
    server.then(Answer.error(status, final=False))
    await embedder.embed(TEXT)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, r"401 \(unauthorized\): check `embedding.api_key`"),
        (403, "check `embedding.api_key`"),
        (404, "check `embedding.model`"),
        (429, "try again later"),
        (500, "try again later"),
        (599, r"599 \(an unknown status\): try again later"),
    ],
)
async def test_a_refusal_that_may_pass_is_unavailability(
    server: ScriptedOpenAI, embedder: OpenAIEmbedder, status: int, advice: str
) -> None:
    server.then(Answer.error(status, f"no: {TEXT} {KEY}"))
    with pytest.raises(ProviderUnavailableError, match=advice) as caught:
        await embedder.embed(TEXT)
    assert_nothing_leaks(caught.value)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refusal_of_the_request_is_final(server: ScriptedOpenAI, embedder: OpenAIEmbedder, status: int) -> None:
    server.then(Answer.error(status, f"can't read {TEXT}"))
    with pytest.raises(ProviderError, match=f"127.0.0.1 answered {status}") as caught:
        await embedder.embed(TEXT)
    assert not isinstance(caught.value, ProviderUnavailableError)
    assert_nothing_leaks(caught.value)


@pytest.mark.parametrize(
    "garbage",
    [
        Answer(body="<html>Welcome to nginx</html>", content_type="text/html"),
        Answer(body="{not json"),
        Answer(body=""),
        Answer(body="null"),
        Answer(body={"data": None}),
        Answer(body={"data": []}),
        Answer(body={"data": [{"index": 0, "embedding": TEXT}]}),
        Answer(body={"data": [{"index": 7, "embedding": [1.0] * 64}]}),
        Answer(body={"data": [{"index": 0, "embedding": [1.0] * 64}] * 2 + [{"index": 1, "embedding": []}]}),
        Answer(body={"choices": [{"message": {"content": "wrong door"}}]}),
    ],
    ids=lambda answer: json.dumps(answer.body)[:30],
)
async def test_an_answer_that_is_none_names_the_server(
    server: ScriptedOpenAI, embedder: OpenAIEmbedder, garbage: Answer
) -> None:
    server.then(garbage)
    with pytest.raises(ProviderError, match=r"127\.0\.0\.1 sent .* check `embedding\.base_url`") as caught:
        await embedder.embed(TEXT)
    assert_nothing_leaks(caught.value)


async def test_a_silent_server_costs_no_more_than_the_deadline(server: ScriptedOpenAI) -> None:
    embedder = await open_embedder(server.base_url, timeout_seconds=0.2)
    server.then(*[Answer(delay=2)] * 5)
    async with asyncio.timeout(1.5):
        with pytest.raises(ProviderUnavailableError, match=r"within 0.2 s \(`embedding.timeout_seconds`\)"):
            await embedder.embed(TEXT)
    await embedder.close()


async def test_a_server_that_asks_for_a_long_pause_costs_no_more_than_the_deadline(server: ScriptedOpenAI) -> None:
    embedder = await open_embedder(server.base_url, timeout_seconds=0.3)
    server.then(Answer(status=429, body={}, headers={"retry-after": "30"}))
    with pytest.raises(ProviderUnavailableError, match="didn't answer within"):
        await embedder.embed(TEXT)
    await embedder.close()


async def test_a_callers_own_deadline_is_the_callers_error(server: ScriptedOpenAI, embedder: OpenAIEmbedder) -> None:
    server.then(Answer(delay=2))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await embedder.embed(TEXT)


async def test_a_connection_that_breaks_is_made_again(server: ScriptedOpenAI, embedder: OpenAIEmbedder) -> None:
    server.then(Answer(hang_up=True))
    await embedder.embed(TEXT)
    assert len(server.requests) == 2


async def test_a_server_that_is_away_is_unavailable() -> None:
    async with ScriptedOpenAI.running() as server:
        base_url = server.base_url
    with pytest.raises(ProviderUnavailableError, match=r"can't be reached: check `embedding\.base_url`"):
        await open_embedder(base_url, dimensions=None)


@pytest.mark.parametrize("base_url", ["localhost:11434/v1", "ftp://host/v1", "http://"])
async def test_what_is_no_url_is_a_configuration_error(base_url: str) -> None:
    with pytest.raises(ConfigError, match=r"`embedding\.base_url` must be a URL like https://"):
        await open_embedder(base_url)


def assert_nothing_leaks(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(error)
    assert KEY not in shown
    assert TEXT not in shown
