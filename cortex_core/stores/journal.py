"""The write journal: a Redis stream read by a consumer group, so that whatever was acknowledged reaches Postgres.

Entries leave it only after their effect is committed, and are never trimmed by length: that drops what is pending.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import redis.asyncio as redis
from redis.exceptions import ResponseError
from redis.typing import StreamIdT

from cortex_core.config import RedisConfig
from cortex_core.errors import ConfigError
from cortex_core.models import Deletion, Durability, utc_now
from cortex_core.stores.keys import JOURNAL
from cortex_core.stores.redis_connection import as_text, connect, translate_errors

T = TypeVar("T")

GROUP = "writers"
_BLOCK = timedelta(seconds=1)
_GONE = timedelta(days=1)  # a living consumer asks every second


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged write.

    Attributes:
        id: The stream's name for it.
        kind: `memory`, `session` or `deletion`.
        payload: What to write.
        vector: A memory's embedding as float32 bytes, empty if it isn't known yet.
        signs: The sign bits of its pieces, empty where the model gives none; None in what earlier versions wrote.
        model: The model that made both.
        owner: Whose it is; a memory's payload says so as well.
        at: When it was acknowledged.
    """

    id: str
    kind: str
    payload: bytes
    vector: bytes
    signs: bytes | None
    model: str
    owner: str
    at: datetime


class Journal:
    """Reads the stream as one of a group of consumers; any number of processes may."""

    def __init__(self, config: RedisConfig) -> None:
        self._client: redis.Redis = connect(config, timeout=_BLOCK * 5)

    async def open(self) -> None:
        """Make the group unless it is there, and take out consumers whose processes ended without a word."""
        with translate_errors():
            try:
                await self._client.xgroup_create(JOURNAL, GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
            for consumer in await self._client.xinfo_consumers(JOURNAL, GROUP):
                if not consumer["pending"] and consumer["idle"] > _GONE.total_seconds() * 1000:
                    await self._client.xgroup_delconsumer(JOURNAL, GROUP, consumer["name"])

    async def check_durability(self) -> Durability:
        """Read from the server's settings what an acknowledged write survives.

        Raises:
            ConfigError: Redis would evict the journal when its memory is full.
        """
        with translate_errors():
            try:
                settings = {
                    **await self._client.config_get("append*"),
                    **await self._client.config_get("maxmemory-policy"),
                }
            except ResponseError:  # many providers hide them
                return Durability.FAST
        if str(settings.get("maxmemory-policy")).startswith("allkeys"):
            raise ConfigError(
                "Redis evicts any key when its memory is full, the write journal included; set its maxmemory-policy "
                "to noeviction or to one of the volatile- policies."
            )
        is_synced = settings.get("appendonly") == "yes" and settings.get("appendfsync") == "always"
        return Durability.JOURNALLED if is_synced else Durability.FAST

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    async def read(self, consumer: str, count: int) -> list[Entry]:
        """Wait a second for new entries and take them; until `remove` they are this consumer's to finish."""
        streams = await self._ask(
            lambda: self._client.xreadgroup(
                GROUP, consumer, {JOURNAL: ">"}, count=count, block=int(_BLOCK.total_seconds() * 1000)
            )
        )
        return [_parse(entry_id, fields) for _, entries in _pairs(streams) for entry_id, fields in entries]

    async def claim(self, consumer: str, count: int, *, idle: timedelta) -> list[Entry]:
        """Take over entries that a consumer took and has not finished for that long."""
        answer = await self._ask(
            lambda: self._client.xautoclaim(
                JOURNAL, GROUP, consumer, min_idle_time=int(idle.total_seconds() * 1000), count=count
            )
        )
        return [_parse(entry_id, fields) for entry_id, fields in answer[1] if fields]

    async def hold(self, consumer: str, entries: Sequence[Entry]) -> None:
        """Tell that these entries are still being worked on, so that nobody claims them."""
        ids: list[StreamIdT] = [entry.id for entry in entries]
        await self._ask(
            lambda: self._client.xclaim(JOURNAL, GROUP, consumer, min_idle_time=0, message_ids=ids, justid=True)
        )

    async def append_deletion(self, deletion: Deletion) -> None:
        """Let the writer erase what was made from a source, as soon as it can."""
        with translate_errors():
            await self._client.xadd(JOURNAL, {"kind": "deletion", "payload": deletion.model_dump_json()})

    async def remove(self, entries: Sequence[Entry]) -> None:
        """Strike out entries whose effect is durable."""
        ids = [entry.id for entry in entries]
        with translate_errors():
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.xack(JOURNAL, GROUP, *ids)
                pipe.xdel(JOURNAL, *ids)
                await pipe.execute()

    async def depth(self) -> int:
        """Return how many entries wait, those being worked on included."""
        with translate_errors():
            return int(await self._client.xlen(JOURNAL))

    async def newest(self) -> str | None:
        """Return the id of the last entry that waits."""
        with translate_errors():
            entries = await self._client.xrevrange(JOURNAL, count=1)
        return as_text(entries[0][0]) if entries else None

    async def waits_for(self, entry_id: str) -> bool:
        """Whether this entry, or one from before it, is still there."""
        with translate_errors():
            return bool(await self._client.xrange(JOURNAL, max=entry_id, count=1))

    async def leave(self, consumer: str) -> None:
        """Take a consumer that has nothing pending out of the group."""
        pending = await self._ask(
            lambda: self._client.xpending_range(JOURNAL, GROUP, "-", "+", 1, consumername=consumer)
        )
        if not pending:
            await self._ask(lambda: self._client.xgroup_delconsumer(JOURNAL, GROUP, consumer))

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Send a command of the group, which is made anew if the server has lost its data."""
        with translate_errors():
            try:
                return await call()
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
        await self.open()
        with translate_errors():
            return await call()


def _pairs(streams: object) -> list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
    """Bring both reply forms of redis-py (list for RESP2, dict for RESP3) into one."""
    if isinstance(streams, dict):
        return [(name, entries) for name, batches in streams.items() for entries in batches]
    return list(streams) if isinstance(streams, list) else []


def _parse(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    """Read whatever somebody put there; the writer decides what to make of it."""
    return Entry(
        id=entry_id.decode(),
        kind=fields.get(b"kind", b"").decode(errors="replace"),
        payload=fields.get(b"payload", b""),
        vector=fields.get(b"vector", b""),
        signs=fields.get(b"signs"),
        model=fields.get(b"model", b"").decode(errors="replace"),
        owner=fields.get(b"owner", b"").decode(errors="replace"),
        at=_read_time(fields.get(b"at", b"")) or _read_time(entry_id.split(b"-")[0]) or utc_now(),
    )


def _read_time(milliseconds: bytes) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
