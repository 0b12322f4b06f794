"""Orders candidates: relevance, the TDD's other signals on top, and a gate below which nothing is an answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from cortex_core.config import RetrievalConfig
from cortex_core.models import Memory
from cortex_core.recall.diversity import choose_diverse
from cortex_core.recall.relevance import Relevance, Scores
from cortex_core.recall.timeframe import Timeframe
from cortex_core.scoring import RELEVANCE_SCALE, calculate_recency, calculate_reinforcement
from cortex_core.stores.postgres.candidates import Candidate
from cortex_core.stores.postgres.rows import to_memory

_AIM = 16.0
"""How much more recency weighs where the question asks about time."""
_EARLIER = 0.6
"""What held before the time that is asked about may hold in it, the later the likelier."""
_LATER = 1.5
"""Where it doesn't: what was said later may correct what was said before, however long ago both were."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a search found.

    Attributes:
        memories: Best first.
        total: How many there were to choose from.
        relevance: The evidence for the best match, found or not; None where it can't be told.
    """

    memories: list[Memory]
    total: int
    relevance: float | None


NOTHING = Ranking([], 0, None)


def rank(
    candidates: Sequence[Candidate],
    relevance: Relevance,
    timeframe: Timeframe,
    asked_at: datetime,
    retrieval: RetrievalConfig,
    *,
    limit: int,
    shown: Sequence[Memory] | None = None,
    explain: bool = False,
) -> Ranking:
    """Order candidates by the retrieval score (TDD 3.3) and keep what may be an answer.

    Args:
        candidates: Of one search.
        relevance: How well each answers.
        timeframe: What the question asks about time.
        asked_at: When.
        retrieval: The weights of the score and the borders of the gate.
        limit: The most to return.
        shown: What stands beside the results; then what only repeats it, or better results, is left out.
        explain: Give each memory the parts of its score.
    """
    best = float(np.nanmax(relevance.evidence)) if not np.isnan(relevance.evidence).all() else None
    weights = retrieval.weights
    parts = {
        "similarity": weights.similarity * RELEVANCE_SCALE * relevance.fused,
        "recency": weights.recency * _recency(candidates, relevance.fused, timeframe, asked_at),
        "emotion": weights.emotion * np.array([c.emotional_score for c in candidates], float),
        "reinforcement": weights.reinforcement
        * np.array([calculate_reinforcement(c.access_count) for c in candidates], float),
    }
    scores = np.sum(list(parts.values()), axis=0)
    ages = [asked_at - c.created_at for c in candidates]
    answers = _pass_gate(candidates, relevance.evidence, best, timeframe, retrieval)
    order = sorted(answers, key=lambda index: (-scores[index], ages[index]))
    chosen = order[:limit] if shown is None else choose_diverse(order, candidates, limit=limit, shown=shown)
    return Ranking(
        [
            to_memory(
                candidates[index].row,
                similarity=candidates[index].similarity,
                score=float(scores[index]),
                relevance=None if np.isnan(relevance.evidence[index]) else float(relevance.evidence[index]),
                is_weak=bool(relevance.evidence[index] < retrieval.weak_below),
                explanation=_explain(index, parts, relevance) if explain else None,
            )
            for index in chosen
        ],
        len(answers),
        best,
    )


def _pass_gate(
    candidates: Sequence[Candidate],
    evidence: Scores,
    best: float | None,
    timeframe: Timeframe,
    retrieval: RetrievalConfig,
) -> list[int]:
    """Return which may be answers: all, unless even the best says too little of what is asked.

    Then only what was said in the time asked about, and what can't be judged by its pieces but holds a word of the
    question, or was compared by a model that gives no pieces at all.
    """
    if best is not None and best >= retrieval.nothing_below:
        return list(range(len(candidates)))
    return [
        index
        for index, candidate in enumerate(candidates)
        if _is_within(candidate.created_at, timeframe)
        or (np.isnan(evidence[index]) and (candidate.matched or (best is None and candidate.similarity is not None)))
    ]


def _is_within(time: datetime, timeframe: Timeframe) -> bool:
    if timeframe.since is None and timeframe.until is None:
        return False
    return (timeframe.since is None or time >= timeframe.since) and (timeframe.until is None or time < timeframe.until)


def _recency(candidates: Sequence[Candidate], fused: Scores, timeframe: Timeframe, asked_at: datetime) -> Scores:
    """Return how well each fits in time: 0 to 16 where the question asks about time, 0 to 2.5 where it doesn't."""
    times = np.array([c.created_at.timestamp() for c in candidates])
    if timeframe.since is not None or timeframe.until is not None:
        within = np.array([_is_within(c.created_at, timeframe) for c in candidates])
        is_later = np.array([timeframe.until is not None and c.created_at >= timeframe.until for c in candidates])
        return _AIM * np.where(within, 1.0, np.where(is_later, 0.0, _EARLIER * (0.1 + 0.9 * _freshness(times))))
    if timeframe.wants_newest:  # of those that answer; being new is no answer
        return _AIM * _freshness(times) * np.clip((1 + fused) / 2, 0.0, 1.0)
    return np.array([calculate_recency(c.created_at, asked_at) for c in candidates]) + _LATER * _freshness(times)


def _freshness(times: Scores) -> Scores:
    """Return 0 for the oldest candidate up to 1 for the newest, by their order."""
    order = np.unique(times, return_inverse=True)[1]
    ranks: Scores = order / max(1, order.max(initial=0))
    return ranks


def _explain(index: int, parts: dict[str, Scores], relevance: Relevance) -> dict[str, float]:
    """Return the four parts of a score, what the relevance in it is made of, and the evidence."""
    return {
        **{name: float(part[index]) for name, part in parts.items()},
        **{f"relevance.{name}": float(part[index]) for name, part in relevance.parts.items()},
        "relevance": float(relevance.fused[index]),
    }
