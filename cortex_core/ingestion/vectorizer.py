"""Gives stored memories their vectors; a slow or absent embedder delays these, never the memories."""

import asyncio
import logging
from collections.abc import Sequence

from cortex_core.background import BackgroundLoop, Outage, wait_for_work
from cortex_core.errors import InvalidInputError, ProviderError, ProviderUnavailableError
from cortex_core.late_interaction import Embedding
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.vectors import MissingVector

_log = logging.getLogger("cortex.vectorizer")

_BATCH = 64
_POLL_SECONDS = 0.01


class Vectorizer:
    """Embeds whatever row has no vector; the row itself is the queue."""

    def __init__(self, postgres: PostgresStore, embedder: CachingEmbedder) -> None:
        self._postgres = postgres
        self._embedder = embedder
        self._wake = asyncio.Event()
        self._outage = Outage()
        self._loop = BackgroundLoop("vectorizer", self._step)

    def start(self) -> None:
        """Begin, with what earlier runs left."""
        self._wake.set()
        self._loop.start()

    def wake(self) -> None:
        """Tell that there is work."""
        self._wake.set()

    async def drain(self) -> None:
        """Wait until every memory that is written by now has its vector.

        Raises:
            StoreUnavailableError: Postgres can't tell.
            ProviderUnavailableError: The embedder has been away for ten seconds.
        """
        now = await self._postgres.vectors.now()
        while await self._postgres.vectors.is_any_missing(before=now):
            self._outage.check()
            self._wake.set()
            await asyncio.sleep(_POLL_SECONDS)

    async def close(self) -> None:
        """Stop; what has no vector yet gets it at the next start."""
        await self._loop.close()

    async def _step(self) -> None:
        await wait_for_work(self._wake)
        missing = await self._postgres.vectors.list_missing(_BATCH)
        if not missing:
            self._outage.end()  # what it failed for may have been forgotten
            return
        self._wake.set()  # there may be more
        await self._fill(missing)

    async def _fill(self, missing: Sequence[MissingVector]) -> None:
        try:
            embeddings = await self._embed([m.content for m in missing])
        except ProviderUnavailableError as error:
            self._outage.begin(error)
            raise
        except (ProviderError, InvalidInputError) as error:
            if len(missing) > 1:
                for one in missing:
                    await self._fill([one])
                return
            _log.error("Memory %s can't be embedded and is found by its words only: %s", missing[0].id, error)
            await self._postgres.vectors.give_up(missing[0], str(error))
        else:
            await self._postgres.vectors.fill(missing, embeddings)
        self._outage.end()

    async def _embed(self, contents: Sequence[str]) -> list[Embedding]:
        embeddings = await self._embedder.encode_batch(contents)
        if any(embedding.vector.size != self._embedder.dimensions for embedding in embeddings):
            raise ProviderError(f"{self._embedder.model} gave a vector of another length than before.")
        return embeddings
