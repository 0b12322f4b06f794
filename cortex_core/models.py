"""The data that crosses Cortex's borders: memories, what callers hand in and what they get back."""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import numpy as np
import uuid_utils.compat as uuid7
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

Vector = NDArray[np.float32]
"""An embedding: shape (dimensions,), unit length."""

UserId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
UnitInterval = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]

MAX_VERSION = 2**63 - 1

OWNER_ONLY = "owner"
"""The narrowest audience: only the owner, in a direct conversation."""

PINNED = "pinned"
"""The tag of what somebody keeps on purpose."""


def utc_now() -> datetime:
    """Return the current time; the one place that reads the wall clock."""
    return datetime.now(UTC)


def hash_content(content: str) -> bytes:
    """Return the 32-byte fingerprint that tells whether two contents are the same text."""
    return hashlib.sha256(content.encode()).digest()


class Model(BaseModel):
    """Base of all value objects: frozen, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class MemoryType(StrEnum):
    """What kind of thing a memory holds (TDD 3.5 weighs importance by it)."""

    IDENTITY = "identity"
    SEMANTIC = "semantic"
    EPISODIC = "episodic"
    WORKING = "working"
    SESSION = "session"


class MemoryStatus(StrEnum):
    """Whether a memory takes part in recall."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"
    ARCHIVED = "archived"


