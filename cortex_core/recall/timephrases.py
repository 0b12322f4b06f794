"""Finds phrases in a question: trees of words, grown from the tables of `timewords` and walked through once.

The time taken grows with the question's length and no faster. What a phrase means is for `timeframe` to say.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import TypeAlias

from cortex_core.recall.timewords import ENGLISH, LANGUAGES, Language

Values: TypeAlias = dict[str, int]
"""Slot → the number of the word that fills it."""

_Token: TypeAlias = str | int | date

_TOKENS = re.compile(r"\d+(?:[./:,-]\d+)*|[^\W\d_]+|[?!;\n]")
_MARKS = re.compile(r"[\u0300-\u036f]+")
_DATE = re.compile(r"(\d{4})([-/.])(\d\d?)\2(\d\d?)|(\d\d?)([-/.])(\d\d?)\6(\d{4})")
_PIECES = re.compile(r"\[([^]]*)\]|(\S+)")

# What may stand as digits, and in which range.
_NUMBERS = {"count": range(1_000_000_000), "day_of_month": range(1, 32), "year": range(1900, 2101)}

_COMPANY_OF_ENGLISH = frozenset(ENGLISH.company.split())


@dataclass(slots=True)
class Phrase:
    """A phrase that was found: what it means, the numbers of its words, and the token after it."""

    meaning: str
    values: Values
    end: int


class Question:
    """The words, numbers and dates of a question."""

    __slots__ = ("tokens", "words")

    def __init__(self, question: str) -> None:
        found: list[str] = _TOKENS.findall(_plain(question))
        self.words = frozenset(found)
        has_english = not self.words.isdisjoint(_COMPANY_OF_ENGLISH)
        self.tokens = [_token(text, month_first=has_english) for text in found]

    def find(self, node: "Tree", at: int) -> "Phrase | None":
        """Return the longest phrase below the node that begins at this token; `{any}` gives way to known words."""
        best = None
        if node.meaning and (not node.company or not node.company.isdisjoint(self.words)):
            best = Phrase(node.meaning, {}, at)
        if at == len(self.tokens):
            return best
        token = self.tokens[at]
        for slot, value, child in node.edges(token):
            found = self.find(child, at + 1)
            if found and (best is None or found.end > best.end):
                best = found
                if slot:
                    best.values[slot] = value
        if best is None and node.wildcard and isinstance(token, str) and token.isalpha():
            best = self.find(node.wildcard, at + 1)
        return best


def _plain(text: str) -> str:
    """Return the text in lower case, without accents."""
    text = text.casefold()
    return text if text.isascii() else _MARKS.sub("", unicodedata.normalize("NFD", text))


def _token(text: str, *, month_first: bool) -> _Token:
    """Return a number or a date if the text is one, else the text."""
    if not text[0].isdecimal():
        return text
    if len(text) < 10 and text.isdecimal():  # noqa: PLR2004 -- longer numbers mean nothing here
        return int(text)
    match = _DATE.fullmatch(text)
    if not match:
        return text
    if match[1]:
        orders = [(match[1], match[3], match[4])]
    else:
        day, month, year = match[5], match[7], match[8]
        orders = [(year, month, day), (year, day, month)]
        if month_first and match[6] == "/":
            orders.reverse()
    for order in orders:
        try:
            return date(*map(int, order))
        except ValueError:
            continue
    return text


class Tree:
    """A place in a tree of words: what leads on from it, and what the words up to it mean."""

    __slots__ = ("children", "company", "dates", "meaning", "numbers", "wildcard", "words")

    def __init__(self) -> None:
        self.meaning = ""
        self.company: frozenset[str] = frozenset()
        self.words: dict[str, list[tuple[str, int, Tree]]] = {}
        self.numbers: list[tuple[str, range, Tree]] = []
        self.dates: Tree | None = None
        self.wildcard: Tree | None = None
        self.children: dict[str, Tree] = {}

    def edges(self, token: _Token) -> Iterable[tuple[str, int, "Tree"]]:
        """Return where this token leads: the slot that it fills, if any, its number there, and the next place."""
        if isinstance(token, str):
            return self.words.get(token, ())
        if isinstance(token, int):
            return [(slot, token, child) for slot, allowed, child in self.numbers if token in allowed]
        return [("date", token.toordinal(), self.dates)] if self.dates else ()

    def add(self, meaning: str, phrase: str, language: Language) -> None:
        """Lay a phrase into the tree, in all its spellings; the first meaning of the same words stays."""
        company = frozenset(_plain(language.company).split()) if phrase.startswith("~") else frozenset[str]()
        ends = [self]
        for optional, needed in _PIECES.findall(_plain(phrase.removeprefix("~"))):
            spellings = [spelling.split() for spelling in (optional or needed).split("|")]
            longer = [
                reduce(lambda node, step: node.step(step, language), spelling, end)
                for end in ends
                for spelling in spellings
            ]
            ends = [*ends, *longer] if optional else longer
        for end in ends:
            if not end.meaning:
                end.meaning, end.company = meaning, company

    def step(self, step: str, language: Language) -> "Tree":
        """Return where a word or a slot of a phrase leads, a new place if need be."""
        return self._slot(step[1:-1], language) if step.startswith("{") else self._word(step)

    def _word(self, word: str) -> "Tree":
        child = self.children.get(word)
        if child is None:
            child = self.children[word] = Tree()
            # Before the slots that the word may fill: of two phrases of one length, the more literal one is right.
            self.words.setdefault(word, []).insert(0, ("", 0, child))
        return child

    def _slot(self, slot: str, language: Language) -> "Tree":
        if slot == "any":
            self.wildcard = self.wildcard or Tree()
            return self.wildcard
        if slot == "date":
            self.dates = self.dates or Tree()
            return self.dates
        key = f"{{{slot}}} {language.name}"
        slot, _, listed_as = slot.partition(":")
        child = self.children.get(key)
        if child is None:
            child = self.children[key] = Tree()
            if slot in _NUMBERS:
                self.numbers.append((slot, _NUMBERS[slot], child))
            for number, spellings in enumerate(_plain(language.words.get(listed_as or slot, "")).split(), start=1):
                for spelling in spellings.split("|"):
                    *before, last = spelling.split("_")
                    node = reduce(Tree._word, before, self)
                    node.words.setdefault(last, []).append((slot, number, child))
        return child


def grow(table: Callable[[Language], Mapping[str, tuple[str, ...]]]) -> Tree:
    """Return the tree of what a table of all languages lists."""
    root = Tree()
    for language in LANGUAGES:
        for meaning, phrases in table(language).items():
            for phrase in phrases:
                root.add(meaning, phrase, language)
    return root
