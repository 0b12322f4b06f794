"""The words of `words.toml`, folded, and the small numbers that people write out."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from cortex_core.words import fold

_ONES = "no one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_NUMBERS = {word: number for number, word in enumerate(f"{_ONES} eighteen nineteen".split())} | {"zero": 0}
_TENS = {
    word: 10 * number
    for number, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"], 2)
}
_MAX_DIGITS = 4


def words(section: str, kind: str) -> frozenset[str]:
    """Return the folded entries of a list; those of a list with commas may be several words."""
    return _load_words(section, kind)


def same_animal(species: str) -> str:
    """Return the word by which an animal is kept: "dog" for a puppy."""
    same: dict[str, str] = _tables()["pets"]["same"]
    return same.get(fold(species), species)


def read_number(word: str) -> int | None:
    """Return what a word counts, up to 9999.

    >>> read_number("four"), read_number("Twenty-seven"), read_number("31"), read_number("many")
    (4, 27, 31, None)
    """
    if word.isascii() and word.isdigit():
        return int(word) if len(word) <= _MAX_DIGITS else None
    folded = fold(word)
    if folded in _NUMBERS:
        return _NUMBERS[folded]
    tens, _, ones = folded.partition("-")
    if tens not in _TENS or (ones and not 0 < _NUMBERS.get(ones, 0) < 10):  # noqa: PLR2004  one digit
        return None
    return _TENS[tens] + _NUMBERS.get(ones, 0)


def any_of(section: str, kind: str) -> str:
    """Return a group of a regular expression that is any entry of a list, the longer ones first."""
    return "(?:" + "|".join(sorted(words(section, kind), key=lambda word: (-len(word), word))) + ")"


@cache
def _load_words(section: str, kind: str) -> frozenset[str]:
    text: str = _tables()[section][kind]
    return frozenset(fold(" ".join(entry.split())) for entry in text.split("," if "," in text else None))


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads((files(__package__ or __name__) / "words.toml").read_text("utf-8"))
