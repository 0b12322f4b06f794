"""The second step of recall: how well each candidate answers the question, apart from everything else.

Signals of different kinds are standardised among the candidates before they are added: their margins count, which
tell a sure hit from a lucky one and which a fusion of ranks throws away. The weights were set by hand. Around them
recall is flat: doubling or halving one costs less than a point on the conversations in `benchmarks/data`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from cortex_core.late_interaction import Pieces, match_pieces
from cortex_core.stores.postgres.candidates import MAX_WORDS, Candidate
from cortex_core.words import QUESTION_MARKS, STOP_WORDS, split_words

Scores = NDArray[np.float64]

_WEIGHTS = {"pieces": 0.6, "content": 0.6, "words": 0.3, "speaker": 2.5, "is_question": -1.0}
_NEIGHBOURS = {-2: 0.6, -1: 0.8, 1: 0.8, 2: 0.6}
"""Steps in the conversation, and how much of a neighbour's match counts as one's own."""
_OWN_WORDS_FIRST = 0.9
_PAUSE = timedelta(hours=1)
"""Turns further apart than this don't belong to one conversation."""
_ROUNDING = 1e-9
"""What equal values may differ by after they were computed in different order."""


@dataclass(frozen=True, slots=True)
class Relevance:
    """How well candidates answer a question.

    Attributes:
        fused: Shape (candidates,): standard scores among them, unbounded.
        evidence: Shape (candidates,): how much of the question's content each or its neighbours say, 0 to about 0.8;
            not a number where that isn't known, as with a model that gives no pieces. It compares from one question to
            another.
        parts: What each signal added to `fused`, by name.
    """

    fused: Scores
    evidence: Scores
    parts: dict[str, Scores]


def weigh(question: str, pieces: Pieces | None, candidates: Sequence[Candidate]) -> Relevance:
    """Compare candidates with a question.

    Args:
        question: Its text.
        pieces: Its word pieces; None where the model gives none, and cosines stand in for them.
        candidates: Of one search, one at least.
    """
    names = _names_of(candidates)
    are_questions = np.array([is_question(c.content) for c in candidates], bool)
    neighbours = _Neighbours(candidates, are_questions)
    if pieces is None:
        pieces_score = content = _cosines(candidates)
        evidence = np.full(len(candidates), np.nan)
    else:
        pieces_score, content = _late(pieces, set().union(*names.values()), candidates, neighbours)
        evidence = content
    signals = {
        "pieces": standardise(pieces_score),
        "content": standardise(content),
        "words": standardise(_words(candidates, neighbours)),
        "speaker": _speaker(question, names, candidates),
        "is_question": are_questions.astype(float),
    }
    parts = {name: _WEIGHTS[name] * signal for name, signal in signals.items()}
    total = np.sum(list(parts.values()), axis=0)
    deviation = float(total.std()) or 1.0
    fused = standardise(total)
    return Relevance(fused, evidence, {name: (part - part.mean()) / deviation for name, part in parts.items()})


def standardise(values: Scores) -> Scores:
    """Return each value's distance from the mean in standard deviations; 0 for what isn't a number."""
    known = values[~np.isnan(values)]
    deviation = float(known.std()) if known.size else 0.0
    if deviation < _ROUNDING:
        return np.zeros(values.shape)
    scores: Scores = np.nan_to_num((values - known.mean()) / deviation, nan=0.0)
    return scores


class _Neighbours:
    """Which candidates were said just before and after which.

    Somebody else's question makes an answer of what stands beside it; one's own, asked of the bot, doesn't.
    """

    def __init__(self, candidates: Sequence[Candidate], are_questions: NDArray[np.bool_]) -> None:
        times = np.array([candidate.created_at.timestamp() for candidate in candidates])
        places = {candidate.place: index for index, candidate in enumerate(candidates) if candidate.place}
        self._steps: dict[int, NDArray[np.intp]] = {}
        authors = np.array([str(candidate.author_id) for candidate in candidates])
        for step in _NEIGHBOURS:
            found = np.array([places.get((c.place[0], c.place[1] + step), -1) if c.place else -1 for c in candidates])
            is_near = np.abs(times - times[found]) <= _PAUSE.total_seconds()
            is_own_question = are_questions[found] & (authors == authors[found])
            self._steps[step] = np.where((found >= 0) & is_near & ~is_own_question, found, -1)

    def around(self, values: Scores) -> Iterator[tuple[float, Scores]]:
        """Yield how much a neighbour counts, and each one's neighbour's values: 0 where there is none.

        Args:
            values: Shape (candidates, anything).
        """
        for step, found in self._steps.items():
            yield _NEIGHBOURS[step], np.where((found >= 0)[:, None], values[found], 0.0)


def is_question(text: str) -> bool:
    """Whether it ends as questions do."""
    return text.rstrip().endswith(QUESTION_MARKS)


def _late(
    pieces: Pieces, names: set[str], candidates: Sequence[Candidate], neighbours: _Neighbours
) -> tuple[Scores, Scores]:
    """Return how much of the question each says by itself, and how much of its content each says in its window."""
    matches = match_pieces(pieces, [c.signs for c in candidates]).astype(np.float64)
    is_content = pieces.is_telling & np.array([word not in names for word in pieces.words], bool)
    window = matches
    for share, beside in neighbours.around(matches):
        window = np.maximum(window, share * beside)
    unknown = np.array([not c.signs for c in candidates])
    by_itself = _weighted_mean(matches, pieces.salience)
    content = _weighted_mean(window, np.where(is_content, pieces.salience, 0.0))
    if not content.any():  # a question of stop words and names alone
        content = _weighted_mean(window, pieces.salience)
    return np.where(unknown, np.nan, by_itself), np.where(unknown, np.nan, content)


def _weighted_mean(matches: Scores, weights: NDArray[np.floating]) -> Scores:
    total = float(weights.sum())
    return matches @ weights / total if total else np.zeros(len(matches))


def _words(candidates: Sequence[Candidate], neighbours: _Neighbours) -> Scores:
    """Return how much the question's words that occur in each one's window say: the sum of their rarities."""
    matched = np.array([c.matched for c in candidates], np.int64)
    holds = ((matched[:, None] >> np.arange(MAX_WORDS + 1)) & 1).astype(np.float64)
    known = holds.sum(axis=0)
    rarity = np.log1p((len(candidates) - known + 0.5) / (known + 0.5))
    window = holds
    for _, beside in neighbours.around(holds):
        window = np.maximum(window, _OWN_WORDS_FIRST * beside)
    said: Scores = window @ np.where(known > 0, rarity, 0.0)
    return said


def _names_of(candidates: Sequence[Candidate]) -> dict[str | None, set[str]]:
    """Return the words of every author's names, by author; a name may hold a stop word, which names nobody."""
    names: dict[str | None, set[str]] = {}
    for author, name in {(c.author_id, c.author_name) for c in candidates}:
        names.setdefault(author, set()).update(set(split_words(name or "")) - STOP_WORDS)
    return names


def _speaker(question: str, names: dict[str | None, set[str]], candidates: Sequence[Candidate]) -> Scores:
    """Return 1 for what was said by the one person whom the question names best, 0 for others, else a half for all."""
    asked = set(split_words(question))
    hits = {author: len(words & asked) for author, words in names.items()}
    most = max(hits.values())
    named = [author for author, count in hits.items() if count == most]
    if not most or len(named) != 1:
        return np.full(len(candidates), 0.5)
    return np.array([c.author_id == named[0] for c in candidates], float)


def _cosines(candidates: Sequence[Candidate]) -> Scores:
    return np.array([np.nan if c.similarity is None else c.similarity for c in candidates])
