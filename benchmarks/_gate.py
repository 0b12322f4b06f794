"""How well relevance tells questions that have an answer from those that have none."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks._answers import Answer, percentage

KEPT = 95
"""The share of answerable questions that a gate has to let through, in per cent."""


def judge(answerable: Sequence[Answer], unanswerable: Sequence[Answer]) -> dict[str, float]:
    """Return what a threshold on relevance could reject, and what the shipped ones do, in per cent."""
    kept, rejected = _relevance(answerable), _relevance(unanswerable)
    threshold = float(np.sort(kept)[len(kept) * (100 - KEPT) // 100])
    return {
        "answerable": len(answerable),
        "unanswerable": len(unanswerable),
        "threshold": threshold,
        "rejected": percentage(rejected < threshold),
        "shipped keeps": percentage(bool(answer.found) for answer in answerable),
        "keeps strong": percentage(not answer.is_weak for answer in answerable),
        "shipped rejects": percentage(not answer.found for answer in unanswerable),
        "or marks weak": percentage(answer.is_weak for answer in unanswerable),
    }


def _relevance(answers: Sequence[Answer]) -> NDArray[np.float64]:
    """Return each answer's; where it isn't told, a gate lets pass what was found."""
    unknown = {True: np.inf, False: -np.inf}
    return np.array([unknown[bool(a.found)] if a.relevance is None else a.relevance for a in answers])
