"""Few bits stand for many: what they count is what plain arithmetic on the quantised vectors gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cortex_core.late_interaction import Embedding, Pieces, match_pieces
from cortex_core.providers.local import LocalEmbedder

TEXTS = [
    "I adopted a puppy last week.",
    "Our flight to Lisbon leaves on Friday morning at six, so we have to be at the airport by four, which is awful.",
    "hi",
    "Mein Kater heißt Miso und schläft den ganzen Tag.",
    "У меня есть кошка, её зовут Мисо.",
    "🎉🎉🎉",
    "What's José's café called?",
]
dimensions = st.sampled_from([1, 7, 63, 64, 65, 100, 384, 1000])
seeds = st.integers(0, 2**32 - 1)


def some_vectors(dice: np.random.Generator, count: int, size: int) -> NDArray[np.float32]:
    vectors = dice.standard_normal((count, size)).astype(np.float32)
    vectors[dice.random((count, size)) < 0.05] = 0.0
    return vectors


def some_pieces(vectors: NDArray[np.float32]) -> Pieces:
    return Pieces.of(vectors, [f"w{n}" for n in range(len(vectors))], [1.0] * len(vectors))


def levels_of(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Two bits a dimension: its sign, times three if it is further from 0 than the piece's root mean square."""
    size = np.sqrt(np.mean(np.square(vectors), axis=1, keepdims=True))
    return np.where(vectors > 0, 1.0, -1.0) * np.where(np.abs(vectors) > size, 3.0, 1.0)


def signs_of(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.where(vectors > 0, 1.0, -1.0)


def best_cosines(question: NDArray[np.float32], memory: NDArray[np.float32]) -> list[float]:
    """The same by plain arithmetic: each piece's best cosine among the memory's, 0 if that has none."""
    if not len(memory):
        return [0.0] * len(question)
    asked, said = levels_of(question), signs_of(memory)
    lengths = np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(said, axis=1)[None, :]
    return (asked @ said.T / lengths).max(axis=1).tolist()


@given(dimensions, seeds, st.integers(0, 5), st.lists(st.integers(0, 6), max_size=6))
def test_counted_bits_are_cosines_of_the_quantised_vectors(size: int, seed: int, asked: int, said: list[int]):
    dice = np.random.default_rng(seed)
    question = some_vectors(dice, asked, size)
    memories = [some_vectors(dice, count, size) for count in said]

    matches = match_pieces(some_pieces(question), [some_pieces(memory).signs.tobytes() for memory in memories])

    assert matches.shape == (len(memories), asked)
    assert matches.dtype == np.float32
    for row, memory in zip(matches, memories, strict=True):
        assert row == pytest.approx(best_cosines(question, memory), abs=1e-5)


@given(dimensions, seeds, st.integers(1, 5), st.lists(st.integers(0, 6), max_size=6))
def test_nothing_matches_a_text_better_than_itself(size: int, seed: int, asked: int, said: list[int]):
    dice = np.random.default_rng(seed)
    question = some_pieces(some_vectors(dice, asked, size))
    others = [some_pieces(some_vectors(dice, count, size)).signs.tobytes() for count in said]

    itself, *rest = match_pieces(question, [question.signs.tobytes(), *others])

    assert (itself <= 1 + 1e-6).all()
    assert all((itself >= other - 1e-6).all() for other in rest)


@given(seeds, st.permutations(range(5)))
def test_a_memory_scores_the_same_whatever_stands_beside_it(seed: int, order: list[int]):
    dice = np.random.default_rng(seed)
    question = some_pieces(some_vectors(dice, 3, 100))
    memories = [some_pieces(some_vectors(dice, count, 100)).signs.tobytes() for count in range(5)]

    matches = match_pieces(question, memories)

    np.testing.assert_array_equal(match_pieces(question, [memories[index] for index in order]), matches[order])


def test_a_memory_without_pieces_matches_nothing():
    question = some_pieces(some_vectors(np.random.default_rng(1), 2, 64))

    assert match_pieces(question, [b"", question.signs.tobytes(), b"", b""])[[0, 2, 3]].tolist() == [[0.0, 0.0]] * 3
    assert match_pieces(question, []).shape == (0, 2)


def test_a_strong_dimension_counts_three_times():
    asked = np.full((1, 64), 0.1, np.float32)
    asked[0, 0] = 9.0
    but_the_strong, but_a_weak = np.ones((2, 1, 64), np.float32)
    but_the_strong[0, 0] = but_a_weak[0, 1] = -1.0

    memories = [some_pieces(vectors).signs.tobytes() for vectors in (but_a_weak, but_the_strong)]
    matches = match_pieces(some_pieces(asked), memories)

    length = 8 * (63 + 9) ** 0.5
    assert matches[:, 0] == pytest.approx([(63 + 3 - 2) / length, (63 + 3 - 6) / length])


@given(dimensions, st.integers(0, 4))
def test_signs_are_padded_to_whole_words_for_each_piece(size: int, count: int):
    vectors = some_vectors(np.random.default_rng(count), count, size)
    embedding = Embedding(np.ones(size, np.float32), some_pieces(vectors))

    assert len(embedding.signs) == count * 8 * -(-size // 64)


def test_an_embedding_without_pieces_has_no_signs():
    assert Embedding(np.ones(2, np.float32), None).signs == b""


async def test_the_model_tells_the_word_of_every_piece(embedder: LocalEmbedder):
    pieces = (await embedder.encode("What's José's Geburtstagskuchen?")).pieces

    *spelled, mark = pieces.words
    assert spelled[:6] == ["what", "'", "s", "jose", "'", "s"]
    assert (set(spelled[6:]), mark) == ({"geburtstagskuchen"}, "?")
    assert len(spelled[6:]) > 1  # the model doesn't know it as a whole


async def test_punctuation_says_nothing_and_rare_words_say_most(embedder: LocalEmbedder):
    pieces = (await embedder.encode("Is the zeppelin, well, ... here?!")).pieces

    salience = dict(zip(pieces.words, pieces.salience.tolist(), strict=True))
    assert {word for word, weight in salience.items() if weight == 0} == {",", ".", "?", "!"}
    assert max(salience, key=salience.get) == "zeppelin"
    assert min(weight for weight in salience.values() if weight) == pytest.approx(salience["the"])


@pytest.mark.parametrize("text", TEXTS)
async def test_pieces_of_any_text_have_one_shape(embedder: LocalEmbedder, text: str):
    pieces = (await embedder.encode(text)).pieces

    count = len(pieces.words)
    assert pieces.salience.shape == pieces.is_telling.shape == (count,)
    assert (pieces.salience >= 0).all()
    assert pieces.signs.shape == pieces.strong.shape == (count, 48)
    assert pieces.dimensions == 384


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("What is the zeppelin, Miso?", {"zeppelin", "miso"}),
        ("Wo ist der Zeppelin?!", {"zeppelin"}),
        ("Где мой zeppelin?", {"zeppelin"}),
        ("Is it you?", {"is", "it", "you"}),
        ("?!", set()),
        ("🍕🍕", set()),
    ],
)
async def test_a_memory_keeps_the_pieces_that_tell_something_or_all(embedder: LocalEmbedder, text: str, kept: set[str]):
    embedding = await embedder.encode(text)

    pieces = embedding.pieces
    indices = [index for index, word in enumerate(pieces.words) if word in kept]
    assert {pieces.words[index] for index in indices} == kept
    assert embedding.signs == pieces.signs[indices].tobytes()


