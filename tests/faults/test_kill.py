"""`kill -9` under load: nothing that was acknowledged is lost, nothing is there twice; a control does lose."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cortex_core import EmbeddedConfig, MemoryConfig, MemoryManager
from tests.faults import writer_process
from tests.harness import ScriptedEmbedder, eventually, passable_folder

SEED = 20260101


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was left after the kills."""

    kills: int
    acknowledged: int
    lost: int
    doubled: int
    dead_letters: int

    @classmethod
    def of(cls, kills: int, acknowledged: set[str], stored: list[str], dead_letters: int) -> "Outcome":
        lost, doubled = acknowledged - set(stored), len(stored) - len(set(stored))
        return cls(kills, len(acknowledged), len(lost), doubled, dead_letters)


class Killer:
    """Starts writers one after the other and kills each after a random time under load."""

    def __init__(self, config: MemoryConfig, folder: Path, *options: str) -> None:
        self._config = config.model_copy(
            update={"ingestion": config.ingestion.model_copy(update={"claim_idle_seconds": 0.5})}
        )
        self._path = folder / "acknowledged"
        self._options = options
        self._dice = random.Random(SEED)

    async def run(self, kills: int) -> None:
        for number in range(kills):
            await self._run_one(f"p{number}", self._dice.uniform(0.02, 0.35))

    async def _run_one(self, name: str, seconds: float) -> None:
        before = self._size()
        arguments = [self._config.model_dump_json(), name, str(self._path), *self._options]
        process = subprocess.Popen(  # noqa: ASYNC220  forking takes a millisecond
            [sys.executable, writer_process.__file__, *arguments],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.DEVNULL,
        )
        await eventually(lambda: self._size() > before or process.poll() is not None, seconds=60)
        await asyncio.sleep(seconds)
        assert process.poll() is None, "it ended by itself"
        process.kill()
        await asyncio.to_thread(process.wait)

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def acknowledged(self) -> set[str]:
        complete, _, _ = self._path.read_text().rpartition("\n")
        return set(complete.splitlines())

    async def outcome(self, kills: int) -> Outcome:
        """Let another process write what was left, then compare."""
        async with MemoryManager(self._config, embedder=ScriptedEmbedder()) as memory:
            await memory.flush()
            dead_letters = await memory.postgres.dead_letters.count()
            async with memory.postgres.pool.connection() as connection:
                stored = [row["content"] for row in await connection.fetch("SELECT content FROM memories")]
        return Outcome.of(kills, self.acknowledged(), stored, dead_letters)


def report(outcome: Outcome, what: str) -> None:
    print(  # noqa: T201  figures for whoever reads the run
        f"\n{what}, seed {SEED}: {outcome.kills} kills, {outcome.acknowledged} acknowledged, {outcome.lost} lost, "
        f"{outcome.doubled} doubled"
    )


@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.slow)])
async def test_no_acknowledged_write_is_lost_or_doubled(memory_config: MemoryConfig, tmp_path: Path, kills: int):
    killer = Killer(memory_config, tmp_path)
    await killer.run(kills)

    outcome = await killer.outcome(kills)

    report(outcome, "journal")
    assert outcome.acknowledged > 20 * kills
    assert (outcome.lost, outcome.doubled, outcome.dead_letters) == (0, 0, 0)


async def test_the_control_loses(memory_config: MemoryConfig, tmp_path: Path):
    killer = Killer(memory_config, tmp_path, "--queue")
    await killer.run(3)

    outcome = await killer.outcome(3)

    report(outcome, "control")
    assert outcome.lost > 0


@pytest.fixture
def own_folder() -> Iterator[Path]:
    with passable_folder() as path:
        yield path


async def test_servers_that_go_down_with_the_process_lose_nothing_either(own_folder: Path, tmp_path: Path):
    config = MemoryConfig(embedded=EmbeddedConfig(data_dir=own_folder))
    killer = Killer(config, tmp_path)
    await killer.run(3)

    outcome = await killer.outcome(3)

    report(outcome, "journal, embedded servers of its own")
    assert outcome.acknowledged > 20  # some work was done, however slow the machine
    assert (outcome.lost, outcome.doubled, outcome.dead_letters) == (0, 0, 0)
