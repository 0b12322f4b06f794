"""The analyst that works with no key: declared patterns, English only, precise rather than complete."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cortex_core.attributes import attribute_of, normal_form
from cortex_core.providers.analysis import Analysis, Claim, ClaimKind, KnownFact, Statement
from cortex_core.providers.rules.clauses import Clause, read_clauses
from cortex_core.providers.rules.corrections import (
    affirm,
    find_blamed,
    find_counted,
    find_pair,
    find_slip,
    find_spelling,
    instead_of,
    with_contrast,
)
from cortex_core.providers.rules.endings import find_denied, find_endings, is_ending
from cortex_core.providers.rules.family import pet_value
from cortex_core.providers.rules.findings import find, find_names, name_animal
from cortex_core.providers.rules.grammar import LOOSE
from cortex_core.providers.rules.held import HEDGED, Finding, Held, list_news
from cortex_core.providers.rules.reality import takes_all_back
from cortex_core.providers.rules.restatements import find_restated


class RuleAnalyst:
    """Finds what people declare of themselves, and of others, by fixed patterns.

    Understood is what `patterns` lists, said as a fact in the present: not questions, wishes, jokes, tales, quotes and
    plans ("I'm moving to Rome next month" says nothing until it has happened), nor what was ("I used to live in Oslo"
    at most ends what is held). What is said of others has them as its subject. Texts in other languages yield nothing.
    It rates no emotions and no types: those of intake stay.

    Values are a few of the speaker's own words, in their spelling; ages and numbers of children and siblings are
    numbers; birthdays are YYYY-MM-DD, --MM-DD, or a month's name where no day was said; an animal with a name is
    "Miso (cat)", one without is "cat", several are "two cats". A favorite is spelled the American way
    ("favorite color"). A correction that names no attribute is taken where exactly one thing held fits it, or where
    one that fits was said last. "just kidding" takes back what was news in the message before, of anybody.
    """

    name = "rules"

    async def analyse(self, statements: Sequence[Statement], known: Sequence[KnownFact], *, account: str) -> Analysis:  # noqa: ARG002
        """Return what the statements say; costs nothing, so no account pays."""
        held = Held(known)
        told: list[_Told] = []
        before = list_news(known, statements[0].said_at) if statements else []
        for statement in statements:
            found = _read_statement(statement, held, before)
            if takes_all_back(statement.text):
                for finding in _without_replaced(before, found):
                    withdrawn = replace(finding, kind=ClaimKind.WITHDRAWS)
                    held.apply(withdrawn, statement.said_at)
                    if not _drop(told, finding, statement.number - 1):
                        _add(told, withdrawn, statement.number)
            for finding in found:
                _add(told, finding, statement.number)
            before = found
        return Analysis(claims=tuple(_claim(one.finding, one.evidence) for one in told))


@dataclass(slots=True)
class _Told:
    finding: Finding
    evidence: list[int]


def _add(told: list[_Told], finding: Finding, number: int) -> None:
    """Add a finding to what was told, as further evidence where it is what was last said of that."""
    for one in reversed(told):
        last = one.finding
        if (last.subject, last.attribute) != (finding.subject, finding.attribute):
            continue
        if last.key == finding.key and last.kind is finding.kind:
            since = last.valid_from or finding.valid_from
            one.finding = replace(last, confidence=max(last.confidence, finding.confidence), valid_from=since)
            one.evidence.append(number)
            return
        if last.key == finding.key or not attribute_of(finding.attribute).has_many:
            break
    told.append(_Told(finding, [number]))


def _drop(told: list[_Told], finding: Finding, number: int) -> bool:
    """Drop a finding that a statement among these was evidence of, and tell whether there is one."""
    for one in told:
        if one.finding.key == finding.key and one.evidence[-1] == number:
            one.evidence.pop()
            if not one.evidence:
                told.remove(one)
            return True
    return False


def _without_replaced(before: list[Finding], found: list[Finding]) -> list[Finding]:
    """Leave what something else was said of instead: "jk, I'm 30" is about an age."""
    said = {finding.key[:2] for finding in found if not attribute_of(finding.attribute).has_many}
    return [finding for finding in before if finding.kind is not ClaimKind.ENDS and finding.key[:2] not in said]


def _read_statement(statement: Statement, held: Held, before: list[Finding]) -> list[Finding]:
    """Return what one statement says, given what the one before it said, and take note of it."""
    found: list[Finding] = []
    denied: list[Finding] = []
    never: list[Finding] = []
    for clause in read_clauses(statement.text):
        new = _read_clause(clause, statement, held, found or before, denied)
        if any(finding.attribute == "pets" and found and _names(finding, found[-1]) for finding in new):
            found.pop()
        new = [finding for finding in new if not any(_says_already(other, finding) for other in found)]
        if any(finding.kind is ClaimKind.CORRECTS for finding in new):  # what was just said and taken back is not said
            found = [other for other in found if not any(_takes_back(finding, other) for finding in new)]
        for finding in new:
            held.apply(finding, statement.said_at)
        found += new
        affirmed = None if is_ending(clause) else affirm(clause)
        denied = (
            [*find(affirmed, statement.said_at), *find_names(affirmed.text)] if affirmed else find_blamed(clause, held)
        )
        never += denied if affirmed else []
    return [
        *_implied(found, held),
        *_turned(found, held),
        *_denied(never, found, held, statement.said_at),
        *_without_rivals(found),
    ]


def _read_clause(
    clause: Clause, statement: Statement, held: Held, before: list[Finding], denied: list[Finding]
) -> list[Finding]:
    said_at = statement.said_at
    if ended := find_endings(clause, held, said_at):
        return [*ended, *(finding for finding in find(clause, said_at) if not is_ending(clause))]
    if is_ending(clause):
        return []
    if denied and (instead := instead_of(denied, clause, said_at)):
        return instead
    if before and (named := name_animal(clause, before[-1])):
        return named
    if slip := find_slip(clause, before, said_at):
        return slip
    stated = with_contrast([*find(clause, said_at), *find_names(clause.said or clause.text)], clause, held, said_at)
    return (
        stated
        or find_spelling(clause, held)
        or find_pair(clause, held, said_at)
        or find_counted(clause, held)
        or find_restated(clause, before, held, said_at)
        or find_denied(clause, held, said_at)
    )


def _says_already(finding: Finding, other: Finding) -> bool:
    """Tell whether a finding says the same as another, or says it as a correction."""
    is_stated = finding.kind is ClaimKind.CORRECTS and other.kind is ClaimKind.STATES
    return finding.key == other.key and (finding.kind is other.kind or is_stated)


def _takes_back(finding: Finding, other: Finding) -> bool:
    """Tell whether a finding puts right what was said before it."""
    is_meant = (
        finding.kind is ClaimKind.CORRECTS and other.kind is ClaimKind.STATES and finding.key[:2] == other.key[:2]
    )
    is_only = finding.replaces is None and not attribute_of(finding.attribute).has_many
    return is_meant and (is_only or finding.replaces == other.value)


def _names(finding: Finding, before: Finding) -> bool:
    """Tell whether a finding is the animal that was found before without its name."""
    return (
        before.attribute == "pets"
        and before.subject == finding.subject
        and " (" not in str(before.value)
        and (finding.value == pet_value(str(finding.value).split(" ")[0], str(before.value)))
    )


def _denied(never: list[Finding], found: list[Finding], held: Held, said_at: datetime) -> list[Finding]:
    """Take back what is held and was denied, unless something else was said of it."""
    said = {finding.key[:2] for finding in found}
    return [
        replace(finding, kind=ClaimKind.WITHDRAWS if held.is_news(finding, said_at) else ClaimKind.ENDS)
        for finding in never
        if finding.key[:2] not in said and finding.key in {one.key for one in held.findings()}
    ]


_ALONE = frozenset({"single", "divorced", "widowed", "separated"})
_IDLE = frozenset({"unemployed", "retired"})


def _implied(found: list[Finding], held: Held) -> list[Finding]:
    """End what can't be so beside what was said: a partner of who is single, an employer of who is retired."""
    said = {(finding.attribute, normal_form(finding.value)) for finding in found if _is_told(finding)}
    attributes = {attribute for attribute, _ in said}
    gone = [
        Finding("partner", value, LOOSE)
        for value in held.values_of("partner")
        if any(("relationship", state) in said for state in _ALONE) and "partner" not in attributes
    ]
    gone += [
        Finding("relationship", value, LOOSE)
        for value in held.values_of("relationship")
        if "partner" in attributes and "relationship" not in attributes and normal_form(value) in _ALONE
    ]
    gone += [
        Finding("employer", value, LOOSE)
        for value in held.values_of("employer")
        if any(("job", state) in said for state in _IDLE) and "employer" not in attributes
    ]
    return [replace(finding, kind=ClaimKind.ENDS) for finding in gone]


