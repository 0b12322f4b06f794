"""Patterns: what several recent memories of one person show together (TDD 8.3).

Only a language model finds them; what single statements say outright is the analyst's business. It is shown the same
memories once, and what is known, so that it names that instead of finding it anew. Whatever it makes of this, a rule
tells another wording from another pattern (`wordings.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from math import isfinite
from typing import Protocol
from uuid import UUID

from pydantic import Field

from cortex_core.attributes import declared_attributes
from cortex_core.audience import Audience
from cortex_core.cleaning import clean_text
from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.questions import Inquiry, Question
from cortex_core.consolidation.runs import OpenRun, RunKeeper
from cortex_core.consolidation.wordings import Wording, say_the_same
from cortex_core.knowledge.learning import Learned, ProvenClaim
from cortex_core.models import Memory, MemoryType, Model, UnitInterval, Vector, utc_now
from cortex_core.prompts.patterns import Category, FoundPattern, FoundPatterns, build_pattern_prompt
from cortex_core.providers import ChatModel
from cortex_core.providers.analysis import Claim, Value
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.scoring import calculate_importance
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.connection import Connection
from cortex_core.stores.postgres.derivations import KnownPattern, PatternOutcome
from cortex_core.stores.postgres.descent import FEWEST_PROOFS

SOURCE = "consolidation"

_MOST_MEMORIES = 100  # TDD 8.3
_MOST_IN_A_CALL = 50  # TDD 8.3
_MOST_KNOWN = 30
_MOST_VALUE_WORDS = 8
_ANSWER_TOKENS = 1000


class Pattern(Model):
    """Something that several memories show.

    Attributes:
        fact: A sentence without its subject, the owner.
        evidence: The memories that show it.
        attribute: For `identity` what it says of the owner's identity, if that can be said so,
        value: and the value.
        known_id: The one that is kept already of which the model says that it is this one.
    """

    category: Category
    fact: str = Field(repr=False)
    confidence: UnitInterval
    evidence: tuple[UUID, ...]
    attribute: str | None = None
    value: Value | None = Field(default=None, repr=False)
    known_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Group:
    """What is looked at together, oldest first, and the patterns that are known of it by id and text."""

    memories: Sequence[Memory]
    known: Sequence[tuple[UUID, str]]

    @property
    def question(self) -> Question[FoundPatterns]:
        prompt = build_pattern_prompt(
            self.memories,
            known=[fact for _, fact in self.known],
            attributes=[attribute.name for attribute in declared_attributes()],
        )
        return Question("patterns", self.memories, prompt, FoundPatterns, _ANSWER_TOKENS)

    def read(self, answer: FoundPatterns) -> list[Pattern]:
        offered = {number: pattern_id for number, (pattern_id, _) in enumerate(self.known, 1)}
        judged = [(_judge(found, self.memories), offered.get(found.known or 0)) for found in answer.patterns]
        return [pattern.model_copy(update={"known_id": known_id}) for pattern, known_id in judged if pattern]


class LearnsClaims(Protocol):
    """Takes up what is durably true of somebody; `FactKeeper` does."""

    async def learn_within(
        self, connection: Connection, user_id: str, claims: Sequence[ProvenClaim], *, learned_by: str, run_id: UUID
    ) -> Learned:
        """Learn what the claims say, within the transaction of a run."""

    async def refresh(self, user_id: str) -> None:
        """Let it count, now that it is committed."""


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
        return [
            pattern
            for group in await self._list_groups(user_id, now or utc_now())
            for pattern in group.read(await group.question.put(self._llm))
        ]

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
        """Find and keep patterns, within a run; raises as `extract_for_user` does, when all groups were looked at.

        What was looked at and didn't change since isn't looked at again (`Inquiry`).
        """
        if self._llm is None:
            return
        inquiry = Inquiry(run, self._llm)
        for group in await self._list_groups(run.user_id, now or utc_now()):
            question = group.question
            answer = await inquiry.ask(question)
            if answer is not None:
                await self.apply(run, group.read(answer), now=now)
                await inquiry.settle(question)
        inquiry.check()

    async def apply(self, run: OpenRun, patterns: Sequence[Pattern], *, now: datetime | None = None) -> None:
        """Keep the patterns that are sure enough, within a run: each as a semantic memory with its evidence.

        One that is there already for the same readers gets the evidence instead; one that more people may hear stays
        as it is, and one that was taken back stays so. What is a matter of identity is learned as a fact as well, in
        the same transaction.
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
                    partial(_is_same, pattern, embedding.vector),
                    run_id=run.id,
                )
                claims = _claims_of(pattern) if outcome is PatternOutcome.ADDED else []
                if claims:
                    learned_by = self._llm.model if self._llm else SOURCE
                    await self._facts.learn_within(
                        connection, run.user_id, claims, learned_by=learned_by, run_id=run.id
                    )
            run.counts[f"patterns_{outcome}"] += 1
            if claims:
                await self._facts.refresh(run.user_id)

    async def _list_groups(self, user_id: str, now: datetime) -> list[_Group]:
        """Return what may be looked at, apart by audience and project; nothing that is too little."""
        since = now - timedelta(days=self._config.pattern_lookback_days)
        recent = await self._postgres.derivations.list_recent_episodes(user_id, since=since, limit=_MOST_MEMORIES)
        groups = []
        for memories in _group(recent):
            if len(memories) >= self._config.pattern_min_memories:
                first = memories[0]
                known = await self._postgres.derivations.list_patterns(
                    user_id, Audience.parse(first.audience), first.project_id, limit=_MOST_KNOWN
                )
                groups.append(_Group(memories[-_MOST_IN_A_CALL:], known))
        return groups


