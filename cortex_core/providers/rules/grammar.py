"""The shape of a pattern: a head that says what is told, of whom, and a reader of the words that follow it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from cortex_core.providers.rules.people import OTHER
from cortex_core.providers.rules.wording import Values

DECLARED = 0.95
LOOSE = 0.8

_ADVERBS = (
    "(?: (?:really|actually|still|currently|also|now|just|always|recently|finally|truly|absolutely|honestly"
    "|personally|definitely|genuinely"
    "|both|fully|totally|completely|officially|mainly|mostly|so|very|only|even|already|originally|kinda"
    "|sorta|quite|super|pretty|secretly|do))*"
)
_JOINT = r"(?:(?:my \w+(?: \w+)?|me|[^\W\d_]+) and (?:i|me|my \w+)|i and my \w+)"
_SPEAKER = {
    "I": rf"(?:i|we|{_JOINT})" + _ADVERBS,
    "am": rf"(?:i ?'?m|i am|iam|we'?re|we are|{_JOINT} are)" + _ADVERBS,
    "have": rf"(?:i|we|{_JOINT})(?:" + _ADVERBS + r"(?: have(?: got)?|'?ve got|'ve| got)|'?ve" + _ADVERBS + " got)",
    "been": r"i(?:'?ve| have)?" + _ADVERBS + r" been",
    "my": r"(?:my|our)",
    "s": "",
}
_OTHER = {
    "I": OTHER + _ADVERBS,
    "am": OTHER + r"(?:'s| is)" + _ADVERBS,
    "have": OTHER + r"(?: has(?: got)?|'s got| have)",
    "been": OTHER + r"(?:'s| has) been",
    "my": OTHER + "'s",
    "s": "(?:e?s)?",
}
_SUBJECT = re.compile(r"\{(I|am|have|been|my)\}")
_PLACE = re.compile(r"\{(I|am|have|been|my|s)\}")


def _compile(head: str, subject: dict[str, str]) -> re.Pattern[str]:
    return re.compile(_PLACE.sub(lambda place: subject[place[1]], head) + r"(?!\w)[ :]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One way to tell something.

    Attributes:
        attribute: What it tells; "{kind}" in it is what the head names so ("favorite {kind}").
        head: The words that come before the value, anchored at the start of a clause: `{I}`, `{am}`, `{have}`, `{been}`
            and `{my}` are the subject with its verb, `{s}` the ending of the third person.
        read: What the words after it say.
        confidence: How sure it is that this is meant.
        of_others: Whether it may also tell of somebody else.
        of_speaker: Whether it may tell of the speaker.
        tells_when: Whether it is an event ("moved to"), whose time is since when the value holds.
        in_greetings: Whether it counts only after a greeting.
    """

    attribute: str
    head: str
    read: Callable[[str], Values]
    confidence: float = DECLARED
    of_others: bool = True
    of_speaker: bool = True
    tells_when: bool = False
    in_greetings: bool = False
    _of_speaker: re.Pattern[str] | None = field(init=False, repr=False)
    _of_other: re.Pattern[str] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        of_others = self.of_others and bool(_SUBJECT.search(self.head))
        object.__setattr__(self, "_of_speaker", _compile(self.head, _SPEAKER) if self.of_speaker else None)
        object.__setattr__(self, "_of_other", _compile(self.head, _OTHER) if of_others else None)

    def match(self, clause: str) -> re.Match[str] | None:
        """Return the match of the head at the start of a clause."""
        head = self._of_other if clause.startswith(OTHER) else self._of_speaker
        return head.match(clause) if head else None
