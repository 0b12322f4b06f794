"""The labelled dialogues in `benchmarks/data/learning`, and how what was learned of them is scored.

The README there has the rule.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cortex_core.attributes import normal_form
from cortex_core.models import Fact
from cortex_core.stores.postgres.corrections import Correction

FILE = Path(__file__).with_name("data") / "learning" / "dialogues.jsonl"

_ANYTHING = "*"

Split = Literal["development", "held-out"]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(_Written):
    """What the speaker said, and what it answers if it answers the bot."""

    at: AwareDatetime
    text: str
    reply_to_bot: str | None = None


class Label(_Written):
    """A fact that is to be learned, or may be."""

    attribute: str
    value: str | int
    also: tuple[str | int, ...] = ()
    subject: str = ""
    subject_also: tuple[str, ...] = ()
    valid_from: str | None = None
    valid_to: str | None = None
    ended: bool = False

    def matches(self, fact: Fact) -> bool:
        """Tell whether a fact says this, whenever it holds."""
        return (
            fact.attribute == self.attribute
            and normal_form(fact.subject) in map(normal_form, (self.subject, *self.subject_also))
            and (self.value == _ANYTHING or normal_form(fact.value) in map(normal_form, (self.value, *self.also)))
        )

    def times_of(self, fact: Fact) -> Iterator[bool]:
        """Tell of each time that the label has whether that of a fact lies in its period."""
        for period, time in ((self.valid_from, fact.valid_from), (self.valid_to, fact.valid_to)):
            if period is not None:
                yield time is not None and time.isoformat().startswith(period)


class Clash(_Written):
    """A question that is to be asked."""

    attribute: str
    held: str | int
    said: str | int

    def matches(self, asked: Correction) -> bool:
        """Tell whether a question is this one."""
        return asked.attribute == self.attribute and all(
            normal_form(mine) == normal_form(other)
            for mine, other in ((self.held, asked.held), (self.said, asked.said))
        )


class Expected(_Written):
    """What is to be known after the last message."""

    current: tuple[Label, ...]
    history: tuple[Label, ...]
    asks: tuple[Clash, ...]


class Dialogue(_Written):
    """What one speaker said, with what is to be learned of it."""

    id: str
    category: str
    language: str
    split: Split
    messages: tuple[Message, ...] = Field(min_length=1)
    expected: Expected
    optional: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was made of one dialogue.

    Attributes:
        wrong: Facts that nothing allows.
        missed: Labels that nothing matches.
        in_time: Of each time in a label of a right fact, whether the fact's lies in it.
        asks: Right, wrong and missed questions.
    """

    dialogue: Dialogue
    right: Sequence[Fact]
    ignored: Sequence[Fact]
    wrong: Sequence[Fact]
    missed: Sequence[Label]
    in_time: Sequence[bool]
    asks: "Counts"


@dataclass(slots=True)
class Counts:
    """How many were found rightly and wrongly, and how many weren't found."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        """The share of what was found that is right; 1 if nothing was found."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """The share of what there is to find that was found; 1 if there is nothing."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.right / (2 * self.right + self.wrong + self.missed) if self.right else 0.0

    def add(self, other: "Counts") -> None:
        """Count what another one counts as well."""
        self.right += other.right
        self.wrong += other.wrong
        self.missed += other.missed

    def to_row(self) -> dict[str, float]:
        """Return them as a row of a table; shares only where there is something to divide by."""
        row: dict[str, float] = {"right": self.right, "wrong": self.wrong, "missed": self.missed}
        if self.right + self.wrong:
            row["precision"] = self.precision
        if self.right + self.missed:
            row |= {"recall": self.recall, "F1": self.f1}
        return row


@dataclass(slots=True)
class _Matching:
    """Assigns found facts to labels, each label once."""

    labels: list[Label]
    matched: list[Label] = field(default_factory=list)

    def match(self, fact: Fact) -> Label | None:
        label = next((label for label in self.labels if label.matches(fact)), None)
        if label is not None:
            self.labels.remove(label)
            self.matched.append(label)
        return label

    def has_matched(self, fact: Fact) -> bool:
        return any(label.matches(fact) for label in self.matched)


def load_dialogues(file: Path = FILE) -> list[Dialogue]:
    """Read the labelled dialogues."""
    return [Dialogue.model_validate_json(line) for line in file.read_bytes().splitlines()]


def judge(dialogue: Dialogue, facts: Iterable[Fact], asked: Iterable[Correction]) -> Verdict:
    """Score what was learned of a dialogue.

    Args:
        dialogue: What was said, with its labels.
        facts: All facts of its speaker, those about others and those that ended included.
        asked: The questions to its speaker.
    """
    expected = {
        "current": _Matching(list(dialogue.expected.current)),
        "history": _Matching(list(dialogue.expected.history)),
    }
    right, ignored, wrong = [], [], []
    in_time: list[bool] = []
    for fact in facts:
        is_current = fact.valid_to is None
        matching = expected["current" if is_current else "history"]
        optional = (label for label in dialogue.optional if not (is_current and label.ended))
        if label := matching.match(fact):
            right.append(fact)
            in_time += label.times_of(fact)
        elif matching.has_matched(fact) or any(label.matches(fact) for label in optional):
            ignored.append(fact)
        else:
            wrong.append(fact)
    missed = [label for matching in expected.values() for label in matching.labels]
    return Verdict(dialogue, right, ignored, wrong, missed, in_time, _judge_asks(dialogue, asked))


def _judge_asks(dialogue: Dialogue, asked: Iterable[Correction]) -> Counts:
    clashes = list(dialogue.expected.asks)
    counts = Counts()
    for question in asked:
        clash = next((clash for clash in clashes if clash.matches(question)), None)
        if clash is None:
            counts.wrong += 1
        else:
            clashes.remove(clash)
            counts.right += 1
    counts.missed = len(clashes)
    return counts


def count_facts(verdicts: Iterable[Verdict]) -> Counts:
    """Sum up what was made of some dialogues."""
    total = Counts()
    for verdict in verdicts:
        total.add(Counts(len(verdict.right), len(verdict.wrong), len(verdict.missed)))
    return total


def count_asks(verdicts: Iterable[Verdict]) -> Counts:
    """Sum up which questions were asked."""
    total = Counts()
    for verdict in verdicts:
        total.add(verdict.asks)
    return total


def share_in_time(verdicts: Iterable[Verdict]) -> float:
    """Return which share of the labelled times was found; 1 if there are none."""
    in_time = list(chain.from_iterable(verdict.in_time for verdict in verdicts))
    return sum(in_time) / len(in_time) if in_time else 1.0


def group(verdicts: Iterable[Verdict], key: Callable[[Dialogue], str]) -> dict[str, list[Verdict]]:
    """Return the verdicts by a property of their dialogues, in the order in which that first occurs."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(key(verdict.dialogue), []).append(verdict)
    return groups
