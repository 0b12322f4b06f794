"""Takes up one claim within a transaction: decides what it does to what is held, and does that."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from cortex_core.attributes import normal_form
from cortex_core.audience import Audience
from cortex_core.cleaning import clean_text
from cortex_core.knowledge.decisions import (
    BY_HAND,
    MOST_CONFIDENT,
    Decision,
    Held,
    Outcome,
    Said,
    decide,
    holds_many,
    reinforce,
)
from cortex_core.knowledge.identity import is_attribute, key_of, state_fact
from cortex_core.providers.analysis import Claim, ClaimKind
from cortex_core.stores.postgres.learning import KnownFactRow, Ledger, NewFact, Proof

_TELLS = frozenset({ClaimKind.STATES, ClaimKind.CORRECTS})
_MAX_VALUE_CHARS = 200
_MAX_SUBJECT_CHARS = 100


class ClaimTaker:
    """Takes up one claim.

    Args:
        ledger: The transaction.
        claim: As `clean_claim` gave it.
        proof: The memories that say so, oldest first; at least one.
        learned_by: Whose finding it is.
    """

    def __init__(self, ledger: Ledger, claim: Claim, proof: Sequence[Proof], learned_by: str) -> None:
        self._ledger = ledger
        self._claim = claim
        self._subject = claim.subject or ""
        self._proof = proof
        self._evidence = [p.id for p in proof]
        self._key = key_of(claim.value)
        self._is_by_hand = any(p.source in BY_HAND for p in proof)
        self._source = "remember" if self._is_by_hand else learned_by

    async def take_up(self) -> Outcome:
        """Decide and carry it out."""
        claim, said_at = self._claim, self._proof[-1].created_at
        content = state_fact(self._subject, claim.attribute, claim.value)
        if claim.kind in _TELLS and await self._ledger.is_forgotten(content, said_at=said_at):
            return Outcome.IGNORED
        rows = {row.id: row for row in await self._ledger.list_held(self._subject, claim.attribute)}
        held = [_to_held(row) for row in rows.values()]
        said = Said(
            claim.attribute,
            claim.value,
            said_at,
            min(claim.valid_from or self._proof[0].created_at, said_at),
            claim.kind,
            claim.replaces,
            self._is_by_hand,
            frozenset(self._evidence),
        )
        decision = decide(said, held)
        has_many = holds_many(claim.attribute, [fact for fact in held if fact.closed_at is None])
        await self._carry_out(decision, rows[decision.fact.id] if decision.fact else None, has_many=has_many)
        if decision.fact and decision.restored:
            await self._restore(rows[decision.restored.id], instead_of=decision.fact.id)
        return decision.outcome

    async def _carry_out(self, decision: Decision, fact: KnownFactRow | None, *, has_many: bool) -> None:
        match decision.outcome:
            case Outcome.SAME if fact:
                await self._reinforce(fact)
            case Outcome.ASKS if fact:
                first, last = self._proof[0], self._proof[-1]
                await self._ledger.ask(
                    fact.id, last.id, self._claim.value, self._key, valid_from=first.created_at, said_at=last.created_at
                )
            case Outcome.IGNORED:
                pass
            case _:
                if fact and decision.valid_to:
                    await self._ledger.end(fact.id, valid_to=decision.valid_to)
                if decision.valid_from:
                    await self._add(decision, fact, decision.valid_from, has_many=has_many)

    async def _add(self, decision: Decision, fact: KnownFactRow | None, since: datetime, *, has_many: bool) -> None:
        new = NewFact(
            subject=self._subject,
            attribute=self._claim.attribute,
            value=self._claim.value,
            key=self._key,
            has_many=has_many,
            confidence=min(self._claim.confidence, MOST_CONFIDENT),
            audience=self._decided_audience(fact),
            source=self._source,
            valid_from=since,
            valid_to=decision.valid_to if fact is None else None,
            supersedes=fact.id if fact else None,
        )
        await self._ledger.add(new, self._evidence)

    async def _restore(self, fact: KnownFactRow, *, instead_of: UUID) -> None:
        """Let a fact hold again from when it did: as a new one, so that what was believed meanwhile can be told."""
        again = NewFact(
            subject=self._subject,
            attribute=self._claim.attribute,
            value=fact.value,
            key=key_of(fact.value),
            has_many=fact.has_many,
            confidence=fact.confidence,
            audience=fact.audience,
            source=fact.source,
            valid_from=fact.valid_from,
            supersedes=instead_of,
        )
        await self._ledger.add(again, list(fact.evidence))

    async def _reinforce(self, fact: KnownFactRow) -> None:
        """Let the fact rest on more; a memory that is read twice says it once."""
        is_news = not fact.evidence.issuperset(self._evidence)
        confidence = reinforce(fact.confidence, self._claim.confidence) if is_news else fact.confidence
        await self._ledger.reinforce(fact, self._proof, confidence=confidence)
        await self._ledger.overtake(fact.id, self._key, said_at=self._proof[-1].created_at)

    def _decided_audience(self, replaced: KnownFactRow | None) -> str | None:
        """Return where a person decided that a new fact may come up; what is remembered on purpose, where it was."""
        said_to = [p.audience for p in self._proof]
        return keep_back(said_to, replaced) or (_narrowest(said_to) if self._is_by_hand else None)


def clean_claim(claim: Claim) -> Claim | None:
    """Return a claim as it can be kept, or None if it can't: what analysts find may be anything."""
    subject = " ".join(clean_text(claim.subject or "").casefold().split())[:_MAX_SUBJECT_CHARS]
    attribute = " ".join(clean_text(claim.attribute).casefold().split())
    value = clean_text(claim.value).strip() if isinstance(claim.value, str) else claim.value
    is_short = not isinstance(value, str) or len(value) <= _MAX_VALUE_CHARS
    is_said = claim.kind not in _TELLS or bool(normal_form(value))
    if not is_attribute(attribute) or not is_short or not is_said or not subject.isprintable():
        return None
    return claim.model_copy(update={"subject": subject or None, "attribute": attribute, "value": value})


def _to_held(row: KnownFactRow) -> Held:
    return Held(
        id=row.id,
        value=row.value,
        has_many=row.has_many,
        is_by_hand=row.source in BY_HAND,
        said_at=row.said_at,
        valid_from=row.valid_from,
        closed_at=row.closed_at,
        taken_back_at=row.taken_back_at,
        evidence=row.evidence,
        supersedes=row.supersedes,
    )


def keep_back(said_to: Sequence[str], replaced: KnownFactRow | None) -> str | None:
    """Return where something may surface that was said to these, in the place of a fact of which a person decided that.

    None if nobody did: then it follows what it rests on.
    """
    if replaced is None or replaced.audience is None:
        return None
    return _narrowest([*said_to, replaced.audience])


def _narrowest(audiences: Sequence[str]) -> str:
    return str(Audience.narrowest(map(Audience.parse, audiences)))
