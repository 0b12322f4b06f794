"""The circuit breaker, with a clock that the test sets."""

import pytest

from cortex_core import StoreDataError, StoreUnavailableError
from cortex_core.stores import breaker as module
from cortex_core.stores.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def breaker(clock: Clock) -> Breaker:  # noqa: ARG001  it has to be set first
    return Breaker("Redis")


def call(breaker: Breaker, outcome: Exception | None = None) -> bool:
    """Tell whether the call was let through."""
    passed = False
    try:
        with breaker.guard():
            passed = True
            if outcome:
                raise outcome
    except (StoreUnavailableError, StoreDataError):
        pass
    return passed


def fail(breaker: Breaker) -> bool:
    return call(breaker, StoreUnavailableError("away"))


def test_three_failures_within_five_seconds_open_it(breaker: Breaker, clock: Clock):
    for _ in range(3):
        assert not breaker.is_open
        assert fail(breaker)
        clock.now += 2

    assert breaker.is_open


def test_failures_far_apart_do_not(breaker: Breaker, clock: Clock):
    for _ in range(9):
        assert fail(breaker)
        clock.now += 3

    assert not breaker.is_open


def test_a_success_in_between_starts_the_count_anew(breaker: Breaker):
    for _ in range(5):
        assert fail(breaker)
        assert fail(breaker)
        assert call(breaker)

    assert not breaker.is_open


@pytest.fixture
def open_breaker(breaker: Breaker) -> Breaker:
    for _ in range(3):
        fail(breaker)
    return breaker


def test_an_open_one_refuses_at_once_with_a_sentence(open_breaker: Breaker):
    with pytest.raises(StoreUnavailableError, match="Redis is away"), open_breaker.guard():
        pytest.fail("it was let through")


def test_one_call_a_second_may_probe(open_breaker: Breaker, clock: Clock):
    clock.now += 1.01
    passed = [fail(open_breaker) for _ in range(5)]
    clock.now += 1.01
    passed += [fail(open_breaker) for _ in range(5)]

    assert passed == [True, *[False] * 4] * 2


def test_while_a_probe_is_on_its_way_others_are_refused(open_breaker: Breaker, clock: Clock):
    clock.now += 1.01
    with open_breaker.guard():
        assert not call(open_breaker)


def test_a_probe_that_succeeds_closes_it(open_breaker: Breaker, clock: Clock):
    clock.now += 1.01

    assert call(open_breaker)
    assert all(call(open_breaker) for _ in range(5))


def test_a_refusal_of_data_is_no_failure(breaker: Breaker):
    for _ in range(5):
        call(breaker, StoreDataError("refused"))

    assert not breaker.is_open


def test_a_server_that_refuses_the_probes_data_is_there(open_breaker: Breaker, clock: Clock):
    clock.now += 1.01
    call(open_breaker, StoreDataError("refused"))

    assert not open_breaker.is_open
