"""Cuts short values from the words that follow a pattern's head.

Readers take the rest of a clause and return the values that it begins with, or none where it isn't credible: precision
is made there, for a head such as "I'm a" says nothing by itself.
"""

import re

from cortex_core.providers.rules.lexicon import words
from cortex_core.words import fold

Values = list[str] | list[int]

MAX_CHARS = 60

_TOKEN = re.compile(r"[^\s,;:()/|]+(?:/[^\s,;:()/|]+)?")
ENDS = words("values", "ends")
AT_ENDS = ENDS | frozenset(["and", "or", "&", "in", "on", "at", "near", "from", "of", "a", "an"])


def phrase(text: str, *, ends: frozenset[str] = AT_ENDS, most: int = 4) -> list[str]:
    """Return the words up to one that begins something else, or a mark; none at all if they are too many."""
    taken: list[str] = []
    at = 0
    while found := _TOKEN.match(text, at):
        word = found[0].strip(".\"'~-\u2013\u2014+=#")
        if not word or fold(word) in ends:
            break
        taken.append(word)
        at = found.end()
        if text[at : at + 1] != " ":
            break
        at += 1
    return taken if len(taken) <= most and len(" ".join(taken)) <= MAX_CHARS else []


def items(text: str) -> list[str]:
    """Return the members of a list: "tea, coffee and cake"."""
    head = _LIST_END.split(text, maxsplit=1)[0]
    return [item for part in _LINKS.split(head) if (item := part.strip())]


_LINKS = re.compile(r" ?, ?(?:and |or |also )?| and (?:also )?| & | or | \+ | n ")
_LIST_END = re.compile(
    r"[;:()]| not |(?:,| and| but)? (?:so much|a lot|very much|but|because|since|though|tho)\b", re.IGNORECASE
)
