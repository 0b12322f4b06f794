"""Late interaction: a question and a memory compared piece by piece instead of as two averages.

Every word piece of a text keeps the vector that the model gave it. A memory keeps one bit for each of its dimensions, a
question two; a piece of the question counts with its best match among the memory's (MaxSim of ColBERT, Khattab and
Zaharia 2020). Agreeing bits are counted with exclusive-or, which costs a fraction of a product of floats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cortex_core.models import Vector
from cortex_core.words import STOP_WORDS

_WORD_BITS = 64
WORD_BYTES = _WORD_BITS // 8
"""What a piece takes is a multiple of this."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The word pieces of a text, special ones left out.

    Attributes:
        words: The word that each piece belongs to, folded.
        salience: Shape (pieces,): how much each says, 0 or more.
        signs: Shape (pieces, bytes): one bit for each dimension, set where it is positive; padded to whole 64 bits.
        strong: The same shape: set where a dimension is further from 0 than the piece's root mean square.
        dimensions: Of the vectors.
    """

    words: tuple[str, ...]
    salience: NDArray[np.float32]
    signs: NDArray[np.uint8]
    strong: NDArray[np.uint8]
    dimensions: int

    @classmethod
    def of(cls, vectors: NDArray[np.float32], words: Sequence[str], salience: Sequence[float]) -> "Pieces":
        """Quantise vectors of shape (pieces, dimensions)."""
        size = np.sqrt(np.mean(np.square(vectors), axis=1, keepdims=True))
        return cls(
            words=tuple(words),
            salience=np.array(salience, np.float32),
            signs=_pack(vectors > 0),
            strong=_pack(np.abs(vectors) > size),
            dimensions=vectors.shape[1],
        )

    @property
    def is_telling(self) -> NDArray[np.bool_]:
        """Shape (pieces,): whether each is part of a word, and not of a stop word."""
        return np.array([word not in STOP_WORDS for word in self.words], bool) & (self.salience > 0)


class Embedding(NamedTuple):
    """What a model makes of a text."""

    vector: Vector
    pieces: Pieces | None
    """None for a model that gives one vector a text and no more."""

    @property
    def signs(self) -> bytes:
        """What a memory keeps of the pieces: those that tell something; empty without any.

        Stop words and punctuation are more than half of the pieces, and leaving them out loses nothing that could be
        measured.
        """
        if self.pieces is None:
            return b""
        is_telling = self.pieces.is_telling
        is_kept = is_telling if is_telling.any() else self.pieces.salience > 0
        return self.pieces.signs[is_kept].tobytes()


def match_pieces(question: Pieces, memories: Sequence[bytes]) -> NDArray[np.float32]:
    """Return how well each memory matches each piece of the question.

    Args:
        question: Two bits a dimension: the sign, and whether it counts three times.
        memories: The sign bits of each memory's pieces.

    Returns:
        Shape (memories, pieces of the question), a cosine as far as such few bits tell it, at most 1 and 0.8 to 0.9
        for the same piece; 0 for a memory without pieces.
    """
    width = question.signs.shape[1]
    matches = np.zeros((len(memories), len(question.words)), np.float32)
    lengths = np.array([len(signs) // width for signs in memories], np.intp)
    known = np.flatnonzero(lengths)
    if not known.size or not question.words:
        return matches
    begins = np.cumsum(lengths[known]) - lengths[known]
    joined = np.frombuffer(b"".join(memories), np.uint64).reshape(-1, width // WORD_BYTES)
    bits = np.ascontiguousarray(joined.T)  # dimensions first: sums then run along memory
    signs, strong = question.signs.view(np.uint64), question.strong.view(np.uint64)
    for piece in range(len(question.words)):
        differing = bits ^ signs[piece][:, None]
        distance = np.bitwise_count(differing)
        distance += 2 * np.bitwise_count(differing & strong[piece][:, None])
        nearest = np.minimum.reduceat(distance.sum(axis=0, dtype=np.int16), begins)
        strong_count = int(np.bitwise_count(strong[piece]).sum())
        product = question.dimensions + 2 * strong_count - 2 * nearest
        length = np.sqrt(question.dimensions * (question.dimensions + 8 * strong_count))
        matches[known, piece] = product / length
    return matches


def _pack(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    missing = -bits.shape[1] % _WORD_BITS
    return np.packbits(np.pad(bits, ((0, 0), (0, missing))), axis=1)
