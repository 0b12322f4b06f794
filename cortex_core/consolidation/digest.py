"""What was learned about somebody in a week, told to those who want to know, and taken back where it is wrong."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cortex_core.config import CorrectionsConfig
from cortex_core.consolidation.corrections import is_quiet
from cortex_core.errors import NotFoundError
from cortex_core.knowledge.curation import Curator
from cortex_core.knowledge.identity import IdentityKeeper
from cortex_core.models import Memory, utc_now
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.digests import News, Reader
from cortex_core.zones import zone_of

__all__ = ["Digest", "DigestKeeper", "News"]

_EVERY = timedelta(days=7)
_PAGE = 500
_TAKEN_BACK = "That is taken back already or forgotten, or something newer holds."


@dataclass(frozen=True, slots=True)
class Digest:
    """What was learned about a person in a time and still counts.

    Attributes:
        news: Facts.
        patterns: What several memories show together.
    """

    user_id: str
    since: datetime
    until: datetime
    news: Sequence[News]
    patterns: Sequence[Memory] = ()


class DigestKeeper:
    """Hands out digests to whoever can reach the people concerned: to one at a time, also among several processes.

    All methods raise `StoreUnavailableError`.

    Args:
        config: Its quiet hours hold for digests too, and its pause after one that was not sent.
    """

    def __init__(
        self, config: CorrectionsConfig, postgres: PostgresStore, identity: IdentityKeeper, curator: Curator
    ) -> None:
        self._config = config
        self._pause = timedelta(hours=config.pause_hours)
        self._postgres = postgres
        self._identity = identity
        self._curator = curator

    async def claim_due(self, *, now: datetime | None = None) -> AsyncIterator[Digest]:
        """Yield the digests that are to be sent now, each to be noted by `note_sent`.

        Nobody else gets them meanwhile. One that was not sent, whatever went wrong, is due again after the pause.
        A week in which nothing was learned passes in silence.
        """
        now = now or utc_now()
        page: Sequence[Reader] | None = None
        while page is None or len(page) == _PAGE:
            after = page[-1].user_id if page else ""
            page = await self._postgres.digests.list_due(
                every=_EVERY, silent_for=self._pause, now=now, after=after, limit=_PAGE
            )
            for reader in page:
                if is_quiet(now, zone_of(reader.timezone), self._config):
                    continue
                if await self._postgres.digests.claim(reader, now=now):
                    digest = await self.get(reader.user_id, since=reader.digest_sent_at, until=now)
                    if digest.news or digest.patterns:
                        yield digest
                    else:
                        await self.note_sent(digest)

    async def note_sent(self, digest: Digest) -> None:
        """Note that a digest reached somebody; the next one begins where it ends."""
        await self._postgres.digests.note_sent(digest.user_id, until=digest.until)

    async def get(self, user_id: str, *, since: datetime, until: datetime) -> Digest:
        """Return what was learned about somebody in a time and still counts."""
        news = await self._postgres.digests.list_news(check_user_id(user_id), since=since, until=until)
        patterns = await self._postgres.digests.list_patterns(user_id, since=since, until=until)
        return Digest(user_id, since, until, news, patterns)

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
            raise NotFoundError(_TAKEN_BACK)
        await self._identity.refresh(user_id)

    async def take_back_pattern(self, user_id: str, memory_id: UUID) -> None:
        """Let a pattern be recalled no more; it isn't drawn again.

        Raises:
            NotFoundError: It is taken back already or forgotten.
        """
        if not await self._postgres.digests.has_pattern(check_user_id(user_id), memory_id):
            raise NotFoundError(_TAKEN_BACK)
        await self._curator.retire(user_id, memory_id, was_wrong=True)
