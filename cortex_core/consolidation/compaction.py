"""Compaction: old episodes of a week become one summary, and step back in its favour (TDD 8.5).

A summary exists if and only if what it stands for is archived: both happen in one transaction, which also checks that
nothing changed while the summary was worded. No transaction is open during that.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby

from cortex_core.cleaning import clean_text
from cortex_core.config import ConsolidationConfig
from cortex_core.consolidation.extracts import choose_telling, split_sentences, weigh_words
from cortex_core.consolidation.questions import Inquiry, Question
from cortex_core.consolidation.runs import OpenRun, RunKeeper
from cortex_core.models import Memory, MemoryType, utc_now
from cortex_core.prompts.compaction import WeekSummary, build_compaction_prompt
from cortex_core.providers import ChatModel, Embedder
from cortex_core.scoring import calculate_importance
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.derivations import OldEpisode

SOURCE = "compaction"

_FEWEST_OF_A_WEEK = 5  # TDD 8.5
_MOST_IN_A_CALL = 60
_MOST_CHARS_IN_A_CALL = 24_000
_ANSWER_TOKENS = 800
_EXTRACTED_SENTENCES = 5


class CompactionJob:
    """Replaces old episodes by summaries: by week, audience, project and place, never mixing them.

    What somebody keeps on purpose (pinned), what a fact rests on, and what was brought back by undoing a run stays.

    Args:
        llm: Words the summaries; without one they consist of the most telling sentences, marked as `extractive`, or
            there are none (`consolidation.summarise_without_llm`).
        on_written: Is told that a summary waits for its vector.
    """

    name = "compaction"

    def __init__(
        self,
        config: ConsolidationConfig,
        postgres: PostgresStore,
        embedder: Embedder,
        llm: ChatModel | None,
        on_written: Callable[[], None],
    ) -> None:
        self._config = config
        self._postgres = postgres
        self._embedder = embedder
        self._llm = llm
        self._on_written = on_written
        self._keeper = RunKeeper(postgres)

    async def compact_user(
        self, user_id: str, older_than_days: int | None = None, *, now: datetime | None = None
    ) -> dict[str, int]:
        """Compact an owner's old episodes and return what was done; nothing while another process works on the owner.

        Args:
            user_id: The owner.
            older_than_days: How old a whole week must be; as configured when absent.
            now: What that counts back from.

        Raises:
            StoreUnavailableError, ProviderError: As `work` does.
        """
        async with self._keeper.holding(user_id) as lease:
            if lease is None:
                return {}
            async with self._keeper.running(lease, self.name) as run:
                await self.work(run, now=now, older_than_days=older_than_days)
                return dict(run.counts)

    async def work(self, run: OpenRun, *, now: datetime | None = None, older_than_days: int | None = None) -> None:
        """Compact what is old enough, within a run.

        Raises:
            StoreUnavailableError: Postgres is away, or another process took the work over.
            ProviderError: The language model is away or the budget is used up; or it gave no summary of use of some
                week, which is left for the next runs (`Inquiry`), and the others are done. What is done stays.
        """
        if self._llm is None and not self._config.summarise_without_llm:
            return
        days = self._config.compact_after_days if older_than_days is None else older_than_days
        before = _week_of((now or utc_now()) - timedelta(days=days))
        inquiry = Inquiry(run, self._llm) if self._llm else None
        passed_over = 0
        while portions := await self._list_portions(run.user_id, before, passed_over):
            given_up_before = run.counts["given_up"]
            for week, memories in portions:
                if inquiry is None:
                    summary = _draw(await self._extract(week, memories), {"extractive": True}, week, memories)
                elif answer := await inquiry.ask(_ask_for_summary(week, memories)):
                    summary = _draw(clean_text(answer.summary), {"model": inquiry.model}, week, memories)
                else:
                    continue
                await self._compact(run, summary, memories, before)
            if run.counts["given_up"] - given_up_before < len(portions):
                break
            passed_over += sum(len(memories) for _, memories in portions)  # they keep no others waiting
        if inquiry is not None:
            inquiry.check()

    async def _list_portions(
        self, user_id: str, before: datetime, passed_over: int
    ) -> list[tuple[datetime, list[Memory]]]:
        """Return what goes into the next summaries, as many as a run takes on."""
        limit = self._config.max_memories_per_run
        episodes = await self._postgres.derivations.list_compactable(
            user_id,
            before=before,
            at_least=self._config.compact_min_memories,
            at_least_together=_FEWEST_OF_A_WEEK,
            limit=limit,
            offset=passed_over,
        )
        return list(_portions(episodes, limit))

    async def _compact(self, run: OpenRun, summary: Memory, memories: Sequence[Memory], before: datetime) -> None:
        async with run.committing() as connection:
            is_done = await self._postgres.derivations.compact(
                connection, summary, memories, before=before, run_id=run.id
            )
        if not is_done:
            run.counts["skipped"] += 1
            return
        run.counts["summaries"] += 1
        run.counts["memories_compacted"] += len(memories)
        self._on_written()

    async def _extract(self, week: datetime, memories: Sequence[Memory]) -> str:
        speakers: dict[str, Memory] = {}
        for memory in memories:
            for sentence in split_sentences(memory.content):
                speakers.setdefault(sentence, memory)
        sentences = list(speakers)
        vectors = await self._embedder.embed_batch(sentences)
        weights = [speakers[sentence].emotional_score / 2 + weigh_words(sentence) for sentence in sentences]
        chosen = [sentences[i] for i in choose_telling(vectors, weights, most=_EXTRACTED_SENTENCES)]
        said = " ".join(f"{_speaker(speakers[sentence])}“{sentence}”" for sentence in chosen)
        return f"In the week of {week:%-d %B %Y}: {said}"


def _ask_for_summary(week: datetime, memories: Sequence[Memory]) -> Question[WeekSummary]:
    prompt = build_compaction_prompt(week.date(), memories)
    return Question("compaction", memories, prompt, WeekSummary, _ANSWER_TOKENS)


def _portions(episodes: Sequence[OldEpisode], limit: int) -> Iterator[tuple[datetime, list[Memory]]]:
    """Yield what goes into one summary each: a group, or even parts of one that doesn't fit a call."""
    groups = [list(group) for _, group in groupby(episodes, key=lambda episode: episode.group)]
    if len(episodes) == limit and len(groups) > 1:
        groups.pop()  # it may be cut; the next run begins with it
    for group in groups:
        memories = [episode.memory for episode in group]
        chars = sum(len(memory.content) for memory in memories)
        parts = min(len(memories), max(-(-len(memories) // _MOST_IN_A_CALL), -(-chars // _MOST_CHARS_IN_A_CALL)))
        for part in range(parts):
            yield group[0].week, memories[part * len(memories) // parts : (part + 1) * len(memories) // parts]


def _draw(content: str, how: dict[str, str | bool], week: datetime, memories: Sequence[Memory]) -> Memory:
    first = memories[0]
    summary = Memory(
        user_id=first.user_id,
        content=content,
        memory_type=MemoryType.SEMANTIC,
        project_id=first.project_id,
        audience=first.audience,
        said_in=first.said_in,
        emotional_score=sum(memory.emotional_score for memory in memories) / len(memories),
        confidence=min(memory.confidence for memory in memories),
        created_at=memories[-1].created_at,
        valid_from=first.created_at,
        source=SOURCE,
        metadata={"week_start": week.date().isoformat(), "memories_compacted": len(memories), **how},
    )
    return summary.model_copy(update={"importance": calculate_importance(summary)})


def _speaker(memory: Memory) -> str:
    is_own = memory.author_id in (None, memory.user_id)
    return "" if is_own else f"{memory.author_name or 'somebody else'}: "


def _week_of(time: datetime) -> datetime:
    """Return the Monday, 00:00 UTC, that its week began with."""
    day = time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())
