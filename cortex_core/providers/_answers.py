"""Answers in a shape: the JSON schema that servers are given for it, and how an answer is read."""

import re
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

T = TypeVar("T", bound=BaseModel)

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_KEPT = ("type", "enum", "const", "description", "$ref", "required")
"""Keywords that every server knows. Limits are left out, which many refuse; the shape itself checks them afterwards."""

_MAX_PROBLEMS = 10
_MAX_PLACE_CHARS = 80


@cache
def schema_of(shape: type[BaseModel]) -> dict[str, JsonValue]:
    """Return the schema of a shape in the subset that OpenAI's strict mode takes: every key required, no others."""
    return _strict(shape.model_json_schema())


def read_answer(text: str, shape: type[T]) -> T:
    """Read the JSON object in an answer, which models may wrap in thoughts, fences and courtesies.

    Raises:
        ValidationError: There is none of this shape.
    """
    answer = _THOUGHTS.sub("", text)
    start, end = answer.find("{"), answer.rfind("}")
    return shape.model_validate_json(answer[start : end + 1] if 0 <= start < end else answer)


def problems_of(error: ValidationError) -> list[str]:
    """Tell what is wrong with an answer: places and reasons, without the values."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        f"{'.'.join(map(str, problem['loc']))[:_MAX_PLACE_CHARS] or 'the answer'}: {problem['type']}"
        for problem in problems[:_MAX_PROBLEMS]
    ]


def _strict(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    strict = {key: value for key, value in schema.items() if key in _KEPT}
    for key in ("properties", "$defs"):
        if isinstance(parts := schema.get(key), dict):
            strict[key] = {name: _strict(part) for name, part in parts.items() if isinstance(part, dict)}
    if isinstance(choices := schema.get("anyOf"), list):
        strict["anyOf"] = [_strict(choice) for choice in choices if isinstance(choice, dict)]
    if isinstance(items := schema.get("items"), dict):
        strict["items"] = _strict(items)
    if isinstance(properties := schema.get("properties"), dict):
        strict |= {"required": list(properties), "additionalProperties": False}
    return strict
