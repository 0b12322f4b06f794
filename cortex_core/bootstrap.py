"""From a configuration to opened, wired parts; the one place that chooses implementations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cortex_core.config import EmbeddingConfig, LLMConfig, MemoryConfig, RetrievalConfig
from cortex_core.consolidation.analysis import AnalysisWorker
from cortex_core.consolidation.cleanup import Cleanup
from cortex_core.consolidation.compaction import CompactionJob
from cortex_core.consolidation.contradictions import ContradictionDetector
from cortex_core.consolidation.corrections import CorrectionAsker
from cortex_core.consolidation.digest import DigestKeeper
from cortex_core.consolidation.patterns import PatternExtractor
from cortex_core.consolidation.reading import MemoryReader
from cortex_core.consolidation.reviewing import ContradictionReviews
from cortex_core.consolidation.runner import ConsolidationRunner
from cortex_core.dashboard import MemoryDashboard
from cortex_core.dashboard.activity_log import ActivityLog
from cortex_core.dashboard.health import Examiner
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
from cortex_core.knowledge.learning import FactKeeper
from cortex_core.knowledge.preferences import PreferenceKeeper
from cortex_core.metrics import Metrics
from cortex_core.providers import ChatModel, Embedder
from cortex_core.providers.analysis import Analyst
from cortex_core.providers.caching import CachingEmbedder
from cortex_core.providers.llm_analyst import LLMAnalyst
from cortex_core.providers.metering import Ledger, MeteredChat
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
    dashboard: MemoryDashboard
    facts: FactKeeper
    analysis: AnalysisWorker
    consolidation: ConsolidationRunner
    corrections: CorrectionAsker
    digests: DigestKeeper
    reviews: ContradictionReviews


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

        llm = choose_llm(config.llm, postgres.spending)
        if llm:
            stack.push_async_callback(llm.close)

        metrics = Metrics()
        activity = ActivityLog(metrics, postgres)
        scorer = EmotionScorer()
        vectorizer = Vectorizer(postgres, cache)
        accesses = AccessLog(postgres)
        forgetter = Forgetter(redis, postgres, journal)
        identity = IdentityKeeper(redis, postgres)
        facts = FactKeeper(config.learning, postgres, identity)
        replies = ReplyLog(redis, postgres)
        reader = MemoryReader(redis, postgres, facts, replies.list_recalled, base_ttl=config.ingestion.base_ttl_seconds)
        rules = choose_rules()
        analysis = AnalysisWorker(
            config.learning, postgres, reader, metrics, rules=rules, model=LLMAnalyst(llm) if llm else None
        )

        def on_written() -> None:
            vectorizer.wake()
            analysis.wake()

        writer = JournalWriter(
            config.ingestion,
            journal,
            redis,
            postgres,
            on_written=on_written,
            on_deletion=forgetter.carry_out,
            metrics=metrics,
        )
        retention = Retention(config.forgetting, postgres, forgetter, settle=writer.drain)
        consolidation = _wire_consolidation(config, redis, postgres, cache, llm, rules, facts, vectorizer)
        for worker in (
            activity,
            vectorizer,
            analysis,
            accesses,
            forgetter,
            LargeOwnersKeeper(postgres),
            writer,
            retention,
            consolidation,
        ):
            stack.push_async_callback(worker.close)
            worker.start()
        preferences = PreferenceKeeper(redis, postgres)
        sessions = Sessions(config.ingestion, redis, postgres, preferences)
        stack.push_async_callback(sessions.close)
        sessions.start_repairs()

        recorder = Recorder(
            config.ingestion,
            Intake(config.ingestion, scorer),
            redis,
            postgres,
            cache,
            preferences,
            durability,
            on_written,
            metrics,
        )
        searcher = Searcher(config.retrieval, config.embedding, postgres, cache, metrics)
        shared = SharedRecall(postgres, searcher)
        rejection = choose_rejection(config.retrieval, llm)
        contexts = ContextBuilder(
            config.retrieval, redis, postgres, identity, searcher, shared, preferences, rejection, metrics
        )
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
            replies=replies,
            recheck=Recheck(redis, postgres, identity, preferences),
            project_memory=projects,
            channel_links=channel_links,
            group=GroupChatMemory(contexts, recorder, channel_links, projects),
            dashboard=MemoryDashboard(
                redis, postgres, journal, activity, Examiner(config, postgres, journal, cache, llm)
            ),
            facts=facts,
            analysis=analysis,
            consolidation=consolidation,
            corrections=CorrectionAsker(config.corrections, postgres, facts),
            digests=DigestKeeper(config.corrections, postgres, identity, Curator(redis, postgres)),
            reviews=ContradictionReviews(postgres, consolidation.contradiction_detector),
        )


def _wire_consolidation(
    config: MemoryConfig,
    redis: RedisStore,
    postgres: PostgresStore,
    cache: CachingEmbedder,
    llm: ChatModel | None,
    rules: Analyst,
    facts: FactKeeper,
    vectorizer: Vectorizer,
) -> ConsolidationRunner:
    """Put the jobs of upkeep together."""
    settings = config.consolidation
    return ConsolidationRunner(
        settings,
        redis,
        postgres,
        PatternExtractor(settings, postgres, cache, llm, facts),
        ContradictionDetector(settings, redis, postgres, llm, rules, vectorizer.wake),
        CompactionJob(settings, postgres, cache, llm, vectorizer.wake),
        Cleanup(settings, redis, postgres),
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


def choose_rules() -> Analyst:
    """Return the analyst that needs no language model."""
    from cortex_core.providers.rules import RuleAnalyst

    return RuleAnalyst()


def choose_llm(config: LLMConfig, ledger: Ledger | None = None) -> ChatModel | None:
    """Return a client of the service that the configuration names, or None if it names none.

    Args:
        config: The service, and what may be spent on it.
        ledger: Where that is counted; without one nothing is counted and nothing is capped.
    """
    if not config.is_configured:
        return None
    from cortex_core.providers.openai_llm import OpenAIChat, OpenAIChatServer

    server = OpenAIChatServer.open(
        model=config.model, base_url=config.base_url, api_key=config.api_key, timeout_seconds=config.timeout_seconds
    )
    metered = MeteredChat(server, ledger, config) if ledger else server
    return OpenAIChat(metered, timeout_seconds=config.timeout_seconds)
