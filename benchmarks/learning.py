"""Is what is learned of people right, and what does learning cost?

The labelled dialogues in `benchmarks/data/learning` are told message by message, as a bot hears them; LoCoMo's
conversations as a log is replayed, each speaker's own words to a memory of their own. The rules read both.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import _cortex
from benchmarks._bulk import read_sql
from benchmarks._corpora import Conversation, load_locomo
from benchmarks._dialogues import (
    Dialogue,
    Verdict,
    count_asks,
    count_facts,
    group,
    judge,
    load_dialogues,
    share_in_time,
)
from benchmarks._duplicates import ALIKE, Likeness, find_duplicates
from benchmarks._mem0_peer import MISSING, is_installed
from benchmarks._model_costs import CALLS, CORTEX, NOTE, measure_costs
from benchmarks._report import Direction, Distribution, Figures, Report, Target, describe_machine, read_load
from cortex_core import CortexError, MemoryManager, NewMemory, PostgresConfig
from cortex_core.models import Fact
from cortex_core.providers.analysis import Statement
from cortex_core.providers.rules import RuleAnalyst
from cortex_core.stores.postgres.connection import Pool
from cortex_core.stores.postgres.rows import to_fact

PRECISION = 0.95
_QUICK_STEP = 8

FactsByOwner = Mapping[str, Sequence[Fact]]


async def run(*, quick: bool = False, locomo: Path | None = None) -> Report:
    """Measure and report.

    Args:
        quick: A part of everything, to see that the benchmark itself works; its figures mean little.
        locomo: LoCoMo's locomo10.json; without it only the dialogues are measured.
    """
    load_before = read_load()
    dialogues = load_dialogues()[:: _QUICK_STEP if quick else 1]
    conversations = load_locomo(locomo)[: 1 if quick else None] if locomo else []
    async with _cortex.open_memory() as (_, config, memory):
        await _tell(memory, dialogues)
        await _replay(memory, conversations)
        facts = await _list_facts(config.postgres)
        verdicts = [
            judge(dialogue, facts.get(dialogue.id, ()), await memory.list_corrections(dialogue.id))
            for dialogue in dialogues
        ]
        tables = _tabulate(verdicts)
        targets = _dialogue_targets(verdicts)
        if conversations:
            tables |= await _tabulate_locomo(memory, conversations, facts)
    if conversations:
        tables["language model"] = await measure_costs(conversations)
        targets += _locomo_targets(tables)
    return Report(
        name="learning",
        machine=describe_machine(load_before=load_before),
        parameters={
            "dialogues": len(dialogues),
            "messages": sum(len(dialogue.messages) for dialogue in dialogues),
            "LoCoMo's messages": sum(len(conversation.turns) for conversation in conversations),
        },
        distributions={"rules": await _time_rules(dialogues, conversations)},
        tables=tables,
        targets=tuple(targets),
        notes=(
            "right, wrong, missed: facts by the rule in the README of benchmarks/data/learning. rules: one message.",
            f"near duplicates: what another current fact says: the same words, some of them, or a cosine of {ALIKE:g}.",
            *((NOTE,) if conversations else ("LoCoMo is left out: give its file with --locomo locomo10.json.",)),
            *(() if is_installed() else (MISSING,)),
        ),
    )


async def _tell(memory: MemoryManager, dialogues: Sequence[Dialogue]) -> None:
    """Let each speaker say one message after the other, each once the one before was read."""
    for place in range(max(len(dialogue.messages) for dialogue in dialogues)):
        for dialogue in dialogues:
            if place < len(dialogue.messages):
                said = dialogue.messages[place]
                new = NewMemory(content=said.text, created_at=said.at, source_id=f"{dialogue.id}:{place}")
                await _store(memory, dialogue.id, [new])
        await memory.flush()


async def _replay(memory: MemoryManager, conversations: Sequence[Conversation]) -> None:
    for conversation in conversations:
        for user, turns in _cortex.by_speaker(conversation.name, conversation.turns).items():
            await _store(memory, user, [_cortex.to_own_memory(turn) for turn in turns])
        await memory.flush()


async def _store(memory: MemoryManager, user: str, memories: Sequence[NewMemory]) -> None:
    results = await memory.store_many(user, memories)
    if failed := Counter(result.error for result in results if not result.success):
        raise CortexError(f"A benchmark's memories were refused: {dict(failed)}")


async def _list_facts(config: PostgresConfig) -> FactsByOwner:
    """Return all facts by owner, also those about others, which no interface tells."""
    pool = Pool(config)
    await pool.open()
    try:
        async with pool.connection() as connection:
            rows = await connection.fetch(read_sql("list_facts"))
    finally:
        await pool.close()
    facts: dict[str, list[Fact]] = defaultdict(list)
    for row in rows:
        facts[row["user_id"]].append(to_fact(row))
    return facts


async def _tabulate_locomo(
    memory: MemoryManager, conversations: Sequence[Conversation], facts: FactsByOwner
) -> dict[str, Figures]:
    """Return what was learned of each conversation, and how near duplicates among it show."""
    rows: Figures = {}
    alike: Counter[Likeness] = Counter()
    for conversation in conversations:
        owners = _cortex.by_speaker(conversation.name, conversation.turns)
        learned = [fact for owner in owners for fact in facts.get(owner, ())]
        current = [fact for fact in learned if fact.valid_to is None]
        replaced = {fact.supersedes for fact in learned}
        duplicates = Counter(likeness for _, likeness in await find_duplicates(current, memory.embedder))
        alike += duplicates
        rows[conversation.name] = {
            "messages": len(conversation.turns),
            "facts": len(learned),
            "current": len(current),
            "of others": sum(bool(fact.subject) for fact in current),
            "superseded": sum(fact.valid_to is not None and fact.id in replaced for fact in learned),
            "ended": sum(fact.valid_to is not None and fact.id not in replaced for fact in learned),
            "asks": sum([len(await memory.list_corrections(owner)) for owner in owners]),
            "near duplicates": duplicates.total(),
        }
    rows["all"] = {column: sum(row[column] for row in rows.values()) for column in next(iter(rows.values()))}
    for row in rows.values():
        row["%"] = 100 * row["near duplicates"] / max(row["current"], 1)
    return {
        "LoCoMo learned": rows,
        "near duplicates": {likeness.value: {"facts": alike[likeness]} for likeness in Likeness},
    }


async def _time_rules(dialogues: Sequence[Dialogue], conversations: Sequence[Conversation]) -> Distribution:
    rules = RuleAnalyst()
    said = [(message.text, message.at) for dialogue in dialogues for message in dialogue.messages]
    said += [(turn.text, turn.at) for conversation in conversations for turn in conversation.turns]
    seconds = []
    for text, at in said:
        statement = Statement(number=1, text=text, said_at=at)
        began = time.perf_counter()
        await rules.analyse([statement], (), account="")
        seconds.append(time.perf_counter() - began)
    return Distribution.of(seconds)


def _tabulate(verdicts: Sequence[Verdict]) -> dict[str, Figures]:
    splits = {"all": verdicts, **group(verdicts, lambda dialogue: dialogue.split)}
    held_out = [verdict for verdict in verdicts if verdict.dialogue.split == "held-out"]
    return {
        "learning": {
            name: {**count_facts(some).to_row(), "times right": share_in_time(some)} for name, some in splits.items()
        },
        "learning by category": _by_category(verdicts),
        "learning by category, held out": _by_category(held_out),
        "learning by language": {
            language: count_facts(some).to_row() for language, some in group(verdicts, _language_of).items()
        },
        "corrections asked about": {name: count_asks(some).to_row() for name, some in splits.items()},
    }


def _by_category(verdicts: Sequence[Verdict]) -> Figures:
    groups = group(verdicts, lambda dialogue: dialogue.category)
    return {
        category: {"dialogues": len(some), **count_facts(some).to_row(), "asked rightly": count_asks(some).right}
        for category, some in groups.items()
    }


def _language_of(dialogue: Dialogue) -> str:
    return {"en": "English", "mixed": "mixed"}.get(dialogue.language, "others")


def _dialogue_targets(verdicts: Sequence[Verdict]) -> list[Target]:
    held_out = [verdict for verdict in verdicts if verdict.dialogue.split == "held-out"]
    return [
        Target("learning_precision", PRECISION, count_facts(verdicts).precision, Direction.AT_LEAST),
        Target("learning_precision_held_out", PRECISION, count_facts(held_out).precision, Direction.AT_LEAST),
    ]


def _locomo_targets(tables: Mapping[str, Figures]) -> list[Target]:
    return [
        Target("near_duplicate_facts_percent", 1.0, tables["LoCoMo learned"]["all"]["%"]),
        Target("model_calls_per_message", 0.2, tables["language model"][CORTEX][CALLS]),
    ]
