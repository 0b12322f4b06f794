"""What a digest tells, against a real server: all that was learned, once, whatever was going on meanwhile."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from cortex_core import MemoryConfig, MemoryManager, MemoryType
from cortex_core.consolidation.runs import RunKeeper
from cortex_core.knowledge.learning import ProvenClaim
from cortex_core.models import utc_now
from cortex_core.providers.analysis import Claim
from tests.harness import ScriptedEmbedder

WEEK = timedelta(days=7)


@pytest.fixture
async def memory(memory_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        yield memory


async def test_what_a_run_learns_while_one_is_told_stands_in_the_next(memory: MemoryManager):
    before, facts = utc_now() - WEEK, memory._open_parts.facts
    said = await memory.store("ann", "Tea, please.", memory_type=MemoryType.SEMANTIC)
    await memory.flush()

    async def learn(value: str) -> None:
        claim = Claim(attribute="likes", value=value, confidence=0.9, evidence=(1,))
        proven = ProvenClaim(claim, (UUID(said.memory_id),))
        async with run.committing() as connection:
            await facts.learn_within(connection, "ann", [proven], learned_by="scripted", run_id=run.id)

    keeper = RunKeeper(memory.postgres)
    async with keeper.holding("ann") as lease, keeper.running(lease, "patterns") as run:
        await learn("tea")
        told = utc_now()
        first = await memory.digests.get("ann", since=before, until=told)
        await learn("milk")
    second = await memory.digests.get("ann", since=told, until=utc_now())

    assert sorted(news.fact.value for digest in (first, second) for news in digest.news) == ["milk", "tea"]
