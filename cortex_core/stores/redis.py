"""RedisStore: the hot layer (TDD 5), and `remember`, which acknowledges a memory into it and the journal at once."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from importlib.resources import files
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuid7
from pydantic import JsonValue
from redis.asyncio.client import Pipeline
from redis.commands.core import AsyncScript
from redis.typing import EncodableT

from cortex_core.config import RedisConfig
from cortex_core.errors import InvalidInputError
from cortex_core.late_interaction import Embedding
from cortex_core.models import MAX_VERSION, ChannelSettings, Memory, Preferences, hash_content, utc_now
from cortex_core.stores.breaker import Breaker
from cortex_core.stores.keys import JOURNAL, UserKeys, channel_key
from cortex_core.stores.redis_connection import as_text, connect, translate_errors

_log = logging.getLogger("cortex.redis")

_LOADED_AT = "updated_at"
_CHANNEL_TTL = timedelta(days=1)
_IDENTITY_TTL = timedelta(hours=1)  # so that a cache which missed a change, with Redis away, can't stay wrong for long

_PREFERENCES_TTL = timedelta(minutes=5)
_REPLIES_TTL = timedelta(days=7)
_WITHHELD = timedelta(days=1)  # longer than anything stays in working memory
_REPLIES_KEPT = 20

MAX_SESSION_CHARS = 100_000
SESSION_TOO_LONG = f"A session's state has at most {MAX_SESSION_CHARS:,} characters."


class Acknowledgement(StrEnum):
    """What `remember` answers."""

    JOURNALLED = "journalled"
    KNOWN = "known"
    MISMATCH = "mismatch"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class HotContext:
    """What the hot layer knows of a user.

    Attributes:
        identity: None if it has to be loaded from Postgres.
        working: Newest first.
        preferences: None if they have to be loaded from Postgres.
    """

    identity: dict[str, JsonValue] | None
    session: dict[str, JsonValue]
    working: list[Memory]
    preferences: Preferences | None = None


@dataclass(frozen=True, slots=True)
class ForgottenHot:
    """What the hot layer held of a user."""

    memory_ids: list[UUID]
    had_session: bool


class RedisStore:
    """Identity, session, working memory, recent buffer and notes of each user.

    All methods raise `StoreUnavailableError` when Redis doesn't answer in time, and `InvalidInputError` for a user id
    that can't be one.
    """

    def __init__(self, config: RedisConfig) -> None:
        self.config = config
        self.client = connect(config)
        self._breaker = Breaker("Redis")
        self.session_ttl = timedelta(hours=config.session_ttl_hours)
        self._remember = self._register("remember")
        self._load = self._register("load")
        self._update_session = self._register("update_session")
        self._forget = self._register("forget")
        self._cache_identity = self._register("cache_identity")
        self._rate = self._register("rate")

    def _register(self, name: str) -> AsyncScript:
        text = (files("cortex_core.stores") / "scripts" / f"{name}.lua").read_text("utf-8")
        return self.client.register_script(text)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        with self._breaker.guard(), translate_errors():
            yield

    async def connect(self) -> None:
        """Check that the server answers."""
        with self._guard():
            await self.client.ping()

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()
        await self.client.connection_pool.disconnect()

    async def load(self, user_id: str) -> HotContext:
        """Return everything that a turn needs, in one round trip."""
        keys = UserKeys(user_id)
        with self._guard():
            identity, session, payloads, preferences = await self._load(
                keys=[keys.identity, keys.session, keys.payloads, keys.working, keys.preferences],
                args=[_milliseconds(utc_now()), _milliseconds(self.session_ttl)],
            )
        return HotContext(
            identity=_read_pairs(identity) or None,
            session=_read_pairs(session),
            working=_newest_first(_read_payloads(user_id, payloads)),
            preferences=_read_preferences(preferences),
        )

    # Identity: a cache of what Postgres holds

    async def get_identity(self, user_id: str) -> dict[str, JsonValue]:
        """Return the cached attributes, with the time they were cached as `updated_at`; empty if there is no cache."""
        with self._guard():
            return _read_hash(await self.client.hgetall(UserKeys(user_id).identity))

    async def set_identity(self, user_id: str, identity: Mapping[str, JsonValue]) -> None:
        """Replace all cached attributes."""
        key = UserKeys(user_id).identity
        fields = _write_fields({**identity, _LOADED_AT: utc_now().isoformat()})
        with self._guard():
            async with self.client.pipeline(transaction=True) as pipe:
                pipe.delete(key)
                pipe.hset(key, mapping=fields)
                pipe.expire(key, _IDENTITY_TTL)
                await pipe.execute()

    async def update_identity_field(self, user_id: str, field: str, value: JsonValue) -> None:
        """Set one cached attribute."""
        fields = _write_fields({field: value, _LOADED_AT: utc_now().isoformat()})
        with self._guard():
            await self.client.hset(UserKeys(user_id).identity, mapping=fields)

    async def get_identity_token(self, user_id: str) -> str:
        """Return what has to be unchanged when an identity that is read from now on is cached."""
        with self._guard():
            return as_text(await self.client.get(UserKeys(user_id).identity_token) or b"")

    async def cache_identity(self, user_id: str, identity: Mapping[str, JsonValue], *, token: str) -> bool:
        """Cache what was read from Postgres, unless it was changed or forgotten since the token was taken."""
        keys = UserKeys(user_id)
        fields = _write_fields({**identity, _LOADED_AT: utc_now().isoformat()})
        flat = [part for pair in fields.items() for part in pair]
        with self._guard():
            arguments = [token, _milliseconds(_IDENTITY_TTL), *flat]
            return bool(await self._cache_identity(keys=[keys.identity, keys.identity_token], args=arguments))

    async def clear_identity(self, user_id: str) -> None:
        """Drop the cache, so that the next turn loads it from Postgres, and whatever is being cached right now."""
        keys = UserKeys(user_id)
        with self._guard():
            async with self.client.pipeline(transaction=True) as pipe:
                pipe.set(keys.identity_token, uuid7.uuid7().hex, ex=_IDENTITY_TTL)
                pipe.delete(keys.identity)
                await pipe.execute()

    # Preferences: a cache of what Postgres holds

    async def get_preferences(self, user_id: str) -> Preferences | None:
        """Return the cached wishes; None if they have to be loaded."""
        with self._guard():
            return _read_preferences(await self.client.get(UserKeys(user_id).preferences))

    async def cache_preferences(self, user_id: str, preferences: Preferences) -> None:
        """Cache what was read from Postgres, unless somebody changed it meanwhile."""
        key, ttl = UserKeys(user_id).preferences, _time_to_live(preferences)
        with self._guard():
            await self.client.set(key, preferences.model_dump_json(), ex=ttl, nx=True)

    async def set_preferences(self, user_id: str, preferences: Preferences) -> None:
        """Cache what was changed in Postgres."""
        key, ttl = UserKeys(user_id).preferences, _time_to_live(preferences)
        with self._guard():
            await self.client.set(key, preferences.model_dump_json(), ex=ttl)

    # Session

    async def get_session(self, user_id: str) -> dict[str, JsonValue]:
        """Return the session's fields; empty if there is none."""
        with self._guard():
            return _read_hash(await self.client.hgetall(UserKeys(user_id).session))

    async def set_session(self, user_id: str, session: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Start afresh with these fields and return them."""
        return await self._change_session(user_id, session, replace=True)

    async def update_session(self, user_id: str, updates: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Change some fields, keep the session alive for another day and return all of it."""
        return await self._change_session(user_id, {**updates, "last_active": utc_now().isoformat()}, replace=False)

    async def _change_session(
        self, user_id: str, fields: Mapping[str, JsonValue], *, replace: bool
    ) -> dict[str, JsonValue]:
        flat = [part for pair in _write_fields(fields).items() for part in pair]
        header: list[EncodableT] = [
            user_id,
            _milliseconds(self.session_ttl),
            _milliseconds(utc_now()),
            int(replace),
            MAX_SESSION_CHARS,
        ]
        with self._guard():
            state = await self._update_session(keys=[UserKeys(user_id).session, JOURNAL], args=[*header, *flat])
        if state is None:
            raise InvalidInputError(SESSION_TOO_LONG)
        session: dict[str, JsonValue] = json.loads(state)
        return session

    async def clear_session(self, user_id: str) -> None:
        """End the session."""
        with self._guard():
            await self.client.delete(UserKeys(user_id).session)

    # Working memory

    async def remember(
        self, memory: Memory, *, ttl: int, max_backlog: int, embedding: Embedding | None = None, model: str = ""
    ) -> Acknowledgement:
        """Put a memory into working memory, the recent buffer and the journal, all or nothing.

        Args:
            memory: Said at `created_at`, from when on its time to live counts.
            ttl: Seconds in working memory; one said longer ago goes to the journal only.
            max_backlog: Entries that the journal may hold.
            embedding: If it is known already; it travels with it.
            model: The model that made it.
        """
        call = self._acknowledgement_of(memory, ttl, embedding, max_backlog, model)
        with self._guard():
            answer = await self._remember(**call)
        return Acknowledgement(as_text(answer))

    async def remember_many(
        self, memories: Sequence[tuple[Memory, int, Embedding | None]], *, max_backlog: int, model: str = ""
    ) -> list[Acknowledgement]:
        """Put memories, each with its time to live and its embedding, where `remember` does, in their order.

        Each is put there all or nothing; after a failure some may be there, and repeating is safe.
        """
        with self._guard():
            async with self.client.pipeline(transaction=False) as pipe:
                for memory, ttl, embedding in memories:
                    call = self._acknowledgement_of(memory, ttl, embedding, max_backlog, model)
                    await self._remember(**call, client=pipe)
                answers = await pipe.execute()
        return [Acknowledgement(as_text(answer)) for answer in answers]

    def _acknowledgement_of(
        self, memory: Memory, ttl: int, embedding: Embedding | None, max_backlog: int, model: str
    ) -> dict[str, Any]:
        """Return keys and arguments of `remember.lua`."""
        keys = UserKeys(memory.user_id)
        arguments: list[EncodableT] = [
            str(memory.id),
            _write_payload(memory),
            _milliseconds(memory.created_at + timedelta(seconds=ttl)),
            _milliseconds(utc_now()),
            self.config.working_limit,
            self.config.recent_limit,
            _milliseconds(self.session_ttl),
            max_backlog,
            b"" if embedding is None else embedding.vector.tobytes(),
            b"" if embedding is None else embedding.signs,
            memory.user_id,
            model,
            _milliseconds(utc_now() + _WITHHELD),
        ]
        return {"keys": [keys.payloads, keys.working, keys.recent, JOURNAL, keys.withheld], "args": arguments}

    async def add_working(self, user_id: str, memory: Memory, ttl: int) -> None:
        """Put a memory into working memory alone, for `ttl` seconds from now."""
        keys = UserKeys(user_id)
        expires_at = _milliseconds(utc_now() + timedelta(seconds=ttl))
        with self._guard():
            async with self.client.pipeline(transaction=True) as pipe:
                pipe.hset(keys.payloads, str(memory.id), _write_payload(memory))
                pipe.zadd(keys.working, {str(memory.id): expires_at})
                for key in (keys.payloads, keys.working):
                    pipe.pexpireat(key, expires_at, nx=True)
                    pipe.pexpireat(key, expires_at, gt=True)
                await pipe.execute()

    async def rate(self, memory: Memory, ttl: int) -> bool:
        """Let a memory that was rated anew fade that many seconds after it was said; tell whether it is still there."""
        keys = UserKeys(memory.user_id)
        expires_at = _milliseconds(memory.created_at + timedelta(seconds=ttl))
        arguments: list[EncodableT] = [str(memory.id), _write_payload(memory), expires_at, _milliseconds(utc_now())]
        with self._guard():
            return bool(await self._rate(keys=[keys.payloads, keys.working], args=arguments))

    async def get_working(self, user_id: str) -> list[Memory]:
        """Return what has not faded yet, newest first."""
        return (await self.load(user_id)).working

    async def cleanup_expired_working(self, user_id: str) -> int:
        """Remove what has faded and return how much that was; reading never shows it anyway."""
        keys = UserKeys(user_id)
        with self._guard():
            expired = await self.client.zrange(keys.working, "-inf", _milliseconds(utc_now()), byscore=True)
        ids = [UUID(as_text(member)) for member in expired]
        return len(await self.forget(user_id, ids, withheld_for=timedelta()))

    async def forget(
        self,
        user_id: str,
        memory_ids: Sequence[UUID],
        *,
        up_to_version: int = MAX_VERSION,
        withheld_for: timedelta = _WITHHELD,
    ) -> list[UUID]:
        """Take memories up to a version out of every structure and return those that were in working memory.

        Taken out in all versions, none of them comes back for that long, though it were acknowledged again.
        """
        keys = UserKeys(user_id)
        if not memory_ids:
            return []
        now = utc_now()
        until = now + (withheld_for if up_to_version == MAX_VERSION else timedelta())
        with self._guard():
            gone = await self._forget(
                keys=[keys.payloads, keys.working, keys.recent, keys.withheld],
                args=[up_to_version, _milliseconds(now), _milliseconds(until), *map(str, memory_ids)],
            )
        return [UUID(as_text(member)) for member in gone]

    async def forget_everything(self, user_id: str) -> ForgottenHot:
        """Delete all of a user's keys and tell what was there."""
        keys = UserKeys(user_id)
        with self._guard():
            async with self.client.pipeline(transaction=True) as pipe:
                pipe.hkeys(keys.payloads)
                pipe.exists(keys.session)
                pipe.delete(*keys.all())
                pipe.set(keys.identity_token, uuid7.uuid7().hex, ex=_IDENTITY_TTL)
                ids, had_session, *_ = await pipe.execute()
        return ForgottenHot([UUID(as_text(member)) for member in ids], had_session=bool(had_session))

    # Replies

    async def add_reply(self, user_id: str, reply: str) -> None:
        """Put what a reply drew on at the head of the last ones."""
        key = UserKeys(user_id).replies
        with self._guard():
            async with self.client.pipeline(transaction=True) as pipe:
                pipe.lpush(key, reply)
                pipe.ltrim(key, 0, _REPLIES_KEPT - 1)
                pipe.expire(key, _REPLIES_TTL)
                await pipe.execute()

    async def get_replies(self, user_id: str) -> list[str]:
        """Return what the last replies drew on, newest first."""
        with self._guard():
            return [as_text(reply) for reply in await self.client.lrange(UserKeys(user_id).replies, 0, -1)]

    # Recent buffer and notes

    async def add_recent(self, user_id: str, memory_id: UUID) -> None:
        """Put an id at the head of the recent buffer."""
        key = UserKeys(user_id).recent
        with self._guard():
            async with self.client.pipeline(transaction=True) as pipe:
                pipe.lrem(key, 0, str(memory_id))
                pipe.lpush(key, str(memory_id))
                pipe.ltrim(key, 0, self.config.recent_limit - 1)
                pipe.pexpire(key, self.session_ttl)
                await pipe.execute()

    async def get_recent(self, user_id: str, limit: int = 10) -> list[UUID]:
        """Return the ids of the last memories, newest first."""
        with self._guard():
            ids = await self.client.lrange(UserKeys(user_id).recent, 0, limit - 1)
        return [UUID(as_text(member)) for member in ids]

    async def get_meta(self, user_id: str) -> dict[str, JsonValue]:
        """Return the notes."""
        with self._guard():
            return _read_hash(await self.client.hgetall(UserKeys(user_id).meta))

    async def update_meta(self, user_id: str, updates: Mapping[str, JsonValue]) -> None:
        """Set some notes."""
        with self._guard():
            await self.client.hset(UserKeys(user_id).meta, mapping=_write_fields(updates))

    # Channels: a cache of what Postgres holds

    async def get_channel(self, channel_id: str) -> ChannelSettings | None:
        """Return the cached settings; None if they have to be loaded from Postgres."""
        with self._guard():
            payload = await self.client.get(channel_key(channel_id))
        return None if payload is None else _read_channel(payload)[1]

    async def cache_channel(self, settings: ChannelSettings, *, version: int) -> None:
        """Cache settings for a day, unless the same or a later version of them stands already.

        Those of a channel that isn't listened to stay, so that it isn't either while Postgres is away.
        """
        key = channel_key(settings.channel_id)
        ttl = _CHANNEL_TTL if settings.is_captured else None

        async def replace(pipe: Pipeline) -> None:
            held = await pipe.get(key)
            pipe.multi()  # type: ignore[no-untyped-call]
            if held is None or _read_channel(held)[0] < version:
                pipe.set(key, f"{version}:{settings.model_dump_json()}", ex=ttl)

        with self._guard():
            await self.client.transaction(replace, key)

    async def drop_channels(self, channel_ids: Sequence[str]) -> None:
        """Drop the cached settings of channels that are gone."""
        with self._guard():
            await self.client.delete(*map(channel_key, channel_ids))


def _time_to_live(preferences: Preferences) -> timedelta | None:
    """Return how long wishes are cached: those that somebody has stay, to be heeded while Postgres is away."""
    return _PREFERENCES_TTL if preferences == Preferences() else None


def _read_preferences(cached: bytes | str | None) -> Preferences | None:
    return None if cached is None else Preferences.model_validate_json(cached)


def parse_payload(payload: bytes | str) -> Memory:
    """Read what `remember` wrote.

    Raises:
        ValueError: It is not a payload of this version.
    """
    _version, _hash, body = as_text(payload).split(":", 2)
    return Memory.model_validate_json(body)


def _write_payload(memory: Memory) -> str:
    body = memory.model_dump_json(exclude_none=True, exclude_defaults=True)
    return f"{memory.version}:{hash_content(memory.content).hex()}:{body}"


def _read_payloads(user_id: str, payloads: Sequence[bytes | None]) -> Iterator[Memory]:
    """Read what another version of Cortex may have written; what it can't read, it leaves out."""
    for payload in filter(None, payloads):
        try:
            yield parse_payload(payload)
        except ValueError:
            _log.warning("A working memory of %s can't be read by this version of Cortex.", user_id)


def _read_channel(payload: bytes | str) -> tuple[int, ChannelSettings | None]:
    """Return version and settings; none if another version of Cortex wrote what this one can't read."""
    version, _, body = as_text(payload).partition(":")
    try:
        return int(version), ChannelSettings.model_validate_json(body)
    except ValueError:
        return 0, None


def _newest_first(memories: Iterator[Memory]) -> list[Memory]:
    return sorted(memories, key=lambda memory: memory.created_at, reverse=True)


def _write_fields(fields: Mapping[str, JsonValue]) -> dict[EncodableT, EncodableT]:
    return {name: json.dumps(value, allow_nan=False) for name, value in fields.items()}


def _read_hash(fields: Mapping[bytes | str, bytes | str]) -> dict[str, JsonValue]:
    return {as_text(name): json.loads(value) for name, value in fields.items()}


def _read_pairs(flat: Sequence[bytes]) -> dict[str, JsonValue]:
    return _read_hash(dict(zip(flat[::2], flat[1::2], strict=True)))


def _milliseconds(value: datetime | timedelta) -> int:
    seconds = value.timestamp() if isinstance(value, datetime) else value.total_seconds()
    return int(seconds * 1000)
