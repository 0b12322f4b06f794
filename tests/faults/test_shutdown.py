"""Ends and interruptions: closing drains, the dead are succeeded, cancelling harms nobody else."""

import asyncio
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from cortex_core import MemoryConfig, MemoryManager, NewMemory
from cortex_core.bootstrap import open_parts
from cortex_core.stores.journal import Journal
from tests.harness import Connect, ScriptedEmbedder, eventually


async def test_closing_drains(memory_config: MemoryConfig, connect: Connect):
    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        results = await memory.store_many("ann", [NewMemory(content=f"text {n}") for n in range(300)])
    assert all(result.success for result in results)

    async with connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM memories") == 300
    journal = Journal(memory_config.redis)
    assert await journal.depth() == 0
    await journal.close()


async def test_closing_leaves_no_task_and_no_connection_behind(memory_config: MemoryConfig, connect: Connect):
    before = asyncio.all_tasks()
    for _ in range(5):
        memory = MemoryManager(memory_config, embedder=ScriptedEmbedder())
        await memory.initialize()
        await memory.initialize()
        await memory.store("ann", "text")
        await memory.get_context("ann", "text")
        await memory.close()
        await memory.close()

    assert asyncio.all_tasks() <= before  # others in this loop may have ended meanwhile
    async with connect() as connection:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'cortex'"
        )

        async def nobody_is_left() -> bool:
            return await connection.fetchval(query) == 0

        await eventually(nobody_is_left)


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.01, 0.05])
async def test_closing_right_after_opening_ends(memory_config: MemoryConfig, pause: float):
    for _ in range(3):
        memory = MemoryManager(memory_config, embedder=ScriptedEmbedder())
        await memory.initialize()
        await asyncio.sleep(pause)
        await asyncio.wait_for(memory.close(), 20)


async def test_what_a_dead_consumer_took_is_finished_by_another(memory_config: MemoryConfig):
    ingestion = memory_config.ingestion.model_copy(update={"consumers": 0})
    idle_config = memory_config.model_copy(update={"ingestion": ingestion})
    async with MemoryManager(idle_config, embedder=ScriptedEmbedder()) as memory:
        for n in range(40):
            await memory.store("ann", f"text {n}")
    dead = Journal(memory_config.redis)
    assert len(await dead.read("dead", 40)) == 40
    assert await dead.claim("dead", 1, idle=timedelta(hours=1)) == []
    await dead.close()

    quick = memory_config.ingestion.model_copy(update={"claim_idle_seconds": 0.1})
    config = memory_config.model_copy(update={"ingestion": quick})
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        await asyncio.wait_for(memory.flush(), 20)
        assert await memory.count_memories("ann") == 40


async def test_two_processes_share_one_journal(memory_config: MemoryConfig):
    async with (
        MemoryManager(memory_config, embedder=ScriptedEmbedder()) as one,
        MemoryManager(memory_config, embedder=ScriptedEmbedder()) as other,
    ):
        await asyncio.gather(
            *(
                memory.store("ann", f"{name} {n}")
                for name, memory in (("one", one), ("other", other))
                for n in range(60)
            )
        )
        await one.flush()

        assert await one.count_memories("ann") == await other.count_memories("ann") == 120


async def test_cancelled_calls_leave_no_wrong_answers_and_nothing_behind(memory: MemoryManager):
    dice = random.Random(3)
    users = [f"user-{n}" for n in range(8)]
    for user in users:
        await memory.store(user, f"the canary of {user}")
        await memory.update_identity(user, "canary", user)
    await memory.flush()
    before = asyncio.all_tasks()

    async def cancelled(n: int) -> None:
        user = users[n % len(users)]
        call = memory.store(user, f"text {n} of {user}") if n % 2 else memory.get_context(user, f"the canary of {user}")
        task = asyncio.create_task(call)
        await asyncio.sleep(dice.uniform(0, 0.02))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def checked(n: int) -> None:
        user = users[n % len(users)]
        context = await memory.get_context(user, f"the canary of {user}")
        assert context.identity == {"canary": user}
        said = {m.content for m in (*context.working, *context.retrieved)} - {f"canary: {user}"}
        assert f"the canary of {user}" in said
        assert all(content.endswith(user) for content in said)

    for start in range(0, 200, 20):
        await asyncio.gather(*(cancelled(n) for n in range(start, start + 20)), *(checked(n) for n in range(10)))

    await memory.flush()
    await eventually(lambda: asyncio.all_tasks() <= before)
    redis_pool, postgres_pool = memory.redis.client.connection_pool, memory.postgres.pool._pool
    assert not redis_pool._in_use_connections
    await eventually(lambda: postgres_pool.get_idle_size() == postgres_pool.get_size())
    for n in range(len(users)):
        await checked(n)


async def test_sigterm_of_a_command_drains(memory_config: MemoryConfig, connect: Connect, tmp_path: Path):
    program = tmp_path / "worker.py"
    program.write_text(
        """
import asyncio, signal, sys
from cortex_core import MemoryConfig, MemoryManager, NewMemory
from tests.harness import ScriptedEmbedder

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with MemoryManager(MemoryConfig.model_validate_json(sys.argv[1]), embedder=ScriptedEmbedder()) as memory:
        await memory.store_many("ann", [NewMemory(content=f"text {n}") for n in range(500)])
        print("stored", flush=True)
        await stop.wait()

asyncio.run(main())
"""
    )
    command = [sys.executable, program, memory_config.model_dump_json()]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(Path.cwd()), "PATH": ""}
    )
    assert await process.stdout.readline() == b"stored\n"
    process.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(process.wait(), 30) == 0
    async with connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM memories") == 500


async def test_opening_twice_at_once_opens_once(memory_config: MemoryConfig, monkeypatch: pytest.MonkeyPatch):
    opened = []  # held on to, for what nobody holds closes by itself and would not show

    def open_counted(*args, **kwargs):
        opened.append(open_parts(*args, **kwargs))
        return opened[-1]

    monkeypatch.setattr("cortex_core.opening.open_parts", open_counted)
    before = asyncio.all_tasks()
    memory = MemoryManager(memory_config, embedder=ScriptedEmbedder())
    await asyncio.gather(memory.initialize(), memory.initialize())
    await memory.close()

    assert len(opened) == 1
    assert asyncio.all_tasks() <= before  # others in this loop may have ended meanwhile
