"""What to do with a claim, given what is held: pure, so that any order of arrival can be tried out.

Of two statements the one that was said later counts, whichever arrives first. Nothing is ever deleted: what no longer
holds gets an end, what was said before something newer goes straight into the history.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import chain
from uuid import UUID

from pydantic import JsonValue

from cortex_core.attributes import attribute_of, is_refined_by, normal_form
from cortex_core.providers.analysis import ClaimKind

BY_HAND = frozenset({"identity_update", "profile", "remember", "answer"})
"""Sources of what a person set on purpose, which learning doesn't overrule by itself."""

MOST_CONFIDENT = 0.99
"""What repeating a statement can come to; only a person can be surer."""

_DETAIL = re.compile(r"[(\[,;:]")


class Outcome(StrEnum):
    """What becomes of a claim."""

    SAME = "same"
    """It is known, and one more memory says so."""
    REFINES = "refines"
    """It says what is known more exactly, and takes its place."""
    NEW = "new"
    """Nothing stands against it."""
    SUPERSEDES = "supersedes"
    """It is news: what held until now ends."""
    CORRECTS = "corrects"
    """What is held was never so, and this takes its place."""
    OUTDATED = "outdated"
    """Something newer is known already: it goes into the history."""
    ASKS = "asks"
    """One of the two must be wrong, and only the person can tell which."""
    ENDS = "ends"
    """What held doesn't any more, and nothing takes its place."""
    WITHDRAWN = "withdrawn"
    """What is held was never so, and what it had taken the place of holds again."""
    IGNORED = "ignored"
    """There is nothing to end, or it says nothing."""


@dataclass(frozen=True, slots=True)
class Held:
    """A fact of the attribute that is talked about, as far as a decision goes by it.

    Attributes:
        said_at: When it was last said.
        closed_at: When that was said which ended it; None for what holds.
        taken_back_at: When a person took back that it ever held: what was said until then doesn't bring it back.
        evidence: The memories that it rests on.
        supersedes: The fact whose place it took.
    """

    id: UUID
    value: JsonValue
    has_many: bool
    is_by_hand: bool
    said_at: datetime
    valid_from: datetime
    closed_at: datetime | None = None
    evidence: frozenset[UUID] = frozenset()
    supersedes: UUID | None = None
    taken_back_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A claim with its times.

    Attributes:
        since: Since when it holds: as was said, else since it was said.
        is_by_hand: Whether a person asked on purpose to keep it.
    """

    attribute: str
    value: JsonValue
    said_at: datetime
    since: datetime
    kind: ClaimKind = ClaimKind.STATES
    replaces: JsonValue = None
    is_by_hand: bool = False
    evidence: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    Attributes:
        fact: The one that is said again, replaced, ended, withdrawn or asked about.
        valid_from: Since when what is added holds.
        valid_to: Until when: of `fact` if that ends, of what is added if it is outdated.
        restored: What holds again.
    """

    outcome: Outcome
    fact: Held | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    restored: Held | None = None


_IGNORED = Decision(Outcome.IGNORED)


def decide(said: Said, held: Sequence[Held]) -> Decision:
    """Return what to do with a claim.

    Args:
        said: What was said.
        held: All facts of that attribute and subject, those that ended included.
    """
    current = [fact for fact in held if fact.closed_at is None]
    if said.kind in {ClaimKind.ENDS, ClaimKind.WITHDRAWS}:
        return _end(said, current) if said.kind is ClaimKind.ENDS else _withdraw(said, held)
    if not normal_form(said.value).strip():
        return _IGNORED
    wrong = _find_wrong(said, current)
    if known := _find_known(said, held):
        return Decision(Outcome.ENDS, wrong, valid_to=wrong.valid_from) if wrong else Decision(Outcome.SAME, known)
    if not holds_many(said.attribute, current):
        return _replace(said, current[0]) if current else _begin(said, held)
    if wrong:
        return _correct(said, wrong)
    rougher = next((fact for fact in current if _refines(said.value, fact)), None)
    return _correct(said, rougher, Outcome.REFINES) if rougher else Decision(Outcome.NEW, valid_from=said.since)


def holds_many(attribute: str, current: Collection[Held]) -> bool:
    """Tell whether another value can hold beside these: as they are marked, else as it is declared."""
    return all(fact.has_many for fact in current) if current else attribute_of(attribute).has_many


def reinforce(held: float, said: float) -> float:
    """Return how sure one is of what two independent statements say.

    >>> reinforce(0.8, 0.8), reinforce(0.9, 0.95), reinforce(1.0, 0.5)
    (0.96, 0.99, 1.0)
    """
    return max(held, min(MOST_CONFIDENT, round(1 - (1 - held) * (1 - said), 6)))


