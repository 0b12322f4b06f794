"""Contradictions: memories that can't both be true, and what people decide about them (TDD 8.4).

Similar memories are compared by a language model, cluster by cluster; the rules compare what memories say outright of
attributes that hold one value. Finding one changes nothing: somebody decides.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from uuid import UUID

from cortex_core.attributes import attribute_of, is_refined_by, normal_form
from cortex_core.audience import Audience
from cortex_core.cleaning import clean_text
from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.accounts import account_of
from cortex_core.consolidation.clustering import cluster_by_similarity
from cortex_core.consolidation.runs import OpenRun, RunKeeper
from cortex_core.errors import InvalidInputError, ProviderError, ProviderUnavailableError
from cortex_core.models import Memory, utc_now
from cortex_core.prompts.contradictions import (
    FoundConflicts,
    MergedContent,
    build_contradiction_prompt,
    build_merge_prompt,
)
from cortex_core.providers import ChatModel
from cortex_core.providers.analysis import Analyst, Claim, ClaimKind, Statement
from cortex_core.scoring import calculate_importance
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.contradictions import (
    MERGED,
    Comparable,
    Contradiction,
    Decision,
    Resolution,
)
from cortex_core.stores.postgres.runs import Undone
from cortex_core.stores.redis import RedisStore

_log = logging.getLogger("cortex.consolidation")

__all__ = ["Conflict", "Contradiction", "ContradictionDetector", "Resolution"]

_MOST_MEMORIES = 200  # TDD 8.4
_MOST_IN_A_CALL = 20
_ANSWER_TOKENS = 800
_VECTORS_TAKE = timedelta(hours=1)


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


class ContradictionDetector:
    """Finds contradictions and carries out what is decided about them.

    Args:
        llm: Compares similar memories and words merged ones.
        rules: Reads memories without asking anybody.
        on_written: Is told that a merged memory waits for its vector.
    """

    name = "contradictions"

    def __init__(
        self,
        config: ConsolidationConfig,
        redis: RedisStore,
        postgres: PostgresStore,
        llm: ChatModel | None,
        rules: Analyst | None,
        on_written: Callable[[], None],
    ) -> None:
        self._config = config
        self._redis = redis
        self._postgres = postgres
        self._llm = llm
        self._rules = rules
        self._on_written = on_written
        self._keeper = RunKeeper(postgres)

    async def detect_for_user(self, user_id: str, *, since: datetime | None = None) -> list[Conflict]:
        """Return the contradictions in what an owner knows, apart from projects, that were never flagged.

        Args:
            user_id: The owner.
            since: Clusters in which nothing changed from then on aren't looked at again.

        Raises:
            StoreUnavailableError, ProviderUnavailableError: Postgres or the language model is away.
        """
        known = await self._postgres.contradictions.list_comparable(user_id, limit=_MOST_MEMORIES)
        return await self._detect(known, None, since)

    async def detect_for_project(self, project_id: str, *, since: datetime | None = None) -> list[Conflict]:
        """Return the contradictions in what a project knows, whoever said it; as `detect_for_user` does."""
        known = await self._postgres.contradictions.list_comparable_of_project(project_id, limit=_MOST_MEMORIES)
        return await self._detect(known, project_id, since)

    async def work(self, run: OpenRun, *, now: datetime | None = None) -> None:  # noqa: ARG002  what every job takes
        """Flag what contradicts itself in what an owner and the owner's projects know, within a run."""
        since = await self._get_last(run.user_id, self.name)
        await self._flag(run, await self.detect_for_user(run.user_id, since=since))
        for project_id in await self._postgres.contradictions.list_projects(run.user_id):
            run.counts["contradictions_found"] += await self._look_at_project(project_id)

    async def resolve_contradiction(
        self,
        contradiction_id: UUID,
        resolution: Resolution,
        note: str | None = None,
        *,
        by: str,
        changed_on: datetime | None = None,
        merged: str | None = None,
    ) -> Contradiction:
        """Carry out what somebody decides, all or nothing; `reopen` takes it back.

        Args:
            contradiction_id: Which.
            resolution: The decision.
            note: Their words for it.
            by: Who decides: the owner of both memories, or for a project's its owner or an admin.
            changed_on: For `changed` from when on the newer one holds; from when it was said when absent.
            merged: For `merge` what takes the place of both; worded by the language model when absent.

        Raises:
            NotFoundError, AccessDeniedError: It isn't there, or isn't theirs to decide.
            InvalidInputError: It was decided already, one of the two doesn't hold any more, or they can't be merged.
            StoreUnavailableError, ProviderError: A store or the language model is away.
        """
        found, a, b = await self._postgres.contradictions.get(by, contradiction_id)
        memory = None
        if resolution is Resolution.MERGE and found.owner_a == found.owner_b:
            memory = _merge(a, b, await self._word(a, b, merged, note))
        elif resolution is Resolution.CHANGED:
            changed_on = _check_date(changed_on or max(a.created_at, b.created_at))
        note = clean_text(note) if note else None
        decided = await self._postgres.contradictions.resolve(
            contradiction_id, Decision(by, resolution, note, changed_on, memory)
        )
        if memory is not None:
            self._on_written()
        await self._refresh(found)
        return decided

    async def reopen(self, contradiction_id: UUID, *, by: str) -> Undone:
        """Take back what was decided with all that it changed; raises as `resolve_contradiction` does."""
        found, _, _ = await self._postgres.contradictions.get(by, contradiction_id)
        undone = await self._postgres.contradictions.reopen(by, contradiction_id)
        await self._refresh(found)
        return undone

    async def _look_at_project(self, project_id: str) -> int:
        """Flag what contradicts itself in a project, unless another process does so now."""
        job = f"{self.name} in {project_id}"
        async with self._keeper.holding("", job=job) as lease:
            if lease is None:
                return 0
            since = await self._get_last(None, job)
            async with self._keeper.running(lease, job) as run:
                await self._flag(run, await self.detect_for_project(project_id, since=since))
                return run.counts["contradictions_found"]

    async def _get_last(self, user_id: str | None, job: str) -> datetime | None:
        """Return from when on changes are news: since the last run, and a while before, for vectors that came late."""
        last = await self._postgres.runs.get_last_success(user_id, job)
        return None if last is None else last - _VECTORS_TAKE

    async def _flag(self, run: OpenRun, conflicts: Sequence[Conflict]) -> None:
        async with run.committing() as connection:
            for conflict in conflicts:
                run.counts["contradictions_found"] += await self._postgres.contradictions.flag(
                    connection,
                    conflict.one,
                    conflict.other,
                    conflict.reason,
                    found_by=conflict.found_by,
                    project_id=conflict.project_id,
                )

    async def _detect(
        self, known: Sequence[Comparable], project_id: str | None, since: datetime | None
    ) -> list[Conflict]:
        memories = [comparable.memory for comparable in known]
        flagged = await self._postgres.contradictions.list_known(memories)
        found: dict[frozenset[UUID], Conflict] = {}
        for conflict in await self._judge_by_rules(memories, project_id):
            found.setdefault(conflict.pair, conflict)
        if self._llm is not None:
            for cluster in self._list_clusters(known, since):
                pairs = {frozenset((one.id, other.id)) for one, other in combinations(cluster, 2)}
                if not pairs <= flagged | found.keys():
                    for conflict in await self._judge(self._llm, cluster, project_id):
                        found.setdefault(conflict.pair, conflict)
        return [conflict for pair, conflict in found.items() if pair not in flagged]

    def _list_clusters(self, known: Sequence[Comparable], since: datetime | None) -> Iterator[list[Memory]]:
        places = cluster_by_similarity([comparable.vector for comparable in known], self._config.similarity_threshold)
        for cluster in places:
            memories = [known[place].memory for place in cluster][:_MOST_IN_A_CALL]  # the latest come first
            if since is None or any((memory.updated_at or memory.created_at) > since for memory in memories):
                yield memories

    async def _judge(self, llm: ChatModel, cluster: Sequence[Memory], project_id: str | None) -> list[Conflict]:
        try:
            answer = await llm.ask(
                build_contradiction_prompt(cluster),
                FoundConflicts,
                max_tokens=_ANSWER_TOKENS,
                account=account_of(cluster[0]),
            )
        except ProviderUnavailableError:
            raise
        except ProviderError as error:
            _log.warning("%d similar memories were not compared: %s", len(cluster), error)
            return []
        offered = range(1, len(cluster) + 1)
        return [
            Conflict(cluster[c.a - 1], cluster[c.b - 1], clean_text(c.reason), llm.model, project_id)
            for c in answer.conflicts
            if c.a in offered and c.b in offered and c.a != c.b
        ]

    async def _judge_by_rules(self, memories: Sequence[Memory], project_id: str | None) -> list[Conflict]:
        """Compare what memories of the same person say of attributes that hold one value."""
        if self._rules is None:
            return []
        said: dict[tuple[str, str, str], list[tuple[Memory, Claim]]] = defaultdict(list)
        for memory in memories:
            await asyncio.sleep(0)  # reading takes the processor for up to a millisecond
            statement = Statement(number=1, text=memory.content, said_at=memory.created_at)
            for claim in (await self._rules.analyse([statement], [], account="")).claims:
                if claim.kind is not ClaimKind.ENDS and not attribute_of(claim.attribute).has_many:
                    said[memory.user_id, claim.subject or "", claim.attribute].append((memory, claim))
        return [
            Conflict(one, other, _explain(claim, another), self._rules.name, project_id)
            for claims in said.values()
            for (one, claim), (other, another) in combinations(claims, 2)
            if one.id != other.id and _differ(claim, another)
        ]

    async def _word(self, a: Memory, b: Memory, merged: str | None, note: str | None) -> str:
        if merged is not None:
            content = clean_text(merged).strip()
            if not content:
                raise InvalidInputError("Say in words what is true of both.")
            return content
        if self._llm is None:
            raise InvalidInputError("Say in words what is true of both; there is no language model to word it.")
        prompt = build_merge_prompt(a, b, note=note)
        answer = await self._llm.ask(prompt, MergedContent, max_tokens=_ANSWER_TOKENS, account=account_of(a))
        return answer.content

    async def _refresh(self, found: Contradiction) -> None:
        for owner, memory_id in ((found.owner_a, found.memory_a), (found.owner_b, found.memory_b)):
            await self._redis.forget(owner, [memory_id])
            await self._redis.clear_identity(owner)


