"""Keeps a context from saying one thing five times."""

from collections.abc import Iterable, Sequence

from cortex_core.models import Memory
from cortex_core.recall.folding import split_words
from cortex_core.stores.postgres.candidates import Candidate

_MAX_WORDINGS = 2
"""The best, and another one that may correct it."""
_ALIKE = 0.2
"""The share of differing signs up to which two vectors stand for one statement: a cosine of about 0.8."""


def choose_diverse(
    ranked: Iterable[int], candidates: Sequence[Candidate], *, limit: int, shown: Iterable[Memory] = ()
) -> list[int]:
    """Return the first of each thing that is said, twice at most and in different words, in their order.

    Args:
        ranked: Places in `candidates`, best first.
        candidates: Of one search.
        limit: The most to return.
        shown: What is said already.
    """
    chosen: list[int] = []
    shown = list(shown)
    ids = {memory.id for memory in shown}
    texts = {tuple(split_words(memory.content)) for memory in shown}
    for index in ranked:
        if len(chosen) == limit:
            break
        candidate = candidates[index]
        words = tuple(split_words(candidate.content))
        wordings = sum(_are_alike(candidate, candidates[other]) for other in chosen)
        if wordings < _MAX_WORDINGS and words not in texts and candidate.id not in ids:
            texts.add(words)
            chosen.append(index)
    return chosen


def without_repeats(memories: Iterable[Memory], *shown: Iterable[Memory]) -> list[Memory]:
    """Return the memories but for those that are shown already."""
    ids = {memory.id for section in shown for memory in section}
    return [memory for memory in memories if memory.id not in ids]


def _are_alike(one: Candidate, other: Candidate) -> bool:
    if one.direction is None or other.direction is None:
        return False
    differing = int.from_bytes(one.direction) ^ int.from_bytes(other.direction)
    return differing.bit_count() <= _ALIKE * 8 * len(one.direction)
