"""From a configuration to opened, wired parts; the one place that chooses implementations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cortex_core.config import EmbeddingConfig, LLMConfig, MemoryConfig, RetrievalConfig
from cortex_core.errors import ConfigError
from cortex_core.forgetting.erasure import Forgetter
from cortex_core.forgetting.export import Exporter
from cortex_core.forgetting.retention import Retention
from cortex_core.ingestion.emotion import EmotionScorer
from cortex_core.ingestion.intake import Intake
from cortex_core.ingestion.recorder import Recorder
from cortex_core.ingestion.sessions import Sessions
from cortex_core.ingestion.vectorizer import Vectorizer
from cortex_core.ingestion.writer import JournalWriter
from cortex_core.knowledge.curation import Curator
from cortex_core.knowledge.identity import IdentityKeeper
from cortex_core.knowledge.preferences import PreferenceKeeper
from cortex_core.providers import ChatModel, Embedder
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.recall.accesses import AccessLog
from cortex_core.recall.context import ContextBuilder
from cortex_core.recall.recheck import Recheck
from cortex_core.recall.rejection import RejectionPipeline
from cortex_core.recall.rejection_model import RejectionModel
from cortex_core.recall.replies import ReplyLog
from cortex_core.recall.search import Searcher
from cortex_core.recall.shared import SharedRecall
from cortex_core.recall.upkeep import LargeOwnersKeeper
from cortex_core.sharing.channels import ChannelProjectLink
from cortex_core.sharing.group import GroupChatMemory
from cortex_core.sharing.projects import ProjectMemory
from cortex_core.stores.embedded import EmbeddedServers
from cortex_core.stores.journal import Journal
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.redis import RedisStore
from cortex_core.stores.schema import migrate


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a `MemoryManager` delegates to, open and running."""

    config: MemoryConfig
    redis: RedisStore
    postgres: PostgresStore
    journal: Journal
    embedder: CachingEmbedder
    llm: ChatModel | None
    scorer: EmotionScorer
    recorder: Recorder
    writer: JournalWriter
    vectorizer: Vectorizer
    sessions: Sessions
    identity: IdentityKeeper
    searcher: Searcher
    contexts: ContextBuilder
    accesses: AccessLog
    forgetter: Forgetter
    retention: Retention
    exporter: Exporter
    rejection: RejectionPipeline
    preferences: PreferenceKeeper
    curator: Curator
    replies: ReplyLog
    recheck: Recheck
    project_memory: ProjectMemory
    channel_links: ChannelProjectLink
    group: GroupChatMemory


@asynccontextmanager
async def open_servers(config: MemoryConfig) -> AsyncIterator[MemoryConfig]:
    """Yield the configuration with both URLs set, starting the embedded servers if one is missing.

    Raises:
        EmbeddedServerError: They can't run here.
    """
    if config.redis.url and config.postgres.url:
        yield config
        return
    async with await EmbeddedServers.open(config.embedded.data_dir) as servers:
        redis = config.redis.model_copy(update={"url": config.redis.url or servers.redis_url})
        postgres = config.postgres.model_copy(update={"url": config.postgres.url or servers.database_url})
        yield config.model_copy(update={"redis": redis, "postgres": postgres})


