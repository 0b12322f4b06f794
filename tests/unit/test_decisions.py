"""What becomes of a claim: by table, and for any order in which claims arrive."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core.attributes import normal_form
from cortex_core.knowledge.decisions import Decision, Held, Outcome, Said, decide, holds_many, reinforce
from cortex_core.providers.analysis import ClaimKind

START = datetime(2026, 3, 1, tzinfo=UTC)
CORRECTS, ENDS, WITHDRAWS = ClaimKind.CORRECTS, ClaimKind.ENDS, ClaimKind.WITHDRAWS


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def said(attribute: str, value: object, at: float = 5, **fields: object) -> Said:
    since = fields.pop("since", at)
    return Said(attribute, value, day(at), day(since), **fields)


def held(value: object, at: float = 1, *, has_many: bool = False, **fields: object) -> Held:
    closed = fields.pop("closed", None)
    return Held(
        uuid4(), value, has_many, bool(fields.pop("is_by_hand", False)), day(at), day(fields.pop("since", at)),
        None if closed is None else day(closed), **fields,
    )  # fmt: skip


def taken_back(value: object, since: float, *, at: float, **fields: object) -> Held:
    return held(value, since, closed=since, taken_back_at=day(at), **fields)


@dataclass
class Book:
    """Carries decisions out as the store does."""

    facts: list[Held] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def hear(self, claim: Said) -> Decision:
        decision = decide(claim, self.facts)
        has_many = holds_many(claim.attribute, self.current)
        match decision.outcome:
            case Outcome.SAME:
                fact = decision.fact
                evidence = fact.evidence | claim.evidence
                self._change(fact, said_at=max(fact.said_at, claim.said_at), evidence=evidence)
            case Outcome.ASKS:
                self.asked.add(normal_form(claim.value))
            case Outcome.IGNORED:
                pass
            case _:
                if decision.fact and decision.valid_to:
                    self._change(decision.fact, closed_at=max(decision.valid_to, claim.said_at))
                if old := decision.restored:
                    self.facts.append(replace(old, id=uuid4(), closed_at=None, supersedes=decision.fact.id))
                if decision.valid_from:
                    closed_at = decision.valid_to if decision.fact is None else None
                    self.facts.append(
                        Held(
                            uuid4(), claim.value, has_many, claim.is_by_hand, claim.said_at, decision.valid_from,
                            closed_at, claim.evidence, decision.fact.id if decision.fact else None,
                        )
                    )  # fmt: skip
        return decision

    @property
    def current(self) -> list[Held]:
        return [fact for fact in self.facts if fact.closed_at is None]

    def _change(self, fact: Held, **fields: object) -> None:
        self.facts[self.facts.index(fact)] = replace(fact, **fields)


@pytest.mark.parametrize(
    ("facts", "claim", "outcome"),
    [
        ([], said("location", "Oslo"), Outcome.NEW),
        ([], said("location", " "), Outcome.IGNORED),
        ([held("Oslo")], said("location", "OSLO!"), Outcome.SAME),
        ([held("Oslo, Norway")], said("location", "Oslo"), Outcome.SAME),
        ([held("Oslo")], said("location", "Oslo, Norway"), Outcome.REFINES),
        ([held("Oslo")], said("location", "Rome"), Outcome.SUPERSEDES),
        ([held("Oslo", 9)], said("location", "Rome", 5), Outcome.OUTDATED),
        ([held("Oslo", closed=4)], said("location", "Rome", 5), Outcome.NEW),
        ([held("Oslo", closed=7)], said("location", "Rome", 5), Outcome.OUTDATED),
        ([held("Oslo", closed=7)], said("location", "Oslo", 5), Outcome.SAME),
        ([held("Oslo", closed=4), held("Rome", 4)], said("location", "Oslo", 5), Outcome.SUPERSEDES),
        # What a person took back
        ([taken_back("Oslo", 1, at=7)], said("location", "Oslo", 5), Outcome.SAME),
        ([taken_back("Oslo", 1, at=7)], said("location", "Oslo", 8), Outcome.NEW),
        ([taken_back("Oslo", 1, at=7)], said("location", "Rome", 5), Outcome.NEW),
        ([taken_back("Rex", 1, at=7, has_many=True)], said("pets", "Rex", 5), Outcome.SAME),
        ([taken_back("May", 1, at=7), held("June")], said("birthday", "May", 5), Outcome.SAME),
        # What a life doesn't change
        ([held("May")], said("birthday", "June"), Outcome.ASKS),
        ([held("May", 9)], said("birthday", "June", 5), Outcome.ASKS),
        ([held("May")], said("birthday", "June", kind=CORRECTS), Outcome.CORRECTS),
        ([held(3)], said("number of children", 4, kind=CORRECTS, replaces=3), Outcome.CORRECTS),
        ([held(3, closed=5), held(4, 5)], said("number of children", 3, 2), Outcome.SAME),
        # Set by hand
        ([held("Oslo", is_by_hand=True)], said("location", "Rome"), Outcome.ASKS),
        ([held("Oslo", is_by_hand=True)], said("location", "Rome", kind=CORRECTS), Outcome.CORRECTS),
        ([held("Oslo", is_by_hand=True)], said("location", "Rome", is_by_hand=True), Outcome.SUPERSEDES),
        ([held("Oslo", 9, is_by_hand=True)], said("location", "Rome", 5), Outcome.OUTDATED),
        ([held("May", 9, is_by_hand=True)], said("birthday", "June", 5), Outcome.IGNORED),
        ([held("Oslo", is_by_hand=True)], said("location", "Oslo, Norway"), Outcome.SAME),
        ([held("Arsenal", is_by_hand=True)], said("team", "Chelsea"), Outcome.ASKS),
        ([held([], is_by_hand=True)], said("pets", "Rex"), Outcome.ASKS),
        # Many values
        ([held("Miso", has_many=True)], said("pets", "Rex"), Outcome.NEW),
        ([held("Miso", has_many=True)], said("pets", "miso"), Outcome.SAME),
        ([held("Miso", has_many=True)], said("pets", "Miso (cat)"), Outcome.REFINES),
        ([held("Miso (cat)", has_many=True)], said("pets", "Miso"), Outcome.SAME),
        ([held("coffee", has_many=True)], said("likes", "coffee cake"), Outcome.NEW),
        ([held("Misu", has_many=True)], said("pets", "Miso", kind=CORRECTS, replaces="Misu"), Outcome.CORRECTS),
        ([held("Rex", has_many=True)], said("pets", "Miso", kind=CORRECTS, replaces="Misu"), Outcome.NEW),
        (
            [held("Misu", has_many=True), held("Miso", has_many=True)],
            said("pets", "Miso", kind=CORRECTS, replaces="Misu"),
            Outcome.ENDS,
        ),
        ([held("Rex", has_many=True, closed=7)], said("pets", "Rex", 5), Outcome.SAME),
        ([held("Rex", has_many=True, closed=4)], said("pets", "Rex", 5), Outcome.NEW),
        # Ends
        ([held("Rex", has_many=True)], said("pets", "rex", kind=ENDS), Outcome.ENDS),
        ([held("Rex (dog)", has_many=True)], said("pets", "Rex", kind=ENDS), Outcome.ENDS),
        ([held("Rex", has_many=True)], said("pets", "Rex the dog, (dog)", kind=ENDS), Outcome.IGNORED),
        ([held("Rex", has_many=True)], said("pets", "", kind=ENDS), Outcome.IGNORED),
        ([held("Rex", 9, has_many=True)], said("pets", "Rex", 5, kind=ENDS), Outcome.IGNORED),
        ([held("nurse")], said("job", "job", kind=ENDS), Outcome.ENDS),
        ([held("nurse")], said("job", "", kind=ENDS), Outcome.ENDS),
        ([held("nurse")], said("job", "baker", kind=ENDS), Outcome.IGNORED),
        ([], said("job", "nurse", kind=ENDS), Outcome.IGNORED),
        # Taken back
        ([held("nurse")], said("job", "nurse", kind=WITHDRAWS), Outcome.WITHDRAWN),
        ([held("Rex", has_many=True)], said("pets", "Miso", kind=WITHDRAWS), Outcome.IGNORED),
        ([held("nurse", closed=4)], said("job", "nurse", kind=WITHDRAWS), Outcome.IGNORED),
        ([held("nurse", 9)], said("job", "nurse", 5, kind=WITHDRAWS), Outcome.IGNORED),
        ([held("nurse", is_by_hand=True)], said("job", "nurse", kind=WITHDRAWS), Outcome.IGNORED),
    ],
    ids=lambda value: f"{value.attribute}={value.value}" if isinstance(value, Said) else None,
)
def test_each_claim_has_its_outcome(facts: list[Held], claim: Said, outcome: Outcome):
    assert decide(claim, facts).outcome is outcome


def test_a_correction_holds_for_all_the_time_and_a_change_from_when_it_was_said():
    wrong = held("May", 1)
    corrected = decide(said("birthday", "June", 5, kind=CORRECTS), [wrong])
    moved = decide(said("location", "Rome", 5), [held("Oslo", 1)])

    assert (corrected.fact, corrected.valid_from, corrected.valid_to) == (wrong, day(1), day(1))
    assert (moved.valid_from, moved.valid_to) == (day(5), day(5))


def test_what_is_withdrawn_held_at_no_time_and_what_it_replaced_holds_again():
    old = held("Oslo", 1, closed=5)
    joke = held("Rome", 5, since=-900, supersedes=old.id)

    decision = decide(said("location", "Rome", 6, kind=WITHDRAWS), [old, joke])

    assert (decision.fact, decision.valid_from, decision.valid_to) == (joke, None, day(-900))
    assert decision.restored == old


def test_since_when_it_holds_never_ends_a_fact_before_it_began():
    decision = decide(said("location", "Rome", 5, since=-900), [held("Oslo", 1)])

    assert (decision.outcome, decision.valid_from, decision.valid_to) == (Outcome.SUPERSEDES, day(-900), day(1))


def test_a_message_ends_nothing_that_it_says_itself():
    memory = uuid4()
    fact = held("baker", 5, evidence=frozenset({memory}))

    assert decide(said("job", "", 5, kind=ENDS, evidence=frozenset({memory})), [fact]).outcome is Outcome.IGNORED


@given(st.floats(0, 1), st.floats(0, 1))
def test_repeating_makes_surer_and_never_certain(one: float, other: float):
    assert max(one, min(0.99, other)) - 1e-6 <= reinforce(one, other) <= max(one, 0.99)


# Any order of arrival

VALUES = ("Oslo", "Rome", "Lima")
times = st.lists(st.integers(1, 50), min_size=1, max_size=8, unique=True)


@st.composite
def stories(draw: st.DrawFn, attribute: str) -> tuple[list[Said], list[Said]]:
    """The same claims in the order in which they were said, and in one in which they may arrive."""
    claims = [
        said(
            attribute, draw(st.sampled_from(VALUES)), at, since=at - draw(st.sampled_from([0, 0, 7, 400])),
            evidence=frozenset({uuid4()}),
        )
        for at in sorted(draw(times))
    ]  # fmt: skip
    return claims, draw(st.permutations(claims))


def retell(claims: Sequence[Said]) -> Book:
    book = Book()
    for claim in claims:
        book.hear(claim)
    return book


@given(stories("location"))
def test_of_what_changes_the_last_that_was_said_holds_whatever_arrived_last(story: tuple[list[Said], list[Said]]):
    in_order, arrived = story

    [current] = retell(arrived).current

    assert current.value == in_order[-1].value
    assert [fact.value for fact in retell(in_order).current] == [in_order[-1].value]


@given(stories("pets"))
def test_of_many_values_each_is_held_once_in_any_order(story: tuple[list[Said], list[Said]]):
    in_order, arrived = story

    assert sorted(fact.value for fact in retell(arrived).current) == sorted({claim.value for claim in in_order})


@given(stories("birthday"))
def test_what_does_not_change_is_never_changed_by_itself(story: tuple[list[Said], list[Said]]):
    _, arrived = story
    book = retell(arrived)

    assert [fact.value for fact in book.current] == [arrived[0].value]
    assert book.asked == {normal_form(claim.value) for claim in arrived} - {normal_form(arrived[0].value)}


@given(stories("location"), st.data())
def test_reading_the_same_again_changes_nothing(story: tuple[list[Said], list[Said]], data: st.DataObject):
    """As a language model does after the rules."""
    _, arrived = story
    book = retell(arrived)
    before = [(fact.value, fact.closed_at) for fact in book.facts]

    for claim in data.draw(st.permutations(arrived)):
        assert book.hear(claim).outcome is Outcome.SAME

    assert [(fact.value, fact.closed_at) for fact in book.facts] == before


@st.composite
def claims_of_any_kind(draw: st.DrawFn) -> list[Said]:
    attribute = draw(st.sampled_from(["location", "pets", "birthday", "team"]))
    value = st.sampled_from([*VALUES, "Oslo, Norway", "oslo", "", 3])
    return [
        said(
            attribute, draw(value), draw(st.integers(1, 30)), kind=draw(st.sampled_from(ClaimKind)),
            replaces=draw(st.none() | value), is_by_hand=draw(st.booleans()), evidence=frozenset({uuid4()}),
        )
        for _ in range(draw(st.integers(1, 10)))
    ]  # fmt: skip


@given(claims_of_any_kind())
def test_nothing_is_lost_and_never_do_two_hold_where_there_is_one(claims: list[Said]):
    book = Book()
    for claim in claims:
        seen: dict[UUID, Held] = {fact.id: fact for fact in book.facts}
        decision = book.hear(claim)

        after = {fact.id: fact for fact in book.facts}
        assert seen.keys() <= after.keys()
        assert all(after[i].value == fact.value for i, fact in seen.items())
        assert all(after[i].closed_at is not None for i, fact in seen.items() if fact.closed_at is not None)
        keys = [normal_form(fact.value) for fact in book.current]
        assert len(keys) == len(set(keys))
        assert len(keys) <= 1 or all(fact.has_many for fact in book.current)
        if decision.outcome in {Outcome.SAME, Outcome.ASKS, Outcome.IGNORED}:
            assert [(f.id, f.closed_at) for f in book.facts] == [(f.id, f.closed_at) for f in seen.values()]
        if decision.valid_to and decision.fact:
            assert decision.valid_to >= decision.fact.valid_from
