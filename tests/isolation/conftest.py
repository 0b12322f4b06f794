import asyncio
from collections.abc import Iterator

import pytest

from cortex_core import MemoryConfig
from cortex_core.stores.embedded import EmbeddedServers
from tests.conftest import empty_database, empty_key_space
from tests.isolation.arena import Arena


@pytest.fixture(scope="module")
def arena(servers: EmbeddedServers, numbers: Iterator[int]) -> Iterator[Arena]:
    """A memory on an event loop of its own, for tests that aren't coroutines."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        number = next(numbers)
        postgres = runner.run(empty_database(servers, f"isolation_{number}"))
        redis = runner.run(empty_key_space(servers, 1 + number % 1023))
        arena = Arena(runner, MemoryConfig(postgres=postgres, redis=redis))
        runner.run(arena.open())
        yield arena
        runner.run(arena.close())