def _differ(one: Claim, other: Claim) -> bool:
    return normal_form(one.value) != normal_form(other.value) and not (
        is_refined_by(one.value, other.value) or is_refined_by(other.value, one.value)
    )


def _explain(one: Claim, other: Claim) -> str:
    whose = f" of {one.subject}" if one.subject else ""
    return f"The {one.attribute}{whose} can't be both “{one.value}” and “{other.value}”."


def _check_date(changed_on: datetime) -> datetime:
    if changed_on.tzinfo is None or changed_on > utc_now():
        raise InvalidInputError("The date of a change has a time zone and lies in the past.")
    return changed_on


def _merge(a: Memory, b: Memory, content: str) -> Memory:
    """Return what takes the place of two memories: for those who could hear both."""
    earlier, later = sorted((a, b), key=lambda memory: memory.created_at)
    memory = Memory(
        user_id=a.user_id,
        content=content,
        memory_type=a.memory_type,
        project_id=a.project_id,
        audience=str(Audience.narrowest(map(Audience.parse, (a.audience, b.audience)))),
        said_in=a.said_in if a.said_in == b.said_in else None,
        emotional_score=max(a.emotional_score, b.emotional_score),
        confidence=max(a.confidence, b.confidence),
        created_at=later.created_at,
        valid_from=earlier.valid_from,
        source=MERGED,
        tags=tuple(dict.fromkeys((*a.tags, *b.tags))),
    )
    return memory.model_copy(update={"importance": calculate_importance(memory)})