@asynccontextmanager
async def open_parts(config: MemoryConfig, *, embedder: Embedder | None = None) -> AsyncIterator[Parts]:
    """Open everything, yield it, and close it in reverse: the writer drains while its stores are still there.

    Args:
        config: All settings.
        embedder: Used instead of the one that the settings name; it stays open.

    Raises:
        ConfigError, StoreError, ProviderError: Something can't be opened; what was open is closed again.
    """
    async with AsyncExitStack() as stack:
        cache, config = await _open_both(stack, config, embedder)
        await migrate(config.postgres.url)

        postgres = PostgresStore(config.postgres)
        stack.push_async_callback(postgres.close)
        await postgres.connect()
        await postgres.vectors.open_space(cache.model, cache.dimensions)

        redis = RedisStore(config.redis)
        stack.push_async_callback(redis.close)
        await redis.connect()
        journal = Journal(config.redis)
        stack.push_async_callback(journal.close)
        await journal.open()
        durability = await journal.check_durability()

        llm = choose_llm(config.llm)
        if llm:
            stack.push_async_callback(llm.close)

        scorer = EmotionScorer()
        vectorizer = Vectorizer(postgres, cache)
        accesses = AccessLog(postgres)
        forgetter = Forgetter(redis, postgres, journal)
        writer = JournalWriter(
            config.ingestion,
            journal,
            redis,
            postgres,
            on_written=vectorizer.wake,
            on_deletion=forgetter.carry_out,
        )
        retention = Retention(config.forgetting, postgres, forgetter, settle=writer.drain)
        for worker in (vectorizer, accesses, forgetter, LargeOwnersKeeper(postgres), writer, retention):
            stack.push_async_callback(worker.close)
            worker.start()
        preferences = PreferenceKeeper(redis, postgres)
        sessions = Sessions(config.ingestion, redis, postgres, preferences)
        stack.push_async_callback(sessions.close)
        sessions.start_repairs()

        identity = IdentityKeeper(redis, postgres)
        recorder = Recorder(
            config.ingestion,
            Intake(config.ingestion, scorer),
            redis,
            postgres,
            cache,
            preferences,
            durability,
            vectorizer.wake,
        )
        searcher = Searcher(config.retrieval, config.embedding, postgres, cache)
        shared = SharedRecall(postgres, searcher)
        rejection = choose_rejection(config.retrieval, llm)
        contexts = ContextBuilder(config.retrieval, redis, postgres, identity, searcher, shared, preferences, rejection)
        channel_links = ChannelProjectLink(postgres, redis)
        projects = ProjectMemory(postgres, recorder, searcher, shared)
        yield Parts(
            config=config,
            redis=redis,
            postgres=postgres,
            journal=journal,
            embedder=cache,
            llm=llm,
            scorer=scorer,
            recorder=recorder,
            writer=writer,
            vectorizer=vectorizer,
            sessions=sessions,
            identity=identity,
            searcher=searcher,
            contexts=contexts,
            accesses=accesses,
            forgetter=forgetter,
            retention=retention,
            exporter=Exporter(redis, postgres),
            rejection=rejection,
            preferences=preferences,
            curator=Curator(redis, postgres),
            replies=ReplyLog(redis, postgres),
            recheck=Recheck(redis, postgres, identity, preferences),
            project_memory=projects,
            channel_links=channel_links,
            group=GroupChatMemory(contexts, recorder, channel_links, projects),
        )


async def _open_both(
    stack: AsyncExitStack, config: MemoryConfig, embedder: Embedder | None
) -> tuple[CachingEmbedder, MemoryConfig]:
    """Load the model while the servers start."""
    if embedder is not None:
        return CachingEmbedder(embedder), await stack.enter_async_context(open_servers(config))
    loading = asyncio.create_task(choose_embedder(config.embedding))
    try:
        config = await stack.enter_async_context(open_servers(config))
    finally:
        cache = CachingEmbedder(await loading)
        stack.push_async_callback(cache.close)
    return cache, config


async def choose_embedder(config: EmbeddingConfig) -> Embedder:
    """Open the embedder that the configuration names; its package is imported only then."""
    match config.provider:
        case "local":
            from cortex_core.providers.local import LocalEmbedder

            if config.model not in ("", LocalEmbedder.model):
                raise ConfigError(
                    f"embedding.provider local has one model, {LocalEmbedder.model}; leave embedding.model empty, or "
                    "set embedding.provider to sentence-transformers for any other."
                )
            return await LocalEmbedder.open(threads=config.threads)
        case "openai":
            from cortex_core.providers.openai_embedder import OpenAIEmbedder

            return await OpenAIEmbedder.open(
                model=config.model or "text-embedding-3-small",
                dimensions=config.dimensions or None,
                base_url=config.base_url,
                api_key=config.api_key,
                timeout_seconds=config.timeout_seconds,
            )
        case "sentence-transformers":
            from cortex_core.providers.sentence_transformers import SentenceTransformerEmbedder

            return await SentenceTransformerEmbedder.open(config.model or "all-MiniLM-L6-v2")


def choose_rejection(config: RetrievalConfig, llm: ChatModel | None) -> RejectionPipeline:
    """Return the rejection with what the configuration names, or else with what Cortex ships.

    Raises:
        ConfigError: The file isn't what `cortex rejection train` writes.
    """
    model = RejectionModel.load(Path(config.rejection_file)) if config.rejection_file else None
    return RejectionPipeline(llm, model=model, llm_deadline=timedelta(seconds=config.deadline_seconds))


def choose_llm(config: LLMConfig) -> ChatModel | None:
    """Return a client of the service that the configuration names, or None if it names none."""
    if not config.is_configured:
        return None
    from cortex_core.providers.openai_llm import OpenAIChat

    return OpenAIChat.open(
        model=config.model, base_url=config.base_url, api_key=config.api_key, timeout_seconds=config.timeout_seconds
    )