class Memory(Model):
    """One stored unit: what somebody said, who owns it, where it may surface and how it scores.

    Attributes:
        id: Together with `user_id` the key in every tier.
        user_id: The owner.
        author_id: Who said it; the owner unless told otherwise.
        audience: Where it may surface, as written by `str(Audience)`.
        said_in: Where it was said, in the same form, whatever its owner made of that since.
        emotional_score: Emotional intensity, 0 to 1.
        importance: Derived priority, 0 to 1 (TDD 3.5).
        confidence: How sure we are that it holds, 0 to 1.
        created_at: When it was said, as given by the caller.
        valid_from: From when on it holds; `created_at` unless told otherwise.
        valid_to: When it ceased to hold.
        supersedes: The older memory that this one replaced.
        source: How it entered: conversation, remember, identity_update, import, consolidation.
        source_id: What it was made from, in the host's words (for Discord the message); unique per owner.
        position: Its place in the owner's sequence of memories of that channel, counted from 0.
        metadata: The caller's own data, given back unchanged.
        version: 0 for the original, the time of the edit in milliseconds since 1970 for a revision; a write with a
            later one replaces this, an earlier one is ignored.
        score: How well it answered the search that returned it; unbounded, absent elsewhere.
        similarity: Cosine between it and the query, -1 to 1; absent where no vector was compared.
        relevance: How much of what a search asked for it says, 0 to about 0.8; comparable from one search to another,
            absent where it can't be told.
        is_weak: Whether it says so little of what a search asked for that it may well be beside the point.
        explanation: The parts of `score` by name, if the search was asked to explain.
    """

    id: UUID = Field(default_factory=uuid7.uuid7)
    user_id: UserId
    content: str
    memory_type: MemoryType = MemoryType.EPISODIC
    status: MemoryStatus = MemoryStatus.ACTIVE
    author_id: str | None = None
    author_name: str | None = None
    project_id: str | None = None
    audience: str = OWNER_ONLY
    said_in: str | None = None
    emotional_score: UnitInterval = 0.0
    importance: UnitInterval = 0.0
    confidence: UnitInterval = 1.0
    created_at: AwareDatetime = Field(default_factory=utc_now)
    updated_at: AwareDatetime | None = None
    last_accessed: AwareDatetime | None = None
    access_count: int = Field(default=0, ge=0)
    valid_from: AwareDatetime | None = None
    valid_to: AwareDatetime | None = None
    supersedes: UUID | None = None
    source: str = "conversation"
    source_id: str | None = None
    channel_id: str | None = None
    position: int | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    version: int = Field(default=0, ge=0)
    score: float | None = None
    similarity: float | None = None
    relevance: float | None = None
    is_weak: bool = False
    explanation: dict[str, float] | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether somebody asked on purpose to keep it."""
        return PINNED in self.tags


class ProjectContext(Model):
    """What projects share with somebody for a turn.

    Attributes:
        project_id: The project; None where several speak, as in a direct message.
        name: Its name.
        recent: What was last said in it, newest first, and is not in `retrieved`.
        retrieved: What answers the query, best first. No author has more than half of the places in either.
        relevance: How much of what was asked the best match says, as in `SearchResult`.
    """

    project_id: str | None = None
    name: str | None = None
    recent: list[Memory] = Field(default_factory=list)
    retrieved: list[Memory] = Field(default_factory=list)
    relevance: float | None = None


class ProjectRole(StrEnum):
    """What a member of a project may do: each role includes those below it."""

    OWNER = "owner"
    """Archives and transfers the project, and names admins; there is exactly one."""
    ADMIN = "admin"
    """Invites and removes members, renames the project and links channels."""
    MEMBER = "member"
    """Adds to the shared memory and recalls from it."""


class Project(Model):
    """A shared memory.

    Attributes:
        archived_at: From when on it is neither fed nor recalled.
        role: That of whoever asked.
    """

    id: str
    name: str
    owner_id: str
    created_at: AwareDatetime
    archived_at: AwareDatetime | None = None
    role: ProjectRole | None = None
    member_count: int


class ProjectMember(Model):
    """One person of a project."""

    user_id: str
    role: ProjectRole
    joined_at: AwareDatetime


class ProjectInvitation(Model):
    """Somebody may become a member by accepting."""

    project_id: str
    project_name: str
    user_id: str
    invited_by: str
    invited_at: AwareDatetime
    expires_at: AwareDatetime


class ChannelSettings(Model):
    """What a channel feeds and reads.

    Attributes:
        guild_id: The server that the channel belongs to.
        project_id: The project it is linked with, unless that is archived.
        is_captured: Whether what is said there is stored.
    """

    channel_id: str
    guild_id: int | None = None
    project_id: str | None = None
    is_captured: bool = True


class Durability(StrEnum):
    """What an acknowledged write has survived."""

    JOURNALLED = "journalled"
    """On disk in the journal (append-only file, fsync always); Postgres follows."""
    FAST = "fast"
    """In the journal of a Redis that may lose its last second with its machine."""
    COMMITTED = "committed"
    """Committed in Postgres."""


class StoreResult(Model):
    """What `store` answers (TDD 4.2).

    Attributes:
        success: Whether the memory is safe; if not, `error` says why and nothing was stored.
        ttl: Seconds it stays in working memory from when it was said (TDD 3.2).
        is_duplicate: Whether the same source was acknowledged before.
        is_unwanted: Whether nothing was stored because its owner, or the channel, wants it so.
    """

    success: bool
    memory_id: str | None = None
    error: str | None = None
    emotional_score: float | None = None
    ttl: int | None = None
    durability: Durability | None = None
    is_duplicate: bool = False
    is_unwanted: bool = False


class Degradation(StrEnum):
    """What an answer had to do without."""

    HOT_LAYER = "working memory and session are missing: Redis is away"
    LONG_TERM = "long-term memories are missing: Postgres is away"
    VECTORS = "found by words only: the embedder was late or failed"


class SearchResult(Model):
    """What `search` answers (TDD 4.2).

    Attributes:
        memories: Best first; none if nothing relevant is known.
        relevance: How much of what was asked the best match says, 0 to about 0.8, even if it says too little to be
            returned; None where that can't be told.
    """

    memories: list[Memory]
    total_count: int
    search_time_ms: int
    relevance: float | None = None
    degraded: tuple[Degradation, ...] = ()


class Receipt(Model):
    """What forgetting erased, counted by tier."""

    memory_ids: tuple[UUID, ...]
    long_term: int = 0
    working: int = 0
    dead_letters: int = 0
    identity_facts: int = 0
    contradictions: int = 0
    session: bool = False

    @property
    def total(self) -> int:
        """Distinct memories and facts that are gone."""
        return len(self.memory_ids) + self.identity_facts


class Deletion(Model):
    """A source was deleted, and what was made from it has to go.

    Attributes:
        source_id: The source's name.
        memory_id: The id that its memories have.
        owner: Who is known to own one; it may still be on its way.
        up_to_version: A later version may be stored again; without one the source is gone for good.
    """

    source_id: str
    memory_id: UUID
    owner: UserId | None = None
    up_to_version: int = Field(default=MAX_VERSION, le=MAX_VERSION)


class Preferences(Model):
    """What somebody wishes for all that they say.

    Attributes:
        opted_out: Nothing of theirs is stored, scored, embedded or recalled.
        paused_until: Until then nothing is stored; what is known already may still be recalled.
        keeps_private: Whatever they say in a conversation surfaces to them alone.
        wants_digest: Once a week they are told what was learned about them.
    """

    opted_out: bool = False
    paused_until: AwareDatetime | None = None
    keeps_private: bool = False
    wants_digest: bool = False

    def why_not_stored(self, now: datetime) -> str | None:
        """Return the sentence that tells why nothing is stored at that time, or None if it is."""
        if self.opted_out:
            return "This person asked to be remembered in nothing; `/memory privacy` changes that."
        if self.paused_until is not None and now < self.paused_until:
            return "Remembering is paused; `/memory resume` goes on."
        return None


class Fact(Model):
    """One identity fact: an attribute of somebody with a value, the time in which it holds and that of believing so.

    Attributes:
        subject: Whom it is about, in the owner's words ("sister"); empty for the owner.
        has_many: Whether other values of the attribute may hold beside it.
        audiences: Where it may come up: wherever one of these may be heard.
        source: How it is known: set by hand (`identity_update`, `profile`, `remember`, `answer`), `import`, or the
            analyst that found it (`rules`, the name of a model).
        valid_from: Since when it holds.
        valid_to: When it ceased to hold.
        recorded_at: When it was learned.
        ended_at: When it was learned that it had ceased to hold.
    """

    id: UUID
    user_id: UserId
    subject: str = ""
    attribute: str
    value: JsonValue
    has_many: bool = False
    confidence: UnitInterval = 1.0
    audiences: tuple[str, ...] = (OWNER_ONLY,)
    source: str
    valid_from: AwareDatetime
    valid_to: AwareDatetime | None = None
    supersedes: UUID | None = None
    recorded_at: AwareDatetime
    ended_at: AwareDatetime | None = None


class Reservation(StrEnum):
    """What came of setting something aside from a day's budget."""

    MADE = "made"
    PENDING = "pending"
    """What was spent would allow it, but not with what is set aside on top of that, some of which may come back."""
    REFUSED = "refused"
    """What was spent leaves too little."""


class RunStatus(StrEnum):
    """How a run goes."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Run(Model):
    """One run of background work, for one owner or for all.

    Attributes:
        counts: What it did, by name.
        error: Why it failed, in words that hold nothing that anybody said.
        epoch: That of the lease under which it works.
        undone_at: When its changes were taken back.
    """

    id: UUID = Field(default_factory=uuid7.uuid7)
    job: str
    user_id: UserId | None = None
    status: RunStatus = RunStatus.RUNNING
    started_at: AwareDatetime = Field(default_factory=utc_now)
    completed_at: AwareDatetime | None = None
    counts: dict[str, int] = Field(default_factory=dict)
    error: str | None = None
    epoch: int | None = None
    undone_at: AwareDatetime | None = None
