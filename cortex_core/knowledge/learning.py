"""Applies what was said of people to what is held of them: each batch in one transaction, with its evidence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from cortex_core.config import LearningConfig
from cortex_core.errors import InvalidInputError, NotFoundError
from cortex_core.knowledge.claims import ClaimTaker, clean_claim, keep_back
from cortex_core.knowledge.decisions import Outcome
from cortex_core.knowledge.identity import IdentityKeeper, key_of
from cortex_core.models import Memory, Run, RunStatus, utc_now
from cortex_core.providers.analysis import Claim
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.connection import Connection
from cortex_core.stores.postgres.corrections import Correction, CorrectionAnswer
from cortex_core.stores.postgres.learning import Ledger, NewFact, Proof, Rated, Reader

JOB = "learning"
"""What a run of it is called in the log."""
ANSWERING = "question answered"
"""What it is called there that somebody answered a question."""

_SETTLED = "There is no such question to you any more."
_NOT_ANSWERED = "There is no such answer of yours any more."


@dataclass(frozen=True, slots=True)
class ProvenClaim:
    """A claim with the memories that say so."""

    claim: Claim
    evidence: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """That memories were read, noted in the transaction that takes up what they say.

    Only what nobody else read meanwhile, nor its author edited, counts.
    """

    reader: Reader
    memories: Sequence[Memory]
    ratings: Mapping[UUID, Rated] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Learned:
    """What became of some claims.

    Attributes:
        outcomes: How many had each outcome.
        read: The memories of the reading that counted.
        run_id: The run that can be undone, if any fact was added or ended.
    """

    outcomes: Mapping[Outcome, int]
    read: frozenset[UUID] = frozenset()
    run_id: UUID | None = None


class FactKeeper:
    """Learns facts, and hears what people answer to questions about them.

    All methods raise `StoreUnavailableError`; nothing was changed then.
    """

    def __init__(self, config: LearningConfig, postgres: PostgresStore, identity: IdentityKeeper) -> None:
        self._config = config
        self._postgres = postgres
        self._identity = identity

    async def learn(
        self,
        user_id: str,
        claims: Sequence[ProvenClaim],
        *,
        learned_by: str,
        reading: Reading | None = None,
        now: datetime | None = None,
    ) -> Learned:
        """Take up what was said, in the order in which it was said, all or nothing, as a run of its own.

        Args:
            user_id: Whose facts they become.
            claims: What was said, in the owner's words.
            learned_by: Whose findings they are: the name of an analyst.
            reading: Which memories were read for it.
            now: When.
        """
        now = now or utc_now()
        run = Run(job=JOB, user_id=user_id, status=RunStatus.SUCCEEDED, started_at=now, completed_at=now)
        async with self._postgres.learning.open(check_user_id(user_id), now=now) as ledger:
            read = await _mark_read(ledger, reading)
            outcomes = await self._take_up(ledger, claims, learned_by, read=None if reading is None else read)
            if ledger.changed:
                await ledger.log(self._postgres.runs, run.model_copy(update={"counts": _counts(outcomes)}))
        if ledger.changed or ledger.is_heard_elsewhere:
            await self.refresh(user_id)
        return Learned(outcomes, frozenset(read), run.id if ledger.changed else None)

    async def learn_within(
        self,
        connection: Connection,
        user_id: str,
        claims: Sequence[ProvenClaim],
        *,
        learned_by: str,
        run_id: UUID,
        now: datetime | None = None,
    ) -> Learned:
        """Take up what was said as part of a run in the log, and of its transaction; to be followed by `refresh`.

        Args:
            connection: That of the transaction, which holds the owner's lock.
            user_id: Whose facts they become.
            claims: What was said, in the owner's words.
            learned_by: Whose findings they are.
            run_id: The run.
            now: When.
        """
        ledger = Ledger(connection, user_id, now or utc_now())
        outcomes = await self._take_up(ledger, claims, learned_by)
        await ledger.log(self._postgres.runs, run_id)
        return Learned(outcomes, run_id=run_id if ledger.changed else None)

    async def refresh(self, user_id: str) -> None:
        """Let what was learned within a transaction count."""
        await self._identity.refresh(user_id)

    async def list_corrections(self, user_id: str) -> list[Correction]:
        """Return the questions that somebody has not answered yet, oldest first."""
        return await self._postgres.corrections.list_open(check_user_id(user_id))

    async def answer(
        self,
        user_id: str,
        correction_id: UUID,
        answer: CorrectionAnswer,
        *,
        changed_on: datetime | None = None,
        now: datetime | None = None,
    ) -> Correction:
        """Do what somebody answers to a question about a fact of theirs.

        Args:
            user_id: Who was asked, and answers.
            correction_id: Which question.
            answer: The answer.
            changed_on: Since when the newer value holds, for the answer `changed`; since it was said when absent.
            now: When.

        Raises:
            InvalidInputError: That date has no time zone or lies ahead.
            NotFoundError: There is no such question of theirs, it was answered, or the fact has ended since.
        """
        now = now or utc_now()
        if changed_on is not None and (changed_on.tzinfo is None or changed_on > now):
            raise InvalidInputError("The date of a change has a time zone and lies in the past.")
        run = Run(
            job=ANSWERING,
            user_id=user_id,
            status=RunStatus.SUCCEEDED,
            started_at=now,
            completed_at=now,
            counts={answer.value: 1},
        )
        async with self._postgres.learning.open(check_user_id(user_id), now=now) as ledger:
            correction = await ledger.get_correction(correction_id)
            await self._postgres.runs.log_in(ledger.connection, run)
            if correction is None or not await ledger.mark_answered(correction_id, answer, run_id=run.id):
                raise NotFoundError(_SETTLED)
            if answer not in (CorrectionAnswer.KEPT, CorrectionAnswer.EXPIRED):
                await _carry_out(ledger, correction, answer, changed_on or correction.valid_from)
            await ledger.log(self._postgres.runs, run.id)
        await self._identity.refresh(user_id)
        return correction.model_copy(update={"answer": answer, "answered_at": now, "run_id": run.id})

    async def take_back_answer(self, user_id: str, correction_id: UUID) -> None:
        """Take an answer back with all that it changed: the question is open again.

        Raises:
            InvalidInputError: What changed the same facts since has to be taken back first.
            NotFoundError: There is no such answer of theirs, or it was taken back already.
        """
        question = await self._postgres.corrections.get(check_user_id(user_id), correction_id)
        if question is None or question.run_id is None:
            raise NotFoundError(_NOT_ANSWERED)
        await self._postgres.runs.undo(user_id, question.run_id)
        await self._identity.refresh(user_id)

    async def _take_up(
        self, ledger: Ledger, claims: Sequence[ProvenClaim], learned_by: str, *, read: set[UUID] | None = None
    ) -> Counter[Outcome]:
        """Take up what can be, of what was read if that is given, and return how many had each outcome."""
        outcomes: Counter[Outcome] = Counter()
        for claim, proof in await self._admit(ledger, claims, read):
            outcomes[await ClaimTaker(ledger, claim, proof, learned_by).take_up()] += 1
        return outcomes

    async def _admit(
        self, ledger: Ledger, claims: Sequence[ProvenClaim], read: set[UUID] | None
    ) -> list[tuple[Claim, list[Proof]]]:
        """Return the claims that can be taken up, each with what proves it, in the order in which they were said."""
        proofs = await ledger.list_proof([memory_id for proven in claims for memory_id in proven.evidence])
        admitted = []
        for proven in claims:
            ids = [i for i in dict.fromkeys(proven.evidence) if i in proofs and (read is None or i in read)]
            claim = clean_claim(proven.claim)
            if ids and claim is not None and claim.confidence >= self._config.min_confidence:
                admitted.append((claim, sorted((proofs[i] for i in ids), key=lambda proof: proof.created_at)))
        return sorted(admitted, key=lambda pair: pair[1][-1].created_at)


async def _mark_read(ledger: Ledger, reading: Reading | None) -> set[UUID]:
    if reading is None:
        return set()
    read = await ledger.mark_read(reading.reader, reading.memories)
    if reading.ratings:
        await ledger.rate([memory for memory in reading.memories if memory.id in read], reading.ratings)
    return read


async def _carry_out(ledger: Ledger, correction: Correction, answer: CorrectionAnswer, since: datetime) -> None:
    """Do what the person said of a value that is held.

    Raises:
        NotFoundError: It isn't held any more, or what was said against it was forgotten.
    """
    rows = await ledger.list_held(correction.subject, correction.attribute)
    fact = next((row for row in rows if row.id == correction.fact_id and row.closed_at is None), None)
    proof = (await ledger.list_proof([correction.memory_id])).get(correction.memory_id)
    if fact is None or proof is None:
        raise NotFoundError(_SETTLED)
    match answer:
        case CorrectionAnswer.BOTH:
            valid_from = since
            await ledger.let_others_hold(fact.id)
        case CorrectionAnswer.CHANGED:
            valid_from = max(since, fact.valid_from)
            await ledger.end(fact.id, valid_to=valid_from)
        case _:
            valid_from = min(since, fact.valid_from)
            await ledger.end(fact.id, valid_to=fact.valid_from)
    key, holds_both = key_of(correction.said), answer is CorrectionAnswer.BOTH
    if any(row.closed_at is None and row.id != fact.id and key_of(row.value) == key for row in rows):
        return
    new = NewFact(
        subject=correction.subject,
        attribute=correction.attribute,
        value=correction.said,
        key=key,
        has_many=fact.has_many or holds_both,
        confidence=1.0,
        audience=keep_back([proof.audience], fact),
        source="answer",
        valid_from=valid_from,
        supersedes=None if holds_both else fact.id,
    )
    await ledger.add(new, [proof.id])


def _counts(outcomes: Mapping[Outcome, int]) -> dict[str, int]:
    return {outcome.value: count for outcome, count in outcomes.items() if count}
