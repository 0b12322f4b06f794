"""Cortex as the benchmarks use it: through the interface that hosts use, on servers of its own."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from benchmarks._answers import LIMIT, Answer
from benchmarks._corpora import Conversation, Question, Turn
from benchmarks._folder import make_folder
from cortex_core import (
    CortexError,
    EmbeddedConfig,
    LLMConfig,
    MemoryConfig,
    MemoryManager,
    NewMemory,
    PostgresConfig,
    RedisConfig,
    load_config,
)
from cortex_core.bootstrap import open_servers
from cortex_core.config import Section

WITHOUT_PRIORS = {"similarity": 1.0, "recency": 0.0, "emotion": 0.0, "reinforcement": 0.0}


@asynccontextmanager
async def open_memory() -> AsyncIterator[tuple[Path, MemoryConfig, MemoryManager]]:
    """Open an empty memory with the settings of this folder and environment, and yield a folder for others as well."""
    async with open_settings() as (folder, config), MemoryManager(config) as memory:
        yield folder, config, memory


@asynccontextmanager
async def open_settings(**sections: Section) -> AsyncIterator[tuple[Path, MemoryConfig]]:
    """Yield these settings for empty servers, the ones named in the place of theirs, and a folder.

    No language model is asked but one that is named: none may learn what benchmarks say, nor cost anything for it.
    """
    with make_folder() as folder:
        embedded = EmbeddedConfig(data_dir=folder / "data")
        fresh = {"embedded": embedded, "redis": RedisConfig(), "postgres": PostgresConfig(), "llm": LLMConfig()}
        async with open_servers(load_config().model_copy(update={**fresh, **sections})) as config:
            yield folder, config


@asynccontextmanager
async def open_without_priors(memory: MemoryManager) -> AsyncIterator[MemoryManager]:
    """Open a second one on the same data that ranks by relevance alone: what the four-part formula is measured by."""
    retrieval = memory.config.retrieval.model_copy(update=WITHOUT_PRIORS)
    ingestion = memory.config.ingestion.model_copy(update={"consumers": 0})
    config = memory.config.model_copy(update={"retrieval": retrieval, "ingestion": ingestion})
    async with MemoryManager(config, embedder=memory.embedder) as other:
        yield other


def user_of(conversation: Conversation) -> str:
    """Return the user id of a conversation's owner."""
    return f"{conversation.name}/{conversation.owner}"


def by_speaker(conversation: str, turns: Iterable[Turn]) -> dict[str, list[Turn]]:
    """Return who said what of a conversation, by user id: everybody owns what they say themselves."""
    speakers: dict[str, list[Turn]] = {}
    for turn in turns:
        speakers.setdefault(f"{conversation}/{turn.speaker}", []).append(turn)
    return speakers


def to_own_memory(turn: Turn) -> NewMemory:
    """Return what its speaker's memory gets of a turn."""
    return NewMemory(
        content=turn.text,
        created_at=turn.at,
        source_id=turn.id,
        channel_id=turn.channel,
        author_name=turn.speaker,
    )


async def fill(memory: MemoryManager, conversation: Conversation, turns: Sequence[Turn]) -> None:
    """Store turns of a conversation, wait until they can be recalled, and count the uses that they tell of."""
    user = user_of(conversation)
    await _make_projects(memory, conversation, turns)
    results = await memory.store_many(user, [_to_memory(turn, conversation) for turn in turns])
    if failed := Counter(result.error for result in results if not result.success):
        raise CortexError(f"A benchmark's memories were refused: {dict(failed)}")
    await memory.flush()
    for turn, result in zip(turns, results, strict=True):
        if turn.recalled:
            stored = await memory.get(user, UUID(result.memory_id))
            memory.count_use([stored] * turn.recalled if stored else [])
    await memory.flush()


def _to_memory(turn: Turn, conversation: Conversation) -> NewMemory:
    return NewMemory(
        content=turn.text,
        created_at=turn.at,
        source_id=turn.id,
        channel_id=turn.channel,
        project_id=_project_of(conversation, turn.project),
        author_id=user_of(conversation) if turn.speaker == conversation.owner else turn.speaker,
        author_name=turn.speaker,
        emotional_score=turn.emotion,
    )


_NO_PROJECT = "none"
"""A project that nobody made: named, it keeps what was told to the others apart, as for a question outside of them."""


def _project_of(conversation: Conversation, name: str | None) -> str | None:
    """Return the id of a project that belongs to the conversation's owner."""
    return None if name is None else f"{user_of(conversation)}/{name}"


async def _make_projects(memory: MemoryManager, conversation: Conversation, turns: Sequence[Turn]) -> None:
    owner = user_of(conversation)
    known = {project.id for project in await memory.project_memory.list_projects(owner)}
    for name in {turn.project for turn in turns if turn.project}:
        if f"{owner}/{name}" not in known:
            await memory.project_memory.create_project(f"{owner}/{name}", name, owner)


async def ask(memory: MemoryManager, conversation: Conversation, question: Question) -> Answer:
    """Ask one question."""
    began = time.perf_counter()
    result = await memory.search(
        user_of(conversation),
        question.text,
        _project_of(conversation, question.project or _NO_PROJECT),  # as mem0's filter: the project's, and of none
        limit=LIMIT,
        asked_at=question.asked_at,
    )
    seconds = time.perf_counter() - began
    return Answer(
        question,
        conversation.language,
        found=[str(found.source_id) for found in result.memories],
        seconds=seconds,
        relevance=result.relevance,
        is_weak=all(found.is_weak for found in result.memories),
    )


async def converse(memory: MemoryManager, conversation: Conversation) -> list[Answer]:
    """Let it hear a conversation and answer the questions, each when it is asked."""
    answers: list[Answer] = []
    for turns, questions in conversation.chapters(conversation.questions):
        await fill(memory, conversation, turns)
        answers += await ask_all(memory, conversation, questions)
    return answers


async def ask_all(memory: MemoryManager, conversation: Conversation, questions: Sequence[Question]) -> list[Answer]:
    """Ask questions, one after the other."""
    return [await ask(memory, conversation, question) for question in questions]
