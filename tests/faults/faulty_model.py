"""A language model on a scripted server that is wrong one time in five, in every way that one can be.

It answers about owners with a job each. What is right for an owner follows from the owner's name.
"""

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from cortex_core import Memory, MemoryType
from cortex_core.audience import Audience
from cortex_core.models import utc_now
from tests.openai_server import Answer

NOW = utc_now()
FORGED = "forged"
VICTIM = "victim"
VICTIMS_MEMORY = "5f0c1a52-0000-7000-8000-000000000001"

_SEED = 11
_STATEMENTS = 10
_HANGS_SECONDS = 2.0


class Task(StrEnum):
    """What a job is, told by the request that it makes."""

    ANALYSIS = "analysis"
    PATTERNS = "patterns"
    CONTRADICTIONS = "contradictions"
    COMPACTION = "compaction"


@dataclass(frozen=True)
class Owner:
    """Somebody whose memories are worked on.

    Attributes:
        offered: What the job shows the model, said in the server that pays.
        hidden: What it doesn't show, said in private.
    """

    id: str
    task: Task
    guild: int
    offered: Sequence[Memory]
    hidden: Sequence[Memory]


class Fault(StrEnum):
    """How an answer is wrong."""

    LIMITED = "429 with Retry-After"
    BROKEN = "500"
    HANGS = "hang"
    DRIPS = "drip"
    TRUNCATED = "truncated JSON"
    MISTYPED = "wrong types"
    HUGE = "5 MB"
    UNOFFERED = "ids not offered"
    FOREIGN = "another user's id"
    DELETING = "instructions to delete"


class FaultyModel:
    """Answers rightly, but for a share of the requests, which is the same in every run; their faults come in turn.

    Attributes:
        faults: How often each occurred.
        spent: What it said that it took, by account.
        seen: The texts that it was shown, by owner.
    """

    def __init__(self, owners: Mapping[str, Owner], share: float, kinds: Sequence[Fault]) -> None:
        self._owners = owners
        self._share = share
        self._kinds = kinds
        self._asked: Counter[str] = Counter()
        self.faults: Counter[Fault] = Counter()
        self.requests = 0
        self.spent: Counter[str] = Counter()
        self.seen: dict[str, set[str]] = defaultdict(set)

    def __call__(self, body: dict[str, Any]) -> Answer:
        asked = json.loads(body["messages"][1]["content"])
        entries = asked.get("statements") or asked["memories"]
        owner = self._owners[re.match(r"owner-\w+", entries[0]["text"])[0]]
        self.seen[owner.id] |= {entry["text"] for entry in entries}
        self.requests += 1
        self._asked[owner.id] += 1
        dice = random.Random(f"{_SEED} {owner.id} {self._asked[owner.id]}")
        right = answer_rightly(owner, len(entries))
        if dice.random() >= self._share:
            return self._charge(owner, body, Answer.json(right))
        fault = self._kinds[self.faults.total() % len(self._kinds)]
        self.faults[fault] += 1
        return self._charge(owner, body, FAULTS[fault](owner.task, right, len(entries)))

    def _charge(self, owner: Owner, body: dict[str, Any], answer: Answer) -> Answer:
        """Add what the answer costs, if it is one."""
        if answer.status != 200 or answer.delay or answer.drip or not isinstance(answer.body, dict):
            return answer
        size = sum(len(message["content"]) for message in body["messages"]) // 4
        given = len(json.dumps(answer.body)) // 4
        if given > body["max_tokens"]:  # no server would have gone on
            return answer
        self.spent[str(owner.guild)] += size + given
        usage = {"prompt_tokens": size, "completion_tokens": given, "total_tokens": size + given}
        return Answer(body=answer.body | {"usage": usage})


def answer_rightly(owner: Owner, count: int) -> dict[str, Any]:
    numbers = list(range(1, count + 1))
    match owner.task:
        case Task.ANALYSIS:
            return {
                "claims": [a_claim(f"topic of {owner.id}", numbers)],
                "ratings": [{"number": number, "emotion": 0.4, "memory_type": "episodic"} for number in numbers],
            }
        case Task.PATTERNS:
            return {"patterns": [a_pattern(f"often speaks of {owner.id}", f"topic of {owner.id}", numbers)]}
        case Task.CONTRADICTIONS:
            return {"conflicts": [{"a": 1, "b": 2, "reason": f"Both can't be true of {owner.id}."}]}
        case Task.COMPACTION:
            return {"summary": f"A week of {owner.id}."}


def _forge(task: Task, right: dict[str, Any], count: int) -> Answer:
    return Answer.json(with_more(task, right, [count + 1, count + 2, 0, -1, 10_000]))


