"""Assembles what Clara needs for one turn: identity, session, working memory, recalled memories (TDD 4.2, 4.3)."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pydantic import Field, JsonValue

from cortex_core.audience import Audience, AudienceKind
from cortex_core.background import abandon_after
from cortex_core.cleaning import clean_text
from cortex_core.config import RetrievalConfig
from cortex_core.errors import StoreError, StoreUnavailableError
from cortex_core.knowledge.identity import Identity, IdentityKeeper, read_cached, state_attribute
from cortex_core.late_interaction import Embedding
from cortex_core.models import Degradation, Memory, MemoryType, Model, ProjectContext
from cortex_core.recall.diversity import without_repeats
from cortex_core.recall.ranking import Ranking
from cortex_core.recall.rendering import MAX_WORKING, render
from cortex_core.recall.search import Searcher, clean_query
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.redis import HotContext, RedisStore

_log = logging.getLogger("cortex.recall")

T = TypeVar("T")

_NOTHING = Ranking([], 0, None)
_NO_PROJECT: ProjectContext | None = None


class MemoryContext(Model):
    """Everything that is known for a turn; what may not be heard in its audience is not in it.

    Attributes:
        identity: Attribute → value.
        session: The state of the conversation.
        working: Recent memories that have not faded and are not in `retrieved`, newest first.
        retrieved: Long-term memories that answer the query, best first; nothing is in it twice, in more than two
            wordings, or in `working` or `identity`. Weak matches are marked `is_weak`.
        project: What was last said in the project, but for what is in `working` or `retrieved`.
        degraded: What had to be left out because a server was away.
    """

    user_id: str
    identity: dict[str, JsonValue] = Field(default_factory=dict)
    session: dict[str, JsonValue] = Field(default_factory=dict)
    working: list[Memory] = Field(default_factory=list)
    retrieved: list[Memory] = Field(default_factory=list)
    project: ProjectContext | None = None
    degraded: tuple[Degradation, ...] = ()

    def to_prompt_string(self, max_tokens: int = 2000) -> str:
        """Return the block for a prompt: quoted data, attributed and dated, within `max_tokens`; empty for nothing.

        Put it into the user's part of a prompt, not into the instructions.
        """
        project = self.project["recent"] if self.project else []
        return render(
            self.identity,
            self.session,
            self.working,
            self.retrieved,
            project,
            self.degraded,
            max_tokens=max_tokens,
        )


class ContextBuilder:
    """Builds contexts: one Redis round trip beside one embedding, then one Postgres round trip."""

    def __init__(
        self,
        retrieval: RetrievalConfig,
        redis: RedisStore,
        postgres: PostgresStore,
        identity: IdentityKeeper,
        searcher: Searcher,
    ) -> None:
        self._retrieval = retrieval
        self._redis = redis
        self._postgres = postgres
        self._identity = identity
        self._searcher = searcher

    async def build(
        self,
        user_id: str,
        query: str | None,
        *,
        audience: Audience,
        project_id: str | None = None,
        include_working: bool = True,
        max_retrieved: int | None = None,
        asked_at: datetime | None = None,
    ) -> MemoryContext:
        """Return the context; a server that is away makes it poorer and is named in `degraded`."""
        query = clean_query(query) if query else None
        limit = self._retrieval.max_retrieved if max_retrieved is None else max_retrieved
        project_id = clean_text(project_id) if project_id else None
        hot, embedding = await asyncio.gather(self._load_hot(user_id), self._embed(query))
        working = _choose_working(hot, audience, project_id) if include_working else []
        newest = working[:MAX_WORKING]  # the others are said again only if they answer
        find = partial(self._find, user_id, query, embedding, audience, project_id, limit, asked_at)
        is_cut = False

        async def or_else(work: Callable[[], Coroutine[Any, Any, T]], default: T) -> T:
            nonlocal is_cut
            try:
                return await abandon_after(self._retrieval.deadline_seconds, work)
            except StoreError as error:
                _log.warning("A context goes without long-term memory: %s", error)
                is_cut = True
                return default

        identity, session, found, project = await asyncio.gather(
            or_else(partial(self._load_identity, user_id, hot), Identity({}, {})),
            or_else(partial(self._load_session, user_id, hot, audience), dict[str, JsonValue]()),
            or_else(partial(find, newest), _NOTHING),
            or_else(partial(self._load_project, user_id, project_id, audience), _NO_PROJECT),
        )
        identity_heard = identity.heard_by(audience)
        retrieved = [memory for memory in found.memories if not _states(memory, identity_heard)]
        working = without_repeats(working, retrieved)  # an older one that answers stands with the answers
        if project:
            project = {**project, "recent": without_repeats(project["recent"], newest, retrieved)}
        missing = {
            Degradation.HOT_LAYER: hot is None,
            Degradation.VECTORS: query is not None and embedding is None,
            Degradation.LONG_TERM: is_cut,
        }
        return MemoryContext(
            user_id=user_id,
            identity=identity_heard,
            session=session,
            working=working,
            retrieved=retrieved,
            project=project,
            degraded=tuple(reason for reason, is_missing in missing.items() if is_missing),
        )

    async def _load_hot(self, user_id: str) -> HotContext | None:
        try:
            return await self._redis.load(user_id)
        except StoreUnavailableError:
            return None

    async def _embed(self, query: str | None) -> Embedding | None:
        return await self._searcher.embed(query) if query else None

    async def _load_identity(self, user_id: str, hot: HotContext | None) -> Identity:
        if hot is not None and hot.identity is not None:
            return read_cached(hot.identity)
        return await self._identity.load(user_id)

    async def _load_session(self, user_id: str, hot: HotContext | None, audience: Audience) -> dict[str, JsonValue]:
        if hot is None and audience.kind is AudienceKind.OWNER:
            return await self._postgres.sessions.get(user_id)
        return _read_session(hot, audience)

    async def _find(
        self,
        user_id: str,
        query: str | None,
        embedding: Embedding | None,
        audience: Audience,
        project_id: str | None,
        limit: int,
        asked_at: datetime | None,
        shown: Sequence[Memory],
    ) -> Ranking:
        if query is None:
            return _NOTHING
        return await self._searcher.find(
            user_id,
            query,
            embedding,
            audience=audience,
            project_id=project_id,
            limit=limit,
            asked_at=asked_at,
            shown=shown,
        )

    async def _load_project(self, user_id: str, project_id: str | None, audience: Audience) -> ProjectContext | None:
        if project_id is None:
            return None
        return await self._postgres.get_project_context(user_id, project_id, heard=audience.heard())


def _read_session(hot: HotContext | None, audience: Audience) -> dict[str, JsonValue]:
    """A session's state has no audience of its own, so nobody but the owner hears it."""
    return hot.session if hot and audience.kind is AudienceKind.OWNER else {}


def _states(memory: Memory, identity: Mapping[str, JsonValue]) -> bool:
    """Whether a memory says no more than an attribute of the identity, which it is the evidence of."""
    return memory.memory_type is MemoryType.IDENTITY and any(
        memory.content == state_attribute(name, value) for name, value in identity.items()
    )


def _choose_working(hot: HotContext | None, audience: Audience, project_id: str | None) -> list[Memory]:
    """Return what may surface in that place and belongs to that project or to none."""
    memories = hot.working if hot else []
    return [m for m in memories if audience.may_hear(m.audience) and m.project_id in (None, project_id)]
