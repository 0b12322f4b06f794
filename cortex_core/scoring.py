"""The TDD's formulas, as pure functions of their arguments."""

import math
from datetime import datetime

from cortex_core.config import RetrievalWeights
from cortex_core.models import Memory, MemoryType, utc_now

RELEVANCE_SCALE = 4.0
"""How much a standard deviation of relevance weighs against the signals in 0..1: those only re-order neighbours."""

TYPE_WEIGHTS = {
    MemoryType.IDENTITY: 1.0,
    MemoryType.SEMANTIC: 0.8,
    MemoryType.EPISODIC: 0.6,
    MemoryType.WORKING: 0.4,
    MemoryType.SESSION: 0.3,
}


def calculate_ttl(emotional_score: float, base_ttl: int = 1800) -> int:
    """Return how long a memory stays in working memory, in seconds (TDD 3.2).

    Args:
        emotional_score: 0 to 1.
        base_ttl: Seconds for a memory without emotion; strong emotion stretches it twelvefold.

    >>> calculate_ttl(0.0), calculate_ttl(0.5), calculate_ttl(1.0)
    (1800, 11700, 21600)
    """
    return int(base_ttl * (1 + emotional_score * 11))


def calculate_recency(created_at: datetime, now: datetime) -> float:
    """Return 1 for what was said just now, falling with the logarithm of its age in hours (TDD 3.3)."""
    age_hours = max(0.0, (now - created_at).total_seconds() / 3600)
    return 1 / (1 + math.log1p(age_hours))


def calculate_reinforcement(access_count: int) -> float:
    """Return 0 for what was never drawn on, growing with the logarithm of how often it was, up to 1 (TDD 3.3)."""
    return min(1.0, math.log1p(access_count) / 10)


def calculate_retrieval_score(
    memory: Memory, similarity: float, current_time: datetime, weights: RetrievalWeights | None = None
) -> float:
    """Combine the four signals that order recalled memories (TDD 3.3).

    Args:
        memory: Its emotion and access count are read, both bounded to 0..1.
        similarity: Relevance to the query: a cosine for the literal formula, or a standardised relevance times
            `RELEVANCE_SCALE`, which is what recall uses.
        current_time: The time that recency counts back from.
        weights: The shares of the four signals.
    """
    weights = weights or RetrievalWeights()
    return (
        weights.similarity * similarity
        + weights.recency * calculate_recency(memory.created_at, current_time)
        + weights.emotion * memory.emotional_score
        + weights.reinforcement * calculate_reinforcement(memory.access_count)
    )


def calculate_importance(memory: Memory, now: datetime | None = None) -> float:
    """Return a memory's priority in 0..1: emotion 40 %, recency, access and type 20 % each (TDD 3.5)."""
    now = now or utc_now()
    return (
        0.40 * memory.emotional_score
        + 0.20 * calculate_recency(memory.created_at, now)
        + 0.20 * min(1.0, math.log1p(memory.access_count) / 5)
        + 0.20 * TYPE_WEIGHTS[memory.memory_type]
    )
