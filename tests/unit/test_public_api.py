"""The names that hosts import (architecture, decision 11)."""

import subprocess
import sys

import pytest

import cortex_core

OF_THE_TDD = [
    "MemoryManager",
    "MemoryConfig",
    "RedisConfig",
    "PostgresConfig",
    "EmbeddingConfig",
    "LLMConfig",
    "RedisStore",
    "PostgresStore",
    "OpenAIEmbedder",
    "LocalEmbedder",
    "EmotionScorer",
    "RejectionPipeline",
    "Memory",
    "MemoryContext",
    "StoreResult",
    "SearchResult",
    "MemoryType",
    "MemoryStatus",
    "RetrievalWeights",
    "calculate_ttl",
    "calculate_retrieval_score",
    "calculate_importance",
]
METHODS = [
    "initialize",
    "close",
    "store",
    "store_many",
    "get_context",
    "search",
    "update_session",
    "start_session",
    "end_session",
    "update_identity",
    "get_identity",
    "flush",
    "forget",
    "forget_everything",
]


def test_the_list_of_public_names_is_sorted_and_complete():
    assert cortex_core.__all__ == sorted(cortex_core.__all__)
    assert len(set(cortex_core.__all__)) == len(cortex_core.__all__)
    assert set(OF_THE_TDD) <= set(cortex_core.__all__)


@pytest.mark.parametrize("name", cortex_core.__all__)
def test_every_public_name_can_be_imported(name: str):
    assert getattr(cortex_core, name) is not None


@pytest.mark.parametrize("name", METHODS)
def test_the_manager_has_the_methods_of_the_tdd(name: str):
    assert callable(getattr(cortex_core.MemoryManager, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        cortex_core.nonsense  # noqa: B018


def test_importing_the_core_neither_loads_a_model_nor_discord():
    heavy = "{'onnxruntime', 'discord', 'openai', 'sentence_transformers', 'torch'}"
    program = f"import sys, cortex_core; print(sorted({heavy} & set(sys.modules)))"

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert output.stdout.strip() == "[]"


async def test_a_manager_that_is_not_open_says_so():
    manager = cortex_core.MemoryManager(cortex_core.MemoryConfig())

    with pytest.raises(cortex_core.CortexError, match="not open"):
        await manager.store("ann", "text")
    assert not manager.is_open
    await manager.close()
