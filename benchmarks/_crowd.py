"""A crowd for one database: owners of very different size, whose memories read, embed and lie there as real ones do.

A memory is a sentence and an aside, each one of a few thousand that the model has read. Its vector is made of theirs
and of noise, its pieces are theirs with some bits flipped: no two of a million are the same, and none of them costs a
run of the model.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import NamedTuple, Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from benchmarks._sentences import Sentences
from cortex_core import CortexError, MemoryManager
from cortex_core.models import OWNER_ONLY, MemoryType, hash_content, utc_now
from cortex_core.providers import Embedder, PieceEmbedder

MEMORY_COLUMNS = (
    "user_id", "id", "author_name", "audience", "memory_type", "content", "content_hash", "emotional_score",
    "importance", "confidence", "created_at", "valid_from", "source", "source_id", "channel_id", "position",
    "embedding", "embedding_model_id",
)  # fmt: skip
PIECES_COLUMNS = ("user_id", "id", "signs")

_CHUNK = 10_000
_DAYS = 365
_ASIDE_SHARE, _NOISE_SHARE = 0.5, 0.4
"""Lengths of what is added to a sentence's vector: of the aside's, and of noise that points anywhere."""
_FLIPPED_HALVINGS = 4
"""A bit is flipped with a chance of a half to this power."""
_MASK_BYTES = 1 << 18
_BIGGEST_SMALL_SHARE = 0.5
"""Of the usual owner's memories: more than that nobody else has, so that a measured owner is never outdone by them."""

_SPEAKERS = ("Robin", "Sascha", "Kim", "Noa", "Luca", "Jona", "Mika", "Toni", "Alex", "Charlie", "Sam", "Nikola")
_SYLLABLES = (
    ("Bal", "Cor", "Dun", "El", "Fen", "Gar", "Hol", "Is", "Kel", "Lan", "Mor", "Nor", "Os", "Per", "Quil", "Ros"),
    ("a", "be", "do", "ga", "hi", "lo", "me", "ni", "ra", "to"),
    ("bury", "dell", "feld", "gate", "ham", "mont", "nau", "port", "stad", "wick"),
)
_ASIDES = (
    "{} was there too.", "That was an idea from {}.", "We told them about it in {}.", "It reminded me of {}.",
    "Nobody from {} believed it.", "In {} they still talk about it.",
)  # fmt: skip

Row = tuple[object, ...]


class Chunk(NamedTuple):
    """Rows for both tables, in the order of their columns."""

    memories: list[Row]
    pieces: list[Row]


@dataclass(frozen=True, slots=True)
class Phrases:
    """Texts with what the model made of them."""

    texts: Sequence[str]
    vectors: NDArray[np.float32]
    """Shape (texts, dimensions)."""
    signs: Sequence[bytes]

    @classmethod
    async def read(cls, embedder: Embedder, texts: Sequence[str]) -> Self:
        """Let the model read texts."""
        if not isinstance(embedder, PieceEmbedder):
            raise CortexError(f"The embedder {embedder.model} gives no pieces, which this benchmark has to store.")
        read = await embedder.encode_batch(texts)
        return cls(texts, np.stack([each.vector for each in read]), [each.signs for each in read])


