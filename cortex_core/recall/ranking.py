"""Orders candidates: relevance standardised among them, with the TDD's other signals on top."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from cortex_core.config import RetrievalWeights
from cortex_core.models import Memory
from cortex_core.scoring import RELEVANCE_SCALE, calculate_retrieval_score
from cortex_core.stores.postgres.store import Candidate


def rank(candidates: Sequence[Candidate], now: datetime, weights: RetrievalWeights) -> list[Memory]:
    """Return the candidates' memories, best first, each with its `score`.

    Relevance is the sum of the standard scores of cosine and word rank, standardised again: fusing margins keeps a sure
    hit apart from a lucky one, where fusing ranks does not.
    """
    relevance = _standardise(
        [
            by_vector + by_words
            for by_vector, by_words in zip(
                _standardise([candidate.similarity for candidate in candidates]),
                _standardise([candidate.word_rank for candidate in candidates]),
                strict=True,
            )
        ]
    )
    scored = [
        candidate.memory.model_copy(
            update={"score": calculate_retrieval_score(candidate.memory, RELEVANCE_SCALE * z, now, weights)}
        )
        for candidate, z in zip(candidates, relevance, strict=True)
    ]
    return sorted(scored, key=lambda memory: (memory.score or 0.0, memory.created_at), reverse=True)


def _standardise(values: Sequence[float | None]) -> list[float]:
    """Return each value's distance from the mean in standard deviations; 0 for what is unknown."""
    known = np.array([value for value in values if value is not None])
    are_equal = not known.size or known.min() == known.max()  # asked, for rounding makes differences of equal values
    deviation = 0.0 if are_equal else float(known.std())
    if deviation == 0.0:
        return [0.0] * len(values)
    mean = float(known.mean())
    return [0.0 if value is None else (value - mean) / deviation for value in values]
