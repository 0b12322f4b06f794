"""Finds memories that can't both be true: by what they say outright, or as questions to a language model (TDD 8.4)."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations
from uuid import UUID

from cortex_core.attributes import attribute_of, is_refined_by, normal_form
from cortex_core.cleaning import clean_text
from cortex_core.consolidation.clustering import cluster_by_similarity
from cortex_core.consolidation.questions import Question
from cortex_core.models import Memory
from cortex_core.prompts.contradictions import FoundConflicts, build_contradiction_prompt
from cortex_core.providers.analysis import Analyst, Claim, ClaimKind, Statement
from cortex_core.stores.postgres.contradictions import AskedAbout, Comparable

_MOST_IN_A_CALL = 20
_ANSWER_TOKENS = 800


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two memories that can't both be true, as found."""

    one: Memory
    other: Memory
    reason: str
    found_by: str
    project_id: str | None = None

    @property
    def pair(self) -> frozenset[UUID]:
        """What names it, whichever comes first."""
        return frozenset((self.one.id, self.other.id))


@dataclass(frozen=True, slots=True)
class Cluster:
    """Memories that are about the same, the latest first, which a language model is to compare."""

    memories: Sequence[Memory]
    project_id: str | None

    @property
    def pairs(self) -> set[frozenset[UUID]]:
        """All that can be found in it."""
        return {frozenset((one.id, other.id)) for one, other in combinations(self.memories, 2)}

    @property
    def question(self) -> Question[FoundConflicts]:
        """What the model is asked about it."""
        prompt = build_contradiction_prompt(self.memories)
        return Question("contradictions", self.memories, prompt, FoundConflicts, _ANSWER_TOKENS)

    def read(self, answer: FoundConflicts, *, found_by: str) -> list[Conflict]:
        """Return the conflicts that a model named, of what it was offered."""
        offered = dict(enumerate(self.memories, 1))
        return [
            Conflict(offered[c.a], offered[c.b], clean_text(c.reason), found_by, self.project_id)
            for c in answer.conflicts
            if c.a in offered and c.b in offered and c.a != c.b
        ]


def list_clusters(known: Sequence[Comparable], project_id: str | None, *, threshold: float) -> list[Cluster]:
    """Return what is worth comparing: memories that are as similar as the threshold on average."""
    places = cluster_by_similarity([comparable.vector for comparable in known], threshold)
    return [Cluster([known[i].memory for i in cluster][:_MOST_IN_A_CALL], project_id) for cluster in places]


async def compare_by_rules(
    rules: Analyst, memories: Sequence[Memory], project_id: str | None, *, asked: Collection[AskedAbout] = ()
) -> list[Conflict]:
    """Compare what memories of the same person say of attributes that hold one value.

    Args:
        rules: Reads them.
        memories: Of any number of people.
        project_id: The project whose memories they are.
        asked: What their owner is asked about, or was, and isn't to be shown again.
    """
    said: dict[tuple[str, str, str], list[tuple[Memory, Claim]]] = defaultdict(list)
    for memory in memories:
        await asyncio.sleep(0)  # reading takes the processor for up to a millisecond
        statement = Statement(number=1, text=memory.content, said_at=memory.created_at)
        for claim in (await rules.analyse([statement], [], account="")).claims:
            if claim.kind is not ClaimKind.ENDS and not attribute_of(claim.attribute).has_many:
                said[memory.user_id, claim.subject or "", claim.attribute].append((memory, claim))
    settled = {(a.subject, a.attribute, frozenset(map(normal_form, (a.held, a.said)))) for a in asked}
    return [
        Conflict(one, other, _explain(claim, another), rules.name, project_id)
        for (_, subject, attribute), claims in said.items()
        for (one, claim), (other, another) in combinations(claims, 2)
        if one.id != other.id
        and _differ(claim, another)
        and (subject, attribute, frozenset(map(normal_form, (claim.value, another.value)))) not in settled
    ]


def _differ(one: Claim, other: Claim) -> bool:
    return normal_form(one.value) != normal_form(other.value) and not (
        is_refined_by(one.value, other.value) or is_refined_by(other.value, one.value)
    )


def _explain(one: Claim, other: Claim) -> str:
    whose = f" of {one.subject}" if one.subject else ""
    return f"The {one.attribute}{whose} can't be both “{one.value}” and “{other.value}”."
