"""What a language model that learns costs: calls and tokens, beside a memory that asks one about every message."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from typing import cast

from benchmarks._corpora import Conversation, Turn
from benchmarks._cortex import by_speaker, open_settings, to_own_memory
from benchmarks._report import Figures
from benchmarks._scripted_model import count_tokens, serve_rules
from cortex_core.attributes import declared_attributes
from cortex_core.bootstrap import Parts, open_parts
from cortex_core.config import LearningConfig
from cortex_core.consolidation.asking import ModelWorker
from cortex_core.consolidation.reading import MemoryReader
from cortex_core.metrics import Metrics, Operation
from cortex_core.models import utc_now
from cortex_core.prompts.analysis import Findings, build_analysis_prompt
from cortex_core.providers import ChatModel
from cortex_core.providers._answers import schema_of
from cortex_core.providers.llm_analyst import LLMAnalyst

CORTEX = "Cortex"
ONE_BY_ONE = "Cortex's prompt, a call a message"
MEM0 = "mem0, a call a message"

CALLS = "calls a message"
TOKENS_IN = "tokens in, 100 messages"
TOKENS_OUT = "tokens out"

NOTE = (
    "A call a message, as mem0 documents it: assumed are ten neighbours, as long as the speaker's last ten messages, "
    "and for mem0 those themselves; the answers aren't counted. Tokens: word pieces of the embedding model's tokenizer."
)

_NEIGHBOURS = 10
_NO_PAUSE = 0.001
_LAST_LOOKS = 3
"""For what wasn't worth a call before."""


async def measure_costs(conversations: Sequence[Conversation]) -> Figures:
    """Return calls and tokens by who asks."""
    said = [
        turns for conversation in conversations for turns in by_speaker(conversation.name, conversation.turns).values()
    ]
    messages = sum(map(len, said))
    rows = {CORTEX: await _measure_batches(conversations)}
    askers = {ONE_BY_ONE: _count_own} | ({MEM0: _count_mem0} if find_spec("mem0") else {})
    for name, count in askers.items():
        tokens = sum(
            count(turns[max(0, place - _NEIGHBOURS) : place], turn)
            for turns in said
            for place, turn in enumerate(turns)
        )
        rows[name] = {"messages": messages, "calls": messages, CALLS: 1.0, TOKENS_IN: round(tokens * 100 / messages)}
    return rows


async def _measure_batches(conversations: Sequence[Conversation]) -> dict[str, float]:
    """Let Cortex ask as it does.

    Its model is due after as many messages of one speaker as are configured, and at the end of each session, which
    stands for the pause.
    """
    nobody_reads = LearningConfig(enabled=False)
    async with (
        serve_rules() as llm,
        open_settings(llm=llm, learning=nobody_reads) as (_, config),
        open_parts(config) as parts,
    ):
        metrics = Metrics()
        worker = _make_worker(parts, metrics)
        for conversation in conversations:
            for portion in _portions(conversation, LearningConfig().batch_count):
                await _store(parts, portion)
                await worker.look()
        for _ in range(_LAST_LOOKS):
            await worker.look()
        spent = await parts.postgres.activity.count_spending(since=utc_now().date())
    messages = metrics.take()[Operation.ANALYSE].count
    return {
        "messages": messages,
        "calls": spent.calls,
        CALLS: spent.calls / messages,
        TOKENS_IN: round(spent.input_tokens * 100 / messages),
        TOKENS_OUT: round(spent.output_tokens * 100 / messages),
    }


def _make_worker(parts: Parts, metrics: Metrics) -> ModelWorker:
    """Make a worker that looks when it is told to."""
    reader = MemoryReader(
        parts.redis,
        parts.postgres,
        parts.facts,
        parts.replies.list_recalled,
        base_ttl=parts.config.ingestion.base_ttl_seconds,
    )
    analyst = LLMAnalyst(cast("ChatModel", parts.llm))
    return ModelWorker(LearningConfig(pause_seconds=_NO_PAUSE), parts.postgres, reader, analyst, metrics)


def _portions(conversation: Conversation, batch_count: int) -> Iterator[list[tuple[str, Sequence[Turn]]]]:
    """Yield, session by session, as much of each speaker as makes a batch."""
    for _, session in groupby(conversation.turns, key=lambda turn: turn.id.rpartition(":")[0]):
        speakers = by_speaker(conversation.name, session)
        longest = max(map(len, speakers.values()))
        for start in range(0, longest, batch_count):
            portions = ((user, turns[start : start + batch_count]) for user, turns in speakers.items())
            yield [(user, turns) for user, turns in portions if turns]


async def _store(parts: Parts, portion: Iterable[tuple[str, Sequence[Turn]]]) -> None:
    for user, turns in portion:
        await parts.recorder.store_many(user, [to_own_memory(turn) for turn in turns])
    await parts.writer.drain()


def _count_own(before: Sequence[Turn], turn: Turn) -> int:
    """Count the tokens of asking Cortex's question about one message."""
    prompt = build_analysis_prompt(
        speaker=turn.speaker,
        known=[{"attribute": "memory", "value": other.text} for other in before],
        statements=[{"number": 1, "said_at": turn.at.isoformat(timespec="minutes"), "text": turn.text}],
        single=[attribute.name for attribute in declared_attributes() if not attribute.has_many],
        several=[attribute.name for attribute in declared_attributes() if attribute.has_many],
    )
    return count_tokens(prompt.user) + _count_once(prompt.system, json.dumps(schema_of(Findings)))


def _count_mem0(before: Sequence[Turn], turn: Turn) -> int:
    """Count the tokens of mem0's question about one message, as its `add` words it."""
    from mem0.configs import prompts  # noqa: PLC0415  optional, and slow to import

    user = prompts.generate_additive_extraction_prompt(
        existing_memories=[{"id": str(place), "text": other.text} for place, other in enumerate(before)],
        new_messages=f"user: {turn.text}\n",
        last_k_messages=[{"role": "user", "content": other.text} for other in before],
    )
    return count_tokens(user) + _count_once(prompts.ADDITIVE_EXTRACTION_PROMPT)


@cache
def _count_once(*texts: str) -> int:
    return sum(map(count_tokens, texts))
