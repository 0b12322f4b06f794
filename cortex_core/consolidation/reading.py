"""Lets an analyst read some memories of one person and takes up what it finds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from cortex_core.audience import Audience
from cortex_core.consolidation.accounts import account_of
from cortex_core.consolidation.echoes import original_words
from cortex_core.knowledge.learning import FactKeeper, Learned, ProvenClaim, Reading
from cortex_core.models import Memory, MemoryType, utc_now
from cortex_core.providers.analysis import Analysis, Analyst, KnownFact, Rating, Statement
from cortex_core.scoring import calculate_importance, calculate_ttl
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.learning import Rated, Reader
from cortex_core.stores.redis import RedisStore

Recalled = Callable[[str, datetime, datetime], Awaitable[Sequence[tuple[datetime, str]]]]
"""Gives what replies to somebody drew on from one time to another, each with the time of the reply."""

_MAX_TEXT_CHARS = 2_000
_LOOKED_THROUGH_CHARS = 8_000  # for that many, past what is quoted
_ECHOES_LAST = timedelta(days=1)
_REFINED = frozenset({MemoryType.EPISODIC, MemoryType.SEMANTIC})
"""Types that an analyst may tell apart; the others say how a memory entered."""


class MemoryReader:
    """Shows analysts what people said by themselves, numbered and without ids, and maps their findings back."""

    def __init__(
        self, redis: RedisStore, postgres: PostgresStore, facts: FactKeeper, recalled: Recalled, *, base_ttl: int
    ) -> None:
        self._redis = redis
        self._postgres = postgres
        self._facts = facts
        self._recalled = recalled
        self._base_ttl = base_ttl

    async def read(self, analyst: Analyst, reader: Reader, memories: Sequence[Memory]) -> Learned:
        """Let an analyst read memories, take up what it finds, and mark them as read.

        Args:
            analyst: Who reads.
            reader: As whom it is noted. A language model is told no facts that the memories' audience may not hear.
            memories: Of one owner and one audience, oldest first.

        Raises:
            ProviderError: The analyst can't tell; nothing is marked.
            StoreUnavailableError: A store is away; nothing is marked.
        """
        user_id, audience = memories[0].user_id, Audience.parse(memories[0].audience)
        statements = await self._state(user_id, memories)
        analysis = Analysis()
        if statements:
            told_to = Audience.owner() if reader == "learned" else audience
            known = await self._list_known(user_id, memories[0], told_to)
            analysis = await analyst.analyse(statements, known, account=account_of(memories[0]))
        offered = {statement.number: memories[statement.number - 1] for statement in statements}
        rated = _rate(offered, analysis.ratings)
        learned = await self._facts.learn(
            user_id, _prove(analysis, offered), learned_by=analyst.name, reading=Reading(reader, memories, rated)
        )
        await self._rate_working(memories, rated, learned)
        return learned

    async def give_up(self, reader: Reader, memories: Sequence[Memory], learned_by: str) -> Learned:
        """Mark memories as read from which nothing can be learned."""
        user_id = memories[0].user_id
        return await self._facts.learn(user_id, [], learned_by=learned_by, reading=Reading(reader, memories))

    async def _state(self, user_id: str, memories: Sequence[Memory]) -> list[Statement]:
        """Return what was said without what was only repeated; where nothing is left there is no statement."""
        times = [memory.created_at for memory in memories]
        recalled = await self._recalled(user_id, min(times) - _ECHOES_LAST, max(times))
        statements = []
        for number, memory in enumerate(memories, 1):
            before = [text for at, text in recalled if memory.created_at - _ECHOES_LAST <= at <= memory.created_at]
            if text := original_words(memory.content[:_LOOKED_THROUGH_CHARS], before)[:_MAX_TEXT_CHARS].strip():
                statement = Statement(
                    number=number, text=text, said_at=memory.created_at, author_name=memory.author_name
                )
                statements.append(statement)
        return statements

    async def _list_known(self, user_id: str, first: Memory, told_to: Audience) -> list[KnownFact]:
        """Return what is held by somebody's words before the first of the memories to be read."""
        facts = await self._postgres.learning.list_said(user_id, first.audience, first.created_at)
        return [
            KnownFact(
                subject=fact.subject or None,
                attribute=fact.attribute,
                value=fact.value,
                said_at=fact.said_at,
                is_news=fact.is_news,
            )
            for fact in facts
            if isinstance(fact.value, str | int | float) and told_to.may_hear_any(fact.audiences)
        ]

    async def _rate_working(self, memories: Sequence[Memory], rated: Mapping[UUID, Rated], learned: Learned) -> None:
        """Let what feels otherwise than it seemed stay in working memory as long as that deserves (TDD 3.2)."""
        for memory in memories:
            rating = rated.get(memory.id)
            if rating is not None and memory.id in learned.read:
                fields = ("emotional_score", "importance", "memory_type")
                refined = memory.model_copy(update={name: getattr(rating, name) for name in fields})
                await self._redis.rate(refined, calculate_ttl(rating.emotional_score, self._base_ttl))


def _prove(analysis: Analysis, offered: Mapping[int, Memory]) -> list[ProvenClaim]:
    """Return the claims with the memories that they name by number; numbers that weren't offered are dropped."""
    return [
        ProvenClaim(claim, tuple(offered[number].id for number in claim.evidence if number in offered))
        for claim in analysis.claims
    ]


def _rate(offered: Mapping[int, Memory], ratings: Mapping[int, Rating]) -> dict[UUID, Rated]:
    rated = {}
    for number, memory in offered.items():
        rating = ratings.get(number)
        if rating is None:
            continue
        emotion = memory.emotional_score if rating.emotion is None else rating.emotion
        is_refined = rating.memory_type in _REFINED and memory.memory_type in _REFINED
        memory_type = rating.memory_type if is_refined and rating.memory_type else memory.memory_type
        refined = memory.model_copy(update={"emotional_score": emotion, "memory_type": memory_type})
        rated[memory.id] = Rated(emotion, calculate_importance(refined, utc_now()), memory_type)
    return rated
