"""Which share of the turns that answer a question is among the first results, and is nothing found where nothing is?

Turn level: one turn of a conversation is one memory, and a question counts by the share of its labelled turns that were
found. Each conversation has an owner of its own; what it says goes through the interface and the pipeline of a bot.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import _cortex
from benchmarks._answers import LIMIT, Answer, summarise, summarise_by
from benchmarks._corpora import Conversation, Question, borrow_questions, load_locomo, load_own_set
from benchmarks._gate import judge
from benchmarks._mem0_peer import MISSING, NOTE, Mem0, is_installed, open_if_installed
from benchmarks._report import Direction, Distribution, Figures, Report, Target, describe_machine, read_load
from cortex_core import MemoryManager

CORTEX = "Cortex"
RELEVANCE_ONLY = "Cortex, weights 1 0 0 0"
MEM0 = "mem0 with BM25"
MEM0_DENSE = "mem0 without BM25"

Answers = Mapping[str, list[Answer]]
"""The answers of each system, in the same order."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of each corpus is measured; None is all of it."""

    conversations: int | None
    questions: int | None
    borrowed: int

    def pick(self, questions: Sequence[Question]) -> Sequence[Question]:
        """Return the questions that are asked, some of each kind."""
        return questions if self.questions is None else questions[:: len(questions) // self.questions or 1]


FULL = Scale(conversations=None, questions=None, borrowed=60)
QUICK = Scale(conversations=1, questions=20, borrowed=10)


async def run(*, quick: bool = False, locomo: Path | None = None) -> Report:
    """Measure and report.

    Args:
        quick: A few seconds, to see that the benchmark itself works; its figures mean little.
        locomo: LoCoMo's locomo10.json; without it only our own set is measured.
    """
    scale = QUICK if quick else FULL
    load_before = read_load()
    tables: dict[str, Figures] = {}
    targets: list[Target] = []
    async with (
        _cortex.open_memory() as (folder, _, memory),
        _cortex.open_without_priors(memory) as relevance_only,
    ):
        contest = _Contest(memory, relevance_only, folder, scale)
        own = await contest.measure(load_own_set())
        tables |= _tabulate_own_set(own)
        targets.append(_cost_target("own_set", own))
        answers = own[CORTEX]
        if locomo:
            conversations = load_locomo(locomo)
            public = await contest.measure(conversations)
            borrowed = await contest.ask_borrowed(conversations)
            gate = judge(public[CORTEX], borrowed)
            tables |= _tabulate_locomo(public)
            tables["gate"] = {**tables.get("gate", {}), "LoCoMo": gate}
            targets += _locomo_targets(public, gate)
            answers = [*answers, *public[CORTEX]]
    return Report(
        name="recall",
        machine=describe_machine(load_before=load_before),
        parameters={"limit": LIMIT, "questions": len(answers), "memories": contest.memories},
        distributions={"search": Distribution.of([answer.seconds for answer in answers])},
        tables=tables,
        ratios={"own_set_formula_cost_points": _formula_cost(own)},
        targets=tuple(targets),
        notes=(
            "R@k: per cent of a question's evidence turns among the first k, averaged over the questions.",
            "LoCoMo's category 5 is left out.",
            NOTE if is_installed() else MISSING,
            *(() if locomo else ("LoCoMo is left out: give its file with --locomo locomo10.json.",)),
        ),
    )


class _Contest:
    """Asks all systems the same questions, each conversation's in turn."""

    def __init__(self, memory: MemoryManager, relevance_only: MemoryManager, folder: Path, scale: Scale) -> None:
        self._memory = memory
        self._relevance_only = relevance_only
        self._folder = folder
        self._scale = scale
        self.memories = 0

    async def measure(self, conversations: Sequence[Conversation]) -> Answers:
        """Let the systems hear the conversations and ask the questions about each."""
        answers: dict[str, list[Answer]] = defaultdict(list)
        for conversation in conversations[: self._scale.conversations]:
            self.memories += len(conversation.turns)
            async with open_if_installed(self._folder / conversation.name) as mem0:
                for turns, questions in conversation.chapters(self._scale.pick(conversation.questions)):
                    await _cortex.fill(self._memory, conversation, turns)
                    answers[CORTEX] += await _cortex.ask_all(self._memory, conversation, questions)
                    answers[RELEVANCE_ONLY] += await _cortex.ask_all(self._relevance_only, conversation, questions)
                    if mem0:
                        await mem0.add(conversation.owner, turns)
                        answers[MEM0] += await _ask_mem0(mem0, conversation, questions, with_bm25=True)
                        answers[MEM0_DENSE] += await _ask_mem0(mem0, conversation, questions, with_bm25=False)
        return answers

    async def ask_borrowed(self, conversations: Sequence[Conversation]) -> list[Answer]:
        """Ask each conversation what only the next one could answer."""
        return [
            answer
            for index, conversation in enumerate(conversations[: self._scale.conversations])
            for answer in await _cortex.ask_all(
                self._memory, conversation, borrow_questions(conversations, index, self._scale.borrowed)
            )
        ]


async def _ask_mem0(
    mem0: Mem0, conversation: Conversation, questions: Sequence[Question], *, with_bm25: bool
) -> list[Answer]:
    answers = []
    for question in questions:
        found = await mem0.search(conversation.owner, question, limit=LIMIT, with_bm25=with_bm25)
        answers.append(Answer(question, conversation.language, found.turns, found.seconds))
    return answers


def _tabulate_locomo(answers: Answers) -> dict[str, Figures]:
    by_kind = {name: summarise_by(given, _kind_of) for name, given in answers.items()}
    return {
        "LoCoMo": {name: summarise(given) for name, given in answers.items()},
        "LoCoMo R@10 by kind": {
            name: {kind: figures["R@10"] for kind, figures in kinds.items()} for name, kinds in by_kind.items()
        },
    }


def _kind_of(answer: Answer) -> str:
    return answer.question.kind


def _tabulate_own_set(answers: Answers) -> dict[str, Figures]:
    answerable = [answer for answer in answers[CORTEX] if answer.question.evidence]
    unanswerable = [answer for answer in answers[CORTEX] if not answer.question.evidence]
    tables = {
        "own set": {name: summarise(given) for name, given in answers.items()},
        "own set by kind": _compare(answers, _kind_of),
        "own set by language": _compare(answers, lambda answer: answer.language),
    }
    return {**tables, "gate": {"own set": judge(answerable, unanswerable)}} if unanswerable else tables


def _compare(answers: Answers, key: Callable[[Answer], str]) -> Figures:
    """Return Cortex's figures for each group, with mem0's beside them."""
    groups = summarise_by(answers[CORTEX], key)
    peer = summarise_by(answers.get(MEM0, ()), key)
    return {
        name: {**figures, **({"mem0's R@10": peer[name]["R@10"]} if "R@10" in peer.get(name, {}) else {})}
        for name, figures in groups.items()
    }


def _locomo_targets(answers: Answers, gate: Mapping[str, float]) -> list[Target]:
    found = summarise(answers[CORTEX])
    multi_hop = summarise_by(answers[CORTEX], _kind_of)["multi-hop"]["R@10"]
    return [
        Target("locomo_r_at_5", 73.0, found["R@5"], Direction.AT_LEAST),
        Target("locomo_r_at_10", 80.0, found["R@10"], Direction.AT_LEAST),
        Target("locomo_multi_hop_r_at_10", 55.0, multi_hop, Direction.AT_LEAST),
        _cost_target("locomo", answers),
        Target("gate_rejected_percent", 50.0, gate["rejected"], Direction.AT_LEAST),
    ]


def _cost_target(corpus: str, answers: Answers) -> Target:
    return Target(f"{corpus}_formula_cost_points", 0.5, _formula_cost(answers))


def _formula_cost(answers: Answers) -> float:
    """Return by how many points the four-part formula lowers R@10."""
    return summarise(answers[RELEVANCE_ONLY])["R@10"] - summarise(answers[CORTEX])["R@10"]
