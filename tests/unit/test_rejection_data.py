"""The labelled group messages, how such files are read, and what is learned from them."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rejection import DATA, HELD_OUT, load_chats
from cortex_core import InvalidInputError
from cortex_core.recall.rejection_model import Signals
from cortex_core.recall.rejection_patterns import find_pattern
from cortex_core.recall.rejection_training import (
    Figures,
    Judged,
    Labelled,
    decide,
    decide_by_relevance,
    decide_unseen,
    find_threshold,
    learn,
    read_examples,
)

NEEDING = {"asks", "alludes", "crosses"}
OTHER = {"chatter", "world", "near", "news", "others"}
CHATS = load_chats()
MESSAGES = [label for chat in CHATS for label in chat.messages]


# The set


def test_the_set_is_as_large_as_its_readme_says():
    readme = (DATA / "README.md").read_text("utf-8")
    remembered = sum(len(chat.remembered) for chat in CHATS)
    needing = sum(label.recall for label in MESSAGES)
    assert f"| **all** | | {remembered} | {len(MESSAGES)} | {needing} |" in readme
    for chat in CHATS:
        count = sum(label.recall for label in chat.messages)
        assert f"| {len(chat.remembered)} | {len(chat.messages)} | {count} |" in readme
        assert f"| `{chat.name}.jsonl` |" in readme
    assert len(MESSAGES) >= 640
    assert len(CHATS) >= 12


@pytest.mark.parametrize("chat", CHATS, ids=lambda chat: chat.name)
def test_every_chat_is_balanced_and_has_something_to_remember(chat):
    assert 15 <= len(chat.remembered) <= 40
    assert 50 <= len(chat.messages) <= 60
    assert 0.3 <= sum(label.recall for label in chat.messages) / len(chat.messages) <= 0.5
    assert len({label.message for label in chat.messages}) == len(chat.messages)
    assert {label.kind for label in chat.messages} == NEEDING | OTHER


def test_a_kind_says_what_the_label_says():
    assert all((label.kind in NEEDING) is label.recall for label in MESSAGES)


def test_a_file_holds_its_chat_alone():
    for file in DATA.glob("*.jsonl"):
        assert {json.loads(line)["chat"] for line in file.read_text("utf-8").splitlines()} == {file.stem}


def test_what_is_held_out_is_of_other_chats():
    held_out = load_chats(HELD_OUT)
    assert not {chat.name for chat in held_out} & {chat.name for chat in CHATS}
    labels = [label.recall for chat in held_out for label in chat.messages]
    remembered = sum(len(chat.remembered) for chat in held_out)
    readme = " ".join((DATA / "README.md").read_text("utf-8").split())
    says = f"{len(labels)} messages ({sum(labels)} of them with `recall` true) and {remembered} memories"
    assert says in readme


def test_no_pattern_rejects_what_needs_a_memory():
    assert not [label for label in MESSAGES if label.recall and find_pattern(label.message)]


def test_patterns_know_most_of_the_chatter():
    chatter = [label for label in MESSAGES if label.kind == "chatter"]
    assert sum(find_pattern(label.message) is not None for label in chatter) / len(chatter) > 0.9


# Files


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode()


TOLD = line(chat="a", by="Ada", remembered="The key is under the mat.")
ASKED = line(chat="a", by="Ben", message="secret words", recall=True)


def test_lines_of_several_chats_are_sorted_out():
    other = [line(chat="b", by="Eve", remembered="x"), line(chat="b", by="Eve", message="y", recall=False, kind="news")]
    first, second = read_examples([TOLD, other[0], b"", ASKED, other[1]], name="FILE")
    assert (first.name, len(first.remembered), len(first.messages)) == ("a", 1, 1)
    assert second.messages[0].kind == "news"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([TOLD, b"secret words"], r"Line 2 of FILE isn't JSON\."),
        ([TOLD, ASKED, b'{"chat": "a"}'], r"Line 3 of FILE needs `chat` and `by`"),
        ([TOLD, line(chat="a", by="B", message="secret words")], r"Line 2 of FILE needs .* `recall` true or false"),
        ([TOLD, line(chat="a", by="B", message="secret words", recall="maybe")], r"Line 2 of FILE needs"),
        ([line(chat="a", by="B", remembered="secret words", recall=True)], r"Line 1 of FILE needs"),
        ([line(chat="a", by="B", remembered=" ")], r"Line 1 of FILE has an empty"),
        ([line(chat="", by="B", message="secret words", recall=True)], r"Line 1 of FILE has an empty"),
        ([b'["secret words"]'], r"Line 1 of FILE needs"),
        ([b"\xff\xfe"], r"Line 1 of FILE isn't JSON\."),
        ([ASKED], r"Chat 1 of FILE needs both"),
        ([TOLD], r"Chat 1 of FILE needs both"),
    ],
)
def test_a_bad_line_is_named_and_not_quoted(lines: list[bytes], says: str):
    with pytest.raises(InvalidInputError, match=says) as caught:
        read_examples(lines, name="FILE")
    assert "secret" not in str(caught.value)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([TOLD, ASKED]), max_size=6))
def test_any_bytes_are_read_or_refused(lines: list[bytes]):
    try:
        chats = read_examples(lines, name="FILE")
    except InvalidInputError:
        return
    assert all(chat.remembered and chat.messages for chat in chats)


# Learning


def judge(chat: str, *, recall: bool, shared: float, asks: float = 0.0, relevance: float = 0.0) -> Judged:
    zero = dict.fromkeys(("coverage", "standing_out", "particular", "recalls", "tells", "plans", "requests"), 0.0)
    label = Labelled(chat=chat, by="Ada", message="…", recall=recall)
    return Judged(label, relevance, Signals(shared=shared, asks=asks, **zero))


def separable(chats: int) -> list[Judged]:
    return [
        judge(f"chat {chat}", recall=recall, shared=1.5 + step if recall else step, relevance=0.5 if recall else 0.2)
        for chat in range(chats)
        for recall in (True, False)
        for step in (0.0, 0.1, 0.2)
    ]


def test_what_can_be_told_apart_is_told_apart_in_chats_never_seen():
    judged = separable(4)
    labels = [example.label.recall for example in judged]
    model = learn(judged)
    assert model.weights["shared"] > 0
    assert model.weights["asks"] == 0
    assert [decide(model, example) for example in judged] == labels
    assert decide_unseen(judged) == labels
    assert decide_by_relevance(judged) == labels


def test_what_patterns_reject_is_never_recalled():
    judged = [*separable(3), Judged(Labelled(chat="chat 0", by="A", message="hi", recall=True), 0.9, None)]
    assert not decide(learn(judged), judged[-1])
    assert not decide_unseen(judged)[-1]


@pytest.mark.parametrize(
    "judged",
    [
        [],
        separable(1),
        [example for example in separable(3) if example.label.recall],
        [Judged(example.label, 0.0, None) for example in separable(3)],
    ],
    ids=["nothing", "one chat", "one label", "patterns alone"],
)
def test_too_little_to_learn_from_ends_in_a_sentence(judged: list[Judged]):
    with pytest.raises(InvalidInputError, match="too little to learn from"):
        learn(judged)


def test_two_chats_are_too_few_to_leave_one_out():
    with pytest.raises(InvalidInputError, match="three or more chats"):
        decide_unseen(separable(2))


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_gives_a_better_f1(examples: list[tuple[int, bool]]):
    scores, labels = np.array([s for s, _ in examples], float), np.array([label for _, label in examples], bool)

    def f1(threshold: float) -> float:
        return Figures.of(scores >= threshold, labels).f1

    assert f1(find_threshold(scores, labels)) >= max(f1(border - 0.5) for border in scores) - 1e-12


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=50))
def test_figures_count(pairs: list[tuple[bool, bool]]):
    figures = Figures.of([given for given, _ in pairs], [label for _, label in pairs])
    counts = Counter(pairs)
    both, chosen = counts[True, True], counts[True, True] + counts[True, False]
    assert figures.precision == (both / chosen if chosen else 0)
    assert min(figures.precision, figures.recall) <= figures.f1 <= max(figures.precision, figures.recall) or both == 0
