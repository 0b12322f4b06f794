"""Relevance decides, the TDD's other signals re-order neighbours, and what says too little is no answer."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_core import Memory, RetrievalWeights, calculate_retrieval_score
from cortex_core.config import RetrievalConfig
from cortex_core.recall.ranking import Ranking, rank
from cortex_core.recall.relevance import Relevance
from cortex_core.recall.timeframe import Timeframe
from cortex_core.scoring import RELEVANCE_SCALE, calculate_reinforcement
from cortex_core.stores.postgres.candidates import Candidate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RETRIEVAL = RetrievalConfig(nothing_below=0.25, weak_below=0.35)
WEIGHTS = RetrievalWeights()
OPEN = Timeframe()
NEWEST = Timeframe(wants_newest=True)
UNKNOWN = float("nan")


def a_candidate(
    content: str = "text", *, days: float = 1, emotion: float = 0.0, accesses: int = 0, matched: int = 0
) -> Candidate:
    memory = Memory(
        user_id="ann",
        content=content,
        emotional_score=emotion,
        access_count=accesses,
        created_at=NOW - timedelta(days=days),
    )
    return Candidate(
        row=memory.model_dump(),
        id=memory.id,
        content=content,
        author_id=None,
        author_name=None,
        place=None,
        created_at=memory.created_at,
        emotional_score=emotion,
        access_count=accesses,
        similarity=0.5,
        matched=matched,
        signs=b"",
        direction=None,
    )


def ranked(
    candidates: list[Candidate],
    fused: list[float] | None = None,
    evidence: list[float] | None = None,
    *,
    timeframe: Timeframe = OPEN,
    limit: int = 100,
    **options,
) -> Ranking:
    """Rank, with equal relevance and good evidence unless told otherwise."""
    scores = np.array([0.0] * len(candidates) if fused is None else fused)
    relevance = Relevance(
        scores,
        np.array([0.6] * len(candidates) if evidence is None else evidence),
        {"pieces": 0.75 * scores, "words": 0.25 * scores},
    )
    return rank(candidates, relevance, timeframe, NOW, RETRIEVAL, limit=limit, **options)


def contents(ranking: Ranking) -> list[str]:
    return [memory.content for memory in ranking.memories]


class TestFormula:
    def test_a_memory_has_the_score_of_the_tdd_with_relevance_times_four(self):
        candidate = a_candidate(emotion=0.7, accesses=5, days=3)

        [memory] = ranked([candidate], [1.3]).memories

        assert RELEVANCE_SCALE == 4
        assert memory.score == pytest.approx(calculate_retrieval_score(memory, 4 * 1.3, NOW, WEIGHTS), rel=1e-6)

    def test_every_signal_has_its_weight(self):
        candidates = [a_candidate(emotion=0.7, accesses=5), a_candidate(emotion=0.1, days=9)]

        for memory, fused in zip(ranked(candidates, [1.0, -1.0], explain=True).memories, (1.0, -1.0), strict=True):
            parts = memory.explanation
            assert parts["similarity"] == pytest.approx(0.40 * 4 * fused)
            assert parts["emotion"] == pytest.approx(0.20 * memory.emotional_score)
            assert parts["reinforcement"] == pytest.approx(0.15 * calculate_reinforcement(memory.access_count))
            assert 0 < parts["recency"] <= 0.25 * (1 + 1.5)

    def test_weights_are_those_of_the_settings(self):
        only_emotion = RetrievalConfig(similarity=0.0, recency=0.0, emotion=1.0, reinforcement=0.0)
        relevance = Relevance(np.array([5.0, -5.0]), np.array([0.6, 0.6]), {})

        found = rank([a_candidate(), a_candidate(emotion=0.5)], relevance, OPEN, NOW, only_emotion, limit=9)

        assert [memory.score for memory in found.memories] == [0.5, 0.0]

    def test_relevance_decides_and_the_others_re_order_neighbours(self):
        noise = [a_candidate(f"noise {n}", emotion=1.0, accesses=10_000, days=0) for n in range(6)]

        order = contents(ranked([*noise, a_candidate("relevant", days=700)], [-0.4] * 6 + [2.4]))

        assert order[0] == "relevant"

    @pytest.mark.parametrize(
        ("better", "worse"),
        [
            ({"emotion": 1.0}, {"emotion": 0.0}),
            ({"days": 1}, {"days": 900}),
            ({"accesses": 50}, {"accesses": 0}),
        ],
    )
    def test_among_equally_relevant_ones_the_moving_the_recent_and_the_used_come_first(self, better, worse):
        assert contents(ranked([a_candidate("worse", **worse), a_candidate("better", **better)])) == ["better", "worse"]

    def test_what_was_said_later_may_correct_what_was_said_before_however_long_ago(self):
        long_ago = [a_candidate("before", days=3000), a_candidate("corrected", days=2999)]

        corrected, before = ranked(long_ago, [0.0, -0.1]).memories

        assert (corrected.content, before.content) == ("corrected", "before")

    def test_equal_scores_put_the_newer_first(self):
        only_similarity = RetrievalConfig(similarity=1.0, recency=0.0, emotion=0.0, reinforcement=0.0)
        candidates = [a_candidate(str(days), days=days) for days in (3, 1, 2)]
        relevance = Relevance(np.zeros(3), np.full(3, 0.6), {})

        assert contents(rank(candidates, relevance, OPEN, NOW, only_similarity, limit=9)) == ["1", "2", "3"]


class TestTime:
    THIS_WEEK = Timeframe(since=NOW - timedelta(days=7), until=NOW - timedelta(days=3))

    def test_what_lies_in_the_range_is_lifted_and_what_comes_after_it_is_last(self):
        days = {"long before": 400, "before": 8, "first": 7, "within": 5, "after": 3, "long after": 0}
        candidates = [a_candidate(name, days=ago) for name, ago in days.items()]

        order = contents(ranked(candidates, timeframe=self.THIS_WEEK))

        assert set(order[:2]) == {"first", "within"}  # the range's first moment belongs to it, its end doesn't
        assert order[2] == "before"
        assert set(order[3:]) == {"long before", "after", "long after"}

    def test_a_range_lifts_over_a_good_deal_of_relevance_but_not_over_all(self):
        candidates = [a_candidate("within", days=5), a_candidate("after", days=1)]

        assert contents(ranked(candidates, [-1.0, 1.0], timeframe=self.THIS_WEEK)) == ["within", "after"]
        assert contents(ranked(candidates, [-3.0, 3.0], timeframe=self.THIS_WEEK)) == ["after", "within"]

    @pytest.mark.parametrize(
        ("timeframe", "first"),
        [
            (Timeframe(since=NOW - timedelta(days=5)), "new"),
            (Timeframe(until=NOW - timedelta(days=5)), "old"),
        ],
    )
    def test_a_range_may_be_open_at_either_end(self, timeframe: Timeframe, first: str):
        candidates = [a_candidate("old", days=9), a_candidate("new", days=1)]

        assert contents(ranked(candidates, timeframe=timeframe))[0] == first

    def test_asked_for_the_newest_the_newest_comes_first_among_equally_relevant_ones(self):
        candidates = [a_candidate("old", days=800, emotion=1.0, accesses=100), a_candidate("new", days=700)]

        assert contents(ranked(candidates, [0.3, 0.0], timeframe=NEWEST)) == ["new", "old"]

    def test_asked_for_the_newest_relevance_still_decides_about_the_rest(self):
        candidates = [a_candidate("beside the point", days=0), a_candidate("the point", days=700)]

        assert contents(ranked(candidates, [-2.0, 2.0], timeframe=NEWEST))[0] == "the point"


class TestGate:
    def test_when_even_the_best_says_too_little_nothing_is_returned_but_how_little(self):
        found = ranked([a_candidate(matched=2), a_candidate()], [1.0, -1.0], [0.24, 0.1])

        assert (found.memories, found.total) == ([], 0)
        assert found.relevance == pytest.approx(0.24)

    def test_one_that_says_enough_lets_all_of_them_through(self):
        found = ranked([a_candidate("enough"), a_candidate("little")], [1.0, -1.0], [0.25, 0.0])

        assert contents(found) == ["enough", "little"]
        assert found.relevance == 0.25

    def test_what_can_not_be_judged_yet_passes_with_a_word_of_the_question(self):
        candidates = [a_candidate("judged"), a_candidate("no word"), a_candidate("a word", matched=2)]

        found = ranked(candidates, evidence=[0.1, UNKNOWN, UNKNOWN])

        assert (contents(found), found.total) == (["a word"], 1)
        assert (found.memories[0].relevance, found.memories[0].is_weak) == (None, False)

    def test_what_was_said_in_the_time_asked_about_passes(self):
        candidates = [a_candidate("within", days=1), a_candidate("before", days=9)]

        found = ranked(candidates, evidence=[0.1, 0.1], timeframe=Timeframe(since=NOW - timedelta(days=2)))

        assert contents(found) == ["within"]
        assert found.relevance == pytest.approx(0.1)

    def test_asking_for_the_newest_opens_no_gate(self):
        assert contents(ranked([a_candidate(days=0)], evidence=[0.1], timeframe=NEWEST)) == []

    def test_without_any_evidence_nothing_is_held_back(self):
        found = ranked([a_candidate("one"), a_candidate("two", days=2)], evidence=[UNKNOWN, UNKNOWN])

        assert contents(found) == ["one", "two"]
        assert found.relevance is None

    def test_weak_matches_are_marked(self):
        candidates = [a_candidate(name) for name in ("strong", "border", "weak", "unknown")]

        found = ranked(candidates, [3.0, 2.0, 1.0, 0.0], [0.6, 0.35, 0.34, UNKNOWN])

        assert [memory.is_weak for memory in found.memories] == [False, False, True, False]
        assert [memory.relevance for memory in found.memories] == [0.6, 0.35, pytest.approx(0.34), None]

    def test_borders_are_those_of_the_settings(self):
        relevance = Relevance(np.array([0.0]), np.array([0.5]), {})
        strict, mild = RetrievalConfig(nothing_below=0.6), RetrievalConfig(nothing_below=0.0, weak_below=0.0)

        assert rank([a_candidate()], relevance, OPEN, NOW, strict, limit=9).memories == []
        [memory] = rank([a_candidate()], relevance, OPEN, NOW, mild, limit=9).memories
        assert not memory.is_weak


class TestExplaining:
    def test_unasked_nothing_is_explained(self):
        [memory] = ranked([a_candidate()]).memories

        assert memory.explanation is None

    def test_the_four_parts_sum_to_the_score_and_the_signals_to_the_relevance(self):
        candidates = [a_candidate(emotion=0.3, days=2), a_candidate(accesses=9, days=50)]

        for memory in ranked(candidates, [0.9, -0.9], explain=True).memories:
            parts = memory.explanation
            four = ("similarity", "recency", "emotion", "reinforcement")
            assert parts.keys() == {*four, "relevance", "relevance.pieces", "relevance.words"}
            assert sum(parts[name] for name in four) == pytest.approx(memory.score)
            assert parts["relevance.pieces"] + parts["relevance.words"] == pytest.approx(parts["relevance"])


def test_the_limit_cuts_what_is_returned_and_not_what_is_counted():
    found = ranked([a_candidate(str(n)) for n in range(5)], [5.0, 4.0, 3.0, 2.0, 1.0], limit=2)

    assert (contents(found), found.total) == (["0", "1"], 5)


def test_a_search_by_itself_repeats_what_was_said_twice_but_a_context_does_not():
    candidates = [a_candidate("twice"), a_candidate("Twice!", days=2), a_candidate("once", days=3)]

    assert len(ranked(candidates).memories) == 3
    assert contents(ranked(candidates, shown=[])) == ["twice", "once"]
    said = Memory(user_id="ann", content="once")
    assert contents(ranked(candidates, shown=[said])) == ["twice"]
    assert contents(ranked(candidates, shown=[said], limit=0)) == []


def test_all_of_a_memory_comes_back():
    candidate = a_candidate("all of it", emotion=0.5, accesses=3)

    [memory] = ranked([candidate]).memories

    found = memory.model_dump(exclude={"score", "similarity", "relevance"})
    assert found == {name: candidate.row[name] for name in found}
    assert (memory.similarity, memory.relevance) == (0.5, 0.6)


any_candidate = st.builds(
    a_candidate,
    days=st.floats(-1, 5000),
    emotion=st.floats(0, 1),
    accesses=st.integers(0, 10**6),
    matched=st.integers(0, 3),
)
any_timeframe = st.builds(
    lambda ends, newest: Timeframe(*ends, wants_newest=newest),
    st.tuples(*[st.none() | st.integers(-10, 400).map(lambda days: NOW - timedelta(days=days))] * 2),
    st.booleans(),
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(any_candidate, st.floats(-9, 9), st.just(UNKNOWN) | st.floats(0, 1)), min_size=1, max_size=20),
    any_timeframe,
    st.integers(0, 25),
)
def test_whatever_is_asked_each_comes_back_once_at_most_best_first(found, timeframe: Timeframe, limit: int):
    candidates, fused, evidence = zip(*found, strict=True)

    ranking = ranked(list(candidates), list(fused), list(evidence), timeframe=timeframe, limit=limit, explain=True)

    ids = [memory.id for memory in ranking.memories]
    assert len(ids) == len(set(ids)) == min(limit, ranking.total)
    assert set(ids) <= {candidate.id for candidate in candidates}
    scores = [memory.score for memory in ranking.memories]
    assert np.isfinite(scores).all()
    assert scores == sorted(scores, reverse=True)
    for memory in ranking.memories:
        four = (memory.explanation[name] for name in ("similarity", "recency", "emotion", "reinforcement"))
        assert sum(four) == pytest.approx(memory.score)
    known = [share for share in evidence if not np.isnan(share)]
    assert ranking.relevance == (max(known) if known else None)
    if ranking.relevance is None or ranking.relevance >= RETRIEVAL.nothing_below:
        assert ranking.total == len(candidates)


def test_what_was_said_after_the_time_asked_about_comes_last_also_behind_the_oldest():
    timeframe = Timeframe(since=NOW - timedelta(days=7), until=NOW - timedelta(days=3))
    candidates = [a_candidate(name, days=days) for name, days in {"before": 9, "within": 5, "after": 1}.items()]

    assert contents(ranked(candidates, timeframe=timeframe)) == ["within", "before", "after"]
