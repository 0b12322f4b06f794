"""How likely a message needs what was found for it: a few signals that a person can check, weighed as was learned.

HuixiangDou (Kong et al. 2024) rejects a message whose best similarity to the knowledge base is below a threshold that
was learned from labelled ones. Here the same threshold stands on a weighted sum, since the best similarity alone does
not tell a question about a remembered thing from a remark that shares a word with it, nor one script from another.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Annotated, Self

from pydantic import Field, ValidationError, field_validator

from cortex_core.errors import ConfigError
from cortex_core.models import Memory, Model
from cortex_core.recall.rejection_text import (
    READ_CHARS,
    fold_letters,
    is_unspaced,
    load_words,
    split_folded,
    strip_links,
    strip_markup,
)
from cortex_core.words import QUESTION_MARKS, STOP_WORDS

Finite = Annotated[float, Field(allow_inf_nan=False)]

_FOUND_CHARS = 200
_FOUND_LIMIT = 30
_STEM_CHARS = 5
_SYLLABLES = 2
_FIRST, _LAST = 3, 2
"""How many words at a message's beginning and end may ask; in between "who" and "when" mostly join clauses."""
_CUES = ("asks", "particular", "recalls", "tells", "plans", "requests")
_ARABIC = "\u0600"
_ARABIC_PREFIX = re.compile("^[وف]?(?:ال|بال|لل|ب|ل|ك)(?=..)")
_NOT_HIRAGANA = re.compile("[^\u3040-\u309f]+")


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known of a message and of what was found for it.

    Attributes:
        shared: The natural logarithm of 1 + the stems that it shares with the one memory that shares most.
        coverage: The share of its stems that these are, 0 to 1.
        standing_out: By how much the relevance of the best match exceeds the median of what was found: a text of any
            script is a little relevant to everything, and how much differs from script to script.
        asks: 1 if it asks for anything, else 0. By itself that speaks against a recall: most questions in a group are
            for opinions, or about the world.
        particular: 1 if it asks for one thing: a time, a place, a person, a number.
        recalls: 1 if it says that it was known once ("what was it again").
        tells: 1 if it tells what has just happened.
        plans: 1 if it tells what is about to happen.
        requests: 1 if it asks somebody to do something.
    """

    shared: float
    coverage: float
    standing_out: float
    asks: float
    particular: float
    recalls: float
    tells: float
    plans: float
    requests: float

    def named(self) -> list[tuple[str, float]]:
        """Return each with its name."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


def read_signals(message: str, relevance: float, memories: Sequence[Memory]) -> Signals:
    """Read a message beside what a search found for it, best first."""
    folded = fold_letters(strip_links(strip_markup(message))[:READ_CHARS])
    words = split_folded(folded)
    stems = _stems(words)
    shared = max((len(stems & said) for said in _stems_of(memories[:_FOUND_LIMIT])), default=0)
    known = [m.relevance for m in memories if m.relevance is not None]
    cues = {cue: _has_cue(cue, folded, words) for cue in _CUES}
    asks = cues["asks"] or any(mark in message for mark in QUESTION_MARKS)
    return Signals(
        shared=math.log1p(shared),
        coverage=shared / len(stems) if stems else 0.0,
        standing_out=relevance - median(known) if known else 0.0,
        asks=float(asks),
        particular=float(asks and cues["particular"]),
        **{cue: float(cues[cue]) for cue in ("recalls", "tells", "plans", "requests")},
    )


class RejectionModel(Model):
    """What was learned: a weight for each signal, and the least that the weighted sum has to be.

    Attributes:
        messages: How many it was learned from.
        chats: In how many group chats these were said.
        threshold: From which score on a message is worth a recall.
        weights: By the name of the signal.
    """

    messages: int
    chats: int
    threshold: Finite
    weights: dict[str, Finite]

    @field_validator("weights")
    @classmethod
    def _weigh_every_signal(cls, weights: dict[str, float]) -> dict[str, float]:
        if weights.keys() != {signal.name for signal in fields(Signals)}:
            raise ValueError("a weight for each signal")
        return weights

    def score(self, signals: Signals) -> float:
        """Return the weighted sum; it needs to reach the threshold."""
        return math.fsum(self.weights[name] * value for name, value in signals.named())

    @classmethod
    def shipped(cls) -> Self:
        """Return what was learned from `benchmarks/data/rejection`."""
        return cls.model_validate_json((files("cortex_core.recall") / "rejection.json").read_text("utf-8"))

    def to_json(self) -> str:
        """Return it as its file holds it."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read what `cortex rejection train` wrote.

        Raises:
            ConfigError: It isn't there or isn't that.
        """
        try:
            return cls.model_validate_json(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError):
            raise ConfigError(
                f"{file} can't be read as learned rejection; write it with `cortex rejection train`, or leave "
                "retrieval.rejection_file empty for what Cortex ships."
            ) from None


@cache
def _fillers() -> frozenset[str]:
    """Return the words that say nothing of what a message is about."""
    words = {fold_letters(word) for word in STOP_WORDS}
    return frozenset(words).union(*(load_words("cues", kind) for kind in ("function", "asks", "recalls", "requests")))


@cache
def _load_cue(cue: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return a cue's words, and those of scripts without spaces or with endings, which are looked for anywhere."""
    entries = load_words("cues", cue)
    inside = tuple(sorted(entry for entry in entries if is_unspaced(entry[0]) or _is_hangul(entry[0])))
    return entries.difference(inside), inside


def _has_cue(cue: str, folded: str, words: Sequence[str]) -> bool:
    spaced, inside = _load_cue(cue)
    where = [*words[:_FIRST], *words[-_LAST:]] if cue == "asks" else words
    return not spaced.isdisjoint(where) or any(entry in folded for entry in inside)


def _stems(words: Sequence[str]) -> set[str]:
    """Return what words of any script are compared by: enough of each to outlast its endings."""
    fillers = _fillers()
    stems: set[str] = set()
    for word in words:
        if word in fillers:
            continue
        first = word[0]
        if first < _ARABIC:  # most alphabets, most often
            stems.add(word[:_STEM_CHARS])
        elif is_unspaced(first):
            stems |= _pairs(word) - fillers
        elif _is_hangul(first):
            stems.add(word[:_SYLLABLES])
        else:
            stems.add(_ARABIC_PREFIX.sub("", word)[:_STEM_CHARS])
    return stems


def _stems_of(memories: Sequence[Memory]) -> list[set[str]]:
    """Return the stems of the beginning of each memory; folding them together costs less than one by one."""
    lines = (" ".join(memory.content[:_FOUND_CHARS].split()) for memory in memories)
    return [_stems(split_folded(line)) for line in fold_letters("\n".join(lines)).split("\n")]


def _pairs(run: str) -> set[str]:
    """Return the pairs of neighbouring characters; hiragana is mostly grammar and parts words."""
    parts = _NOT_HIRAGANA.findall(run)
    return {part[i : i + 2] for part in parts for i in range(max(1, len(part) - 1))}


def _is_hangul(character: str) -> bool:
    return "\uac00" <= character <= "\ud7a3"