class Names:
    """Made-up names, some of them in everybody's mouth and most of them rare."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  the same names in every run, not a secret
        self._names = ["".join(syllables) for syllables in product(*_SYLLABLES)]
        self._random.shuffle(self._names)
        self._weights = [1 / (rank + 1) for rank in range(len(self._names))]

    def draw(self) -> str:
        """Return one, the first of them most often."""
        return self._random.choices(self._names, self._weights)[0]

    def asides(self, count: int) -> list[str]:
        """Return short sentences, each with a name; like the names, some occur often."""
        return [self._random.choice(_ASIDES).format(self.draw()) for _ in range(count)]


class Crowd:
    """Writes the memories of its owners."""

    def __init__(self, sentences: Phrases, asides: Phrases, *, model_id: int | None, seed: int) -> None:
        self._sentences = sentences
        self._asides = asides
        self._model_id = model_id
        self._draw = np.random.default_rng(seed)
        self._until = utc_now()
        halvings = (self._draw.integers(0, 256, _MASK_BYTES, np.uint8) for _ in range(_FLIPPED_HALVINGS))
        self._mask = np.bitwise_and.reduce(list(halvings))
        self._written = 0

    @classmethod
    async def gather(cls, memory: MemoryManager, *, real: Sequence[str], phrases: int, seed: int) -> Self:
        """Make a crowd that speaks in so many sentences and asides; half of the sentences are real if any are."""
        draw, made = random.Random(seed), Sentences(seed)  # noqa: S311  the same in every run, not a secret
        borrowed = draw.sample(real, min(len(real), phrases // 2))
        sentences = [*borrowed, *(made.statement() for _ in range(phrases - len(borrowed)))]
        return cls(
            await Phrases.read(memory.embedder, sentences),
            await Phrases.read(memory.embedder, Names(seed).asides(phrases)),
            model_id=memory.postgres.vectors.model_id,
            seed=seed,
        )

    def say(self) -> str:
        """Return a text as memories are."""
        said, added = (int(self._draw.integers(len(phrases.texts))) for phrases in (self._sentences, self._asides))
        return self._text(said, added)

    def write(self, owners: Mapping[str, int]) -> Iterator[Chunk]:
        """Write so many memories for each owner, those of all of them mixed."""
        counts = np.array(list(owners.values()))
        whose = np.repeat(np.arange(len(counts)), counts)
        places = np.arange(len(whose)) - np.repeat(counts.cumsum() - counts, counts)
        mixed = self._draw.permutation(len(whose))
        names = list(owners)
        for start in range(0, len(mixed), _CHUNK):
            rows = mixed[start : start + _CHUNK]
            yield self._write(
                [names[owner] for owner in whose[rows]], counts[whose[rows]].tolist(), places[rows].tolist()
            )

    def _write(self, owners: Sequence[str], counts: Sequence[int], places: Sequence[int]) -> Chunk:
        size = len(owners)
        said = self._draw.integers(0, len(self._sentences.texts), size).tolist()
        added = self._draw.integers(0, len(self._asides.texts), size).tolist()
        vectors = self._mix(said, added)
        scores = self._draw.random((size, 2)).tolist()
        ids = self._draw.bytes(16 * size)
        chunk = Chunk([], [])
        for row, (owner, count, place) in enumerate(zip(owners, counts, places, strict=True)):
            memory_id = UUID(bytes=ids[16 * row : 16 * row + 16])
            text = self._text(said[row], added[row])
            at = self._until - timedelta(days=_DAYS * (count - place) / count)
            channels = 1 + count // 300
            chunk.memories.append(
                (
                    owner, memory_id, _SPEAKERS[(count + place % 2) % len(_SPEAKERS)], OWNER_ONLY, MemoryType.EPISODIC,
                    text, hash_content(text), scores[row][0] ** 2, scores[row][1], 1.0, at, at, "conversation",
                    f"message:{self._written + row}", str(place % channels), place // channels,
                    HalfVector(vectors[row]), self._model_id,
                )
            )  # fmt: skip
            signs = self._flip(self._sentences.signs[said[row]] + self._asides.signs[added[row]])
            chunk.pieces.append((owner, memory_id, signs))
        self._written += size
        return chunk

    def _text(self, said: int, added: int) -> str:
        return f"{self._sentences.texts[said]} {self._asides.texts[added]}"

    def _mix(self, said: Sequence[int], added: Sequence[int]) -> NDArray[np.float16]:
        """Return a vector of unit length for each pair."""
        whole = self._sentences.vectors[said] + _ASIDE_SHARE * self._asides.vectors[added]
        noise = self._draw.standard_normal(whole.shape, np.float32)
        whole += _NOISE_SHARE / np.sqrt(whole.shape[1]) * noise
        vectors: NDArray[np.float16] = (whole / np.linalg.norm(whole, axis=1, keepdims=True)).astype(np.float16)
        return vectors

    def _flip(self, signs: bytes) -> bytes:
        begin = int(self._draw.integers(0, _MASK_BYTES - len(signs)))
        flipped: bytes = (np.frombuffer(signs, np.uint8) ^ self._mask[begin : begin + len(signs)]).tobytes()
        return flipped


def plan_owners(rows: int, owners: int, *, usual: int, others: Mapping[str, int], seed: int) -> dict[str, int]:
    """Share rows out among owners.

    Args:
        rows: How many there are.
        owners: Among how many.
        usual: What a usual owner has; half of the rows that `others` leave go to such owners.
        others: Owners of a size of their own, among those counted.
        seed: Of the sizes of all the rest, who have less than a usual owner, a few of them much more than most.
    """
    usual_owners = max(1, (rows - sum(others.values())) // 2 // usual)
    planned = {f"usual-{seed}-{number}": usual for number in range(usual_owners)} | dict(others)
    rest, left = owners - len(planned), rows - sum(planned.values())
    draw = np.random.default_rng(seed)
    weights = np.minimum(draw.lognormal(0.0, 1.0, rest), _BIGGEST_SMALL_SHARE * usual * rest / left)
    sizes = 1 + draw.multinomial(left - rest, weights / weights.sum())
    return planned | {f"small-{seed}-{number}": int(size) for number, size in enumerate(sizes)}


class Questions:
    """An endless supply of them, none twice: a third real as long as there are some, a third with a name."""

    def __init__(self, real: Sequence[str], *, seed: int) -> None:
        self._real = list(dict.fromkeys(real))
        random.Random(seed).shuffle(self._real)  # noqa: S311  the same order in every run, not a secret
        self._made, self._names = Sentences(seed + 1), Names(seed)
        self._asked = 0

    def ask(self) -> str:
        """Return the next."""
        self._asked += 1
        if self._asked % 3 == 0 and self._real:
            return self._real.pop()
        question = self._made.question()
        return f"{question} Was it in {self._names.draw()}?" if self._asked % 3 == 1 else question
