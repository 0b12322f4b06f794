"""What was learned about somebody in a week, told to those who want to know, and taken back where it is wrong."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cortex_core.config import CorrectionsConfig
from cortex_core.consolidation.corrections import is_quiet, zone_of
from cortex_core.errors import NotFoundError
from cortex_core.knowledge.identity import IdentityKeeper
from cortex_core.models import utc_now
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.digests import News, Reader

__all__ = ["Digest", "DigestKeeper", "News"]

_EVERY = timedelta(days=7)
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Digest:
    """What was learned about a person in a time and still counts."""

    user_id: str
    since: datetime
    until: datetime
    news: Sequence[News]


class DigestKeeper:
    """Hands out digests to whoever can reach the people concerned, each once, also among several processes.

    All methods raise `StoreUnavailableError`.

    Args:
        config: Its quiet hours hold for digests too.
    """

    def __init__(self, config: CorrectionsConfig, postgres: PostgresStore, identity: IdentityKeeper) -> None:
        self._config = config
        self._postgres = postgres
        self._identity = identity

    async def claim_due(self, *, now: datetime | None = None) -> AsyncIterator[Digest]:
        """Yield the digests that are to be sent now; a week in which nothing was learned passes in silence."""
        now = now or utc_now()
        page: Sequence[Reader] | None = None
        while page is None or len(page) == _PAGE:
            after = page[-1].user_id if page else ""
            page = await self._postgres.digests.list_due(every=_EVERY, now=now, after=after, limit=_PAGE)
            for reader in page:
                if is_quiet(now, zone_of(reader.timezone), self._config):
                    continue
                if await self._postgres.digests.claim(reader, now=now):
                    digest = await self.get(reader.user_id, since=reader.digest_sent_at, until=now)
                    if digest.news:
                        yield digest

    async def get(self, user_id: str, *, since: datetime, until: datetime) -> Digest:
        """Return what was learned about somebody in a time and still counts."""
        news = await self._postgres.digests.list_news(check_user_id(user_id), since=since, until=until)
        return Digest(user_id, since, until, news)

    async def take_back(self, user_id: str, fact_id: UUID, *, has_ended: bool) -> None:
        """Let a fact that was learned hold no more, and what it took the place of hold again; or one that ended.

        Args:
            user_id: Whose it is.
            fact_id: Which.
            has_ended: Whether the news was that it ended.

        Raises:
            NotFoundError: It is taken back already or forgotten, or something newer holds.
        """
        if not await self._postgres.digests.take_back(check_user_id(user_id), fact_id, has_ended=has_ended):
            raise NotFoundError("That is taken back already or forgotten, or something newer holds.")
        await self._identity.refresh(user_id)
