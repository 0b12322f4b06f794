"""Search over long-term memory: one local embedding, a Postgres statement for each scope, one ranking off the loop."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from cortex_core.audience import Audience
from cortex_core.cleaning import clean_text
from cortex_core.config import EmbeddingConfig, RetrievalConfig
from cortex_core.errors import InvalidInputError, ProviderError
from cortex_core.late_interaction import Embedding
from cortex_core.metrics import Metrics, Operation, measured
from cortex_core.models import Degradation, Memory, MemoryType, SearchResult, utc_now
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.recall.ranking import NOTHING, Ranking, rank
from cortex_core.recall.relevance import is_question, weigh
from cortex_core.recall.timeframe import read_timeframe
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.candidates import Inquiry
from cortex_core.stores.postgres.scope import Scope
from cortex_core.words import split_words

_READ_CHARS = 8000


class Searcher:
    """Finds memories by what they mean and by their words."""

    def __init__(
        self,
        retrieval: RetrievalConfig,
        embedding: EmbeddingConfig,
        postgres: PostgresStore,
        embedder: CachingEmbedder,
        metrics: Metrics,
    ) -> None:
        self._retrieval = retrieval
        self._deadline = embedding.deadline_seconds
        self._postgres = postgres
        self._embedder = embedder
        self.metrics = metrics

    async def search(
        self,
        user_id: str,
        query: str,
        *,
        audience: Audience,
        channel_id: str | None = None,
        project_id: str | None = None,
        memory_types: Sequence[MemoryType] | None = None,
        limit: int,
        asked_at: datetime | None = None,
        explain: bool = False,
    ) -> SearchResult:
        """Return the best matches among one's own, and what a project shares if that or a channel is named.

        Raises:
            InvalidInputError: The query is empty, the limit isn't positive or `asked_at` has no time zone.
            StoreUnavailableError: Postgres is away.
        """
        scopes = [Scope.own(check_user_id(user_id), audience, beside=project_id)]
        if channel_id is not None or project_id is not None:
            scopes.append(Scope.shared(user_id, audience, channel_id=channel_id, project_id=project_id))
        return await self.search_in(
            scopes, query, memory_types=memory_types, limit=limit, asked_at=asked_at, explain=explain
        )

    @measured(Operation.SEARCH)
    async def search_in(
        self,
        scopes: Sequence[Scope],
        query: str,
        *,
        memory_types: Sequence[MemoryType] | None = None,
        limit: int,
        asked_at: datetime | None = None,
        explain: bool = False,
    ) -> SearchResult:
        """Return the best matches among the memories of these scopes; raises as `search` does."""
        started = time.perf_counter()
        query = clean_query(query)
        if limit < 1:
            raise InvalidInputError("limit is the most memories to return, 1 or more.")
        embedding = await self.embed(query)
        found = await self.find(
            scopes,
            query,
            embedding,
            memory_types=memory_types,
            limit=limit,
            asked_at=asked_at,
            explain=explain,
        )
        return SearchResult(
            memories=found.memories,
            total_count=found.total,
            search_time_ms=round((time.perf_counter() - started) * 1000),
            relevance=found.relevance,
            degraded=() if embedding is not None else (Degradation.VECTORS,),
        )

    async def embed(self, query: str) -> Embedding | None:
        """Return the query's embedding, or None when the embedder fails or a remote one is late."""
        try:
            async with asyncio.timeout(self._deadline if self._embedder.is_remote else None):
                embedding = await self._embedder.encode(query)
        except (ProviderError, TimeoutError):
            return None
        return embedding if embedding.vector.size == self._embedder.dimensions else None

    async def find(
        self,
        scopes: Sequence[Scope],
        query: str,
        embedding: Embedding | None,
        *,
        memory_types: Sequence[MemoryType] | None = None,
        limit: int,
        asked_at: datetime | None = None,
        shown: Sequence[Memory] | None = None,
        explain: bool = False,
    ) -> Ranking:
        """Return what answers best; raises as `search` does."""
        asked_at = asked_at or utc_now()
        if asked_at.tzinfo is None:
            raise InvalidInputError("asked_at needs a time zone; use datetime.now(UTC) or the like.")
        timeframe = read_timeframe(query, asked_at)
        inquiries = [
            Inquiry(
                scope=scope,
                text=query,
                vector=embedding.vector if embedding else None,
                memory_types=memory_types,
                since=timeframe.since if timeframe.since and timeframe.since.year > 1 else None,
                until=timeframe.until,
            )
            for scope in scopes
        ]
        found = await asyncio.gather(*map(self._postgres.candidates.find, inquiries))
        # What somebody told a project is both among the own and the shared memories.
        candidates = list({c.key: c for part in found for c in part}.values())

        asked = split_words(query)
        # The same question, asked before, is no answer to itself.
        candidates = [c for c in candidates if not is_question(c.content) or split_words(c.content) != asked]
        if not candidates:
            return NOTHING

        def order() -> Ranking:
            relevance = weigh(query, embedding.pieces if embedding else None, candidates)
            return rank(
                candidates,
                relevance,
                timeframe,
                asked_at,
                self._retrieval,
                limit=limit,
                shown=shown,
                explain=explain,
            )

        return await asyncio.to_thread(order)


def clean_query(query: str) -> str:
    """Return the query as it can be searched.

    Raises:
        InvalidInputError: There is nothing in it.
    """
    cleaned = clean_text(query[:_READ_CHARS]).strip()
    if not cleaned:
        raise InvalidInputError("There is nothing to search for in an empty text.")
    return cleaned
