"""Converts LoCoMo's JSON (https://github.com/snap-research/locomo) to a log and its questions.

LoCoMo holds two-person conversations of several months in dated sessions, and questions that name the turns which
answer them. A session has one time: its turns get it plus their place in seconds, so that their order survives.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from cortex_core.errors import InvalidInputError
from cortex_core.models import Model
from cortex_core.replay.log import LoggedMessage, Name

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
"""Names of the kinds of question. The fifth, adversarial, has no answer to find and is left out."""

_SESSION = re.compile(r"session_(\d+)")
_LABEL = re.compile(r"D:?(\d+):(\d+)")  # typed by hand: "D8:6; D9:17", "D:11:26" and "D30:05" all occur


class Question(Model):
    """A question and the ids of the messages that answer it."""

    question: str
    evidence: tuple[str, ...]
    category: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """One converted conversation."""

    name: str
    messages: Sequence[LoggedMessage]
    questions: Sequence[Question]


class _Turn(BaseModel):
    dia_id: Annotated[str, StringConstraints(pattern=r"^D:?\d+:\d+", max_length=20)]
    speaker: Name
    text: str = ""
    blip_caption: str = ""


class _Asked(BaseModel):
    question: str | int
    category: int
    evidence: list[str] = Field(default_factory=list)


class _Sample(BaseModel):
    sample_id: Annotated[Name, StringConstraints(max_length=100)]
    conversation: dict[str, str | list[_Turn]]
    qa: list[_Asked] = Field(default_factory=list)


def convert(data: bytes, *, conversation: int = 1) -> Conversation:
    """Return one of the conversations, counted from 1.

    Raises:
        InvalidInputError: It isn't LoCoMo's JSON, or has no such conversation.
    """
    try:
        samples = TypeAdapter(list[_Sample]).validate_json(data)
    except ValidationError as error:
        deepest = max(error.errors(include_input=False, include_url=False), key=lambda problem: len(problem["loc"]))
        place = ".".join(map(str, deepest["loc"])) or "the file"
        raise InvalidInputError(f"That is not LoCoMo's JSON: {place} is wrong ({deepest['type']}).") from None
    if not 1 <= conversation <= len(samples):
        raise InvalidInputError(f"There is no conversation {conversation}; the file has {len(samples)}, from 1 on.")
    sample = samples[conversation - 1]
    messages = _read_turns(sample)
    return Conversation(sample.sample_id, list(messages.values()), _read_questions(sample, messages))


def _read_turns(sample: _Sample) -> dict[str, LoggedMessage]:
    """Return the turns by their label; a label that occurs twice is the same turn."""
    sessions = {
        int(match[1]): turns for key, turns in sample.conversation.items() if (match := _SESSION.fullmatch(key))
    }
    messages: dict[str, LoggedMessage] = {}
    for number, turns in sorted(sessions.items()):
        if isinstance(turns, str):
            raise InvalidInputError(f"That is not LoCoMo's JSON: session_{number} has no turns.")
        started = _read_date(sample.conversation.get(f"session_{number}_date_time"), number)
        for place, turn in enumerate(turns):
            label = _read_labels([turn.dia_id])[0]
            caption = f" [image: {turn.blip_caption}]" if turn.blip_caption else ""
            message = LoggedMessage(
                time=started + timedelta(seconds=place),
                author_id=turn.speaker,
                author_name=turn.speaker,
                channel=sample.sample_id,
                text=(turn.text + caption).strip() or "(empty)",
                id=f"{sample.sample_id}:{label}",
            )
            messages.setdefault(label, message)
    return messages


def _read_questions(sample: _Sample, messages: Mapping[str, LoggedMessage]) -> list[Question]:
    questions = []
    for asked in sample.qa:
        evidence = tuple(f"{sample.sample_id}:{label}" for label in _read_labels(asked.evidence) if label in messages)
        if evidence and asked.category in CATEGORIES:
            question = Question(question=str(asked.question), evidence=evidence, category=CATEGORIES[asked.category])
            questions.append(question)
    return questions


def _read_labels(texts: Sequence[str]) -> list[str]:
    """Return the turns that a label or a list of evidence names, each once, in one spelling."""
    found = [f"D{int(session)}:{int(turn)}" for text in texts for session, turn in _LABEL.findall(text)]
    return list(dict.fromkeys(found))


def _read_date(text: object, session: int) -> datetime:
    try:
        return datetime.strptime(str(text).strip(), "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidInputError(
            f"That is not LoCoMo's JSON: session_{session}_date_time is no date like 1:56 pm on 8 May, 2023."
        ) from None
