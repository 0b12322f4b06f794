from collections.abc import AsyncIterator

import pytest

from cortex_core.providers.local import LocalEmbedder
from tests.openai_server import ScriptedOpenAI


@pytest.fixture(scope="session")
async def local_embedder() -> AsyncIterator[LocalEmbedder]:
    embedder = await LocalEmbedder.open()
    yield embedder
    await embedder.close()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedOpenAI]:
    async with ScriptedOpenAI.running() as server:
        yield server
