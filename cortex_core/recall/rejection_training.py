"""Learns from labelled messages which ones need a memory, and tells how well that works in chats it has not seen."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from cortex_core.errors import InvalidInputError
from cortex_core.models import Model
from cortex_core.recall.rejection_model import RejectionModel, Signals

_MIN_CHATS = 2
_TOO_LITTLE = (
    "There is too little to learn from: label messages of three or more chats, both with `recall` true and with "
    "`recall` false, that are more than greetings."
)
_RIDGE = 3.0
"""How much a weight costs: without a cost, a signal that a few messages have could decide alone."""
_STEPS = 50
_EXACT = 1e-9
_DIGITS = 4

_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]


class Remembered(Model):
    """A line with what a member of a chat told before."""

    chat: str
    by: str
    remembered: str


class Labelled(Model):
    """A line with a message, and whether it needs one of its chat's memories."""

    chat: str
    by: str
    message: str
    recall: bool
    kind: str = ""


_LINE: TypeAdapter[Remembered | Labelled] = TypeAdapter(Remembered | Labelled)


@dataclass(frozen=True, slots=True)
class Chat:
    """A group chat: what was told in it before, and the messages to judge."""

    name: str
    remembered: tuple[Remembered, ...]
    messages: tuple[Labelled, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled message with what a search told of it; `signals` is None where the patterns reject it."""

    label: Labelled
    relevance: float
    signals: Signals | None


@dataclass(frozen=True, slots=True)
class Figures:
    """How well decisions agree with the labels, 0 to 1; a recall is what counts as found."""

    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, decisions: Sequence[bool] | _Bools, labels: Sequence[bool] | _Bools) -> "Figures":
        """Compare."""
        chosen, wanted = np.asarray(decisions, bool), np.asarray(labels, bool)
        both = int((chosen & wanted).sum())
        count, needed = int(chosen.sum()), int(wanted.sum())
        return cls(
            both / count if count else 0.0,
            both / needed if needed else 0.0,
            2 * both / (count + needed) if count + needed else 0.0,
        )


def read_examples(lines: Iterable[bytes], *, name: str) -> list[Chat]:
    """Read labelled chats: one JSON object a line, as `benchmarks/data/rejection/README.md` tells.

    Args:
        lines: Of one file or of several.
        name: What the lines came from, for messages.

    Raises:
        InvalidInputError: A line isn't such an object, or a chat lacks memories or messages; the message names the line
            and the chat by their numbers and quotes nothing.
    """
    remembered: dict[str, list[Remembered]] = {}
    messages: dict[str, list[Labelled]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        example = _read_line(line, f"Line {number} of {name}")
        remembered.setdefault(example.chat, [])
        messages.setdefault(example.chat, [])
        if isinstance(example, Remembered):
            remembered[example.chat].append(example)
        else:
            messages[example.chat].append(example)
    chats = [Chat(chat, tuple(told), tuple(messages[chat])) for chat, told in remembered.items()]
    for number, chat in enumerate(chats, start=1):
        if not chat.remembered or not chat.messages:
            raise InvalidInputError(f"Chat {number} of {name} needs both, lines with `remembered` and with `message`.")
    return chats


def _read_line(line: bytes, place: str) -> Remembered | Labelled:
    try:
        example = _LINE.validate_json(line)
    except ValidationError as error:
        problem = error.errors()[0]
        if problem["type"] == "json_invalid":
            raise InvalidInputError(f"{place} isn't JSON.") from None
        raise InvalidInputError(
            f"{place} needs `chat` and `by`, and either `remembered` or `message` with `recall` true or false (and "
            "`kind`, if it has one), and nothing else."
        ) from None
    text = example.remembered if isinstance(example, Remembered) else example.message
    if not example.chat.strip() or (isinstance(example, Remembered) and not text.strip()):
        raise InvalidInputError(f"{place} has an empty `chat` or `remembered`; fill it in or take the line out.")
    return example


def check_enough(chats: Sequence[Chat]) -> None:
    """Refuse what can't teach anything, before any search.

    Raises:
        InvalidInputError: There are fewer than three chats, or labels of one kind only.
    """
    labels = {label.recall for chat in chats for label in chat.messages}
    if len(chats) <= _MIN_CHATS or len(labels) < len({True, False}):
        raise InvalidInputError(_TOO_LITTLE)


def learn(judged: Sequence[Judged]) -> RejectionModel:
    """Learn the weights by logistic regression, and the threshold that gives the best F1.

    Raises:
        InvalidInputError: There are fewer than two chats, or no message of one of the two kinds is left to learn from.
    """
    chats = {example.label.chat for example in judged}
    _check(judged, chats)
    labels = _labels(judged)
    weights = _fit(judged)
    scores = _score(judged, weights)
    return RejectionModel(
        messages=len(judged),
        chats=len(chats),
        threshold=round(find_threshold(scores, labels), _DIGITS),
        weights={name: round(float(weight), _DIGITS) for name, weight in zip(_names(), weights, strict=True)},
    )


def decide_unseen(judged: Sequence[Judged]) -> list[bool]:
    """Return what would be decided about each message by what the other chats taught, leaving out one chat at a time.

    Raises:
        InvalidInputError: As `learn`, or there are too few chats to leave one out.
    """
    decisions: dict[int, bool] = {}
    for chat in {example.label.chat: None for example in judged}:
        model = learn([example for example in judged if example.label.chat != chat])
        decisions |= {
            index: decide(model, example) for index, example in enumerate(judged) if example.label.chat == chat
        }
    return [decisions[index] for index in range(len(judged))]


def decide(model: RejectionModel, example: Judged) -> bool:
    """Whether a message gets its recall."""
    return example.signals is not None and model.score(example.signals) >= model.threshold


def find_threshold(scores: _Floats, labels: _Bools) -> float:
    """Return the border between scores that gives the best F1, in the middle between the two next to it.

    HuixiangDou maximizes precision + recall instead, on scores that are similarities; its published figure is F1.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, wanted = scores[order], np.cumsum(labels[order])
    f1 = 2 * wanted / (np.arange(1, len(scores) + 1) + labels.sum())
    is_last_of_equals = np.append(ranked[:-1] > ranked[1:], [True])
    best = int(np.argmax(np.where(is_last_of_equals, f1, -1.0)))
    below = ranked[best + 1] if best + 1 < len(ranked) and np.isfinite(ranked[best + 1]) else ranked[best] - 1.0
    return float((ranked[best] + below) / 2)


def _names() -> list[str]:
    return [signal.name for signal in fields(Signals)]


def _labels(judged: Sequence[Judged]) -> _Bools:
    return np.array([example.label.recall for example in judged], bool)


def _check(judged: Sequence[Judged], chats: set[str]) -> None:
    kinds = {example.label.recall for example in judged if example.signals is not None}
    if len(chats) < _MIN_CHATS or len(kinds) < len({True, False}):
        raise InvalidInputError(_TOO_LITTLE)


def _score(judged: Sequence[Judged], weights: _Floats) -> _Floats:
    """Return each message's weighted sum; minus infinity where the patterns reject it."""
    return np.array(
        [-np.inf if e.signals is None else float(np.dot(astuple(e.signals), weights)) for e in judged], np.float64
    )


def _fit(judged: Sequence[Judged]) -> _Floats:
    """Return a weight for each signal, by Newton's method; the intercept is left to the threshold."""
    rest = [example for example in judged if example.signals is not None]
    signals = np.array([astuple(e.signals) for e in rest if e.signals is not None], np.float64)
    labels = _labels(rest).astype(np.float64)
    mean, deviation = signals.mean(axis=0), signals.std(axis=0)
    scale = np.where(deviation > _EXACT, deviation, 1.0)
    inputs = np.column_stack([np.ones(len(rest)), (signals - mean) / scale])
    cost = np.diag([0.0, *[_RIDGE] * signals.shape[1]])
    weights = np.zeros(inputs.shape[1])
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-(inputs @ weights)))
        slope = inputs.T @ (likely - labels) + cost @ weights
        curvature = (inputs.T * (likely * (1 - likely))) @ inputs + cost
        step = np.linalg.solve(curvature, slope)
        weights -= step
        if np.abs(step).max() < _EXACT:
            break
    result: _Floats = weights[1:] / scale
    return result


def decide_by_relevance(judged: Sequence[Judged]) -> list[bool]:
    """Return what a threshold on relevance alone would decide, learned from the other chats, patterns first.

    It is what HuixiangDou does, and what the learned model is measured against.
    """
    labels = _labels(judged)
    scores = np.array([-np.inf if e.signals is None else e.relevance for e in judged], np.float64)
    chats = np.array([e.label.chat for e in judged])
    decisions = np.zeros(len(judged), bool)
    for chat in np.unique(chats):
        others = chats != chat
        decisions[~others] = scores[~others] >= find_threshold(scores[others], labels[others])
    return [bool(decision) for decision in decisions]
