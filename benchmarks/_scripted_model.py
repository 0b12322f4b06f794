"""A language model of few words: the rules behind an OpenAI-compatible server on loopback.

What it finds is what the rules find. It is there for what a real one costs: the calls, and the tokens of prompts and
answers.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from pydantic import SecretStr
from tokenizers import Tokenizer

from cortex_core import LLMConfig
from cortex_core.prompts.analysis import Findings, FoundClaim, FoundRating
from cortex_core.providers.analysis import ClaimKind, KnownFact, Statement
from cortex_core.providers.rules import RuleAnalyst
from tests.openai_server import Answer, ScriptedOpenAI

NAME = "scripted"

_KINDS: Mapping[ClaimKind, Literal["states", "corrects", "ends"]] = {
    ClaimKind.STATES: "states",
    ClaimKind.CORRECTS: "corrects",
    ClaimKind.ENDS: "ends",
}
_EMOTION = 0.3


@asynccontextmanager
async def serve_rules() -> AsyncIterator[LLMConfig]:
    """Start the server and yield the settings for it; nothing caps what is spent."""
    async with ScriptedOpenAI.running() as server:
        server.answer_with(_answer)
        yield LLMConfig(
            base_url=server.base_url, model=NAME, api_key=SecretStr("unused"), daily_tokens=0, daily_dollars=0.0
        )


def count_tokens(text: str) -> int:
    """Count word pieces, with the tokenizer of the embedding model: for English about what language models count."""
    return len(_load_tokenizer().encode(text, add_special_tokens=False).ids)


def size_of(body: Mapping[str, Any]) -> int:
    """Count the tokens of a chat request, the schema of its answer included."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    texts = [message["content"] for message in body["messages"]] + ([json.dumps(schema)] if schema else [])
    return sum(map(count_tokens, texts))


async def _answer(body: dict[str, Any]) -> Answer:
    asked = json.loads(body["messages"][-1]["content"])
    findings = await _analyse(
        [Statement.model_validate({**said, "author_name": asked["speaker"]}) for said in asked["statements"]],
        [KnownFact.model_validate(fact) for fact in asked["known"]],
    )
    text = findings.model_dump_json()
    return Answer.chat(text, usage=(size_of(body), count_tokens(text)))


async def _analyse(statements: Sequence[Statement], known: Sequence[KnownFact]) -> Findings:
    analysis = await RuleAnalyst().analyse(statements, known, account="")
    return Findings(
        claims=[
            FoundClaim(
                subject=claim.subject,
                attribute=claim.attribute,
                value=claim.value,
                kind=_KINDS[claim.kind],
                replaces=claim.replaces,
                confidence=claim.confidence,
                since=claim.valid_from.date().isoformat() if claim.valid_from else None,
                evidence=list(claim.evidence),
            )
            for claim in analysis.claims
            if claim.kind in _KINDS
        ],
        ratings=[
            FoundRating(number=statement.number, emotion=_EMOTION, memory_type="episodic") for statement in statements
        ],
    )


@cache
def _load_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_str((files("cortex_core.providers") / "minilm" / "tokenizer.json").read_text("utf-8"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
