"""Assembles what Clara needs for one turn: identity, session, working memory, recalled memories (TDD 4.2, 4.3)."""

import asyncio
from collections.abc import Sequence

from pydantic import Field, JsonValue

from cortex_core.audience import Audience, AudienceKind
from cortex_core.cleaning import clean_text
from cortex_core.config import RetrievalConfig
from cortex_core.errors import StoreUnavailableError
from cortex_core.knowledge.identity import Identity, IdentityKeeper, read_cached
from cortex_core.models import Degradation, Memory, Model, Vector
from cortex_core.recall.accesses import AccessLog
from cortex_core.recall.rendering import render
from cortex_core.recall.search import Searcher, clean_query
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.redis import HotContext, RedisStore


class MemoryContext(Model):
    """Everything that is known for a turn; what may not be heard in its audience is not in it.

    Attributes:
        identity: Attribute → value.
        session: The state of the conversation.
        working: Recent memories that have not faded, newest first.
        retrieved: Long-term memories that answer the query, best first; none of them is in `working`.
        project: What was last said in the project.
        degraded: What had to be left out because a server was away.
    """

    user_id: str
    identity: dict[str, JsonValue] = Field(default_factory=dict)
    session: dict[str, JsonValue] = Field(default_factory=dict)
    working: list[Memory] = Field(default_factory=list)
    retrieved: list[Memory] = Field(default_factory=list)
    project: dict[str, object] | None = None
    degraded: tuple[Degradation, ...] = ()

    def to_prompt_string(self, max_tokens: int = 2000) -> str:
        """Return the block for a prompt: quoted data, attributed and dated, within `max_tokens`; empty for nothing.

        Put it into the user's part of a prompt, not into the instructions.
        """
        return render(self.identity, self.session, self.working, self.retrieved, self.degraded, max_tokens=max_tokens)


class ContextBuilder:
    """Builds contexts: one Redis round trip beside one embedding, then one Postgres round trip."""

    def __init__(
        self,
        retrieval: RetrievalConfig,
        redis: RedisStore,
        postgres: PostgresStore,
        identity: IdentityKeeper,
        searcher: Searcher,
        accesses: AccessLog,
    ) -> None:
        self._retrieval = retrieval
        self._redis = redis
        self._postgres = postgres
        self._identity = identity
        self._searcher = searcher
        self._accesses = accesses

    async def build(
        self,
        user_id: str,
        query: str | None,
        *,
        audience: Audience,
        project_id: str | None = None,
        include_working: bool = True,
        max_retrieved: int | None = None,
    ) -> MemoryContext:
        """Return the context; a server that is away makes it poorer and is named in `degraded`."""
        query = clean_query(query) if query else None
        hot, vector = await asyncio.gather(self._load_hot(user_id), self._embed(query))
        degraded = [Degradation.HOT_LAYER] if hot is None else []
        if query and vector is None:
            degraded.append(Degradation.VECTORS)
        try:
            identity, session, found, project = await asyncio.gather(
                self._load_identity(user_id, hot),
                self._load_session(user_id, hot, audience),
                self._find(user_id, query, vector, audience, project_id),
                self._load_project(user_id, project_id, audience),
            )
        except StoreUnavailableError:
            degraded.append(Degradation.LONG_TERM)
            identity, session, found, project = _read_identity(hot), _read_session(hot, audience), [], None
        working = [m for m in hot.working if audience.may_hear(m.audience)] if hot and include_working else []
        shown = {memory.id for memory in working}
        limit = self._retrieval.max_retrieved if max_retrieved is None else max_retrieved
        retrieved = [memory for memory in found if memory.id not in shown][:limit]
        self._accesses.count(retrieved)
        return MemoryContext(
            user_id=user_id,
            identity=identity.heard_by(audience),
            session=session,
            working=working,
            retrieved=retrieved,
            project=project,
            degraded=tuple(degraded),
        )

    async def _load_hot(self, user_id: str) -> HotContext | None:
        try:
            return await self._redis.load(user_id)
        except StoreUnavailableError:
            return None

    async def _embed(self, query: str | None) -> Vector | None:
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
        self, user_id: str, query: str | None, vector: Vector | None, audience: Audience, project_id: str | None
    ) -> Sequence[Memory]:
        if query is None:
            return []
        return await self._searcher.find(user_id, query, vector, audience=audience, project_id=project_id)

    async def _load_project(self, user_id: str, project_id: str | None, audience: Audience) -> dict[str, object] | None:
        if project_id is None:
            return None
        return await self._postgres.get_project_context(user_id, clean_text(project_id), heard=audience.heard())


def _read_session(hot: HotContext | None, audience: Audience) -> dict[str, JsonValue]:
    """A session's state has no audience of its own, so nobody but the owner hears it."""
    return hot.session if hot and audience.kind is AudienceKind.OWNER else {}


def _read_identity(hot: HotContext | None) -> Identity:
    return read_cached(hot.identity) if hot and hot.identity else Identity({}, {})
