"""A process that compacts one owner after the other, as it is told on its standard input, and tells what it does.

A line is the owner's name. After "freeze" the first who holds the lease stops itself (SIGSTOP) while the model words
the summary, for longer than the lease lasts. With `--unfenced` it is a deliberately broken consolidator, which commits
without looking at its epoch.
"""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel

from cortex_core import PostgresConfig, PostgresStore
from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.compaction import CompactionJob
from cortex_core.consolidation.runs import RunKeeper
from cortex_core.errors import LeaseLostError
from cortex_core.prompts import Prompt
from cortex_core.prompts.compaction import WeekSummary
from cortex_core.stores.postgres.leases import Lease, Leases
from tests.harness import ScriptedEmbedder

LEASE = timedelta(seconds=0.4)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
_THINKS_SECONDS = 0.15
_LOOKS_AGAIN_SECONDS = 0.03


class SlowModel:
    """A language model that takes its time."""

    model = "slow"
    freezes = False

    async def ask(self, _prompt: Prompt, _shape: type[BaseModel], **_: object) -> WeekSummary:
        if self.freezes:
            tell("frozen")
            os.kill(os.getpid(), signal.SIGSTOP)
        await asyncio.sleep(_THINKS_SECONDS)
        return WeekSummary(summary="A week in a sentence.")


def tell(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def compact(postgres: PostgresStore, job: CompactionJob, model: SlowModel, owner: str, *, freezes: bool) -> None:
    """Compact an owner as soon as nobody else does, until nothing is left to do."""
    keeper = RunKeeper(postgres, lease_lasts=LEASE)
    while True:
        async with keeper.holding(owner) as lease:
            if lease is not None:
                tell(f"holds {lease.epoch}")
                model.freezes = freezes and lease.epoch == 1
                try:
                    async with keeper.running(lease, job.name) as run:
                        await job.work(run, now=NOW)
                    tell(f"done {run.counts['summaries']}")
                except LeaseLostError:
                    tell("refused")
                return
        await asyncio.sleep(_LOOKS_AGAIN_SECONDS)


async def main(database_url: str, *, is_fenced: bool) -> None:
    if not is_fenced:

        def committing(leases: Leases, _lease: Lease) -> object:
            return leases._pool.transaction()

        Leases.committing = committing
    postgres = PostgresStore(PostgresConfig(url=database_url, acquire_timeout_seconds=5, statement_timeout_seconds=10))
    await postgres.connect()
    await postgres.vectors.open_space(ScriptedEmbedder.model, ScriptedEmbedder.dimensions)
    model = SlowModel()
    job = CompactionJob(ConsolidationConfig(), postgres, ScriptedEmbedder(), model, lambda: None)
    tell("ready")
    while line := (await asyncio.to_thread(sys.stdin.readline)).split():
        await compact(postgres, job, model, line[-1], freezes=line[0] == "freeze")
    await postgres.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], is_fenced="--unfenced" not in sys.argv))
