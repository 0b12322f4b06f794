"""When to ask whom about what they contradicted: several questions at a time, seldom, and not at night."""

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from uuid import UUID

from cortex_core.config import CorrectionsConfig
from cortex_core.knowledge.learning import FactKeeper
from cortex_core.models import utc_now
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.corrections import Askable, Correction, CorrectionAnswer
from cortex_core.zones import zone_of

__all__ = ["Card", "Correction", "CorrectionAnswer", "CorrectionAsker", "is_quiet", "pause_after"]

_MOST_DOUBLINGS = 5
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Card:
    """What one person is to be asked."""

    user_id: str
    questions: Sequence[Correction]


class CorrectionAsker:
    """Hands out questions to whoever can reach the people concerned: to one at a time, also among several processes.

    All methods raise `StoreUnavailableError`.
    """

    def __init__(self, config: CorrectionsConfig, postgres: PostgresStore, facts: FactKeeper) -> None:
        self._config = config
        self._pause = timedelta(hours=config.pause_hours)
        self._postgres = postgres
        self._facts = facts

    async def claim_due(self, *, now: datetime | None = None) -> AsyncIterator[Card]:
        """Yield the cards that are to be sent now, each to be noted by `note_sent`.

        Nobody else gets them meanwhile. One that was not sent, whatever went wrong, is due again after the usual pause.
        """
        now = now or utc_now()
        page: Sequence[Askable] | None = None
        while page is None or len(page) == _PAGE:
            page = await self._postgres.corrections.list_to_ask(
                silent_for=self._pause, now=now, after=page[-1].user_id if page else "", limit=_PAGE
            )
            for who in page:
                if self._may_be_asked(who, now) and (questions := await self._postgres.corrections.claim(who, now=now)):
                    yield Card(who.user_id, questions)

    async def note_sent(self, card: Card, *, now: datetime | None = None) -> None:
        """Note that a card reached somebody."""
        asked = [question.id for question in card.questions]
        await self._postgres.corrections.mark_asked(card.user_id, asked, now=now or utc_now())

    async def answer(
        self,
        user_id: str,
        correction_id: UUID,
        answer: CorrectionAnswer,
        *,
        changed_on: datetime | None = None,
        now: datetime | None = None,
    ) -> Correction:
        """Do what somebody answers, and count their card as answered; raises as `FactKeeper.answer` tells."""
        answered = await self._facts.answer(user_id, correction_id, answer, changed_on=changed_on, now=now)
        await self._postgres.corrections.count_answered(user_id, correction_id)
        return answered

    async def take_back(self, user_id: str, correction_id: UUID) -> None:
        """Take an answer back, so that the question is open again; raises as `FactKeeper.take_back_answer` tells."""
        await self._facts.take_back_answer(user_id, correction_id)

    async def get(self, user_id: str, correction_id: UUID) -> Correction | None:
        """Return somebody's question of that id."""
        return await self._postgres.corrections.get(user_id, correction_id)

    async def expire(self, *, now: datetime | None = None) -> int:
        """Drop the questions that were asked long ago and not answered; what was known stays. Returns how many."""
        now = now or utc_now()
        asked_before = now - timedelta(days=self._config.expire_days)
        return await self._postgres.corrections.expire(asked_before=asked_before, now=now)

    def _may_be_asked(self, who: Askable, now: datetime) -> bool:
        pause = pause_after(who.cards_asked, who.cards_answered, self._pause)
        is_too_soon = who.card_claimed_at is not None and now < who.card_claimed_at + pause
        return not is_too_soon and not is_quiet(now, zone_of(who.timezone), self._config)


def pause_after(asked: int, answered: int, pause: timedelta) -> timedelta:
    """Return how long somebody is left alone: twice as long each time that the share of answered cards halves.

    >>> hour = timedelta(hours=1)
    >>> [pause_after(asked, answered, hour) // hour for asked, answered in [(0, 0), (1, 0), (3, 3), (7, 1), (999, 0)]]
    [1, 2, 1, 4, 32]
    """
    halvings = max(0, math.floor(math.log2((asked + 1) / (answered + 1))))
    return pause * (1 << min(halvings, _MOST_DOUBLINGS))


def is_quiet(now: datetime, zone: tzinfo, config: CorrectionsConfig) -> bool:
    """Tell whether nobody there is to be written to at this hour."""
    hour, begins, ends = now.astimezone(zone).hour, config.quiet_from_hour, config.quiet_until_hour
    return begins <= hour < ends if begins <= ends else hour >= begins or hour < ends
