"""Replay a LoCoMo conversation and ask its questions: how often is an evidence turn among the results?

Run it with `python -m benchmarks.locomo_replay --data locomo10.json`. LoCoMo (https://github.com/snap-research/locomo)
is not distributed with this project. Servers and database are fresh ones; other settings come from the environment, so
that two of them can be compared.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks._folder import make_folder
from benchmarks._report import Distribution, Report, describe_machine, read_load
from cortex_core import EmbeddedConfig, MemoryConfig, MemoryManager, PostgresConfig, RedisConfig, load_config
from cortex_core.replay import locomo
from cortex_core.replay.replaying import ReplayReport, replay

OWNER = "everybody"


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, and the rank of the first evidence turn among the results, from 1; None if there is none."""

    question: locomo.Question
    rank: int | None
    seconds: float


async def measure(
    config: MemoryConfig, conversation: locomo.Conversation, *, questions: int, limit: int
) -> tuple[ReplayReport, list[Answer]]:
    """Replay the conversation and ask its first questions."""
    async with MemoryManager(config) as memory:
        lines = [message.model_dump_json().encode() for message in conversation.messages]
        replayed = await replay(memory, lines, owner=OWNER)
        return replayed, [await _ask(memory, question, limit) for question in conversation.questions[:questions]]


async def _ask(memory: MemoryManager, question: locomo.Question, limit: int) -> Answer:
    result = await memory.search(OWNER, question.question, limit=limit)
    ranks = [rank for rank, found in enumerate(result.memories, 1) if found.source_id in question.evidence]
    return Answer(question, min(ranks, default=None), result.search_time_ms / 1000)


def summarise(replayed: ReplayReport, answers: Sequence[Answer], *, limit: int, load_before: float) -> Report:
    """Return the figures."""
    ranks = [answer.rank for answer in answers if answer.rank is not None]
    return Report(
        name="locomo_replay",
        machine=describe_machine(load_before=load_before),
        parameters={"messages": replayed.lines, "stored": replayed.stored, "questions": len(answers), "limit": limit},
        distributions={"search": Distribution.of([answer.seconds for answer in answers])},
        ratios={
            "questions_with_evidence": len(ranks),
            "questions_with_evidence_share": len(ranks) / len(answers),
            "mean_reciprocal_rank": sum(1 / rank for rank in ranks) / len(answers),
            "replay_ms_per_memory": replayed.ms_per_memory or 0.0,
        },
    )


def _tabulate(answers: Sequence[Answer]) -> Table:
    table = Table("rank", "kind", "question")
    for answer in answers:
        table.add_row(str(answer.rank or "-"), answer.question.category, answer.question.question)
    return table


def run(data: Path, *, conversation: int, questions: int, limit: int) -> tuple[Report, list[Answer]]:
    """Replay one conversation of LoCoMo's file into fresh servers and ask its first questions."""
    load_before = read_load()
    converted = locomo.convert(data.read_bytes(), conversation=conversation)
    with make_folder() as folder:
        embedded = EmbeddedConfig(data_dir=folder / "data")
        fresh = {"embedded": embedded, "redis": RedisConfig(), "postgres": PostgresConfig()}
        config = load_config().model_copy(update=fresh)
        replayed, answers = asyncio.run(measure(config, converted, questions=questions, limit=limit))
    return summarise(replayed, answers, limit=limit, load_before=load_before), answers


def main(
    data: Annotated[Path, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="LoCoMo's locomo10.json")],
    *,
    conversation: Annotated[int, typer.Option(metavar="N", help="Which one, counted from 1.")] = 1,
    questions: Annotated[int, typer.Option(min=1, metavar="N", help="How many of those that have evidence.")] = 20,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Results per question.")] = 10,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
) -> None:
    """Measure recall on a real conversation."""
    report, answers = run(data, conversation=conversation, questions=questions, limit=limit)
    console = Console()
    console.print(_tabulate(answers))
    report.show(console)
    if json_file:
        json_file.write_text(json.dumps({report.name: report.to_json()}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    typer.run(main)
