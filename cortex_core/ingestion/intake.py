"""Turns what a caller hands in into a memory that every tier can hold, or says why it can't."""

import json
import unicodedata
from datetime import datetime
from uuid import UUID, uuid5

from pydantic import Field, JsonValue, ValidationError

from cortex_core.audience import Audience
from cortex_core.cleaning import clean_text
from cortex_core.config import IngestionConfig
from cortex_core.errors import InvalidInputError
from cortex_core.ingestion.emotion import EmotionScorer
from cortex_core.models import Memory, MemoryType, Model, utc_now
from cortex_core.scoring import calculate_importance
from cortex_core.stores.keys import check_user_id

_SOURCES = UUID("6d3f6a0e-8a53-5c0e-9a7f-3f0f2b1c9d4e")
_CUT_MARK = " … [cut]"


class NewMemory(Model):
    """What somebody said, as the caller hands it in; `MemoryManager.store` tells what the fields mean."""

    content: str
    memory_type: MemoryType = MemoryType.EPISODIC
    project_id: str | None = None
    emotional_score: float | None = Field(default=None, ge=0.0, le=1.0, allow_inf_nan=False)
    metadata: dict[str, JsonValue] | None = None
    created_at: datetime | None = None
    source_id: str | None = None
    channel_id: str | None = None
    author_id: str | None = None
    author_name: str | None = None
    audience: Audience = Audience.owner()
    source: str = "conversation"
    tags: tuple[str, ...] = ()
    edited_at: datetime | None = None


class IncomingMessage(Model):
    """A message of a conversation, as `MemoryManager.hear` takes it.

    Attributes:
        user_id: Whose memory it becomes.
        author_id: Who said it; the owner when absent.
        source_id: The message's own name, so that hearing it twice stores it once.
    """

    user_id: str
    text: str
    source_id: str
    channel_id: str
    created_at: datetime
    author_name: str
    author_id: str | None = None
    audience: Audience = Audience.owner()


def memory_id_of(source_id: str) -> UUID:
    """Return the id that a source's memory has, so that the same source is the same memory in every tier."""
    return uuid5(_SOURCES, source_id)


class Intake:
    """Checks, cleans and scores new memories."""

    def __init__(self, config: IngestionConfig, scorer: EmotionScorer) -> None:
        self._config = config
        self._scorer = scorer

    def prepare(self, user_id: str, new: NewMemory) -> Memory:
        """Build the memory.

        Raises:
            InvalidInputError: Something in it can't be stored; the message says what, but never quotes it.
        """
        check_user_id(user_id)
        content = self._fit(clean_text(new.content).strip())
        created_at = new.created_at or utc_now()
        if created_at.tzinfo is None or (new.edited_at and new.edited_at.tzinfo is None):
            raise InvalidInputError("created_at and edited_at need a time zone; use datetime.now(UTC) or the like.")
        emotion = self._scorer.rate(content) if new.emotional_score is None else new.emotional_score
        identity = {"id": memory_id_of(new.source_id)} if new.source_id is not None else {}
        try:
            memory = Memory(
                **identity,
                user_id=user_id,
                content=content,
                memory_type=new.memory_type,
                author_id=_clean(new.author_id) or user_id,
                author_name=_clean(new.author_name),
                project_id=_clean(new.project_id),
                audience=str(new.audience),
                emotional_score=emotion,
                created_at=created_at,
                source=new.source,
                source_id=_clean(new.source_id),
                channel_id=_clean(new.channel_id),
                tags=new.tags,
                metadata=_check_metadata(new.metadata or {}),
                version=int(new.edited_at.timestamp() * 1000) if new.edited_at else 0,
            )
        except ValidationError as error:
            fields = ", ".join(str(problem["loc"][0]) for problem in error.errors() if problem["loc"])
            raise InvalidInputError(f"A memory can't have that {fields}.") from None
        return memory.model_copy(update={"importance": calculate_importance(memory, utc_now())})

    def _fit(self, content: str) -> str:
        if not any(_is_visible(character) for character in content):
            raise InvalidInputError("There is nothing to remember in an empty text.")
        limit = self._config.max_content_chars
        if len(content) <= limit:
            return content
        if self._config.over_long == "refuse":
            raise InvalidInputError(f"That is too long to remember: at most {limit:,} characters fit into one memory.")
        return content[: limit - len(_CUT_MARK)] + _CUT_MARK


def _is_visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) not in {"Cc", "Cf"}


def _clean(text: str | None) -> str | None:
    return None if text is None else clean_text(text)


def _check_metadata(metadata: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        text = json.dumps(metadata, allow_nan=False, ensure_ascii=False)
        storable = "\\u0000" not in text and clean_text(text) == text
    except ValueError:
        storable = False
    if not storable:
        raise InvalidInputError("metadata has to be JSON without NaN, NUL characters or lone surrogates.")
    return metadata
