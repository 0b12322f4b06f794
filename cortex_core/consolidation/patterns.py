"""Patterns: what several recent memories of one person show together (TDD 8.3).

Only a language model finds them; what single statements say outright is the analyst's business. However often the same
week is looked at, each pattern is there once.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Protocol
from uuid import UUID

from pydantic import Field

from cortex_core.attributes import declared_attributes
from cortex_core.cleaning import clean_text
from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.accounts import account_of
from cortex_core.consolidation.runs import OpenRun, RunKeeper
from cortex_core.knowledge.learning import Learned, ProvenClaim
from cortex_core.models import Memory, MemoryType, Model, UnitInterval, utc_now
from cortex_core.prompts.patterns import Category, FoundPattern, FoundPatterns, build_pattern_prompt
from cortex_core.providers import ChatModel
from cortex_core.providers.analysis import Claim, Value
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.scoring import calculate_importance
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.derivations import PatternOutcome
from cortex_core.stores.postgres.descent import FEWEST_PROOFS

SOURCE = "consolidation"

_MOST_MEMORIES = 100  # TDD 8.3
_MOST_IN_A_CALL = 50  # TDD 8.3
_ANSWER_TOKENS = 1000


class Pattern(Model):
    """Something that several memories show.

    Attributes:
        fact: A sentence without its subject, the owner.
        evidence: The memories that show it.
        attribute: For `identity` what it says of the owner's identity, if that can be said so,
        value: and the value.
    """

    category: Category
    fact: str = Field(repr=False)
    confidence: UnitInterval
    evidence: tuple[UUID, ...]
    attribute: str | None = None
    value: Value | None = Field(default=None, repr=False)


class LearnsClaims(Protocol):
    """Takes up what is durably true of somebody; `FactKeeper` does."""

    async def learn(
        self, user_id: str, claims: Sequence[ProvenClaim], *, learned_by: str, run_id: UUID | None = None
    ) -> Learned:
        """Learn what the claims say, all or nothing."""


class PatternExtractor:
    """Finds patterns in what somebody said lately, apart by audience and project, and keeps those that are sure enough.

    Args:
        llm: Finds them; without one there are none.
        facts: Learns what is a matter of identity.
    """

    name = "patterns"

    def __init__(
        self,
        config: ConsolidationConfig,
        postgres: PostgresStore,
        embedder: CachingEmbedder,
        llm: ChatModel | None,
        facts: LearnsClaims,
    ) -> None:
        self._config = config
        self._postgres = postgres
        self._embedder = embedder
        self._llm = llm
        self._facts = facts
        self._keeper = RunKeeper(postgres)

    async def extract_for_user(self, user_id: str, *, now: datetime | None = None) -> list[Pattern]:
        """Return the patterns in what somebody said lately; none from fewer memories than are configured.

        Raises:
            StoreUnavailableError: Postgres is away.
            ProviderError: The language model is away, has used up its budget, or gave no answer that can be read.
        """
        if self._llm is None:
            return []
        since = (now or utc_now()) - timedelta(days=self._config.pattern_lookback_days)
        recent = await self._postgres.derivations.list_recent_episodes(user_id, since=since, limit=_MOST_MEMORIES)
        patterns: list[Pattern] = []
        for group in _groups(recent):
            if len(group) >= self._config.pattern_min_memories:
                patterns += await self._extract(self._llm, group[-_MOST_IN_A_CALL:])
        return patterns

    async def apply_patterns(
        self, user_id: str, patterns: Sequence[Pattern], *, now: datetime | None = None
    ) -> dict[str, int]:
        """Keep the patterns that are sure enough and return what was done; nothing while another process is at it."""
        async with self._keeper.holding(user_id) as lease:
            if lease is None:
                return {}
            async with self._keeper.running(lease, self.name) as run:
                await self.apply(run, patterns, now=now)
                return dict(run.counts)

    async def work(self, run: OpenRun, *, now: datetime | None = None) -> None:
        """Find and keep patterns, within a run; raises as `extract_for_user` does."""
        await self.apply(run, await self.extract_for_user(run.user_id, now=now), now=now)

    async def apply(self, run: OpenRun, patterns: Sequence[Pattern], *, now: datetime | None = None) -> None:
        """Keep the patterns that are sure enough, within a run: each as a semantic memory with its evidence.

        One that is there already gets the evidence instead, if its readers are those of the new one or more. One that
        was taken back stays so. What is a matter of identity is learned as a fact as well.
        """
        run.counts["patterns_found"] += len(patterns)
        sure = [p for p in patterns if p.confidence >= self._config.pattern_confidence_threshold]
        embeddings = await self._embedder.encode_batch([pattern.fact for pattern in sure]) if sure else []
        for pattern, embedding in zip(sure, embeddings, strict=True):
            async with run.committing() as connection:
                outcome = await self._postgres.derivations.add_pattern(
                    connection,
                    run.user_id,
                    pattern.evidence,
                    partial(_draw, pattern, self._llm, now or utc_now()),
                    embedding,
                    run_id=run.id,
                )
            run.counts[f"patterns_{outcome}"] += 1
            if outcome is PatternOutcome.ADDED and (claim := _claim_of(pattern)) is not None:
                learned_by = self._llm.model if self._llm else SOURCE
                await self._facts.learn(
                    run.user_id, [ProvenClaim(claim, pattern.evidence)], learned_by=learned_by, run_id=run.id
                )

    async def _extract(self, llm: ChatModel, memories: Sequence[Memory]) -> list[Pattern]:
        prompt = build_pattern_prompt(memories, attributes=[a.name for a in declared_attributes()])
        answer = await llm.ask(prompt, FoundPatterns, max_tokens=_ANSWER_TOKENS, account=account_of(memories[0]))
        judged = (_judge(found, memories) for found in answer.patterns)
        return [pattern for pattern in judged if pattern is not None]


def _judge(found: FoundPattern, memories: Sequence[Memory]) -> Pattern | None:
    """Return a pattern with the memories that were offered and named, or None if those are too few to show anything."""
    offered = [number for number in dict.fromkeys(found.evidence) if 1 <= number <= len(memories)]
    fact = " ".join(clean_text(found.fact).split())
    if len(offered) < FEWEST_PROOFS or not any(map(str.isalnum, fact)):
        return None
    is_identity = found.category == "identity" and found.attribute and found.value not in (None, "")
    return Pattern(
        category=found.category,
        fact=fact,
        confidence=found.confidence,
        evidence=tuple(memories[number - 1].id for number in offered),
        attribute=found.attribute if is_identity else None,
        value=found.value if is_identity else None,
    )


def _groups(recent: Iterable[Memory]) -> list[list[Memory]]:
    """Return what may be looked at together, each oldest first."""

    def key(memory: Memory) -> tuple[str, str]:
        return memory.audience, memory.project_id or ""

    ordered = sorted(recent, key=lambda memory: (key(memory), memory.created_at, memory.id))
    return [list(group) for _, group in groupby(ordered, key=key)]


def _claim_of(pattern: Pattern) -> Claim | None:
    if pattern.attribute is None or pattern.value is None:
        return None
    numbers = tuple(range(1, len(pattern.evidence) + 1))
    return Claim(attribute=pattern.attribute, value=pattern.value, confidence=pattern.confidence, evidence=numbers)


def _draw(pattern: Pattern, llm: ChatModel | None, now: datetime, evidence: Sequence[Memory]) -> Memory:
    """Return a pattern as a memory with the audience, project and place of its evidence."""
    first, places = evidence[0], {memory.said_in for memory in evidence}
    memory = Memory(
        user_id=first.user_id,
        content=pattern.fact,
        memory_type=MemoryType.SEMANTIC,
        project_id=first.project_id,
        audience=first.audience,
        said_in=first.said_in if len(places) == 1 else None,
        emotional_score=sum(memory.emotional_score for memory in evidence) / len(evidence),
        confidence=pattern.confidence,
        created_at=evidence[-1].created_at,
        valid_from=first.created_at,
        source=SOURCE,
        metadata={"pattern_category": pattern.category, **({"model": llm.model} if llm else {})},
    )
    return memory.model_copy(update={"importance": calculate_importance(memory, now)})