def _name_another(task: Task, right: dict[str, Any], _count: int) -> Answer:
    return Answer.json({**with_more(task, right, [VICTIMS_MEMORY]), "user_id": VICTIM})


def _order_deletion(_task: Task, right: dict[str, Any], count: int) -> Answer:
    everything = {"tool": "delete_memories", "user_id": VICTIM, "ids": [*range(1, count + 1), VICTIMS_MEMORY]}
    return Answer.json({**right, "delete": "*", "actions": [everything]})


def _mistype(_task: Task, right: dict[str, Any], _count: int) -> Answer:
    return Answer.json({name: 7 if isinstance(value, str) else "none" for name, value in right.items()})


FAULTS: Mapping[Fault, Callable[[Task, dict[str, Any], int], Answer]] = {
    Fault.LIMITED: lambda *_: Answer.limited(retry_after="0.01"),
    Fault.BROKEN: lambda *_: Answer.broken(),
    Fault.HANGS: lambda *_: Answer.hang(_HANGS_SECONDS),
    Fault.DRIPS: lambda _task, right, _count: Answer.dripping(json.dumps(right), seconds=0.05),
    Fault.TRUNCATED: lambda _task, right, _count: Answer.truncated(right, share=0.7),
    Fault.MISTYPED: _mistype,
    Fault.HUGE: lambda *_: Answer.huge(),
    Fault.UNOFFERED: _forge,
    Fault.FOREIGN: _name_another,
    Fault.DELETING: _order_deletion,
}


def with_more(task: Task, right: dict[str, Any], numbers: Sequence[object]) -> dict[str, Any]:
    """Return an answer with what rests on these numbers as well."""
    match task:
        case Task.ANALYSIS:
            forged = [a_claim(FORGED, numbers), a_claim(FORGED, numbers) | {"subject": VICTIM, "kind": "ends"}]
            rated = [{"number": number, "emotion": 1.0, "memory_type": "identity"} for number in numbers]
            return {"claims": [*forged, *right["claims"]], "ratings": [*rated, *right["ratings"]]}
        case Task.PATTERNS:
            return {"patterns": [a_pattern(FORGED, FORGED, numbers), *right["patterns"]]}
        case Task.CONTRADICTIONS:
            return {"conflicts": [{"a": 1, "b": numbers[0], "reason": FORGED}, *right["conflicts"]]}
        case Task.COMPACTION:
            return {**right, "memories": numbers}


def a_claim(value: str, numbers: Sequence[object]) -> dict[str, Any]:
    return {
        "subject": None, "attribute": "likes", "value": value, "kind": "states", "replaces": None, "confidence": 0.9,
        "since": None, "evidence": numbers,
    }  # fmt: skip


def a_pattern(fact: str, value: str, numbers: Sequence[object]) -> dict[str, Any]:
    return {
        "category": "identity", "fact": fact, "confidence": 0.95, "evidence": numbers, "attribute": "hobbies",
        "value": value,
    }  # fmt: skip


def make_owners(count: int, *, accounts: int) -> list[Owner]:
    """Return owners with a job each: every kind in each account."""
    tasks = [Task.ANALYSIS, Task.PATTERNS, Task.ANALYSIS, Task.CONTRADICTIONS, Task.COMPACTION]
    return [
        make_owner(number, tasks[number % len(tasks)], 1 + number // len(tasks) % accounts) for number in range(count)
    ]


def make_owner(number: int, task: Task, guild: int) -> Owner:
    owner = f"owner-{number}"
    offered, hidden = (
        [
            a_memory(owner, f"{owner} {said} {part}", said_in, task, minutes=part)
            for part in range(2 if task is Task.CONTRADICTIONS and said == "said" else parts)
        ]
        for said, said_in, parts in (("said", Audience.guild(guild), _STATEMENTS), ("hid", Audience.owner(), 4))
    )
    return Owner(owner, task, guild, offered, hidden)


def a_memory(owner: str, content: str, said_in: Audience, task: Task, *, minutes: int) -> Memory:
    age = timedelta(days=60) if task is Task.COMPACTION else timedelta(days=1)
    monday = (NOW - age).replace(hour=8, minute=0) - timedelta(days=(NOW - age).weekday() if age.days > 7 else 0)
    return Memory(
        user_id=owner,
        content=content,
        created_at=monday + timedelta(minutes=minutes),
        memory_type=MemoryType.SEMANTIC if task is Task.CONTRADICTIONS else MemoryType.EPISODIC,
        audience=str(said_in),
        said_in=str(said_in),
    )
