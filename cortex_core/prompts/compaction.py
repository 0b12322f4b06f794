"""The task of condensing a week (TDD 8.5): its prompt, and the shape of its answer."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from cortex_core.models import Memory, Model
from cortex_core.prompts import Prompt, load_template

MAX_SUMMARY_CHARS = 1500


class WeekSummary(Model):
    """What the model is asked for."""

    model_config = ConfigDict(strict=True)

    summary: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_SUMMARY_CHARS)]


def build_compaction_prompt(week: date, memories: Sequence[Memory]) -> Prompt:
    """Build the prompt for an answer of the shape `WeekSummary`."""
    data = {"week": week.isoformat(), "memories": [_entry(number, m) for number, m in enumerate(memories, 1)]}
    system = load_template("compaction").substitute(chars=MAX_SUMMARY_CHARS - 300).strip()
    return Prompt(system=system, user=json.dumps(data, ensure_ascii=False))


def _entry(number: int, memory: Memory) -> dict[str, object]:
    entry: dict[str, object] = {"number": number, "said_at": memory.created_at.isoformat(), "text": memory.content}
    if memory.author_id not in (None, memory.user_id):
        entry["said_by"] = memory.author_name or "somebody else"
    return entry
