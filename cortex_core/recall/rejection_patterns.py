"""Tells by its words alone, in any language, what carries nothing to search for: greetings, thanks, laughter, noise."""

import re
import unicodedata
from enum import StrEnum
from functools import cache
from itertools import pairwise

from cortex_core.recall.rejection_text import (
    READ_CHARS,
    fold_letters,
    load_words,
    split_tokens,
    strip_links,
    strip_markup,
)

_MIN_WIDTH = 3  # three letters, or two ideographs
_MAX_TOKENS = 16
"""More words than that are never a mere greeting."""
_MAX_FILLERS = 2
_MIN_KEYS = 5


class Rejection(StrEnum):
    """Why a message needs no recall."""

    EMPTY = "no words"
    SHORT = "too short"
    GREETING = "a greeting"
    THANKS = "thanks"
    ACKNOWLEDGEMENT = "an acknowledgement"
    LAUGHTER = "laughter"
    LINK = "a link without words"
    NOISE = "keys pressed at random"
    FAR = "too far from what is remembered"
    CONTINUATION = "it continues the task at hand"


_PHRASE_REASONS = {
    "greeting": Rejection.GREETING,
    "thanks": Rejection.THANKS,
    "acknowledgement": Rejection.ACKNOWLEDGEMENT,
    "laughter": Rejection.LAUGHTER,
    "filler": None,
}

# One class of letters after the other, and never two ways to match the same text: these can't backtrack far.
# Korean letters are folded to those that syllables are made of.
_LAUGHTER = re.compile(
    r"[bmw]{0,2}[aeiou]*(?:[hj]+[aeiou]+){2,}[hj]*|(?:x[aeoi]+){2,}x?|(?:rs){2,}|k{3,}|(?:wk){2,}w?|(?:ke){3,}|w{2,}"
    r"|[аеиоэы]*(?:х+[аеиоэы]+){2,}х*|[аеиоы]+(?:х+[аеиоы]+)+х*"  # noqa: RUF001
    r"|ه{3,}|(?:هه|ها|خ){2,}ه*|ח{3,}|[\u110f\u1112\u1172\u116e]{2,}|(?:हा|ही|हे){2,}|5{4,}"  # noqa: RUF001
)
_UNSPACED_LAUGHTER = re.compile(r"[哈呵嘿嘻啊]{2,}|草+|笑+|ふふふ*|は{3,}|へ{3,}|555+")
_REPEATED = re.compile(r"(.)\1{2,}", re.DOTALL)
_ROWS = ("qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "qsdfghjklm", "zxcvbnm", "йцукенгшщзхъ", "фывапролджэ")
_NEIGHBOURS = frozenset(a + b for row in _ROWS for pair in pairwise(row) for a, b in (pair, pair[::-1]))
_RUNS = frozenset(row[i : i + 4] for row in _ROWS for i in range(len(row) - 3))
_HOME_UNIT = re.compile(r"(asdf?|sdf|dfg|fgh|ghj|hjk|jkl|фыва?|ыва|олд|лдж)\1+\w{0,3}")
_MOSTLY = 0.85


def find_pattern(message: str) -> Rejection | None:
    """Return which pattern the whole message is an instance of, or None if it says more.

    The length rule counts ideographs, kana and hangul syllables as two, since a word has fewer of them.
    """
    text = strip_markup(message)
    without_links = strip_links(text)
    if not _has_words(without_links):
        return Rejection.LINK if len(without_links) < len(text) and _has_words(text) else Rejection.EMPTY
    text = without_links.strip()
    if len(text) > READ_CHARS:
        return None
    folded = fold_letters(text)
    if _UNSPACED_LAUGHTER.fullmatch("".join(c for c in folded if c.isalnum())):
        return Rejection.LAUGHTER
    tokens = split_tokens(folded)
    if reason := _find_phrases(tokens) if len(tokens) <= _MAX_TOKENS else None:
        return reason
    if len(tokens) == 1 and _is_keys(tokens[0]):
        return Rejection.NOISE
    return Rejection.SHORT if _width(text) < _MIN_WIDTH else None


def _has_words(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text if c.isalnum())


def _find_phrases(tokens: list[str]) -> Rejection | None:
    """Return what the tokens are if they are nothing but phrases of the lists; the first that isn't filler decides.

    Each place keeps the way to reach it with the fewest fillers, so the work grows with the number of tokens alone.
    """
    phrases, longest = _load_phrases()
    reached: list[tuple[int, Rejection | None] | None] = [(0, None), *[None] * len(tokens)]
    for start in range(len(tokens)):
        if (here := reached[start]) is None:
            continue
        fillers, reason = here
        for end in range(start + 1, min(start + longest, len(tokens)) + 1):
            found = _look_up(tuple(tokens[start:end]), phrases)
            if found is None:
                continue
            candidate = (fillers + (found is Rejection.EMPTY), reason or (None if found is Rejection.EMPTY else found))
            known = reached[end]
            if known is None or (candidate[1] is not None, -candidate[0]) > (known[1] is not None, -known[0]):
                reached[end] = candidate
    end_state = reached[-1]
    return end_state[1] if end_state and end_state[0] <= _MAX_FILLERS else None


def _look_up(tokens: tuple[str, ...], phrases: dict[tuple[str, ...], Rejection]) -> Rejection | None:
    """Return what a phrase is, `EMPTY` for filler; a drawn-out word ("hiii", "coool") counts as the word."""
    if tokens in phrases:
        return phrases[tokens]
    if len(tokens) > 1:
        return None
    word = tokens[0]
    if _LAUGHTER.fullmatch(word):
        return Rejection.LAUGHTER
    for replacement in (r"\1", r"\1\1"):
        squeezed = _REPEATED.sub(replacement, word)
        if squeezed != word and (squeezed,) in phrases:
            return phrases[squeezed,]
    return None


@cache
def _load_phrases() -> tuple[dict[tuple[str, ...], Rejection], int]:
    """Return every phrase by its tokens, filler as `EMPTY`, and how many tokens the longest has."""
    phrases: dict[tuple[str, ...], Rejection] = {}
    for kind, reason in _PHRASE_REASONS.items():
        for phrase in load_words("patterns", kind, separator=","):
            phrases.setdefault(tuple(split_tokens(phrase)), reason or Rejection.EMPTY)
    return phrases, max(map(len, phrases))


def _is_keys(word: str) -> bool:
    """Whether somebody ran a finger over the keyboard."""
    if len(word) < _MIN_KEYS:
        return False
    if _HOME_UNIT.fullmatch(word):
        return True
    near = sum(a == b or a + b in _NEIGHBOURS for a, b in pairwise(word))
    return near / (len(word) - 1) > _MOSTLY and any(word[i : i + 4] in _RUNS for i in range(len(word) - 3))
