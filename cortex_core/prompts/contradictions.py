"""The tasks around contradictions (TDD 8.4): naming them and merging two memories, and the shapes of the answers."""

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from cortex_core.models import Memory, Model
from cortex_core.prompts import Prompt, load_template

MAX_REASON_CHARS = 300
MAX_MERGED_CHARS = 1000


class FoundConflict(Model):
    """A pair as the model names it; `ContradictionDetector` judges it."""

    model_config = ConfigDict(strict=True)

    a: int
    b: int
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON_CHARS)]


class FoundConflicts(Model):
    """What the model is asked for."""

    conflicts: list[FoundConflict]


class MergedContent(Model):
    """What it is asked for two memories."""

    model_config = ConfigDict(strict=True)

    content: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_MERGED_CHARS)]


def build_contradiction_prompt(memories: Sequence[Memory]) -> Prompt:
    """Build the prompt for an answer of the shape `FoundConflicts`; memories are numbered from 1."""
    are_several = len({memory.user_id for memory in memories}) > 1
    statements = []
    for number, memory in enumerate(memories, 1):
        speaker = {"said_by": memory.author_name or f"person {_place(memory, memories)}"} if are_several else {}
        statements.append({"number": number, **speaker, **_entry(memory)})
    system = load_template("contradictions").substitute(chars=MAX_REASON_CHARS).strip()
    return Prompt(system=system, user=json.dumps({"statements": statements}, ensure_ascii=False))


def build_merge_prompt(a: Memory, b: Memory, *, note: str | None) -> Prompt:
    """Build the prompt for an answer of the shape `MergedContent`."""
    system = load_template("merge").substitute(chars=MAX_MERGED_CHARS - 200).strip()
    data = {"statements": [_entry(a), _entry(b)], "note": note}
    return Prompt(system=system, user=json.dumps(data, ensure_ascii=False))


def _entry(memory: Memory) -> dict[str, str]:
    return {"said_at": memory.created_at.isoformat(), "text": memory.content}


def _place(memory: Memory, memories: Sequence[Memory]) -> int:
    """Number the people in the order in which they occur: ids are no business of a model's."""
    return list(dict.fromkeys(m.user_id for m in memories)).index(memory.user_id) + 1
