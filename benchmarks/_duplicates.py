"""Facts that say what another one says: what a memory that learns must not pile up."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from cortex_core.attributes import normal_form
from cortex_core.models import Fact
from cortex_core.providers import Embedder

ALIKE = 0.9
"""Values of one attribute with such a cosine are taken to say the same."""


class Likeness(StrEnum):
    """How a value shows that it says what another one says."""

    SAME = "same"
    """They differ in case, accents, punctuation or an article."""
    CONTAINED = "contained"
    """The words of one stand in the other."""
    ALIKE = "alike"
    """Their vectors are near."""


async def find_duplicates(facts: Iterable[Fact], embedder: Embedder) -> list[tuple[Fact, Likeness]]:
    """Return the current facts that say what one recorded before says of the same subject and attribute."""
    groups: dict[tuple[str, str, str], list[Fact]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: fact.recorded_at):
        if fact.valid_to is None:
            groups[fact.user_id, fact.subject, fact.attribute].append(fact)
    duplicates: list[tuple[Fact, Likeness]] = []
    for group in groups.values():
        if len(group) > 1:
            duplicates += await _compare(group, embedder)
    return duplicates


async def _compare(group: Sequence[Fact], embedder: Embedder) -> list[tuple[Fact, Likeness]]:
    values = [normal_form(fact.value) for fact in group]
    vectors = np.array(await embedder.embed_batch(values))
    duplicates = []
    for place in range(1, len(group)):
        likeness = _liken(values[place], values[:place], vectors[place], vectors[:place])
        if likeness is not None:
            duplicates.append((group[place], likeness))
    return duplicates


def _liken(
    value: str, others: Sequence[str], vector: NDArray[np.float32], other_vectors: NDArray[np.float32]
) -> Likeness | None:
    if value in others:
        return Likeness.SAME
    if any(f" {value} " in f" {other} " or f" {other} " in f" {value} " for other in others):
        return Likeness.CONTAINED
    return Likeness.ALIKE if float((other_vectors @ vector).max()) >= ALIKE else None
