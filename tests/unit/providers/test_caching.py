"""What was embedded lately isn't embedded again, whichever kind of embedder is behind the cache."""

from collections.abc import Sequence

import numpy as np
import pytest

from cortex_core.errors import ProviderUnavailableError
from cortex_core.late_interaction import Embedding
from cortex_core.providers import PieceEmbedder, caching
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.providers.local import LocalEmbedder
from tests.harness import ScriptedEmbedder


@pytest.fixture
def scripted() -> ScriptedEmbedder:
    return ScriptedEmbedder()


@pytest.fixture
def cache(scripted: ScriptedEmbedder) -> CachingEmbedder:
    return CachingEmbedder(scripted)


def test_it_says_what_the_embedder_behind_it_says(cache: CachingEmbedder):
    assert (cache.model, cache.dimensions, cache.is_remote) == ("scripted", 8, False)


async def test_a_text_is_embedded_once(cache: CachingEmbedder, scripted: ScriptedEmbedder):
    first = await cache.embed("cat")

    np.testing.assert_array_equal(await cache.embed("cat"), first)
    np.testing.assert_array_equal((await cache.encode("cat")).vector, first)
    np.testing.assert_array_equal((await cache.encode_batch(["cat"]))[0].vector, first)
    assert scripted.texts == ["cat"]


async def test_a_batch_asks_for_what_is_unknown_only_and_once_for_each(cache, scripted):
    await cache.embed("cat")

    vectors = await cache.embed_batch(["dog", "cat", "dog", "eel"])

    assert scripted.texts == ["cat", "dog", "eel"]
    for vector, text in zip(vectors, ["dog", "cat", "dog", "eel"], strict=True):
        np.testing.assert_array_equal(vector, await ScriptedEmbedder().embed(text))


async def test_an_empty_batch_asks_nobody(cache, scripted):
    assert await cache.encode_batch([]) == []
    assert scripted.texts == []


async def test_peeking_asks_nobody(cache, scripted):
    assert cache.peek("cat") is None
    embedding = await cache.encode("cat")

    assert cache.peek("cat") is embedding
    assert scripted.texts == ["cat"]


async def test_what_was_not_asked_for_the_longest_goes_first(cache, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(caching, "_CAPACITY", 2)
    await cache.embed("old")
    await cache.embed("older")
    await cache.embed("old")
    await cache.embed("new")

    assert [cache.peek(text) is None for text in ("old", "older", "new")] == [False, True, False]


async def test_a_batch_larger_than_the_cache_is_answered_in_full(cache, scripted, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(caching, "_CAPACITY", 2)
    texts = ["a", "b", "c", "d", "a"]
    await cache.embed("d")

    assert len(await cache.embed_batch(texts)) == 5
    assert sorted(scripted.texts) == ["a", "b", "c", "d"]


async def test_a_failure_is_not_remembered(cache, scripted):
    def fail(_: object) -> None:
        raise ProviderUnavailableError("away")

    scripted.before = fail
    with pytest.raises(ProviderUnavailableError):
        await cache.embed("cat")
    with pytest.raises(ProviderUnavailableError):
        await cache.embed_batch(["cat"])
    scripted.before = lambda _: None

    assert cache.peek("cat") is None
    assert (await cache.embed("cat")).shape == (8,)


async def test_without_pieces_behind_it_there_are_none(cache: CachingEmbedder):
    assert (await cache.encode("cat")).pieces is None
    assert (await cache.encode_batch(["dog"]))[0].pieces is None


async def test_pieces_are_kept_with_their_vector(embedder: LocalEmbedder, monkeypatch: pytest.MonkeyPatch):
    cache = CachingEmbedder(embedder)
    assert isinstance(embedder, PieceEmbedder)
    one = await cache.encode("My cat is called Miso.")
    [other] = await cache.encode_batch(["My dog is called Udon."])

    async def refuse(_: str | Sequence[str]) -> Embedding:
        raise AssertionError("it is known")

    monkeypatch.setattr(embedder, "encode", refuse)
    monkeypatch.setattr(embedder, "encode_batch", refuse)
    again = await cache.encode_batch(["My dog is called Udon.", "My cat is called Miso."])

    assert [e.signs for e in again] == [other.signs, one.signs]
    assert "miso" in again[1].pieces.words


async def test_closing_empties_it_and_closes_the_embedder():
    class Closable(ScriptedEmbedder):
        is_closed = False

        async def close(self) -> None:
            self.is_closed = True

    behind = Closable()
    cache = CachingEmbedder(behind)
    await cache.embed("cat")

    await cache.close()

    assert behind.is_closed
    assert cache.peek("cat") is None
