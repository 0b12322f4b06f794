"""Contradictions as they are put to people: which there are for whom, and one reviewer at a time for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cortex_core.consolidation.contradictions import Contradiction, ContradictionDetector, Resolution
from cortex_core.errors import InvalidInputError
from cortex_core.models import Memory
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.runs import Undone

_MOST = 200
_CLAIM_LASTS = timedelta(minutes=10)
_DECIDED_SINCE = "Somebody else has decided this since."


@dataclass(frozen=True, slots=True)
class Case:
    """A contradiction with the two memories.

    Attributes:
        claimed_by: Who else is deciding it at this moment.
    """

    contradiction: Contradiction
    a: Memory
    b: Memory
    claimed_by: str | None = None


class ContradictionReviews:
    """Hands out contradictions for review, and carries out what is decided.

    What isn't a person's to decide raises `NotFoundError` or `AccessDeniedError`, what is decided already
    `InvalidInputError`, and all methods `StoreUnavailableError`.
    """

    def __init__(self, postgres: PostgresStore, detector: ContradictionDetector) -> None:
        self._postgres = postgres
        self._detector = detector

    async def list_open(self, person: str) -> Sequence[Contradiction]:
        """Return what a person has to decide by id, the oldest first: their own, and those of projects they manage."""
        found = await self._postgres.contradictions.list_open(check_user_id(person), limit=_MOST)
        return sorted(found, key=lambda contradiction: contradiction.id)

    async def get(self, person: str, contradiction_id: UUID) -> Case:
        """Return one of them."""
        return Case(*await self._postgres.contradictions.get(check_user_id(person), contradiction_id))

    async def begin(self, person: str, contradiction_id: UUID) -> Case:
        """Return one of them for review, and keep it from others for ten minutes, unless somebody is at it."""
        case = await self.get(person, contradiction_id)
        claimed_by = await self._postgres.contradictions.claim(person, contradiction_id, lasts=_CLAIM_LASTS)
        return Case(case.contradiction, case.a, case.b, claimed_by)

    async def leave(self, person: str, contradiction_id: UUID) -> None:
        """Let others review it."""
        await self._postgres.contradictions.release(check_user_id(person), contradiction_id)

    async def decide(
        self,
        person: str,
        contradiction_id: UUID,
        resolution: Resolution,
        *,
        changed_on: datetime | None = None,
        merged: str | None = None,
    ) -> Contradiction:
        """Carry out a decision; `ContradictionDetector.resolve_contradiction` tells what else it raises."""
        return await self._detector.resolve_contradiction(
            contradiction_id, resolution, by=check_user_id(person), changed_on=changed_on, merged=merged
        )

    async def take_back(self, person: str, contradiction_id: UUID) -> Undone:
        """Undo a person's decision with all that it changed; another's since then is no longer theirs to undo."""
        case = await self.get(person, contradiction_id)
        if case.contradiction.resolved_by not in (None, person):
            raise InvalidInputError(_DECIDED_SINCE)
        return await self._detector.reopen(contradiction_id, by=check_user_id(person))