def _is_told(finding: Finding) -> bool:
    """Tell whether a finding says what is so, of the speaker and for sure."""
    is_said = finding.kind in {ClaimKind.STATES, ClaimKind.CORRECTS}
    return is_said and finding.subject is None and finding.confidence > HEDGED


_OPPOSITES = {"likes": "dislikes", "dislikes": "likes"}


def _turned(found: list[Finding], held: Held) -> list[Finding]:
    """End what was liked and isn't, and the other way round."""
    turned = []
    for finding in found:
        opposite = _OPPOSITES.get(finding.attribute, "")
        if finding.subject is None and finding.kind is not ClaimKind.ENDS and opposite:
            same = (value for value in held.values_of(opposite) if normal_form(value) == normal_form(finding.value))
            turned += [
                replace(finding, attribute=opposite, value=value, kind=ClaimKind.ENDS, valid_from=None)
                for value in same
            ]
    return turned


def _without_rivals(found: list[Finding]) -> list[Finding]:
    """Leave where somebody was born to where they grew up or say they are from, if one message tells both."""
    sure = {finding.subject for finding in found if finding.attribute == "hometown" and finding.confidence > 0.9}  # noqa: PLR2004
    return [f for f in found if f.attribute != "hometown" or f.subject not in sure or f.confidence > 0.9]  # noqa: PLR2004


def _claim(finding: Finding, evidence: list[int]) -> Claim:
    return Claim(
        subject=finding.subject,
        attribute=finding.attribute,
        value=finding.value,
        kind=finding.kind,
        replaces=finding.replaces,
        confidence=finding.confidence,
        valid_from=finding.valid_from,
        evidence=tuple(dict.fromkeys(evidence)),
    )
