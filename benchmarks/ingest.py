"""What a memory costs from the moment it is handed over until it can be recalled, in bulk: for Cortex and for mem0.

The two take turns with blocks of the same texts, so that a neighbour who takes the processor takes it from both.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import fmean

from benchmarks import _cortex
from benchmarks._corpora import Conversation, Turn, load_locomo
from benchmarks._mem0_peer import MISSING, NOTE, open_if_installed
from benchmarks._report import Distribution, Report, Target, describe_machine, read_load
from benchmarks._sentences import Sentences
from cortex_core import MemoryManager
from cortex_core.models import utc_now

_SEED = 20
_CONVERSATION = Conversation("ingest", owner="everybody", language="en", turns=(), questions=())


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured; the first block warms up and does not count."""

    blocks: int
    block_size: int


FULL = Scale(blocks=9, block_size=250)
QUICK = Scale(blocks=3, block_size=20)


async def run(*, quick: bool = False, locomo: Path | None = None) -> Report:
    """Measure and report.

    Args:
        quick: A few seconds, to see that the benchmark itself works; its figures mean little.
        locomo: LoCoMo's locomo10.json, whose turns are then the texts; without it they come from a grammar.
    """
    scale = QUICK if quick else FULL
    load_before = read_load()
    turns = _read_turns(locomo) if locomo else _make_turns(scale.blocks * scale.block_size)
    warm_up, *blocks = _cut(turns[: scale.blocks * scale.block_size], scale.block_size)
    seconds: dict[str, list[float]] = {"cortex": []}
    async with _cortex.open_memory() as (folder, _, memory), open_if_installed(folder / "mem0") as mem0:
        await _store(memory, warm_up)
        if mem0:
            seconds["mem0"] = []
            await mem0.add(_CONVERSATION.owner, warm_up)
        for block in blocks:
            seconds["cortex"].append(await _store(memory, block))
            if mem0:
                seconds["mem0"].append(await mem0.add(_CONVERSATION.owner, block) / len(block))
    means = {f"{name}_ms_per_memory": fmean(taken) * 1000 for name, taken in seconds.items()}
    over = {"ingest_over_mem0": means["cortex_ms_per_memory"] / means["mem0_ms_per_memory"]} if mem0 else {}
    return Report(
        name="ingest",
        machine=describe_machine(load_before=load_before),
        parameters={
            "memories": sum(len(block) for block in blocks),
            "block_size": scale.block_size,
            "mean_chars": fmean(len(turn.text) for block in blocks for turn in block),
        },
        distributions={f"{name}_memory": Distribution.of(taken) for name, taken in seconds.items()},
        ratios={**means, **over},
        targets=tuple(Target(name, 1.0, measured) for name, measured in over.items()),
        notes=(
            "Cortex: store_many of a block and flush, until it is in Postgres with its vectors. mem0: one add each.",
            "A time is that of one memory, the mean of a block.",
            NOTE if mem0 else MISSING,
        ),
    )


async def _store(memory: MemoryManager, block: Sequence[Turn]) -> float:
    """Return how many seconds a memory took."""
    began = time.perf_counter()
    await _cortex.fill(memory, _CONVERSATION, block)
    return (time.perf_counter() - began) / len(block)


def _cut(turns: Sequence[Turn], size: int) -> list[Sequence[Turn]]:
    return [turns[start : start + size] for start in range(0, len(turns), size)]


def _read_turns(locomo: Path) -> list[Turn]:
    return [turn for conversation in load_locomo(locomo) for turn in conversation.turns]


def _make_turns(count: int) -> list[Turn]:
    """Return turns of two people, of about the length that people's are in LoCoMo."""
    sentences, began = Sentences(_SEED), utc_now() - timedelta(minutes=count)
    return [
        Turn(
            id=f"turn:{number}",
            at=began + timedelta(minutes=number),
            speaker=("Robin", "Sascha")[number % 2],
            channel="1",
            text=" ".join(sentences.statement() for _ in range(1 + number % 2)),
        )
        for number in range(count)
    ]
