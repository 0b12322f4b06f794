"""Forgets memories everywhere.

The hot layer goes first, so that nothing is heard any more, then Postgres, where tombstones stop queued or repeated
writes and other sources from bringing anything back, then the hot layer again for what a reader cached in between.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from cortex_core.background import BackgroundLoop
from cortex_core.errors import StoreUnavailableError
from cortex_core.models import MAX_VERSION, Deletion, Receipt, utc_now
from cortex_core.stores.journal import Journal
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.erasure import Erased
from cortex_core.stores.redis import RedisStore


class Forgetter:
    """Hard deletes.

    When a server is away, `forget` and `forget_everything` raise `StoreUnavailableError`, and part may be gone already;
    each may be repeated until it ends well.
    """

    def __init__(self, redis: RedisStore, postgres: PostgresStore, journal: Journal) -> None:
        self._redis = redis
        self._postgres = postgres
        self._journal = journal
        self._postponed: list[Deletion] = []
        self._wake = asyncio.Event()
        self._loop = BackgroundLoop("forgetter", self._catch_up)

    def start(self) -> None:
        """Begin to carry out deletions that had to be postponed."""
        self._loop.start()

    async def close(self) -> None:
        """Stop."""
        await self._loop.close()

    async def forget(self, user_id: str, memory_ids: Sequence[UUID], *, up_to_version: int = MAX_VERSION) -> Receipt:
        """Erase an owner's memories and what was learned from them alone; a version after that may be stored again."""
        check_user_id(user_id)
        working = await self._redis.forget(user_id, memory_ids, up_to_version=up_to_version)
        erased = await self._postgres.erasure.erase(user_id, memory_ids, up_to_version=up_to_version)
        await self._redis.forget(user_id, memory_ids, up_to_version=up_to_version)
        await self._redis.clear_identity(user_id)
        return _receipt(erased, working)

    async def forget_facts(self, user_id: str, fact_ids: Sequence[UUID]) -> Receipt:
        """Erase what is durably true of an owner, but not the memories that it was learned from."""
        check_user_id(user_id)
        facts = await self._postgres.erasure.erase_facts(user_id, fact_ids)
        await self._redis.clear_identity(user_id)
        return Receipt(memory_ids=(), identity_facts=facts)

    async def forget_attribute(self, user_id: str, attribute: str, *, value_key: str | None = None) -> Receipt:
        """Erase an attribute of the identity, or one of its values, with its history and the memories that state it.

        What was said about it in conversations stays, to be forgotten by itself.
        """
        check_user_id(user_id)
        facts = await self._postgres.identity.list_history(user_id, attribute, key=value_key)
        statements = await self._postgres.identity.list_statements(user_id, attribute, key=value_key)
        receipt = await self.forget(user_id, statements)
        await self._postgres.erasure.erase_facts(user_id, [fact.id for fact in facts])
        await self._redis.clear_identity(user_id)
        return receipt.model_copy(update={"identity_facts": len(facts)})

    async def forget_everything(self, user_id: str) -> Receipt:
        """Erase all that is known of an owner, also what was acknowledged and is still on its way."""
        check_user_id(user_id)
        hot = await self._redis.forget_everything(user_id)
        erased = await self._postgres.erasure.erase_everything(user_id, forgotten_at=utc_now())
        await self._redis.forget_everything(user_id)
        return _receipt(erased, hot.memory_ids, had_session=hot.had_session)

    async def forget_source(self, deletion: Deletion) -> list[Receipt]:
        """Erase what was made from a source, for everybody who owns such a memory.

        With a server away it is done as soon as that is back, and there are no receipts.
        """
        try:
            return await self.carry_out(deletion)
        except StoreUnavailableError:
            await self._postpone(deletion)
            return []

    async def carry_out(self, deletion: Deletion) -> list[Receipt]:
        """Erase what was made from a source, now.

        Raises:
            StoreUnavailableError: A server is away.
        """
        return [
            await self.forget(owner, [deletion.memory_id], up_to_version=deletion.up_to_version)
            for owner in await self._bury_source(deletion)
        ]

    async def _bury_source(self, deletion: Deletion) -> list[str]:
        """Stop the source from being written again, and return who owns what was made from it."""
        await self._postgres.erasure.bury_source(deletion.memory_id, up_to_version=deletion.up_to_version)
        owners = set(await self._postgres.list_owners_of_source(deletion.source_id))
        return sorted(owners | ({deletion.owner} if deletion.owner else set()))

    async def _postpone(self, deletion: Deletion) -> None:
        """Leave it to the writer by way of the journal; with Redis away, the hot layer's part to this process."""
        try:
            await self._journal.append_deletion(deletion)
        except StoreUnavailableError:
            self._postponed += await self._erase_long_term(deletion)
            self._wake.set()

    async def _erase_long_term(self, deletion: Deletion) -> list[Deletion]:
        """Erase it from Postgres if that is there, so that it outlives this process, and return what is left to do."""
        try:
            owners = await self._bury_source(deletion)
            for owner in owners:
                await self._postgres.erasure.erase(owner, [deletion.memory_id], up_to_version=deletion.up_to_version)
        except StoreUnavailableError:
            return [deletion]
        return [deletion.model_copy(update={"owner": owner}) for owner in owners]

    async def _catch_up(self) -> None:
        if not self._postponed:
            self._wake.clear()
            await self._wake.wait()
        while self._postponed:
            await self.carry_out(self._postponed[0])
            del self._postponed[0]


def _receipt(erased: Erased, working: Sequence[UUID], *, had_session: bool = False) -> Receipt:
    return Receipt(
        memory_ids=tuple(sorted({*erased.memory_ids, *working})),
        long_term=len(erased.memory_ids),
        working=len(working),
        dead_letters=erased.dead_letters,
        identity_facts=erased.facts,
        contradictions=erased.contradictions,
        session=had_session,
    )
