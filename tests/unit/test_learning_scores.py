"""How the learning benchmark scores what was learned, and what it takes to be said twice."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from benchmarks._dialogues import Dialogue, count_asks, count_facts, judge, load_dialogues, share_in_time
from benchmarks._duplicates import Likeness, find_duplicates
from cortex_core.models import Fact
from cortex_core.providers.local import LocalEmbedder
from cortex_core.stores.postgres.corrections import Correction

SAID_AT = datetime(2026, 3, 1, tzinfo=UTC)


def a_fact(attribute: str, value: str | int, *, subject: str = "", is_over: bool = False, age: int = 0) -> Fact:
    return Fact(
        id=uuid4(), user_id="ann", subject=subject, attribute=attribute, value=value, source="rules",
        valid_from=SAID_AT, valid_to=SAID_AT + timedelta(days=1) if is_over else None,
        recorded_at=SAID_AT - timedelta(days=age),
    )  # fmt: skip


def a_dialogue(*current, history=(), optional=(), asks=()) -> Dialogue:
    return Dialogue.model_validate(
        {
            "id": "x-1", "category": "told", "language": "en", "split": "development",
            "messages": [{"at": SAID_AT, "text": "Hi."}],
            "expected": {"current": list(current), "history": list(history), "asks": list(asks)},
            "optional": list(optional),
        }
    )  # fmt: skip


def count(dialogue: Dialogue, *facts: Fact) -> tuple[int, int, int]:
    counts = count_facts([judge(dialogue, facts, ())])
    return counts.right, counts.wrong, counts.missed


CLASH = {"attribute": "number of children", "held": 2, "said": 3}
PIANO = {"attribute": "instruments", "value": "piano", "also": ["the keys"]}


@pytest.mark.parametrize(
    ("facts", "counts"),
    [
        ([], (0, 0, 1)),
        ([a_fact("instruments", "Piano!")], (1, 0, 0)),
        ([a_fact("instruments", "keys")], (1, 0, 0)),
        ([a_fact("instruments", "piano"), a_fact("instruments", "the keys")], (1, 0, 0)),
        ([a_fact("instruments", "piano", is_over=True)], (0, 1, 1)),
        ([a_fact("instruments", "piano", subject="sister")], (0, 1, 1)),
        ([a_fact("hobbies", "piano")], (0, 1, 1)),
    ],
)
def test_a_fact_is_right_if_attribute_subject_and_value_are(facts, counts):
    assert count(a_dialogue(PIANO), *facts) == counts


def test_what_is_optional_counts_for_nothing():
    optional = [{"attribute": "location", "value": "Leeds", "ended": True}, {"attribute": "job", "value": "*"}]
    dialogue = a_dialogue(optional=optional)
    assert count(dialogue, a_fact("job", "anything"), a_fact("job", "else", is_over=True)) == (0, 0, 0)
    assert count(dialogue, a_fact("location", "Leeds", is_over=True)) == (0, 0, 0)
    assert count(dialogue, a_fact("location", "Leeds")) == (0, 1, 0)


@pytest.mark.parametrize(("period", "share"), [("2026", 1.0), ("2026-03", 1.0), ("2026-03-02", 0.0)])
def test_times_are_a_figure_of_their_own(period, share):
    verdict = judge(a_dialogue({**PIANO, "valid_from": period}), [a_fact("instruments", "piano")], ())
    assert (len(verdict.right), share_in_time([verdict])) == (1, share)


def test_questions_are_counted_by_themselves():
    dialogue = a_dialogue(asks=[{"attribute": "name", "held": "Ann", "said": "Anna"}, CLASH])
    asked = [
        Correction(
            id=uuid4(), user_id="ann", attribute="name", held=held, said=said, fact_id=uuid4(), memory_id=uuid4(),
            valid_from=SAID_AT, created_at=SAID_AT,
        )
        for held, said in (("ann", "anna"), ("Ann", "Bob"))
    ]  # fmt: skip
    counts = count_asks([judge(dialogue, [], asked)])
    assert (counts.right, counts.wrong, counts.missed) == (1, 1, 1)


def test_every_label_of_the_dialogues_can_be_found():
    for dialogue in load_dialogues():
        facts = [a_fact(label.attribute, label.value, subject=label.subject) for label in dialogue.expected.current]
        history = [
            a_fact(label.attribute, label.value, subject=label.subject, is_over=True)
            for label in dialogue.expected.history
        ]
        verdict = judge(dialogue, [*facts, *history], ())
        assert (len(verdict.wrong), len(verdict.missed)) == (0, 0), dialogue.id


async def test_what_says_the_same_twice_is_counted_once(embedder: LocalEmbedder):
    facts = [
        a_fact("likes", "coffee", age=9),
        a_fact("likes", "Coffee!", age=8),
        a_fact("likes", "iced coffee", age=7),
        a_fact("likes", "hiking", age=6),
        a_fact("likes", "hikes", age=5),
        a_fact("likes", "hiking", subject="sister", age=4),
        a_fact("dislikes", "hiking", age=3),
        a_fact("likes", "hiking", is_over=True, age=2),
    ]
    found = [(fact.value, likeness) for fact, likeness in await find_duplicates(facts, embedder)]
    assert found[:2] == [("Coffee!", Likeness.SAME), ("iced coffee", Likeness.CONTAINED)]
    assert found[2:] == [("hikes", Likeness.ALIKE)]
