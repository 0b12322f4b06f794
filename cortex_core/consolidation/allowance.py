"""How often a language model may be asked about what people say: once for five messages, on average."""

from enum import Enum, auto

MESSAGES_PER_CALL = 5
"""So many memories, on average, stand behind a call at least."""

_MOST_SAVED = 5 * MESSAGES_PER_CALL


class Verdict(Enum):
    """What becomes of some messages of one owner and one audience."""

    ASK = auto()
    WAIT = auto()
    LEAVE = auto()
    """It is done with them without a call: what the rules found in them has to do."""


class Allowance:
    """Keeps the calls within a fifth of the messages, and lets none of these wait for ever.

    A batch of more than five messages saves for smaller ones. What has waited too long while nobody saved enough for it
    is left without a call, and by that saves for what comes after it: of people who say one thing each, every fifth is
    read. In number, calls stay below (messages that it is done with + 40) / 5, where 40 is the largest batch: that much
    may be asked again after answers that can't be read.
    """

    def __init__(self) -> None:
        self._saved = 0

    def judge(self, messages: int, *, is_overdue: bool) -> Verdict:
        """Tell what becomes of so many messages, which have waited too long or not."""
        if self._saved + messages >= MESSAGES_PER_CALL:
            return Verdict.ASK
        return Verdict.LEAVE if is_overdue else Verdict.WAIT

    def note_call(self) -> None:
        """Note that the model was asked, whatever it answered."""
        self._saved -= MESSAGES_PER_CALL

    def note_done(self, messages: int) -> None:
        """Note messages that wait no longer, whether the model read them or not."""
        self._saved = min(_MOST_SAVED, self._saved + messages)