def _judge(found: FoundPattern, memories: Sequence[Memory]) -> Pattern | None:
    """Return a pattern with the memories that were offered and named, or None if those are too few to show anything."""
    offered = [number for number in dict.fromkeys(found.evidence) if 1 <= number <= len(memories)]
    fact = " ".join(clean_text(found.fact).split())
    if len(offered) < FEWEST_PROOFS or not any(map(str.isalnum, fact)):
        return None
    is_identity = found.category == "identity" and found.attribute and _is_short(found.value)
    return Pattern(
        category=found.category,
        fact=fact,
        confidence=found.confidence,
        evidence=tuple(memories[number - 1].id for number in offered),
        attribute=found.attribute if is_identity else None,
        value=found.value if is_identity else None,
    )


def _is_short(value: Value | None) -> bool:
    """Whether a value is one of a few words, as an analyst's has to be: a sentence isn't, nor is NaN."""
    if isinstance(value, str):
        return 0 < len(value.split()) <= _MOST_VALUE_WORDS
    return value is not None and isfinite(value)


def _group(recent: Iterable[Memory]) -> list[list[Memory]]:
    """Return what may be looked at together, each oldest first."""

    def key(memory: Memory) -> tuple[str, str]:
        return memory.audience, memory.project_id or ""

    ordered = sorted(recent, key=lambda memory: (key(memory), memory.created_at, memory.id))
    return [list(group) for _, group in groupby(ordered, key=key)]


def _claims_of(pattern: Pattern) -> list[ProvenClaim]:
    """Return what a pattern says of its owner's identity, if it does."""
    if pattern.attribute is None or pattern.value is None:
        return []
    numbers = tuple(range(1, len(pattern.evidence) + 1))
    claim = Claim(attribute=pattern.attribute, value=pattern.value, confidence=pattern.confidence, evidence=numbers)
    return [ProvenClaim(claim, pattern.evidence)]


def _is_same(pattern: Pattern, vector: Vector, known: KnownPattern, stems: frozenset[str]) -> bool:
    if known.vector is None:
        return False
    return say_the_same(
        Wording(known.category, known.text, known.stems, known.vector),
        Wording(pattern.category, pattern.fact, stems, vector),
        is_named=known.id == pattern.known_id,
        shared=known.shared,
        said=known.said,
    )


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
