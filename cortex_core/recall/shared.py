"""What projects share with somebody: what was last said in them, and what answers a question (TDD 9.3)."""

import asyncio
from datetime import datetime

from cortex_core.late_interaction import Embedding
from cortex_core.models import Memory, ProjectContext
from cortex_core.recall.diversity import share_places, without_repeats
from cortex_core.recall.ranking import NOTHING, Ranking
from cortex_core.recall.search import Searcher
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.scope import Scope

MAX_RECENT = 20
MAX_SHARED = 15
_TO_CHOOSE_FROM = 4
"""As many times more are read, so that one busy author leaves nobody's place empty."""


class SharedRecall:
    """Reads the memories of projects. Whether somebody belongs to one is asked in the statement that reads them."""

    def __init__(self, postgres: PostgresStore, searcher: Searcher) -> None:
        self._postgres = postgres
        self._searcher = searcher

    async def load(
        self, scope: Scope, query: str | None, embedding: Embedding | None, *, asked_at: datetime | None = None
    ) -> ProjectContext | None:
        """Return what projects share there, or None if none does.

        Where nobody named a project or stands in its channel, several may answer, and what is new in them stays out.

        Raises:
            StoreUnavailableError: Postgres is away.
        """
        projects = await self._postgres.list_open_projects(scope)
        if not projects:
            return None
        is_one = scope.projects is not None or scope.places is not None
        recent, found = await asyncio.gather(
            self._load_recent(scope) if is_one else _nothing(), self._find(scope, query, embedding, asked_at)
        )
        retrieved = share_places(found.memories, limit=MAX_SHARED)
        project_id, name = projects[0] if len(projects) == 1 else (None, None)
        return ProjectContext(
            project_id=project_id,
            name=name,
            recent=without_repeats(recent, retrieved),
            retrieved=retrieved,
            relevance=found.relevance,
        )

    async def _load_recent(self, scope: Scope) -> list[Memory]:
        newest = await self._postgres.get_shared_memories(scope, limit=MAX_RECENT * _TO_CHOOSE_FROM)
        return share_places(newest, limit=MAX_RECENT)

    async def _find(
        self, scope: Scope, query: str | None, embedding: Embedding | None, asked_at: datetime | None
    ) -> Ranking:
        if query is None:
            return NOTHING
        limit = MAX_SHARED * _TO_CHOOSE_FROM
        return await self._searcher.find([scope], query, embedding, limit=limit, asked_at=asked_at, shown=())


async def _nothing() -> list[Memory]:
    return []
