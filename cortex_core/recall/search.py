"""Search over long-term memory: one local embedding, one Postgres round trip, one ranking."""

import asyncio
import time
from collections.abc import Sequence

from cortex_core.audience import Audience
from cortex_core.cleaning import clean_text
from cortex_core.config import EmbeddingConfig, RetrievalConfig
from cortex_core.errors import InvalidInputError, ProviderError
from cortex_core.models import Degradation, Memory, MemoryType, SearchResult, Vector, utc_now
from cortex_core.providers import Embedder
from cortex_core.recall.ranking import rank
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore

_READ_CHARS = 8000


class Searcher:
    """Finds an owner's memories by what they mean and by their words."""

    def __init__(
        self, retrieval: RetrievalConfig, embedding: EmbeddingConfig, postgres: PostgresStore, embedder: Embedder
    ) -> None:
        self._retrieval = retrieval
        self._deadline = embedding.deadline_seconds
        self._postgres = postgres
        self._embedder = embedder

    async def search(
        self,
        user_id: str,
        query: str,
        *,
        audience: Audience,
        project_id: str | None = None,
        memory_types: Sequence[MemoryType] | None = None,
        limit: int,
    ) -> SearchResult:
        """Return the best matches.

        Raises:
            InvalidInputError: The query is empty.
            StoreUnavailableError: Postgres is away.
        """
        started = time.perf_counter()
        query = clean_query(query)
        vector = await self.embed(query)
        memories = await self.find(
            user_id, query, vector, audience=audience, project_id=project_id, memory_types=memory_types
        )
        return SearchResult(
            memories=memories[:limit],
            total_count=len(memories),
            search_time_ms=round((time.perf_counter() - started) * 1000),
            degraded=() if vector is not None else (Degradation.VECTORS,),
        )

    async def embed(self, query: str) -> Vector | None:
        """Return the query's vector, or None when the embedder fails or a remote one is late."""
        try:
            async with asyncio.timeout(self._deadline if self._embedder.is_remote else None):
                vector = await self._embedder.embed(query)
        except (ProviderError, TimeoutError):
            return None
        return vector if vector.size == self._embedder.dimensions else None

    async def find(
        self,
        user_id: str,
        query: str,
        vector: Vector | None,
        *,
        audience: Audience,
        project_id: str | None = None,
        memory_types: Sequence[MemoryType] | None = None,
    ) -> list[Memory]:
        """Return everything that may answer, best first."""
        candidates = await self._postgres.search(
            check_user_id(user_id),
            query,
            vector,
            heard=audience.heard(),
            project_id=clean_text(project_id) if project_id else None,
            memory_types=memory_types,
            candidates=self._retrieval.candidates,
            min_similarity=self._retrieval.min_similarity,
        )
        return rank(candidates, utc_now(), self._retrieval.weights)


def clean_query(query: str) -> str:
    """Return the query as it can be searched.

    Raises:
        InvalidInputError: There is nothing in it.
    """
    cleaned = clean_text(query[:_READ_CHARS]).strip()
    if not cleaned:
        raise InvalidInputError("There is nothing to search for in an empty text.")
    return cleaned
