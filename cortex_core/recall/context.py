"""Assembles what Clara needs for one turn: identity, session, working memory, recalled memories (TDD 4.2, 4.3)."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Self, TypeVar

from pydantic import Field, JsonValue

from cortex_core.audience import Audience, AudienceKind
from cortex_core.background import abandon_after
from cortex_core.config import RetrievalConfig
from cortex_core.errors import StoreError, StoreUnavailableError
from cortex_core.knowledge.identity import Identity, IdentityKeeper, read_cached, state_attribute
from cortex_core.knowledge.preferences import PreferenceKeeper
from cortex_core.late_interaction import Embedding
from cortex_core.metrics import Metrics, Operation, measured
from cortex_core.models import Degradation, Memory, MemoryType, Model, Preferences, ProjectContext
from cortex_core.recall.diversity import without_repeats
from cortex_core.recall.people import people_in, rename
from cortex_core.recall.ranking import NOTHING, Ranking
from cortex_core.recall.rejection import Rejection, RejectionPipeline
from cortex_core.recall.rendering import MAX_WORKING, render
from cortex_core.recall.search import Searcher, clean_query
from cortex_core.recall.shared import SharedRecall
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.scope import Scope
from cortex_core.stores.redis import HotContext, RedisStore

_log = logging.getLogger("cortex.recall")

T = TypeVar("T")

_ENOUGH_TO_COMPARE = 4
"""Memories, from which on it can be told what stands out among them."""
_NO_PROJECT: ProjectContext | None = None


class MemoryContext(Model):
    """Everything that is known for a turn; what may not be heard in its audience is not in it.

    Attributes:
        identity: Attribute → value.
        session: The state of the conversation.
        working: Recent memories that have not faded and are not in `retrieved`, newest first.
        retrieved: Long-term memories that answer the query, best first; nothing is in it twice, in more than two
            wordings, or in `working` or `identity`. Weak matches are marked `is_weak`.
        project: What projects share here, but for what is in `working` or `retrieved`.
        degraded: What had to be left out because a server was away.
        relevance: How much of what was asked the best match says, 0 to about 0.8, shown or not; None where that can't
            be told.
        rejection: Why nothing was looked for, or what was found is left out.
    """

    user_id: str
    identity: dict[str, JsonValue] = Field(default_factory=dict)
    session: dict[str, JsonValue] = Field(default_factory=dict)
    working: list[Memory] = Field(default_factory=list)
    retrieved: list[Memory] = Field(default_factory=list)
    project: ProjectContext | None = None
    degraded: tuple[Degradation, ...] = ()
    relevance: float | None = None
    rejection: Rejection | None = None

    @property
    def memories(self) -> list[Memory]:
        """Every memory in it."""
        shared = [*self.project.retrieved, *self.project.recent] if self.project else []
        return [*self.working, *self.retrieved, *shared]

    def people(self) -> set[str]:
        """Return the ids of everybody who is named in it."""
        return set().union(*map(people_in, self.memories))

    def with_names(self, names: Mapping[str, str], *, guild_id: int | None) -> Self:
        """Return it with the names that people have now.

        Args:
            names: By their ids. Whoever is missing keeps the name of the time where that was given in the same server;
                elsewhere it may be a nickname that belongs there, and the id stands for it.
            guild_id: The server where they will be read; None outside of servers.
        """

        def renamed(memories: Sequence[Memory]) -> list[Memory]:
            return [rename(memory, names, guild_id=guild_id) for memory in memories]

        project = self.project and self.project.model_copy(
            update={"recent": renamed(self.project.recent), "retrieved": renamed(self.project.retrieved)}
        )
        sections = {"working": renamed(self.working), "retrieved": renamed(self.retrieved), "project": project}
        return self.model_copy(update=sections)

    def to_prompt_string(self, max_tokens: int = 2000) -> str:
        """Return the block for a prompt: quoted data, attributed and dated, within `max_tokens`; empty for nothing.

        Put it into the user's part of a prompt, not into the instructions.
        """
        project = [*self.project.retrieved, *self.project.recent] if self.project else []
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
    """Builds contexts: one Redis round trip, one embedding, then the Postgres statements side by side."""

    def __init__(
        self,
        retrieval: RetrievalConfig,
        redis: RedisStore,
        postgres: PostgresStore,
        identity: IdentityKeeper,
        searcher: Searcher,
        shared: SharedRecall,
        preferences: PreferenceKeeper,
        rejection: RejectionPipeline,
        metrics: Metrics,
    ) -> None:
        self._retrieval = retrieval
        self._redis = redis
        self._postgres = postgres
        self._identity = identity
        self._searcher = searcher
        self._shared = shared
        self._preferences = preferences
        self._rejection = rejection
        self.metrics = metrics

    @measured(Operation.CONTEXT)
    async def build(
        self,
        user_id: str,
        query: str | None,
        *,
        audience: Audience,
        channel_id: str | None = None,
        project_id: str | None = None,
        include_working: bool = True,
        max_retrieved: int | None = None,
        asked_at: datetime | None = None,
        is_addressed: bool = True,
    ) -> MemoryContext:
        """Return the context; a server that is away makes it poorer and is named in `degraded`.

        Projects share in it where one of them, or the channel, is named. Where the bot wasn't addressed, more is
        rejected.
        """
        check_user_id(user_id)
        query = clean_query(query) if query else None
        patience = _Patience(self._retrieval.deadline_seconds)
        hot = await self._load_hot(user_id)
        known = hot.preferences if hot else None
        if known is None:
            known = await patience.wait(partial(self._preferences.load, user_id), Preferences())
        if known.opted_out:
            return MemoryContext(user_id=user_id)
        session = hot.session if hot else {}
        rejection = None
        if query:
            rejection = await self._rejection.why_not_retrieve(query, session, account=audience.account_of(user_id))
        asked = query if rejection is None else None
        embedding = await self._searcher.embed(asked) if asked else None

        working = choose_working(hot, audience) if include_working else []
        newest = working[:MAX_WORKING]  # the others are said again only if they answer
        own, shared = Scope.own(user_id, audience, beside=project_id), None
        if channel_id is not None or project_id is not None:
            shared = Scope.shared(user_id, audience, channel_id=channel_id, project_id=project_id)
        limit = self._retrieval.max_retrieved if max_retrieved is None else max_retrieved
        identity, state, found, project = await asyncio.gather(
            patience.wait(partial(self._load_identity, user_id, hot), Identity({}, {})),
            patience.wait(partial(self._load_session, user_id, hot, audience), dict[str, JsonValue]()),
            patience.wait(partial(self._find, own, asked, embedding, limit, asked_at, newest), NOTHING),
            patience.wait(partial(self._load_shared, shared, asked, embedding, asked_at), _NO_PROJECT),
        )
        relevance = _best(found.relevance, project.relevance if project else None)
        if asked and not is_addressed:
            memories = [*found.memories, *(project.retrieved if project else []), *newest]
            comparable = relevance if len(memories) >= _ENOUGH_TO_COMPARE else None
            rejection = self._rejection.decide(asked, relevance=comparable, memories=memories, is_addressed=False)
            if rejection is not None:
                found, project = NOTHING, None

        identity_heard = identity.heard_by(audience)
        retrieved = [memory for memory in found.memories if not _states(memory, identity_heard)]
        if rejection is not None:
            self.metrics.count(Operation.REJECT, rejection)
        elif asked:
            self.metrics.count(Operation.LOOK_UP)
            # The answer may be shown among the recent memories instead.
            if retrieved or (project and project.retrieved) or (relevance or 0.0) >= self._retrieval.nothing_below:
                self.metrics.count(Operation.FIND)
        missing = {
            Degradation.HOT_LAYER: hot is None,
            Degradation.VECTORS: asked is not None and embedding is None,
            Degradation.LONG_TERM: patience.is_lost,
        }
        return MemoryContext(
            user_id=user_id,
            identity=identity_heard,
            session=state,
            working=without_repeats(working, retrieved),  # an older one that answers stands with the answers
            retrieved=retrieved,
            project=project and _without_repeats(project, newest, retrieved),
            degraded=tuple(reason for reason, is_missing in missing.items() if is_missing),
            relevance=relevance,
            rejection=rejection,
        )

    async def _load_hot(self, user_id: str) -> HotContext | None:
        try:
            return await self._redis.load(user_id)
        except StoreUnavailableError:
            return None

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
        scope: Scope,
        query: str | None,
        embedding: Embedding | None,
        limit: int,
        asked_at: datetime | None,
        shown: Sequence[Memory],
    ) -> Ranking:
        if query is None:
            return NOTHING
        return await self._searcher.find([scope], query, embedding, limit=limit, asked_at=asked_at, shown=shown)

    async def _load_shared(
        self, scope: Scope | None, query: str | None, embedding: Embedding | None, asked_at: datetime | None
    ) -> ProjectContext | None:
        return None if scope is None else await self._shared.load(scope, query, embedding, asked_at=asked_at)


class _Patience:
    """Waits for parts of a context no longer than a reply can, and remembers whether one had to go without."""

    def __init__(self, deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds
        self.is_lost = False

    async def wait(self, work: Callable[[], Coroutine[Any, Any, T]], default: T) -> T:
        """Return what the work gives, or the default where the stores fail or are late."""
        try:
            return await abandon_after(self._deadline_seconds, work)
        except StoreError as error:
            _log.warning("A context goes without long-term memory: %s", error)
            self.is_lost = True
            return default


def _best(*relevances: float | None) -> float | None:
    return max((relevance for relevance in relevances if relevance is not None), default=None)


def _without_repeats(project: ProjectContext, *shown: Sequence[Memory]) -> ProjectContext:
    recent, retrieved = without_repeats(project.recent, *shown), without_repeats(project.retrieved, *shown)
    return project.model_copy(update={"recent": recent, "retrieved": retrieved})


def _read_session(hot: HotContext | None, audience: Audience) -> dict[str, JsonValue]:
    """A session's state has no audience of its own, so nobody but the owner hears it."""
    return hot.session if hot and audience.kind is AudienceKind.OWNER else {}


def _states(memory: Memory, identity: Mapping[str, JsonValue]) -> bool:
    """Whether a memory says no more than an attribute of the identity, which it is the evidence of."""
    return memory.memory_type is MemoryType.IDENTITY and any(
        memory.content == state_attribute(name, one)
        for name, value in identity.items()
        for one in (value, *(value if isinstance(value, list) else ()))
    )


def choose_working(hot: HotContext | None, audience: Audience) -> list[Memory]:
    """Return what may surface in that place, by the rules of `sql/scope.sql`: a project's comes from the project."""
    memories = hot.working if hot else []
    if audience.kind is AudienceKind.OWNER:
        return memories
    return [memory for memory in memories if memory.project_id is None and audience.may_hear(memory.audience)]
