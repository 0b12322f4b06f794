"""The task of analysing what somebody said (TDD 3.1, 3.4): its prompt, and the shape of its answer."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, JsonValue

from cortex_core.models import Model
from cortex_core.prompts import Prompt, load_template

NONSENSE = 0.5
"""What stands for a rating that is none (TDD 3.1)."""


def _rate(value: object) -> float:
    """Return a number within 0 to 1, also from text; the middle for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return NONSENSE
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return NONSENSE
    return min(max(number, 0.0), 1.0) if number == number else NONSENSE  # noqa: PLR0124  NaN differs from itself


UnitNumber = Annotated[float, BeforeValidator(_rate)]
Word = str | int | float | bool


class _Found(Model):
    model_config = ConfigDict(strict=True)


class FoundClaim(_Found):
    """A claim as the model words it; `LLMAnalyst` judges it."""

    subject: str | None
    attribute: str
    value: Word
    kind: Literal["states", "corrects", "ends"]
    replaces: Word | None
    confidence: UnitNumber
    since: str | None
    evidence: list[int]


class FoundRating(_Found):
    """A rating as the model gives it, with the emotion within its bounds."""

    number: int
    emotion: UnitNumber
    memory_type: Literal["identity", "semantic", "episodic", "working"] | None


class Findings(_Found):
    """What the model is asked for."""

    claims: list[FoundClaim]
    ratings: list[FoundRating]


def build_analysis_prompt(
    *,
    speaker: str | None,
    known: Sequence[Mapping[str, JsonValue]],
    statements: Sequence[Mapping[str, JsonValue]],
    single: Sequence[str],
    several: Sequence[str],
) -> Prompt:
    """Build the prompt for an answer of the shape `Findings`.

    Args:
        speaker: What the person is called.
        known: What is held of the person already: `attribute` and `value`.
        statements: What the person said: `number`, `said_at` and `text`.
        single: The names of attributes that hold one value.
        several: The names of those that hold any number of values.
    """
    system = load_template("analysis").substitute(single=", ".join(single), several=", ".join(several)).strip()
    data = {"speaker": speaker, "known": [dict(fact) for fact in known], "statements": [dict(s) for s in statements]}
    return Prompt(system=system, user=json.dumps(data, ensure_ascii=False))
