"""Keeps a context from saying one thing five times."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import inf

from cortex_core.models import Memory
from cortex_core.stores.postgres.candidates import Candidate
from cortex_core.words import split_words

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
    directions: list[int | None] = []
    shown = list(shown)
    ids = {memory.id for memory in shown}
    texts = {_text_of(memory.content) for memory in shown}
    for index in ranked:
        if len(chosen) >= limit:
            break
        candidate = candidates[index]
        text = _text_of(candidate.content)
        direction = None if candidate.direction is None else int.from_bytes(candidate.direction)
        differing = _ALIKE * 8 * len(candidate.direction or b"")
        wordings = sum(_differ(direction, other) <= differing for other in directions)
        if wordings < _MAX_WORDINGS and text not in texts and candidate.id not in ids:
            texts.add(text)
            chosen.append(index)
            directions.append(direction)
    return chosen


def without_repeats(memories: Iterable[Memory], *shown: Iterable[Memory]) -> list[Memory]:
    """Return the memories but for those that are shown already."""
    ids = {memory.id for section in shown for memory in section}
    return [memory for memory in memories if memory.id not in ids]


def share_places(memories: Iterable[Memory], *, limit: int) -> list[Memory]:
    """Return the first memories, but none of their authors in more than half of the places."""
    chosen: list[Memory] = []
    places: Counter[str] = Counter()
    for memory in memories:
        author = memory.author_id or memory.user_id
        if len(chosen) < limit and places[author] < max(1, limit // 2):
            places[author] += 1
            chosen.append(memory)
    return chosen


def _text_of(content: str) -> str:
    return " ".join(split_words(content)) or content


def _differ(one: int | None, other: int | None) -> float:
    """Return in how many bits two directions differ, more than any number if one isn't known."""
    return inf if one is None or other is None else (one ^ other).bit_count()
