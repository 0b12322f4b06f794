"""Between database rows and models; nowhere else knows the column names."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from asyncpg import Record

from cortex_core.models import Fact, Memory, MemoryStatus, MemoryType, hash_content, utc_now

_MEMORY_COLUMNS = (
    "id", "user_id", "content", "author_id", "author_name", "project_id", "audience", "said_in", "emotional_score",
    "importance", "confidence", "created_at", "updated_at", "last_accessed", "access_count", "valid_from", "valid_to",
    "supersedes", "source", "source_id", "channel_id", "position", "metadata", "version",
)  # fmt: skip
_FACT_COLUMNS = (
    "id", "user_id", "subject", "attribute", "value", "has_many", "confidence", "source", "valid_from",
    "valid_to", "supersedes", "recorded_at", "ended_at",
)  # fmt: skip


SEARCH_FIELDS = frozenset({"score", "similarity", "relevance", "is_weak", "explanation"})
"""What a memory has only among the results of a search."""


class Row(Protocol):
    """What one row of an answer can do; asyncpg's `Record` and a dict can."""

    def __getitem__(self, column: str, /) -> Any:
        """Return a column's value."""


def to_memory(row: Row, **scores: Any) -> Memory:
    """Build a memory from a row of `memories`, which was validated when it was written, and what a search found."""
    return Memory.model_construct(
        **{column: row[column] for column in _MEMORY_COLUMNS},
        memory_type=MemoryType(row["memory_type"]),
        status=MemoryStatus(row["status"]),
        tags=tuple(row["tags"]),
        **scores,
    )


def to_fact(row: Record) -> Fact:
    """Build a fact from a row of `identity_facts`."""
    audiences = tuple(row["audiences"])
    return Fact.model_construct(**{column: row[column] for column in _FACT_COLUMNS}, audiences=audiences)


def to_json(memories: Iterable[tuple[Memory, datetime | None]]) -> str:
    """Write memories, each with the time of its acknowledgement, as the JSON that the query `write` reads."""
    return json.dumps([_to_dict(memory, acknowledged_at) for memory, acknowledged_at in memories], allow_nan=False)


def _to_dict(memory: Memory, acknowledged_at: datetime | None) -> dict[str, object]:
    return {
        **memory.model_dump(mode="json", exclude={"updated_at", "last_accessed", "access_count", *SEARCH_FIELDS}),
        "valid_from": (memory.valid_from or memory.created_at).isoformat(),
        "content_hash": hash_content(memory.content).hex(),
        "acknowledged_at": (acknowledged_at or utc_now()).isoformat(),
    }
