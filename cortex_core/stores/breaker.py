"""Circuit breaker: while a server is known to be away, calls fail at once instead of waiting for a time-out each."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from cortex_core.errors import StoreDataError, StoreUnavailableError

_FAILURES = 3
_WINDOW_SECONDS = 5.0
_PROBE_SECONDS = 1.0


class Breaker:
    """Opens after three failures within five seconds; then one call a second may probe until one succeeds."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._failures: deque[float] = deque(maxlen=_FAILURES)
        self._next_probe = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the server is taken to be away."""
        return len(self._failures) == _FAILURES and self._failures[-1] - self._failures[0] < _WINDOW_SECONDS

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Watch a call, or refuse it.

        Raises:
            StoreUnavailableError: The server is taken to be away and it isn't time to probe.
        """
        now = time.monotonic()
        if self.is_open:
            if now < self._next_probe:
                raise StoreUnavailableError(f"{self._server} is away; it is asked again within a second.")
            self._next_probe = now + _PROBE_SECONDS
        try:
            yield
        except StoreUnavailableError:
            self._failures.append(time.monotonic())
            self._next_probe = time.monotonic() + _PROBE_SECONDS
            raise
        except StoreDataError:
            self._failures.clear()  # a server that refuses something is there
            raise
        else:
            self._failures.clear()
