"""The conversations that recall is measured on: LoCoMo's, and our own in `benchmarks/data`.

LoCoMo (https://github.com/snap-research/locomo, CC BY-NC 4.0) is not distributed with this project. Our own set asks
for what LoCoMo doesn't: changed facts, projects, other languages, things that were never said.
"""

import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from cortex_core.replay import locomo

OWN_SET = Path(__file__).with_name("data")

_SEED = 20


@dataclass(frozen=True, slots=True)
class Turn:
    """Something that was said, and becomes one memory.

    Attributes:
        id: Its name, unique in all corpora.
        recalled: How often an answer has drawn on it before the questions are asked.
        emotion: Its emotion, where the corpus knows better than a lexicon.
    """

    id: str
    at: datetime
    speaker: str
    channel: str
    text: str
    project: str | None = None
    recalled: int = 0
    emotion: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what answers it.

    Attributes:
        evidence: The turns that answer it; none if nothing does.
        outdated: Turns that answered it once, and don't any more.
        asked_at: When it is asked; what was said later isn't known yet.
        project: In which project.
    """

    text: str
    kind: str
    evidence: frozenset[str]
    asked_at: datetime
    outdated: frozenset[str] = frozenset()
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """The memories of one owner and the questions about them."""

    name: str
    owner: str
    language: str
    turns: Sequence[Turn]
    questions: Sequence[Question]

    @property
    def speakers(self) -> list[str]:
        """Everybody who says something, in order of appearance."""
        return list(dict.fromkeys(turn.speaker for turn in self.turns))

    def chapters(self, questions: Iterable[Question]) -> Iterator[tuple[list[Turn], list[Question]]]:
        """Cut the conversation where questions are asked: what was said until then, and the questions."""
        ahead = list(self.turns)
        for asked_at, asked in groupby(sorted(questions, key=_asked_at), key=_asked_at):
            yield [turn for turn in ahead if turn.at <= asked_at], list(asked)
            ahead = [turn for turn in ahead if turn.at > asked_at]
        if ahead:
            yield ahead, []


def _asked_at(question: Question) -> datetime:
    return question.asked_at


def load_locomo(file: Path) -> list[Conversation]:
    """Read LoCoMo's conversations: a turn is a memory, captions of images are part of it, category 5 is left out."""
    data = file.read_bytes()
    count = len(TypeAdapter(list[object]).validate_json(data))
    return [_from_locomo(locomo.convert(data, conversation=number)) for number in range(1, count + 1)]


def _from_locomo(log: locomo.Conversation) -> Conversation:
    turns = [
        Turn(id=str(said.id), at=said.time, speaker=said.author_name, channel=said.channel, text=said.text)
        for said in log.messages
    ]
    asked_at = max(turn.at for turn in turns) + timedelta(hours=1)
    questions = [
        Question(text=asked.question, kind=asked.category, evidence=frozenset(asked.evidence), asked_at=asked_at)
        for asked in log.questions
    ]
    return Conversation(log.name, owner=log.name, language="en", turns=turns, questions=questions)


def load_own_set(folder: Path = OWN_SET) -> list[Conversation]:
    """Read the conversations that were written for this project; the folder's README tells their format."""
    return [_from_own(file) for file in sorted(folder.glob("*.json"))]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Message(_Written):
    id: str
    at: AwareDatetime
    speaker: str
    channel: str
    text: str
    project: str | None = None
    recalled: int = 0
    emotion: float | None = None


class _Asked(_Written):
    id: str
    kind: str
    text: str
    evidence: list[str] = Field(default_factory=list)
    outdated: list[str] = Field(default_factory=list)
    asked_at: AwareDatetime | None = None
    speaker: str | None = None
    project: str | None = None


class _File(_Written):
    about: str
    language: str
    owner: str
    asked_at: AwareDatetime
    messages: list[_Message]
    questions: list[_Asked]


def _from_own(file: Path) -> Conversation:
    written = _File.model_validate(json.loads(file.read_text("utf-8")))

    def name(message: str) -> str:
        return f"{file.stem}:{message}"

    turns = [Turn(**{**message.model_dump(), "id": name(message.id)}) for message in written.messages]
    questions = [
        Question(
            text=_as_asked(asked, written.owner),
            kind=asked.kind,
            evidence=frozenset(map(name, asked.evidence)),
            outdated=frozenset(map(name, asked.outdated)),
            asked_at=asked.asked_at or written.asked_at,
            project=asked.project,
        )
        for asked in written.questions
    ]
    return Conversation(file.stem, written.owner, written.language, turns, questions)


def _as_asked(asked: _Asked, owner: str) -> str:
    """Return the question with the asker's name before it, where "I" could be anybody who shares the memory."""
    return f"{asked.speaker}: {asked.text}" if asked.speaker and asked.speaker != owner else asked.text


def borrow_questions(conversations: Sequence[Conversation], index: int, count: int) -> list[Question]:
    """Return questions that a conversation can't answer: those of the next one, about the people of this one.

    With the names left as they were, an unknown name alone would give them away.
    """
    here, other = conversations[index], conversations[(index + 1) % len(conversations)]
    names = dict(zip(other.speakers, here.speakers, strict=False))
    foreign = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    draw = random.Random(_SEED)  # noqa: S311  the same questions in every run, not a secret
    picked = draw.sample(other.questions, min(count, len(other.questions)))
    asked_at = here.questions[0].asked_at
    return [
        replace(
            question,
            text=foreign.sub(lambda match: names[match[0]], question.text),
            kind="borrowed",
            evidence=frozenset(),
            asked_at=asked_at,
        )
        for question in picked
    ]
