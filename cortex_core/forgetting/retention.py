"""Forgets what was said in a server some time after somebody left it, or the bot did."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from cortex_core.background import BackgroundLoop
from cortex_core.config import ForgettingConfig
from cortex_core.errors import InvalidInputError
from cortex_core.forgetting.erasure import Forgetter
from cortex_core.models import Receipt, utc_now
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.retention import Departure, Departures

_log = logging.getLogger("cortex.retention")

_PAUSE_SECONDS = 600.0
_ARRIVAL_SECONDS = 60.0
_AT_ONCE = 200
_MOST_GUILD_ID = 2**63 - 1


class Retention:
    """A clock for each departure, kept in Postgres: any number of processes may look at it, and each may die."""

    def __init__(
        self,
        config: ForgettingConfig,
        postgres: PostgresStore,
        forgetter: Forgetter,
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        """Wire it.

        Args:
            config: How long things are kept.
            postgres: Where the clocks are.
            forgetter: Erases.
            settle: Waits until what was acknowledged so far is in Postgres.
        """
        self._period = timedelta(days=config.retention_days)
        self._departures = Departures(postgres.pool)
        self._forgetter = forgetter
        self._settle = settle
        self._loop = BackgroundLoop("retention", self._step)

    def start(self) -> None:
        """Begin to look, at once and then every ten minutes."""
        self._loop.start()

    async def close(self) -> None:
        """Stop; what is left to erase is erased after the next start."""
        await self._loop.close()

    async def leave(self, guild_id: int, user_id: str | None = None, *, now: datetime | None = None) -> datetime:
        """Start the clock of a person who left a server, or the bot's own, and return when it runs out.

        One that runs already goes on.

        Raises:
            InvalidInputError: An id can't be one.
            StoreUnavailableError: Postgres is away.
        """
        _check(guild_id, user_id)
        left_at = now or utc_now()
        return await self._departures.add(guild_id, user_id, left_at + self._period, left_at=left_at)

    async def come_back(self, guild_id: int, user_id: str | None = None) -> bool:
        """Stop the clock of a person, or the bot's own, which leaves those of people alone; tell whether one ran.

        Raises:
            InvalidInputError, StoreUnavailableError: As `leave` does.
        """
        _check(guild_id, user_id)
        return await self._departures.remove(guild_id, user_id)

    async def look(self, *, now: datetime | None = None) -> None:
        """Forget what was said in servers by those whose time is up; done again it does no harm.

        Raises:
            StoreUnavailableError: A store is away.
        """
        due = await self._departures.list_due(now or utc_now())
        if not due:
            return
        everything_arrived = await self._let_arrive()
        for departure in due:
            await self._erase(departure)
            if everything_arrived:  # else the next look erases what came too late for this one
                await self._departures.end(departure)

    async def _step(self) -> None:
        await self.look()
        await asyncio.sleep(_PAUSE_SECONDS)

    async def _let_arrive(self) -> bool:
        try:
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                await self._settle()
        except TimeoutError:
            return False
        return True

    async def _erase(self, departure: Departure) -> None:
        """Erase in batches; facts after what most of them go with."""
        while by_owner := await self._departures.list_memories(departure, _AT_ONCE):
            for owner, memory_ids in by_owner.items():
                _report(departure, owner, await self._forgetter.forget(owner, memory_ids))
        while by_owner := await self._departures.list_facts(departure, _AT_ONCE):
            for owner, fact_ids in by_owner.items():
                _report(departure, owner, await self._forgetter.forget_facts(owner, fact_ids))


def _report(departure: Departure, owner: str, receipt: Receipt) -> None:
    _log.info(
        "Of what %s said in server %d before %s left, %d memories and %d facts were forgotten.",
        owner, departure.guild_id, departure.user_id or "the bot", receipt.long_term, receipt.identity_facts,
    )  # fmt: skip


def _check(guild_id: int, user_id: str | None) -> None:
    if not 0 <= guild_id <= _MOST_GUILD_ID:
        raise InvalidInputError(f"A server's id is a number from 0 to {_MOST_GUILD_ID}.")
    if user_id is not None:
        check_user_id(user_id)
