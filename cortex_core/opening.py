"""Opens what a `MemoryManager` delegates to, holds it, and closes it."""

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from cortex_core.bootstrap import Parts, open_parts
from cortex_core.config import MemoryConfig
from cortex_core.consolidation.corrections import CorrectionAsker
from cortex_core.consolidation.digest import DigestKeeper
from cortex_core.consolidation.reviewing import ContradictionReviews
from cortex_core.consolidation.runner import ConsolidationRunner
from cortex_core.dashboard import MemoryDashboard
from cortex_core.errors import CortexError
from cortex_core.ingestion.emotion import EmotionScorer
from cortex_core.providers import ChatModel, Embedder
from cortex_core.recall.rejection import RejectionPipeline
from cortex_core.sharing.channels import ChannelProjectLink
from cortex_core.sharing.projects import ProjectMemory
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.redis import RedisStore


class OpenParts:
    """The parts of an open memory by name; each raises `CortexError` while it is closed.

    Args:
        config: All settings.
        embedder: One of the host's own, instead of the one that the settings name; it stays open.
    """

    def __init__(self, config: MemoryConfig, *, embedder: Embedder | None = None) -> None:
        self.config = config
        self._own_embedder = embedder
        self._opened: AbstractAsyncContextManager[Parts] | None = None
        self._parts: Parts | None = None
        self._opening = asyncio.Lock()

    async def initialize(self) -> None:
        """Open the stores and start the background work.

        Raises:
            ConfigError, StoreError, ProviderError: Something can't be opened; the message says what to do.
        """
        async with self._opening:
            if self._opened is None:
                opened = open_parts(self.config, embedder=self._own_embedder)
                self._parts = await opened.__aenter__()
                self._opened = opened

    async def close(self) -> None:
        """Drain the write queue and close everything; closing twice is fine."""
        opened, self._opened, self._parts = self._opened, None, None
        if opened is not None:
            await opened.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def is_open(self) -> bool:
        """Whether it was initialized and not closed."""
        return self._parts is not None

    @property
    def redis(self) -> RedisStore:
        """The hot layer."""
        return self._open_parts.redis

    @property
    def postgres(self) -> PostgresStore:
        """Long-term memory."""
        return self._open_parts.postgres

    @property
    def embedder(self) -> Embedder:
        """Turns text into vectors."""
        return self._open_parts.embedder

    @property
    def scorer(self) -> EmotionScorer:
        """Rates emotion."""
        return self._open_parts.scorer

    @property
    def llm(self) -> ChatModel | None:
        """The language model, if one is configured."""
        return self._open_parts.llm

    @property
    def rejection(self) -> RejectionPipeline:
        """Tells which messages need no recall."""
        return self._open_parts.rejection

    @property
    def consolidation(self) -> ConsolidationRunner:
        """Upkeep behind the scenes: patterns, contradictions, summaries, cleanup."""
        return self._open_parts.consolidation

    @property
    def project_memory(self) -> ProjectMemory:
        """Projects, whose members share memories."""
        return self._open_parts.project_memory

    @property
    def channel_links(self) -> ChannelProjectLink:
        """Which project a channel feeds and reads, and whether it is listened to."""
        return self._open_parts.channel_links

    @property
    def corrections(self) -> CorrectionAsker:
        """Questions to people about what they contradicted: when to ask whom."""
        return self._open_parts.corrections

    @property
    def digests(self) -> DigestKeeper:
        """What was learned about people lately, for those who want to be told."""
        return self._open_parts.digests

    @property
    def reviews(self) -> ContradictionReviews:
        """Contradictions as they are put to people."""
        return self._open_parts.reviews

    @property
    def dashboard(self) -> MemoryDashboard:
        """How everything is, and what was done where, in figures."""
        return self._open_parts.dashboard

    @property
    def _open_parts(self) -> Parts:
        if self._parts is None:
            raise CortexError("This MemoryManager is not open; call initialize() first or use `async with`.")
        return self._parts
