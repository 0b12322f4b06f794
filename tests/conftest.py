"""The real servers that all tests share: one pair per run, a fresh database and key space per test."""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio as redis

from cortex_core import MemoryConfig, MemoryManager, PostgresConfig, RedisConfig
from cortex_core.providers.local import LocalEmbedder
from cortex_core.stores.embedded import EmbeddedServers
from cortex_core.stores.schema import migrate
from tests.harness import Connect, passable_folder

_TEMPLATE = "cortex_template"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the settings of whoever runs the tests out of their way."""
    for name in os.environ:
        if name.upper().startswith("CORTEX_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """A data folder that the account of root's servers can pass, unlike pytest's own."""
    with passable_folder() as path:
        yield path


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """An empty folder, in the place of pytest's own, which root's embedded servers could not enter."""
    with passable_folder() as path:
        yield path


@pytest.fixture(scope="session")
async def servers(servers_dir: Path) -> AsyncIterator[EmbeddedServers]:
    """One PostgreSQL, with a migrated template database, and one Valkey for the whole run."""
    async with await EmbeddedServers.open(servers_dir) as servers:
        await administer(servers, f"CREATE DATABASE {_TEMPLATE}")
        await migrate(url_of(servers, _TEMPLATE))
        yield servers


@pytest.fixture(scope="session")
async def embedder() -> AsyncIterator[LocalEmbedder]:
    """The model, loaded once per run."""
    embedder = await LocalEmbedder.open()
    yield embedder
    await embedder.close()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Numbers that no other test of this run gets."""
    return itertools.count()


@pytest.fixture
async def redis_config(servers: EmbeddedServers, numbers: Iterator[int]) -> RedisConfig:
    """Settings for an empty key space."""
    return await empty_key_space(servers, 1 + next(numbers) % 1023)


@pytest.fixture
async def postgres_config(servers: EmbeddedServers, numbers: Iterator[int]) -> AsyncIterator[PostgresConfig]:
    """Settings for a migrated, empty database."""
    name = f"test_{next(numbers)}"
    yield await empty_database(servers, name)
    await administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def memory_config(redis_config: RedisConfig, postgres_config: PostgresConfig) -> MemoryConfig:
    """The default settings with an empty database and an empty key space."""
    return MemoryConfig(postgres=postgres_config, redis=redis_config)


@pytest.fixture(scope="session")
async def shared_config(servers: EmbeddedServers) -> MemoryConfig:
    """For tests whose ids keep them apart: one database and key space for all of them."""
    return MemoryConfig(postgres=await empty_database(servers, "shared"), redis=await empty_key_space(servers, 0))


@pytest.fixture
async def memory(memory_config: MemoryConfig, embedder: LocalEmbedder) -> AsyncIterator[MemoryManager]:
    """An open memory that nobody else uses."""
    async with MemoryManager(memory_config, embedder=embedder) as memory:
        yield memory


@pytest.fixture
def connect(postgres_config: PostgresConfig) -> Connect:
    """Opens raw connections to the test's database."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(postgres_config.url)
        try:
            yield connection
        finally:
            await connection.close()

    return connect


@pytest.fixture
async def raw_redis(redis_config: RedisConfig) -> AsyncIterator[redis.Redis]:
    """A plain client of the test's key space."""
    async with redis.Redis.from_url(redis_config.url) as client:
        yield client


def url_of(servers: EmbeddedServers, database: str) -> str:
    return servers.database_url.replace("@/cortex?", f"@/{database}?")


async def empty_database(servers: EmbeddedServers, name: str) -> PostgresConfig:
    await administer(servers, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    return PostgresConfig(url=url_of(servers, name), acquire_timeout_seconds=2.0, statement_timeout_seconds=10.0)


async def empty_key_space(servers: EmbeddedServers, number: int) -> RedisConfig:
    url = f"{servers.redis_url}?db={number}"
    async with redis.Redis.from_url(url) as client:
        await client.flushdb()
    return RedisConfig(url=url, timeout_seconds=2.0)  # a busy machine must not look like an outage


async def administer(servers: EmbeddedServers, statement: str) -> None:
    connection = await asyncpg.connect(servers.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
