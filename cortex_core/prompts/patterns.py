"""The task of finding patterns (TDD 8.3): its prompt, and the shape of its answer."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import ConfigDict, StringConstraints

from cortex_core.models import Memory, Model
from cortex_core.prompts import Prompt, load_template
from cortex_core.prompts.analysis import UnitNumber, Word

REPORTED_FROM = 0.7
MAX_PATTERN_CHARS = 200

Category = Literal["identity", "preference", "behavior", "relationship"]


class FoundPattern(Model):
    """A pattern as the model words it; `PatternExtractor` judges it.

    Attributes:
        known: The number of the known one that it is.
    """

    model_config = ConfigDict(strict=True)

    category: Category
    fact: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PATTERN_CHARS)]
    confidence: UnitNumber
    evidence: list[int]
    attribute: str | None
    value: Word | None
    known: int | None = None


class FoundPatterns(Model):
    """What the model is asked for."""

    patterns: list[FoundPattern]


def build_pattern_prompt(memories: Sequence[Memory], *, known: Sequence[str], attributes: Sequence[str]) -> Prompt:
    """Build the prompt for an answer of the shape `FoundPatterns`.

    Args:
        memories: What one person said, oldest first; numbered from 1.
        known: The patterns that were found before; numbered from 1 by themselves.
        attributes: The declared ones.
    """
    system = load_template("patterns").substitute(
        chars=MAX_PATTERN_CHARS, floor=REPORTED_FROM, attributes=", ".join(attributes)
    )
    data = {
        "known": [{"number": number, "fact": fact} for number, fact in enumerate(known, 1)],
        "memories": [
            {"number": number, "said_at": memory.created_at.isoformat(), "text": memory.content}
            for number, memory in enumerate(memories, 1)
        ],
    }
    return Prompt(system=system.strip(), user=json.dumps(data, ensure_ascii=False))
