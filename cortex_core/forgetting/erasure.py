"""Forgets memories everywhere: Postgres first, so that nothing queued or repeated can bring them back, then Redis."""

from collections.abc import Sequence
from uuid import UUID

from cortex_core.models import Receipt, utc_now
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.erasure import Erased
from cortex_core.stores.redis import RedisStore


class Forgetter:
    """Hard deletes.

    All methods raise `StoreUnavailableError` when a server is away. Each may be repeated: what is gone stays gone.
    """

    def __init__(self, redis: RedisStore, postgres: PostgresStore) -> None:
        self._redis = redis
        self._postgres = postgres

    async def forget(self, user_id: str, memory_ids: Sequence[UUID]) -> Receipt:
        """Erase an owner's memories and what was learned from them alone."""
        check_user_id(user_id)
        erased = await self._postgres.erasure.erase(user_id, memory_ids)
        working = await self._redis.forget(user_id, memory_ids)
        if erased.facts:
            await self._redis.clear_identity(user_id)
        return _receipt(erased, len(working), sorted({*erased.memory_ids, *working}))

    async def forget_everything(self, user_id: str) -> Receipt:
        """Erase all that is known of an owner, also what was acknowledged and is still on its way."""
        check_user_id(user_id)
        hot = await self._redis.load(user_id)
        erased = await self._postgres.erasure.erase_everything(user_id, forgotten_at=utc_now())
        working = await self._redis.forget_everything(user_id)
        gone = {*erased.memory_ids, *(memory.id for memory in hot.working)}
        return _receipt(erased, working, sorted(gone), session=bool(hot.session))

    async def forget_source(self, source_id: str, memory_id: UUID, *, owner: str | None) -> list[Receipt]:
        """Erase what was made from a source that was deleted, for everybody who owns such a memory.

        Args:
            source_id: The source's name.
            memory_id: The id that its memories have.
            owner: Who is known to own one; it may still be on its way.
        """
        await self._postgres.erasure.bury_source(memory_id)
        owners = {user_id for user_id, _ in await self._postgres.list_owners_of_source(source_id)}
        return [await self.forget(user_id, [memory_id]) for user_id in owners | ({owner} if owner else set())]


def _receipt(erased: Erased, working: int, memory_ids: Sequence[UUID], *, session: bool = False) -> Receipt:
    return Receipt(
        memory_ids=tuple(memory_ids),
        long_term=len(erased.memory_ids),
        working=working,
        dead_letters=erased.dead_letters,
        identity_facts=erased.facts,
        session=session,
    )
