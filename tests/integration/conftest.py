"""What several of these tests open by itself: the stores, and a language model that says what a test tells it to."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from cortex_core import MemoryConfig, MemoryManager, PostgresConfig, PostgresStore, RedisConfig, RedisStore
from cortex_core.config import LearningConfig
from cortex_core.providers.openai_llm import OpenAIChat
from tests.harness import ScriptedEmbedder
from tests.openai_server import ScriptedOpenAI


@pytest.fixture
async def postgres(postgres_config: PostgresConfig) -> AsyncIterator[PostgresStore]:
    """An empty database, without a space for vectors."""
    postgres = PostgresStore(postgres_config)
    await postgres.connect()
    yield postgres
    await postgres.close()


@pytest.fixture
async def store(postgres: PostgresStore) -> PostgresStore:
    """An empty database for the vectors of the scripted embedder."""
    await postgres.vectors.open_space(ScriptedEmbedder.model, ScriptedEmbedder.dimensions)
    return postgres


@pytest.fixture
async def redis(redis_config: RedisConfig) -> AsyncIterator[RedisStore]:
    """An empty key space."""
    redis = RedisStore(redis_config)
    await redis.connect()
    yield redis
    await redis.close()


@pytest.fixture
async def silent(memory_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    """A memory whose own analysts are silent: it learns what it is told to learn."""
    config = memory_config.model_copy(update={"learning": LearningConfig(enabled=False)})
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        yield memory


@pytest.fixture
async def server() -> AsyncIterator[ScriptedOpenAI]:
    """A server of language models."""
    async with ScriptedOpenAI.running() as server:
        yield server


@pytest.fixture
async def chat(server: ScriptedOpenAI) -> AsyncIterator[OpenAIChat]:
    """Its client."""
    chat = OpenAIChat.open(model="scripted", base_url=server.base_url, api_key=SecretStr(""), timeout_seconds=5)
    yield chat
    await chat.close()
