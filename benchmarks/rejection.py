"""Does rejection tell the group messages that need a memory from those that don't, and what does the decision cost?

The chats in `benchmarks/data/rejection` are stored and searched as a bot would. What is decided about a chat was
learned from the other chats alone.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import _cortex
from benchmarks._report import Direction, Distribution, Report, Target, describe_machine, read_load
from benchmarks._report import Figures as Rows
from cortex_core import RejectionPipeline
from cortex_core.commands.rejection import Found, judge, search_chat
from cortex_core.recall.rejection_training import (
    Chat,
    Figures,
    Judged,
    Labelled,
    decide,
    decide_by_relevance,
    decide_unseen,
    learn,
    read_examples,
)

DATA = Path(__file__).with_name("data") / "rejection"
HELD_OUT = DATA / "held_out"
CORTEX = "Cortex"
ALWAYS = "always a recall"
HUIXIANGDOU_F1 = 0.7588
"""On 2,302 hand-labelled group messages of its own, as its repository's evaluation page has it."""
_QUICK_CHATS = 3
_ROUNDS = 5


async def run(*, quick: bool = False) -> Report:
    """Measure and report.

    Args:
        quick: Three chats, to see that the benchmark itself works; its figures mean little.
    """
    load_before = read_load()
    chats = load_chats()[: _QUICK_CHATS if quick else None]
    async with _cortex.open_memory() as (_, _, memory):
        found = [each for chat in chats for each in await search_chat(memory, chat)]
        held_out = [judge(each) for chat in load_chats(HELD_OUT) for each in await search_chat(memory, chat)]
    judged = [judge(each) for each in found]
    labels = [example.label.recall for example in judged]
    unseen = decide_unseen(judged)
    model = learn(judged)
    systems = {
        CORTEX: unseen,
        f"{CORTEX}, on what it learned from": [decide(model, example) for example in judged],
        "relevance alone": decide_by_relevance(judged),
        "patterns alone": [example.signals is not None for example in judged],
        ALWAYS: [True] * len(judged),
    }
    distributions = _time_decisions(found)
    f1 = Figures.of(unseen, labels).f1
    return Report(
        name="rejection",
        machine=describe_machine(load_before=load_before),
        parameters={
            "chats": len(chats),
            "memories": sum(len(chat.remembered) for chat in chats),
            "messages": len(judged),
            "needing_memory": sum(labels),
        },
        distributions=distributions,
        tables={
            "rejection": {name: asdict(Figures.of(decisions, labels)) for name, decisions in systems.items()},
            "rejection held out": {
                CORTEX: _compare(held_out, [decide(model, example) for example in held_out]),
                ALWAYS: _compare(held_out, [True] * len(held_out)),
            },
            "rejection by chat": _tabulate_chats(judged, unseen),
            "rejection by kind": _tabulate_kinds(judged, unseen),
        },
        ratios={"rejection_f1": f1},
        targets=(
            Target("rejection_f1", HUIXIANGDOU_F1, f1, Direction.AT_LEAST),
            Target("rejection_decision_p99_ms", 1.0, distributions["decide"].p99_ms),
        ),
        notes=(
            "Found: a message that gets its recall. What decides about a chat was learned from the other chats.",
            "Held out: chats that were written when the signals, chosen with the others in view, were fixed.",
            f"HuixiangDou publishes an F1 of {HUIXIANGDOU_F1}, on messages of its own.",
            "decide: patterns and signals of one message, with what the search found for it given.",
        ),
    )


def load_chats(folder: Path = DATA) -> list[Chat]:
    """Read the labelled chats, in the order of their names."""
    lines = [line for file in sorted(folder.glob("*.jsonl")) for line in file.read_bytes().splitlines()]
    return read_examples(lines, name=folder.name)


def _time_decisions(found: Sequence[Found]) -> dict[str, Distribution]:
    pipeline = RejectionPipeline()
    seconds: dict[str, list[float]] = {"quick_reject": [], "decide": []}
    for _ in range(_ROUNDS):
        for each in found:
            began = time.perf_counter()
            pipeline.quick_reject(each.label.message)
            between = time.perf_counter()
            pipeline.decide(each.label.message, relevance=each.relevance, memories=each.memories, is_addressed=False)
            seconds["quick_reject"].append(between - began)
            seconds["decide"].append(time.perf_counter() - between)
    return {name: Distribution.of(taken) for name, taken in seconds.items()}


def _compare(judged: Sequence[Judged], decisions: Sequence[bool]) -> dict[str, float]:
    return asdict(Figures.of(decisions, [example.label.recall for example in judged]))


def _tabulate_chats(judged: Sequence[Judged], decisions: Sequence[bool]) -> Rows:
    groups = _group(judged, decisions, lambda label: label.chat)
    return {name: asdict(Figures.of(given, labels)) for name, (given, labels) in groups.items()}


def _tabulate_kinds(judged: Sequence[Judged], decisions: Sequence[bool]) -> Rows:
    groups = _group(judged, decisions, lambda label: label.kind)
    return {
        kind: {"messages": len(labels), "needing memory": sum(labels), "recalled": sum(given)}
        for kind, (given, labels) in groups.items()
    }


def _group(
    judged: Sequence[Judged], decisions: Sequence[bool], key: Callable[[Labelled], str]
) -> Mapping[str, tuple[list[bool], list[bool]]]:
    """Return decisions and labels by group."""
    groups: dict[str, tuple[list[bool], list[bool]]] = defaultdict(lambda: ([], []))
    for example, decision in zip(judged, decisions, strict=True):
        given, labels = groups[key(example.label)]
        given.append(decision)
        labels.append(example.label.recall)
    return dict(sorted(groups.items()))
