"""Counting and timing: cheap, in buckets, and without a word that anybody said."""

import asyncio
import inspect
import math
import time
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core.errors import InvalidInputError, StoreUnavailableError
from cortex_core.metrics import BUCKETS, Metrics, Operation, Tally, measured

SECONDS = st.floats(min_value=0, max_value=1000, allow_nan=False)


class Reason(StrEnum):
    NOISE = "noise"


class Result:
    def __init__(self, *degraded: Reason) -> None:
        self.degraded = degraded


class Worker:
    """Does what it is told, measured."""

    def __init__(self) -> None:
        self.metrics = Metrics()

    @measured(Operation.SEARCH)
    async def work(self, result: Result | BaseException, *, seconds: float = 0.0) -> Result:
        await asyncio.sleep(seconds)
        if isinstance(result, BaseException):
            raise result
        return result


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        (0, 0),
        (0.0005, 0),
        (0.001, 0),
        (0.0011, 1),
        (0.002, 1),
        (0.004, 2),
        (0.1, 7),
        (524.288, 19),
        (9999, 20),
        (-5, 0),
    ],
)
def test_each_bucket_takes_twice_as_long_as_the_one_before(seconds: float, bucket: int) -> None:
    metrics = Metrics()

    metrics.observe(Operation.STORE, seconds)

    assert [index for index, number in enumerate(metrics.take()["store"].buckets) if number] == [bucket]


def test_what_is_taken_away_starts_anew_and_can_be_put_back() -> None:
    metrics = Metrics()
    metrics.observe(Operation.STORE, 0.003, times=2)
    metrics.fail(Operation.STORE)
    metrics.count(Operation.REJECT, Reason.NOISE)

    taken = metrics.take()

    assert metrics.take() == {}
    assert (taken["store"].count, taken["store"].failures, taken["store"].seconds) == (3, 1, 0.006)
    assert taken["reject: noise"].count == 1
    metrics.observe(Operation.STORE, 0.003)
    metrics.put_back(taken)
    assert metrics.take()["store"] == Tally(4, 1, pytest.approx(0.009), [0, 0, 3, *[0] * (BUCKETS - 3)])


@given(st.lists(SECONDS, min_size=1, max_size=200), st.floats(min_value=0.01, max_value=1))
def test_a_quantile_lies_in_the_bucket_of_the_true_one(times: list[float], share: float) -> None:
    metrics = Metrics()
    for seconds in times:
        metrics.observe(Operation.SEARCH, seconds)

    found = metrics.take()["search"].quantile_ms(share)

    assert found is not None
    true = math.ceil(1000 * sorted(times)[math.ceil(share * len(times)) - 1])
    ceiling = 2.0 ** max(0, true - 1).bit_length()
    assert (ceiling / 2 if ceiling > 1 else 0) <= found <= ceiling or found == 2 ** (BUCKETS - 2) < true


@given(st.lists(SECONDS, min_size=1, max_size=100))
def test_quantiles_never_fall(times: list[float]) -> None:
    metrics = Metrics()
    for seconds in times:
        metrics.observe(Operation.SEARCH, seconds)
    tally = metrics.take()["search"]

    found = [tally.quantile_ms(share / 20) for share in range(1, 21)]

    assert found == sorted(found)


def test_nothing_timed_has_no_quantile_and_no_mean() -> None:
    metrics = Metrics()
    metrics.fail(Operation.SEARCH)

    tally = metrics.take()["search"]

    assert (tally.count, tally.quantile_ms(0.5), tally.mean_ms) == (1, None, None)


def test_what_took_longer_than_all_buckets_counts_as_the_longest() -> None:
    metrics = Metrics()
    metrics.observe(Operation.WRITE, 3600)

    assert metrics.take()["write"].quantile_ms(0.95) == 2**19


async def test_a_measured_method_counts_what_it_took() -> None:
    worker = Worker()

    await worker.work(Result(), seconds=0.01)
    await worker.work(Result(Reason.NOISE))

    tally = worker.metrics.take()["search"]
    assert (tally.count, tally.failures) == (2, 1)
    assert 0.01 <= tally.seconds < 1


async def test_only_what_a_store_or_provider_did_wrong_is_a_failure() -> None:
    worker = Worker()
    for error in (StoreUnavailableError("away"), InvalidInputError("empty"), asyncio.CancelledError()):
        with pytest.raises(type(error)):
            await worker.work(error)

    tally = worker.metrics.take()["search"]

    assert (tally.count, tally.failures, sum(tally.buckets)) == (1, 1, 0)


def test_a_measured_method_keeps_its_name_and_signature() -> None:
    assert Worker.work.__name__ == "work"
    assert list(inspect.signature(Worker.work).parameters) == ["self", "result", "seconds"]


def test_it_costs_next_to_nothing() -> None:
    metrics = Metrics()
    started = time.perf_counter()

    for _ in range(10_000):
        metrics.observe(Operation.SEARCH, 0.0123)

    assert (time.perf_counter() - started) / 10_000 < 20e-6
