"""What the rules find, before it becomes a claim; and what is held by then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cortex_core.attributes import attribute_of, normal_form
from cortex_core.providers.analysis import ClaimKind, KnownFact, Value
from cortex_core.providers.rules.grammar import DECLARED

HEDGED = 0.5

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_NEWS_LASTS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """A claim without its evidence; the fields are those of `Claim`."""

    attribute: str
    value: Value
    confidence: float
    subject: str | None = None
    kind: ClaimKind = ClaimKind.STATES
    replaces: Value | None = None
    valid_from: datetime | None = None

    @property
    def key(self) -> tuple[str | None, str, str]:
        """What two findings of the same have in common."""
        return self.subject, self.attribute, normal_form(self.value)


class Held:
    """What is held of the speaker, with what the statements so far have changed, in the order in which it was said."""

    def __init__(self, known: Sequence[KnownFact]) -> None:
        in_order = sorted(known, key=lambda fact: fact.said_at or _LONG_AGO)
        self._facts = [(Finding(fact.attribute, fact.value, DECLARED, fact.subject), fact.said_at) for fact in in_order]

    def values_of(self, attribute: str) -> list[Value]:
        """Return the values of an attribute of the speaker."""
        return [held.value for held in self.findings() if held.attribute == attribute]

    def findings(self) -> list[Finding]:
        """Return what is held of the speaker as if it were said."""
        return [held for held, _ in self._facts if held.subject is None]

    def of_others(self) -> list[Finding]:
        """Return what is held of others."""
        return [held for held, _ in self._facts if held.subject is not None]

    def is_news(self, finding: Finding, now: datetime) -> bool:
        """Tell whether that was said not long ago."""
        return any(held.key == finding.key and at and at >= now - _NEWS_LASTS for held, at in self._facts)

    def choose(self, corrections: Sequence[Finding]) -> list[Finding]:
        """Return the only one of several corrections, or that of what was said last; none if that can't be told."""
        if len(corrections) <= 1:
            return list(corrections)
        times = {(held.attribute, held.value): at for held, at in self._facts if held.subject is None}
        said = [(times.get((one.attribute, one.replaces or "")) or _LONG_AGO, one) for one in corrections]
        last = max(at for at, _ in said)
        latest = [one for at, one in said if at == last]
        return latest if len(latest) == 1 else []

    def apply(self, finding: Finding, said_at: datetime) -> None:
        """Take note of a finding."""
        gone = {normal_form(value) for value in (finding.replaces, finding.value) if value is not None}
        is_gone = finding.kind in {ClaimKind.ENDS, ClaimKind.WITHDRAWS}
        keeps = attribute_of(finding.attribute).has_many or is_gone
        self._facts = [
            (held, at)
            for held, at in self._facts
            if held.key[:2] != finding.key[:2] or (keeps and normal_form(held.value) not in gone)
        ]
        if not is_gone:
            self._facts.append((finding, said_at))


def list_news(known: Sequence[KnownFact], now: datetime) -> list[Finding]:
    """Return what was said in the message just before, by the speaker and of others, unless that is long ago."""
    return [
        Finding(fact.attribute, fact.value, DECLARED, fact.subject)
        for fact in known
        if fact.is_news and fact.said_at and fact.said_at >= now - _NEWS_LASTS
    ]
