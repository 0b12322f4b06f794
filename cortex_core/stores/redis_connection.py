"""How Redis is reached: a client that gives up in time, and the one place that translates redis-py's errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from cortex_core.background import heed_cancellation
from cortex_core.config import RedisConfig
from cortex_core.errors import StoreDataError, StoreUnavailableError


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise redis-py's and the network's errors as Cortex's own, and a cancellation that redis-py swallowed.

    Raises:
        StoreUnavailableError: Redis is away, too slow, read-only or out of memory.
        StoreDataError: Redis refused the command.
    """
    try:
        with heed_cancellation():
            yield
    except (AuthenticationError, NoPermissionError) as error:
        raise StoreDataError(f"Redis refused the login ({type(error).__name__}); check redis.url.") from None
    except (OutOfMemoryError, ReadOnlyError, MasterDownError) as error:
        raise StoreUnavailableError(f"Redis can't write now ({type(error).__name__}); try again later.") from None
    except ResponseError as error:
        code = str(error).split(" ", 1)[0]
        if code in {"LOADING", "MISCONF", "BUSY", "NOREPLICAS"}:
            raise StoreUnavailableError(f"Redis can't write now ({code}); try again later.") from None
        if code == "NOGROUP" or str(error) == "no such key":  # once more, right after the journal was made anew
            raise StoreUnavailableError("Redis has just lost its data; try again later.") from None
        raise StoreDataError(f"Redis refused the command ({code}).") from None
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailableError(
            f"Redis can't be reached ({type(error).__name__}); check that it runs and that redis.url is right."
        ) from None


def connect(config: RedisConfig, *, timeout: timedelta | None = None) -> redis.Redis:
    """Return a client that gives up in time and repeats nothing by itself: a repeated XADD would be a second entry.

    Args:
        config: Where and how.
        timeout: How long to wait for an answer, for calls that block on purpose.
    """
    pool = redis.BlockingConnectionPool.from_url(
        config.url,
        max_connections=config.max_connections,
        timeout=config.timeout_seconds,
        socket_timeout=timeout.total_seconds() if timeout else config.timeout_seconds,
        socket_connect_timeout=config.timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )
    return redis.Redis.from_pool(pool)


def as_text(value: object) -> str:
    """Decode what the client, which leaves bytes alone for the vectors' sake, hands out."""
    return value.decode() if isinstance(value, bytes) else str(value)
