"""The TDD's formulas (3.2, 3.3, 3.5) at the values that it names."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core import (
    ConfigError,
    Memory,
    MemoryType,
    RetrievalWeights,
    calculate_importance,
    calculate_retrieval_score,
    calculate_ttl,
)
from cortex_core.scoring import calculate_recency

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_memory(*, emotion: float = 0.0, hours: float = 0.0, accesses: int = 0, of_type: str = "episodic") -> Memory:
    return Memory(
        user_id="ann",
        content="text",
        memory_type=MemoryType(of_type),
        emotional_score=emotion,
        created_at=NOW - timedelta(hours=hours),
        access_count=accesses,
    )


@pytest.mark.parametrize(("emotion", "hours"), [(0.0, 0.5), (0.2, 1.6), (0.5, 3.25), (0.8, 4.9), (1.0, 6.0)])
def test_emotion_stretches_working_memory_as_the_table_says(emotion: float, hours: float):
    assert calculate_ttl(emotion) == pytest.approx(hours * 3600, abs=1)


def test_the_time_to_live_follows_the_base():
    assert calculate_ttl(1.0, base_ttl=60) == 720


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_emotion_never_fades_sooner(one: float, other: float):
    assert (calculate_ttl(one) <= calculate_ttl(other)) or one > other


def test_recency_is_one_now_and_falls_with_the_logarithm_of_hours():
    assert calculate_recency(NOW, NOW) == 1.0
    assert calculate_recency(NOW - timedelta(hours=1), NOW) == pytest.approx(0.5906, abs=1e-4)


def test_what_is_said_to_be_from_the_future_counts_as_now():
    assert calculate_recency(NOW + timedelta(days=400), NOW) == 1.0


def test_the_retrieval_score_is_the_weighted_sum():
    memory = a_memory(emotion=0.5, hours=1, accesses=10)

    score = calculate_retrieval_score(memory, 0.9, NOW)

    assert score == pytest.approx(0.40 * 0.9 + 0.25 * 0.5906 + 0.20 * 0.5 + 0.15 * 0.2398, abs=1e-4)


def test_reinforcement_is_bounded():
    often, absurdly_often = a_memory(accesses=30_000), a_memory(accesses=10**9)

    assert calculate_retrieval_score(often, 0, NOW) == calculate_retrieval_score(absurdly_often, 0, NOW)


def test_own_weights_are_used():
    only_similarity = RetrievalWeights(similarity=1, recency=0, emotion=0, reinforcement=0)

    assert calculate_retrieval_score(a_memory(emotion=1), 0.3, NOW, only_similarity) == pytest.approx(0.3)


@pytest.mark.parametrize("weights", [(0.5, 0.5, 0.5, 0.5), (1.2, -0.2, 0, 0), (0, 0, 0, 0)])
def test_weights_that_are_not_shares_of_one_are_refused(weights: tuple[float, float, float, float]):
    with pytest.raises(ConfigError, match="sum to 1"):
        RetrievalWeights(*weights)


@pytest.mark.parametrize(
    ("of_type", "share"), [("identity", 1.0), ("semantic", 0.8), ("episodic", 0.6), ("working", 0.4), ("session", 0.3)]
)
def test_importance_weighs_the_type(of_type: str, share: float):
    assert calculate_importance(a_memory(of_type=of_type), NOW) == pytest.approx(0.2 + 0.2 * share)


@given(st.floats(0, 1), st.floats(0, 1e6), st.integers(0, 10**9), st.sampled_from(list(MemoryType)))
def test_importance_is_a_share(emotion: float, hours: float, accesses: int, of_type: MemoryType):
    memory = a_memory(emotion=emotion, hours=hours, accesses=accesses, of_type=of_type)

    assert 0 <= calculate_importance(memory, NOW) <= 1
