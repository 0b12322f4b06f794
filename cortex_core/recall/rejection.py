"""Deciding that a message needs no recall, in microseconds and in any language (TDD 9.2)."""

import re
import unicodedata
from enum import StrEnum

_MIN_WIDTH = 3  # three letters, or two ideographs


class Rejection(StrEnum):
    """Why a message needs no recall."""

    EMPTY = "no words"
    SHORT = "too short"
    GREETING = "a greeting"
    THANKS = "thanks"
    ACKNOWLEDGEMENT = "an acknowledgement"


_PATTERNS = {
    Rejection.GREETING: re.compile(r"hi|hello|hey|sup|yo|good (morning|evening|night)", re.IGNORECASE),
    Rejection.THANKS: re.compile(r"thanks|thank you|thx|ty", re.IGNORECASE),
    Rejection.ACKNOWLEDGEMENT: re.compile(r"ok|okay|k|kk|sure|yes|no|yep|nope|lol|cool|nice", re.IGNORECASE),
}


class RejectionPipeline:
    """Rejects what carries nothing to search for."""

    def why_reject(self, message: str) -> Rejection | None:
        """Return the reason to recall nothing for this message, or None to go on.

        The length rule counts ideographs, kana and hangul syllables as two, since a word has fewer of them.
        """
        words = " ".join(_letters(message).split())
        if not words:
            return Rejection.EMPTY
        for reason, pattern in _PATTERNS.items():
            if pattern.fullmatch(words):
                return reason
        return Rejection.SHORT if _width(words) < _MIN_WIDTH else None

    def quick_reject(self, message: str) -> bool:
        """Whether the message needs no recall."""
        return self.why_reject(message) is not None


def _letters(message: str) -> str:
    """Replace everything but letters, digits and the marks that belong to letters by spaces."""
    return "".join(c if c.isalnum() or _is_mark_of_letter(c) else " " for c in message)


def _is_mark_of_letter(character: str) -> bool:
    is_variation_selector = "\ufe00" <= character <= "\ufe0f"  # those belong to emoji
    return unicodedata.category(character) in {"Mn", "Mc"} and not is_variation_selector


def _width(words: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in words if c.isalnum())
