"""Turns what a caller hands in into a memory that every tier can hold, or says why it can't."""

import unicodedata
from datetime import datetime
from uuid import UUID, uuid5

from pydantic import Field, JsonValue, ValidationError

from cortex_core.audience import Audience
from cortex_core.cleaning import check_json, clean_text
from cortex_core.config import IngestionConfig
from cortex_core.errors import InvalidInputError
from cortex_core.ingestion.emotion import EmotionScorer
from cortex_core.models import Memory, MemoryType, Model, utc_now
from cortex_core.scoring import calculate_importance
from cortex_core.stores.keys import check_user_id

_SOURCES = UUID("6d3f6a0e-8a53-5c0e-9a7f-3f0f2b1c9d4e")
_CUT_MARK = " … [cut]"
_MAX_NAME_CHARS = 200
_MAX_TAGS = 50
_YEARS = range(2, 9999)  # a time to live or a time zone still fits around these


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
        channel_id: The conversation that it belongs to.
        linked_channel_id: The channel whose project is fed and read, for a thread its parent; `channel_id` when absent.
        feeds_project: Whether that project gets it; a few people's private thread reads only.
        is_addressed: Whether it is said to the bot; of what isn't, less is worth recalling for.
        mentions: People whom it names as `@name`, by that name.
        reply_to: Who said what it replies to.
    """

    user_id: str
    text: str
    source_id: str
    channel_id: str
    created_at: datetime
    author_name: str | None = None
    author_id: str | None = None
    audience: Audience = Audience.owner()
    linked_channel_id: str | None = None
    feeds_project: bool = True
    is_addressed: bool = True
    mentions: dict[str, str] = Field(default_factory=dict)
    reply_to: str | None = None

    @property
    def home(self) -> str:
        """The channel whose settings count."""
        return self.channel_id if self.linked_channel_id is None else self.linked_channel_id

    def to_memory(self, *, project_id: str | None, edited_at: datetime | None = None) -> NewMemory:
        """Return what is to be remembered of it."""
        people: dict[str, JsonValue] = {}
        if self.mentions:
            people["mentions"] = dict(self.mentions)
        if self.reply_to is not None:
            people["reply_to"] = self.reply_to
        return NewMemory(
            content=self.text,
            project_id=project_id,
            metadata=people or None,
            created_at=self.created_at,
            source_id=self.source_id,
            channel_id=self.channel_id,
            author_id=self.author_id,
            author_name=self.author_name,
            audience=self.audience,
            edited_at=edited_at,
        )


def memory_id_of(source_id: str) -> UUID:
    """Return the id that a source's memory has, so that the same source is the same memory in every tier."""
    return uuid5(_SOURCES, source_id)


def refusal(error: ValidationError) -> InvalidInputError:
    """Return the sentence that names what can't be stored, without its value."""
    fields = sorted({str(problem["loc"][0]) for problem in error.errors() if problem["loc"]})
    return InvalidInputError(f"A memory can't have that {', '.join(fields)}.")


def version_of(edited_at: datetime) -> int:
    """Return the version that an edit makes, in milliseconds since 1970."""
    return int(edited_at.timestamp() * 1000)


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
        metadata = new.metadata or {}
        check_json("metadata", metadata)
        content = self._fit(clean_text(new.content).strip())
        created_at = new.created_at or utc_now()
        _check_time(created_at)
        _check_time(new.edited_at or created_at)
        emotion = self._scorer.rate(content) if new.emotional_score is None else new.emotional_score
        source_id = _clean("source_id", new.source_id)
        identity = {"id": memory_id_of(source_id)} if source_id is not None else {}
        try:
            memory = Memory(
                **identity,
                user_id=user_id,
                content=content,
                memory_type=new.memory_type,
                author_id=_clean("author_id", new.author_id) or user_id,
                author_name=_clean("author_name", new.author_name),
                project_id=_clean("project_id", new.project_id),
                audience=str(new.audience),
                said_in=str(new.audience),
                emotional_score=emotion,
                created_at=created_at,
                source=_clean("source", new.source) or "conversation",
                source_id=source_id,
                channel_id=_clean("channel_id", new.channel_id),
                tags=_clean_tags(new.tags),
                metadata=metadata,
                version=version_of(new.edited_at) if new.edited_at else 0,
            )
        except ValidationError as error:
            raise refusal(error) from None
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


def _check_time(time: datetime) -> None:
    if time.tzinfo is None:
        raise InvalidInputError("created_at and edited_at need a time zone; use datetime.now(UTC) or the like.")
    if time.year not in _YEARS:
        raise InvalidInputError(f"created_at and edited_at lie in the years {_YEARS[0]} to {_YEARS[-1]}.")


def _clean(field: str, text: str | None) -> str | None:
    """Return a name of at most 200 characters: longer ones fit into no index."""
    if text is not None and len(text) > _MAX_NAME_CHARS:
        raise InvalidInputError(f"{field} has at most {_MAX_NAME_CHARS} characters.")
    return None if text is None else clean_text(text)


def _clean_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    if len(tags) > _MAX_TAGS:
        raise InvalidInputError(f"A memory has at most {_MAX_TAGS} tags.")
    return tuple(_clean("tags", tag) or "" for tag in tags)
