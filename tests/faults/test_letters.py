"""`kill -9` between taking a card or a digest and sending it: sent later, by one at a time; a control loses it."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from cortex_core import Memory, MemoryConfig, MemoryManager, PostgresConfig
from cortex_core.knowledge.learning import ProvenClaim
from cortex_core.models import utc_now
from cortex_core.providers.analysis import Claim
from cortex_core.stores.postgres.store import PendingWrite
from tests.faults import letters_process
from tests.faults.letters_process import AT_ANY_HOUR
from tests.harness import PATIENCE, ScriptedEmbedder

RIVALS = 3
PAUSE = timedelta(hours=AT_ANY_HOUR.pause_hours)


@pytest.fixture
async def memory(memory_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    config = memory_config.model_copy(update={"corrections": AT_ANY_HOUR})
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        yield memory


async def contradict(memory: MemoryManager) -> None:
    """Let somebody who wants digests have said two values of what doesn't change, within the week."""
    await memory.change_preferences("ann", wants_digest=True)
    async with memory.postgres.pool.connection() as connection:
        await connection.execute("UPDATE owners SET digest_sent_at = digest_sent_at - interval '7 days'")
    for value in ("first", "second"):
        said = Memory(id=uuid4(), user_id="ann", author_id="ann", content=f"birthday {value}", created_at=utc_now())
        await memory.postgres.write([PendingWrite(said)])
        claim = Claim(attribute="birthday", value=value, confidence=0.9, evidence=(1,))
        await memory._open_parts.facts.learn("ann", [ProvenClaim(claim, (said.id,))], learned_by="rules")


async def take_and_die(config: PostgresConfig, now: datetime, *options: str) -> list[str]:
    """Let a process take what is to be sent, kill it, and return what that was."""
    command = [sys.executable, letters_process.__file__, config.url, now.isoformat(), *options]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, env=environment)
    taken: list[str] = []
    try:
        while (line := (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode().strip()) != "ready":
            assert line, "it ended by itself"
            taken.append(line)
    finally:
        process.kill()
        await process.wait()
    return taken


async def send(memory: MemoryManager, now: datetime) -> list[str]:
    """Send what is to be sent, and return what that was."""
    sent = []
    for keeper in (memory.corrections, memory.digests):
        async for letter in keeper.claim_due(now=now):
            await keeper.note_sent(letter)
            sent.append(type(letter).__name__)
    return sent


async def test_what_was_taken_and_not_sent_is_sent_later(memory: MemoryManager, postgres_config: PostgresConfig):
    await contradict(memory)
    now = utc_now() + timedelta(minutes=1)
    for tries in range(2):
        found = await asyncio.gather(*(take_and_die(postgres_config, now + tries * PAUSE) for _ in range(RIVALS)))
        assert sorted(letter for taken in found for letter in taken) == ["Card", "Digest"], "one of them took each"

    assert await send(memory, now + 2 * PAUSE - timedelta(hours=1)) == []
    assert await send(memory, now + 2 * PAUSE) == ["Card", "Digest"]
    assert await send(memory, now + 4 * PAUSE) == []


async def test_control_what_is_noted_as_sent_before_is_lost(memory: MemoryManager, postgres_config: PostgresConfig):
    await contradict(memory)
    now = utc_now() + timedelta(minutes=1)

    assert await take_and_die(postgres_config, now, "--forgetful") == ["Card", "Digest"]

    assert await send(memory, now + 2 * PAUSE) == []
