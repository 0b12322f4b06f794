"""Asks again, right before something is said, what of it may be heard: permissions change while an answer is worded."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from uuid import UUID

from pydantic import JsonValue

from cortex_core.audience import Audience, AudienceKind
from cortex_core.errors import StoreUnavailableError
from cortex_core.knowledge.identity import Identity, IdentityKeeper
from cortex_core.knowledge.preferences import PreferenceKeeper
from cortex_core.models import Memory, MemoryStatus
from cortex_core.recall.context import MemoryContext, choose_working
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.scope import Scope
from cortex_core.stores.redis import RedisStore

_Key = tuple[str, UUID]


class Recheck:
    """Takes out of what was recalled what may not be heard any more.

    A server that is away vouches for nothing: what only it could tell is left out.
    """

    def __init__(
        self, redis: RedisStore, postgres: PostgresStore, identity: IdentityKeeper, preferences: PreferenceKeeper
    ) -> None:
        self._redis = redis
        self._postgres = postgres
        self._identity = identity
        self._preferences = preferences

    async def limit(
        self, user_id: str, memories: Sequence[Memory], *, audience: Audience, channel_id: str | None
    ) -> list[Memory]:
        """Return those of the memories that may surface in a place at this moment, in their order."""
        if not memories or (await self._preferences.get(user_id)).opted_out:
            return []
        keys = {_key(memory) for memory in memories}
        own, shared = await asyncio.gather(
            self._list_stored(Scope.own(user_id, audience), keys),
            self._list_stored(Scope.shared(user_id, audience, channel_id=channel_id), keys),
        )
        heard = own | shared
        if own_left := {key for key in keys - heard if key[0] == user_id}:
            everything = Scope.own(user_id, Audience.owner())
            on_their_way = own_left - await self._list_stored(everything, own_left, status=None)
            heard |= on_their_way & await self._list_working(user_id, audience)
        return [memory for memory in memories if _key(memory) in heard]

    async def limit_context(
        self, context: MemoryContext, *, audience: Audience, channel_id: str | None
    ) -> MemoryContext:
        """Return a context without what may not surface in a place at this moment."""
        user_id = context.user_id
        if (await self._preferences.get(user_id)).opted_out:
            return MemoryContext(user_id=user_id)
        heard = await self.limit(user_id, context.memories, audience=audience, channel_id=channel_id)
        keys = {_key(memory) for memory in heard}
        known = (await self._get_identity(user_id)).heard_by(audience)
        project = context.project and context.project.model_copy(
            update={
                "recent": _limited(context.project.recent, keys),
                "retrieved": _limited(context.project.retrieved, keys),
            }
        )
        return context.model_copy(
            update={
                "identity": dict(_still_known(context.identity, known)),
                "session": context.session if audience.kind is AudienceKind.OWNER else {},
                "working": _limited(context.working, keys),
                "retrieved": _limited(context.retrieved, keys),
                "project": project,
            }
        )

    async def _list_stored(
        self, scope: Scope, keys: Collection[_Key], *, status: MemoryStatus | None = MemoryStatus.ACTIVE
    ) -> set[_Key]:
        try:
            stored = await self._postgres.list_by_key(scope, list(keys))
        except StoreUnavailableError:
            return set()
        return {_key(memory) for memory in stored if status in (None, memory.status)}

    async def _list_working(self, user_id: str, audience: Audience) -> set[_Key]:
        try:
            return {_key(memory) for memory in choose_working(await self._redis.load(user_id), audience)}
        except StoreUnavailableError:
            return set()

    async def _get_identity(self, user_id: str) -> Identity:
        try:
            return await self._identity.get(user_id)
        except StoreUnavailableError:
            return Identity({}, {})


def _still_known(shown: Mapping[str, JsonValue], known: Mapping[str, JsonValue]) -> Iterator[tuple[str, JsonValue]]:
    """Yield the attributes that are as they were, and of many values those that are still there."""
    for name, value in shown.items():
        now = known.get(name)
        if now == value:
            yield name, value
        elif isinstance(value, list) and isinstance(now, list) and (left := [one for one in value if one in now]):
            yield name, left


def _key(memory: Memory) -> _Key:
    return memory.user_id, memory.id


def _limited(memories: Sequence[Memory], keys: Collection[_Key]) -> list[Memory]:
    return [memory for memory in memories if _key(memory) in keys]
