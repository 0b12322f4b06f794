"""Cortex: long-term memory for Discord bots, usable without Discord."""

from importlib import import_module
from typing import TYPE_CHECKING

from cortex_core.audience import Audience, AudienceKind
from cortex_core.config import (
    ClaraConfig,
    ConsolidationConfig,
    EmbeddedConfig,
    EmbeddingConfig,
    ForgettingConfig,
    IngestionConfig,
    LearningConfig,
    LLMConfig,
    MemoryConfig,
    PostgresConfig,
    RedisConfig,
    RetrievalConfig,
    RetrievalWeights,
    load_config,
)
from cortex_core.consolidation.compaction import CompactionJob
from cortex_core.consolidation.contradictions import Contradiction, ContradictionDetector, Resolution
from cortex_core.consolidation.monitor import ConsolidationMetrics, ConsolidationMonitor
from cortex_core.consolidation.patterns import Pattern, PatternExtractor
from cortex_core.consolidation.runner import ConsolidationRunner
from cortex_core.dashboard import GuildStats, Health, MemoryDashboard, Stats, UserStats
from cortex_core.errors import (
    AccessDeniedError,
    ConfigError,
    CortexError,
    EmbeddedServerError,
    IdempotencyError,
    InvalidInputError,
    MissingExtraError,
    NotFoundError,
    NotSpreadError,
    ProviderError,
    ProviderUnavailableError,
    SchemaError,
    StoreDataError,
    StoreError,
    StoreUnavailableError,
)
from cortex_core.forgetting.export import Export
from cortex_core.ingestion.emotion import EmotionScorer
from cortex_core.ingestion.intake import IncomingMessage, NewMemory
from cortex_core.manager import MemoryManager
from cortex_core.models import (
    ChannelSettings,
    Degradation,
    Durability,
    Fact,
    Memory,
    MemoryStatus,
    MemoryType,
    Preferences,
    Project,
    ProjectContext,
    ProjectInvitation,
    ProjectMember,
    ProjectRole,
    Receipt,
    Run,
    RunStatus,
    SearchResult,
    StoreResult,
)
from cortex_core.providers import ChatMessage, ChatModel, Embedder
from cortex_core.recall.context import MemoryContext
from cortex_core.recall.rejection import Rejection, RejectionPipeline
from cortex_core.scoring import calculate_importance, calculate_retrieval_score, calculate_ttl
from cortex_core.sharing.channels import ChannelProjectLink
from cortex_core.sharing.group import GroupChatMemory
from cortex_core.sharing.projects import ProjectMemory
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.corrections import Correction, CorrectionAnswer
from cortex_core.stores.redis import RedisStore
from cortex_core.stores.schema import migrate

if TYPE_CHECKING:
    from cortex_core.providers.local import LocalEmbedder
    from cortex_core.providers.openai_embedder import OpenAIEmbedder

__all__ = [
    "AccessDeniedError",
    "Audience",
    "AudienceKind",
    "ChannelProjectLink",
    "ChannelSettings",
    "ChatMessage",
    "ChatModel",
    "ClaraConfig",
    "CompactionJob",
    "ConfigError",
    "ConsolidationConfig",
    "ConsolidationMetrics",
    "ConsolidationMonitor",
    "ConsolidationRunner",
    "Contradiction",
    "ContradictionDetector",
    "Correction",
    "CorrectionAnswer",
    "CortexError",
    "Degradation",
    "Durability",
    "EmbeddedConfig",
    "EmbeddedServerError",
    "Embedder",
    "EmbeddingConfig",
    "EmotionScorer",
    "Export",
    "Fact",
    "ForgettingConfig",
    "GroupChatMemory",
    "GuildStats",
    "Health",
    "IdempotencyError",
    "IncomingMessage",
    "IngestionConfig",
    "InvalidInputError",
    "LLMConfig",
    "LearningConfig",
    "LocalEmbedder",
    "Memory",
    "MemoryConfig",
    "MemoryContext",
    "MemoryDashboard",
    "MemoryManager",
    "MemoryStatus",
    "MemoryType",
    "MissingExtraError",
    "NewMemory",
    "NotFoundError",
    "NotSpreadError",
    "OpenAIEmbedder",
    "Pattern",
    "PatternExtractor",
    "PostgresConfig",
    "PostgresStore",
    "Preferences",
    "Project",
    "ProjectContext",
    "ProjectInvitation",
    "ProjectMember",
    "ProjectMemory",
    "ProjectRole",
    "ProviderError",
    "ProviderUnavailableError",
    "Receipt",
    "RedisConfig",
    "RedisStore",
    "Rejection",
    "RejectionPipeline",
    "Resolution",
    "RetrievalConfig",
    "RetrievalWeights",
    "Run",
    "RunStatus",
    "SchemaError",
    "SearchResult",
    "Stats",
    "StoreDataError",
    "StoreError",
    "StoreResult",
    "StoreUnavailableError",
    "UserStats",
    "calculate_importance",
    "calculate_retrieval_score",
    "calculate_ttl",
    "load_config",
    "migrate",
]

# Their libraries take half a second to import, which nobody should wait for who uses the other one.
_LAZY = {"LocalEmbedder": "cortex_core.providers.local", "OpenAIEmbedder": "cortex_core.providers.openai_embedder"}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
