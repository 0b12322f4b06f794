"""Rival consolidators in processes of their own, some of which freeze for longer than their lease lasts."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from cortex_core import Memory, PostgresConfig, PostgresStore
from tests.faults import consolidator_process
from tests.faults.consolidator_process import LEASE, NOW
from tests.harness import PATIENCE, ScriptedEmbedder

RIVALS = 3
EPISODES = 10


@dataclass
class Rival:
    """One process, and what it told."""

    process: Process
    told: list[str] = field(default_factory=list)

    async def hear(self) -> str:
        line = (await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)).decode().strip()
        assert line, "it ended"
        self.told.append(line)
        return line

    def begin(self, owner: str, *, freezes: bool) -> None:
        self.told.clear()
        self.process.stdin.write(f"{'freeze ' if freezes else ''}{owner}\n".encode())


@dataclass
class Outcome:
    """What came of all rounds."""

    rounds: int = 0
    frozen: int = 0
    refused: int = 0
    stale_commits: int = 0
    wrong: list[str] = field(default_factory=list)


@asynccontextmanager
async def rivals(config: PostgresConfig, *options: str) -> AsyncIterator[list[Rival]]:
    command = [sys.executable, consolidator_process.__file__, config.url, *options]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    started = [
        Rival(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environment))
        for _ in range(RIVALS)
    ]
    try:
        for rival in started:
            assert await rival.hear() == "ready"
        yield started
    finally:
        for rival in started:
            rival.process.kill()  # also what is frozen
            await rival.process.wait()


async def fight(store: PostgresStore, config: PostgresConfig, rounds: int, *options: str) -> Outcome:
    outcome = Outcome(rounds)
    async with rivals(config, *options) as fighters:
        for number in range(rounds):
            await fight_round(store, fighters, f"owner-{number}", number, outcome)
    return outcome


async def fight_round(store: PostgresStore, fighters: list[Rival], owner: str, number: int, outcome: Outcome) -> None:
    episodes = [
        Memory(user_id=owner, content=f"Thing {i} of {owner}.", created_at=NOW - timedelta(days=60, minutes=i))
        for i in range(EPISODES)
    ]
    for episode in episodes:
        await store.store(episode)
    for rival in fighters:
        rival.begin(owner, freezes=number % 2 == 1)
    # A frozen one wakes up while the next holder is at work, or after that has committed.
    fought = Fight(outcome, asyncio.Event(), asyncio.Event(), wakes_early=number % 4 == 1)
    async with asyncio.TaskGroup() as group:
        for rival in fighters:
            group.create_task(fought.follow(rival))
    await check(store, owner, episodes, outcome)


@dataclass
class Fight:
    """One round."""

    outcome: Outcome
    taken_over: asyncio.Event
    committed: asyncio.Event
    wakes_early: bool

    async def follow(self, rival: Rival) -> None:
        """Listen to a process until it has done its part."""
        while True:
            match (await rival.hear()).split():
                case ["holds", epoch] if int(epoch) > 1:
                    self.taken_over.set()
                case ["frozen"]:
                    await self._wake(rival)
                case ["done", summaries]:
                    self._note_end(rival, int(summaries))
                    return
                case ["refused"]:
                    self.outcome.refused += 1
                    return

    async def _wake(self, rival: Rival) -> None:
        self.outcome.frozen += 1
        event = self.taken_over if self.wakes_early else self.committed
        await asyncio.wait_for(event.wait(), PATIENCE)
        rival.process.send_signal(signal.SIGCONT)

    def _note_end(self, rival: Rival, summaries: int) -> None:
        if summaries:
            self.committed.set()
        if "frozen" in rival.told:
            self.outcome.stale_commits += 1


async def check(store: PostgresStore, owner: str, episodes: list[Memory], outcome: Outcome) -> None:
    """Every episode is archived, and stands behind one summary."""
    kept = await store.get_memories(owner, status=None)
    summaries = [memory for memory in kept if memory.source == "compaction"]
    covered = [source.id for s in summaries for source in await store.derivations.list_sources(owner, s.id)]
    archived = [memory.id for memory in kept if memory.status == "archived"]
    ids = sorted(episode.id for episode in episodes)
    if not (sorted(covered) == sorted(archived) == ids and len(summaries) == 1):
        outcome.wrong.append(owner)


@pytest.fixture
async def store(postgres_config: PostgresConfig) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_config)
    await store.connect()
    await store.vectors.open_space(ScriptedEmbedder.model, ScriptedEmbedder.dimensions)
    yield store
    await store.close()


@pytest.mark.parametrize("rounds", [6, pytest.param(100, marks=pytest.mark.slow)])
async def test_each_source_is_summarised_once_and_stale_epochs_are_refused(
    store: PostgresStore, postgres_config: PostgresConfig, rounds: int
):
    outcome = await fight(store, postgres_config, rounds)

    report(outcome, "with epochs")
    assert outcome.wrong == []
    assert outcome.frozen == rounds // 2
    assert outcome.refused >= outcome.frozen
    assert outcome.stale_commits == 0


async def test_the_control_without_epochs_is_caught(store: PostgresStore, postgres_config: PostgresConfig):
    outcome = await fight(store, postgres_config, 4, "--unfenced")

    report(outcome, "control without epochs")
    assert outcome.frozen == 2
    assert outcome.stale_commits == 2


def report(outcome: Outcome, what: str) -> None:
    print(  # noqa: T201  figures for whoever reads the run
        f"\n{what}: {outcome.rounds} rounds of {RIVALS} processes, {outcome.frozen} frozen beyond their lease of "
        f"{LEASE.total_seconds():g} s, {outcome.refused} refused, {outcome.stale_commits} stale commits, "
        f"{len(outcome.wrong)} wrong"
    )
