"""Choosing the sentences that say most about a stretch of conversation, where no language model words a summary."""

import re
from collections.abc import Sequence

import numpy as np

from cortex_core.models import Vector
from cortex_core.words import STOP_WORDS

_END_OF_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\s*\n+\s*")
_FEWEST_WORDS = 3
_MOST_CHARS = 240
_REPETITION_COSTS = 0.5
_ENOUGH_WORDS = 8
_WORDS_COUNT = 0.4


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text that are long enough to say something; if none is, the text.

    >>> split_sentences("Ok. I moved to Lyon! It rains a lot")
    ['I moved to Lyon!', 'It rains a lot']
    """
    sentences = [_shorten(part) for part in _END_OF_SENTENCE.split(text.strip()) if part]
    return [s for s in sentences if len(s.split()) >= _FEWEST_WORDS] or sentences[:1]


def weigh_words(sentence: str) -> float:
    """Return how much there is in a sentence, by the words that carry meaning, 0 to 0.4.

    >>> weigh_words("lunch was ok"), weigh_words("Lena's wedding in Lisbon moved to September")
    (0.1, 0.25)
    """
    words = {word for word in re.findall(r"\w+", sentence.casefold()) if word not in STOP_WORDS and len(word) > 1}
    return min(len(words), _ENOUGH_WORDS) / _ENOUGH_WORDS * _WORDS_COUNT


def choose_telling(vectors: Sequence[Vector], weights: Sequence[float], *, most: int) -> list[int]:
    """Return which of some sentences say most about all of them, in their order.

    That is centrality (the mean cosine with the others, as in LexRank without its walk), less what a sentence repeats
    of those already chosen (maximal marginal relevance, Carbonell and Goldstein 1998).

    Args:
        vectors: Their embeddings, of unit length.
        weights: What each counts besides, from 0.
        most: How many to choose at most.
    """
    if not vectors:
        return []
    matrix = np.stack(vectors)
    similarity = matrix @ matrix.T
    worth = similarity.mean(axis=1) + np.asarray(weights)
    chosen: list[int] = []
    while len(chosen) < min(most, len(vectors)):
        repeated = similarity[:, chosen].max(axis=1, initial=0.0)
        gain = worth - _REPETITION_COSTS * repeated
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
    return sorted(chosen)


def _shorten(sentence: str) -> str:
    if len(sentence) <= _MOST_CHARS:
        return sentence
    return f"{sentence[:_MOST_CHARS].rsplit(maxsplit=1)[0]} …"
