"""Contradictions: memories that can't both be true, and what people decide about them (TDD 8.4).

Similar memories are compared by a language model, cluster by cluster; the rules compare what memories say outright of
attributes that hold one value. Finding one changes nothing: somebody decides.

Only what is known for good is compared, identity and semantic memories. What somebody says in a conversation is weighed
against that when it is read for facts (`knowledge/decisions.py`): another value of an attribute that doesn't change, or
that was set by hand, makes a question to its owner (`corrections.py`), and of any other it is news. What somebody is
asked that way isn't flagged as well.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from cortex_core.audience import Audience
from cortex_core.cleaning import clean_text
from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.accounts import account_of
from cortex_core.consolidation.conflicts import Cluster, Conflict, compare_by_rules, list_clusters
from cortex_core.consolidation.questions import Inquiry
from cortex_core.consolidation.runs import OpenRun, RunKeeper
from cortex_core.errors import InvalidInputError, ProviderError, ProviderUnavailableError
from cortex_core.models import Memory, utc_now
from cortex_core.prompts.contradictions import MergedContent, build_merge_prompt
from cortex_core.providers import ChatModel
from cortex_core.providers.analysis import Analyst
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

__all__ = ["Conflict", "Contradiction", "ContradictionDetector", "Resolution"]

_MOST_MEMORIES = 200  # TDD 8.4
_ANSWER_TOKENS = 800


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

    async def detect_for_user(self, user_id: str) -> list[Conflict]:
        """Return the contradictions in what an owner knows, apart from projects, that were never flagged.

        Raises:
            StoreUnavailableError, ProviderError: Postgres or the language model is away, or an answer can't be read.
        """
        return await self._detect(await self._list_known(user_id), None)

    async def detect_for_project(self, project_id: str) -> list[Conflict]:
        """Return the contradictions in what a project knows, whoever said it; as `detect_for_user` does."""
        return await self._detect(await self._list_known_to(project_id), project_id)

    async def work(self, run: OpenRun, *, now: datetime | None = None) -> None:  # noqa: ARG002  what every job takes
        """Flag what contradicts itself in what an owner and the owner's projects know, within a run.

        Raises:
            StoreUnavailableError: Postgres is away, or another process took the work over.
            ProviderError: The language model is away or its budget used up; or some answers are of no use, which are
                asked for again (`Inquiry`), and all the others were heeded. What was flagged stays.
        """
        looks = [partial(self._look_at, run, await self._list_known(run.user_id), None)]
        projects = await self._postgres.contradictions.list_projects(run.user_id)
        looks += [partial(self._look_at_project, run, project_id) for project_id in projects]
        failure: ProviderError | None = None
        for look in looks:
            try:
                await look()
            except ProviderUnavailableError:
                raise
            except ProviderError as error:
                failure = error
        if failure is not None:
            raise failure

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

    async def _list_known(self, user_id: str) -> list[Comparable]:
        return await self._postgres.contradictions.list_comparable(user_id, limit=_MOST_MEMORIES)

    async def _list_known_to(self, project_id: str) -> list[Comparable]:
        return await self._postgres.contradictions.list_comparable_of_project(project_id, limit=_MOST_MEMORIES)

    async def _look_at_project(self, run: OpenRun, project_id: str) -> None:
        """Flag what contradicts itself in a project, unless another process does so now."""
        job = f"{self.name} in {project_id}"
        async with self._keeper.holding("", job=job) as lease:
            if lease is None:
                return
            async with self._keeper.running(lease, job) as its_own:
                try:
                    await self._look_at(its_own, await self._list_known_to(project_id), project_id)
                finally:
                    run.counts.update(its_own.counts)

    async def _look_at(self, run: OpenRun, known: Sequence[Comparable], project_id: str | None) -> None:
        """Flag what the rules find at once, and what a language model finds cluster by cluster."""
        await self._flag(run, await self._compare_by_rules(known, project_id))
        if self._llm is None:
            return
        inquiry = Inquiry(run, self._llm)
        for cluster in await self._list_clusters(known, project_id):
            question = cluster.question
            answer = await inquiry.ask(question)
            if answer is not None:
                await self._flag(run, cluster.read(answer, found_by=self._llm.model))
                await inquiry.settle(question)
        inquiry.check()

    async def _detect(self, known: Sequence[Comparable], project_id: str | None) -> list[Conflict]:
        found = await self._compare_by_rules(known, project_id)
        if self._llm is not None:
            for cluster in await self._list_clusters(known, project_id):
                found += cluster.read(await cluster.question.put(self._llm), found_by=self._llm.model)
        flagged = await self._postgres.contradictions.list_known([one.memory for one in known])
        return list({conflict.pair: conflict for conflict in reversed(found) if conflict.pair not in flagged}.values())

    async def _compare_by_rules(self, known: Sequence[Comparable], project_id: str | None) -> list[Conflict]:
        if self._rules is None:
            return []
        owners = {one.memory.user_id for one in known} if project_id is None else ()
        asked = [about for owner in owners for about in await self._postgres.contradictions.list_asked(owner)]
        return await compare_by_rules(self._rules, [one.memory for one in known], project_id, asked=asked)

    async def _list_clusters(self, known: Sequence[Comparable], project_id: str | None) -> list[Cluster]:
        """Return those in which something could be found."""
        flagged = await self._postgres.contradictions.list_known([one.memory for one in known])
        clusters = list_clusters(known, project_id, threshold=self._config.similarity_threshold)
        return [cluster for cluster in clusters if not cluster.pairs <= flagged]

    async def _flag(self, run: OpenRun, conflicts: Sequence[Conflict]) -> None:
        if not conflicts:
            return
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
        return clean_text(answer.content)

    async def _refresh(self, found: Contradiction) -> None:
        for owner, memory_id in ((found.owner_a, found.memory_a), (found.owner_b, found.memory_b)):
            await self._redis.forget(owner, [memory_id])
            await self._redis.clear_identity(owner)


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
