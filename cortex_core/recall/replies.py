"""What the bot's replies drew on, so that people can ask why it said something."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, TypeAdapter

from cortex_core.audience import Audience
from cortex_core.models import Memory, Model, utc_now
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.scope import Scope
from cortex_core.stores.redis import RedisStore


class _Used(Model):
    """A memory that a reply drew on, by its key, and how it was found."""

    user_id: str
    id: UUID
    score: float | None
    similarity: float | None
    relevance: float | None
    is_weak: bool


class _Reply(Model):
    reply_id: str
    at: AwareDatetime
    used: tuple[_Used, ...]


_REPLY = TypeAdapter(_Reply)


class Explanation(Model):
    """What a reply drew on.

    Attributes:
        reply_id: The reply, in the host's words.
        at: When it was given.
        memories: What it drew on and is still there to be seen, best first, with the scores of that time.
        gone: How many more it drew on, which have been forgotten since or are not shared any more.
    """

    reply_id: str
    at: datetime
    memories: list[Memory]
    gone: int = 0


class ReplyLog:
    """The last replies to each person, kept for a week as ids and scores; what they say is read when somebody asks."""

    def __init__(self, redis: RedisStore, postgres: PostgresStore) -> None:
        self._redis = redis
        self._postgres = postgres

    async def add(self, user_id: str, reply_id: str, memories: Sequence[Memory]) -> None:
        """Note what a reply to somebody drew on.

        Raises:
            StoreUnavailableError: Redis is away.
        """
        used = tuple(
            _Used(
                user_id=memory.user_id,
                id=memory.id,
                score=memory.score,
                similarity=memory.similarity,
                relevance=memory.relevance,
                is_weak=memory.is_weak,
            )
            for memory in memories
        )
        reply = _Reply(reply_id=reply_id, at=utc_now(), used=used)
        await self._redis.add_reply(user_id, _REPLY.dump_json(reply).decode())

    async def list_recalled(self, user_id: str, since: datetime, until: datetime) -> list[tuple[datetime, str]]:
        """Return what replies to somebody drew on in that time and is still there, each with the time of the reply.

        Raises:
            StoreUnavailableError: A store is away.
        """
        replies = [_REPLY.validate_json(reply) for reply in await self._redis.get_replies(user_id)]
        asked = [reply for reply in replies if since <= reply.at <= until]
        by_key = await self._load(user_id, [(used.user_id, used.id) for reply in asked for used in reply.used])
        return [
            (reply.at, by_key[used.user_id, used.id].content)
            for reply in asked
            for used in reply.used
            if (used.user_id, used.id) in by_key
        ]

    async def explain(self, user_id: str, reply_id: str | None = None) -> Explanation | None:
        """Return what a reply to somebody, the last one unless told otherwise, drew on; None if that isn't known.

        Raises:
            StoreUnavailableError: A store is away.
        """
        replies = [_REPLY.validate_json(reply) for reply in await self._redis.get_replies(user_id)]
        asked = next((reply for reply in replies if reply_id in (None, reply.reply_id)), None)
        if asked is None:
            return None
        keys = [(used.user_id, used.id) for used in asked.used]
        by_key = await self._load(user_id, keys)
        memories = [
            by_key[used.user_id, used.id].model_copy(update=used.model_dump(exclude={"user_id", "id"}))
            for used in asked.used
            if (used.user_id, used.id) in by_key
        ]
        return Explanation(reply_id=asked.reply_id, at=asked.at, memories=memories, gone=len(keys) - len(memories))

    async def _load(self, user_id: str, keys: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], Memory]:
        """Return those that somebody may see in private, by key."""
        if not keys:
            return {}
        scopes = [scope(user_id, Audience.owner()) for scope in (Scope.own, Scope.shared)]
        found = [memory for scope in scopes for memory in await self._postgres.list_by_key(scope, keys)]
        return {(memory.user_id, memory.id): memory for memory in found}
