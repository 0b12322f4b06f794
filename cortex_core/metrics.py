"""Counts and times what this process does. Whatever is counted has a name from here: no text and no id gets in."""

import functools
import math
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from cortex_core.errors import ProviderError, StoreError

BUCKETS = 21
"""The first ones hold what took up to 1, 2, 4 … 524,288 ms, the last one what took longer."""


class Operation(StrEnum):
    """What is counted."""

    STORE = "store"
    """A memory was acknowledged; it failed where no store took it."""
    WRITE = "write"
    """An acknowledged memory reached Postgres; its time counts from the acknowledgement."""
    CONTEXT = "context"
    """What is known for a turn was put together; it failed where something had to be left out."""
    LOOK_UP = "look up"
    """Of the contexts, those that looked for memories."""
    FIND = "find"
    """Of those, the ones that found some."""
    REJECT = "reject"
    """Of the contexts, those that looked for nothing or left out what they found, by the reason."""
    SEARCH = "search"
    """Somebody searched on purpose."""
    LEARN = "learn"
    """Rules read a memory for what it says of its author."""
    ANALYSE = "analyse"
    """A language model read one."""
    ASK = "ask"
    """It answered what it was asked about some of them."""
    POSTPONE = "postpone"
    """It could not be asked about some, or its answer not be read, and they were left for later."""
    LEAVE = "leave"
    """A memory was left to the rules, having waited too long for a call to be paid for."""
    GIVE_UP = "give up"
    """A memory gave nothing but answers that can't be read or kept."""


@dataclass(slots=True)
class Tally:
    """How often something was done, how it went and how long it took.

    Attributes:
        count: How often it was tried.
        failures: How often of these it failed.
        seconds: What those took altogether that were timed.
        buckets: How often it took how long, as `BUCKETS` tells; shorter where the last ones are empty.
    """

    count: int = 0
    failures: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def add(self, other: "Tally") -> None:
        """Add what was counted elsewhere."""
        self.count += other.count
        self.failures += other.failures
        self.seconds += other.seconds
        for index, number in enumerate(other.buckets):
            self.buckets[index] += number

    @property
    def mean_ms(self) -> float | None:
        """How long it took on average; None if nothing was timed."""
        timed = sum(self.buckets)
        return 1000 * self.seconds / timed if timed else None

    def quantile_ms(self, share: float) -> float | None:
        """Return within how many milliseconds that share of them was done; None if nothing was timed.

        Within a bucket they are taken to be spread evenly, so that it is less than a factor of two off.
        """
        rank = share * sum(self.buckets)
        below = 0
        for index, number in enumerate(self.buckets):
            if number and below + number >= rank:
                floor = 0.0 if index == 0 else 2.0 ** (index - 1)
                ceiling = floor if index == BUCKETS - 1 else 2.0**index
                return floor + (ceiling - floor) * (rank - below) / number
            below += number
        return None


class Metrics:
    """What was counted since it was last taken away; for one event loop."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def count(self, operation: Operation, reason: StrEnum | None = None, *, times: int = 1) -> None:
        """Note that something was done, and why where that has several reasons."""
        self._tally(operation if reason is None else name_with_reason(operation, reason)).count += times

    def observe(self, operation: Operation, seconds: float, *, times: int = 1, has_failed: bool = False) -> None:
        """Note that something was done, or tried, so many times and took that long each time."""
        tally = self._tally(operation)
        tally.count += times
        tally.failures += times * has_failed
        tally.seconds += times * seconds
        tally.buckets[_bucket_of(seconds)] += times

    def fail(self, operation: Operation) -> None:
        """Note that something failed before there was anything to time."""
        tally = self._tally(operation)
        tally.count += 1
        tally.failures += 1

    def take(self) -> dict[str, Tally]:
        """Take everything away, by the name of the operation."""
        taken, self._tallies = self._tallies, {}
        return taken

    def put_back(self, taken: Mapping[str, Tally]) -> None:
        """Add what was taken away and could not be kept."""
        for name, tally in taken.items():
            self._tally(name).add(tally)

    def _tally(self, name: str) -> Tally:
        tally = self._tallies.get(name)
        if tally is None:
            tally = self._tallies[name] = Tally()
        return tally


def name_with_reason(operation: Operation, reason: str) -> str:
    """Return the name under which an operation is counted that was done for this reason."""
    return f"{operation}: {reason}"


def _bucket_of(seconds: float) -> int:
    milliseconds = math.ceil(max(0.0, seconds) * 1000)  # clocks of two machines may differ
    return min(max(0, milliseconds - 1).bit_length(), BUCKETS - 1)


class Measured(Protocol):
    """Whose methods may be `measured`."""

    metrics: Metrics


class Answer(Protocol):
    """What tells that it had to do without something."""

    @property
    def degraded(self) -> Sequence[StrEnum]:
        """What that was."""


_SelfT = TypeVar("_SelfT", bound=Measured)
_P = ParamSpec("_P")
_AnswerT = TypeVar("_AnswerT", bound=Answer)
_Method = Callable[Concatenate[_SelfT, _P], Coroutine[Any, Any, _AnswerT]]


def measured(operation: Operation) -> Callable[[_Method[_SelfT, _P, _AnswerT]], _Method[_SelfT, _P, _AnswerT]]:
    """Make a method count and time itself.

    It failed where a store or provider did, and where its answer is degraded. What its caller did wrong isn't counted.
    """

    def decorate(method: _Method[_SelfT, _P, _AnswerT]) -> _Method[_SelfT, _P, _AnswerT]:
        @functools.wraps(method)
        async def measure(self: _SelfT, /, *args: _P.args, **kwargs: _P.kwargs) -> _AnswerT:
            started = time.perf_counter()
            try:
                answer = await method(self, *args, **kwargs)
            except (StoreError, ProviderError):
                self.metrics.fail(operation)
                raise
            self.metrics.observe(operation, time.perf_counter() - started, has_failed=bool(answer.degraded))
            return answer

        return measure

    return decorate