async def test_a_text_of_nothing_readable_has_no_pieces(embedder: LocalEmbedder):
    embedding = await embedder.encode("\x00")

    assert (embedding.pieces.words, embedding.signs) == ((), b"")
    assert match_pieces(embedding.pieces, [b"", (await embedder.encode("hi")).signs]).shape == (2, 0)


async def test_pieces_are_those_of_a_batch(embedder: LocalEmbedder):
    batch = await embedder.encode_batch(TEXTS)
    singles = [await embedder.encode(text) for text in TEXTS]

    for one, other in zip(batch, singles, strict=True):
        assert one.pieces.words == other.pieces.words
        np.testing.assert_array_equal(one.pieces.salience, other.pieces.salience)
        assert len(one.signs) == len(other.signs)
        differing = np.bitwise_count(one.pieces.signs ^ other.pieces.signs).sum()
        # Equal to the last bit where this was written; another processor may add up in another order.
        assert differing <= 0.001 * 8 * len(one.signs)


async def test_the_model_finds_the_same_text_first_and_its_paraphrase_next(embedder: LocalEmbedder):
    question = (await embedder.encode("We got a new puppy last week.")).pieces
    memories = [(await embedder.encode(text)).signs for text in ["We got a new puppy last week.", *TEXTS]]

    weights = question.salience * question.is_telling
    scores = match_pieces(question, memories) @ weights / weights.sum()

    assert np.argsort(-scores)[:2].tolist() == [0, 1]
    assert scores[0] > 0.8
