"""Relevance decides, the other signals re-order neighbours."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cortex_core import Memory, RetrievalWeights
from cortex_core.recall.ranking import _standardise, rank
from cortex_core.stores.postgres.store import Candidate

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_candidate(
    content: str, similarity: float | None, word_rank: float = 0.0, *, emotion: float = 0.0, days: float = 1
) -> Candidate:
    created_at = NOW - timedelta(days=days)
    memory = Memory(user_id="ann", content=content, emotional_score=emotion, created_at=created_at)
    return Candidate(memory, similarity, word_rank)


def ranked(*candidates: Candidate) -> list[str]:
    return [memory.content for memory in rank(candidates, NOW, RetrievalWeights())]


def test_nothing_in_nothing_out():
    assert ranked() == []


def test_a_relevant_old_memory_beats_an_irrelevant_fresh_and_moving_one():
    noise = [a_candidate(f"noise {n}", 0.26, emotion=0.2) for n in range(6)]

    order = ranked(*noise, a_candidate("fresh", 0.25, emotion=1.0, days=0), a_candidate("relevant", 0.8, days=700))

    assert order[0] == "relevant"


def test_among_equally_relevant_ones_the_moving_and_the_recent_come_first():
    assert ranked(a_candidate("dull", 0.5), a_candidate("moving", 0.5, emotion=1.0)) == ["moving", "dull"]
    assert ranked(a_candidate("old", 0.5, days=900), a_candidate("new", 0.5)) == ["new", "old"]


def test_words_and_meaning_both_count():
    both = a_candidate("both", 0.6, 0.5)

    order = ranked(both, a_candidate("meaning", 0.6), a_candidate("words", 0.3, 0.5), a_candidate("neither", 0.3))

    assert (order[0], order[-1]) == ("both", "neither")


def test_what_has_no_vector_yet_is_ranked_by_its_words():
    assert ranked(a_candidate("weak", None, 0.1), a_candidate("strong", None, 0.9)) == ["strong", "weak"]


@given(st.lists(st.tuples(st.none() | st.floats(-1, 1), st.floats(0, 1)), max_size=20))
def test_every_candidate_comes_back_once_with_a_finite_score(values: list[tuple[float | None, float]]):
    memories = rank([a_candidate(str(n), *pair) for n, pair in enumerate(values)], NOW, RetrievalWeights())

    assert sorted(int(memory.content) for memory in memories) == list(range(len(values)))
    scores = [memory.score for memory in memories]
    assert scores == sorted(scores, reverse=True)


def test_equal_values_stay_equal_beside_an_unknown_one():
    assert _standardise([0.1, 0.1, 0.1, None]) == [0.0, 0.0, 0.0, 0.0]