def _end(said: Said, current: Sequence[Held]) -> Decision:
    """End the value that is named, or the only one there can be if none is; not what the same message says."""
    is_named = normal_form(said.value).strip() not in ("", normal_form(said.attribute))
    for fact in current:
        is_meant = _is_same(fact, said.value) or _refines(said.value, fact) if is_named else not fact.has_many
        if is_meant and fact.said_at <= said.said_at and not fact.evidence & said.evidence:
            return Decision(Outcome.ENDS, fact, valid_to=max(said.since, fact.valid_from))
    return _IGNORED


def _withdraw(said: Said, held: Sequence[Held]) -> Decision:
    """Take back what was said a moment ago, but nothing that somebody set by hand."""
    for fact in held:
        is_meant = fact.closed_at is None and normal_form(fact.value) == normal_form(said.value)
        if is_meant and not fact.is_by_hand and fact.said_at <= said.said_at:
            restored = next((other for other in held if other.id == fact.supersedes), None)
            return Decision(Outcome.WITHDRAWN, fact, valid_to=fact.valid_from, restored=restored)
    return _IGNORED


def _find_wrong(said: Said, current: Sequence[Held]) -> Held | None:
    """Return which of many values a correction takes back, if it names one."""
    if said.kind is not ClaimKind.CORRECTS or said.replaces is None:
        return None
    named = (fact for fact in current if fact.has_many and _is_same(fact, said.replaces))
    return next((fact for fact in named if fact.said_at <= said.said_at and not _is_same(fact, said.value)), None)


def _find_known(said: Said, held: Sequence[Held]) -> Held | None:
    """Return the fact that says this already: that of the same message, one that ended later, or one that holds."""
    same = [fact for fact in held if _is_same(fact, said.value)]
    drawn_from_it = (fact for fact in same if fact.evidence & said.evidence)
    ended_later = (f for f in same if any(at and at >= said.said_at for at in (f.closed_at, f.taken_back_at)))
    current = (fact for fact in same if fact.closed_at is None)
    return next(chain(drawn_from_it, ended_later, current), None)


def _begin(said: Said, held: Sequence[Held]) -> Decision:
    """Take up an attribute of which nothing holds, unless what held last ended after this was said."""
    ended_at = max((fact.closed_at for fact in held if fact.closed_at is not None), default=said.said_at)
    if ended_at <= said.said_at:
        return Decision(Outcome.NEW, valid_from=said.since)
    return Decision(Outcome.OUTDATED, valid_from=said.since, valid_to=max(said.since, ended_at))


def _replace(said: Said, known: Held) -> Decision:
    """Let the later of two values hold, of an attribute that has one."""
    is_later = said.said_at >= known.said_at
    is_fixed = attribute_of(said.attribute).is_fixed
    if is_later and said.kind is ClaimKind.CORRECTS:
        return _correct(said, known)
    if is_later and _refines(said.value, known):
        return Decision(Outcome.SAME, known) if known.is_by_hand else _correct(said, known, Outcome.REFINES)
    if (is_fixed or (known.is_by_hand and is_later)) and not said.is_by_hand:
        return Decision(Outcome.ASKS, known) if is_later or not known.is_by_hand else _IGNORED
    if is_later:
        return Decision(Outcome.SUPERSEDES, known, said.since, max(said.since, known.valid_from))
    return Decision(Outcome.OUTDATED, valid_from=said.since, valid_to=max(said.since, known.valid_from))


def _correct(said: Said, wrong: Held, outcome: Outcome = Outcome.CORRECTS) -> Decision:
    """Take its place for all the time in which it was taken to hold."""
    return Decision(outcome, wrong, min(said.since, wrong.valid_from), wrong.valid_from)


def _is_same(fact: Held, value: JsonValue) -> bool:
    """Whether a fact says that, or that and more."""
    return normal_form(fact.value) == normal_form(value) or _says_more(value, fact.value, has_many=fact.has_many)


def _refines(value: JsonValue, fact: Held) -> bool:
    return _says_more(fact.value, value, has_many=fact.has_many)


def _says_more(less: JsonValue, more: JsonValue, *, has_many: bool) -> bool:
    """Whether a value says another and a detail of it; among many values, "coffee cake" is no detail of "coffee"."""
    if not isinstance(less, str) or not isinstance(more, str):
        return False
    if not has_many:
        return is_refined_by(less, more)
    named, *detail = _DETAIL.split(more, maxsplit=1)
    return bool(detail) and normal_form(named) == normal_form(less)
