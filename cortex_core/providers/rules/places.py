"""Reads places and time zones from the words after a head."""

import re

from cortex_core.providers.rules.lexicon import any_of, words
from cortex_core.providers.rules.wording import Values, phrase
from cortex_core.words import fold
from cortex_core.zones import TIMEZONE

_ARTICLE = re.compile(r"the ", re.IGNORECASE)
_WITH_ARTICLE = re.compile(any_of("places", "with_article") + r"(?!\w)", re.IGNORECASE)
_BEFORE = re.compile(r"(?:(?:downtown|central|sunny|rainy|cold|beautiful|good old|lovely) )+(?=\w)", re.IGNORECASE)
_REGION = re.compile(rf",? (?P<region>{any_of('places', 'regions')})(?!\w)", re.IGNORECASE)
_SMALL_WORDS = frozenset(["in", "me", "or", "ma", "pa", "mi", "us", "la"])  # regions only in capitals
_WITHIN = frozenset(["city", "upon", "de", "la", "del", "do"])
_MAX_SMALL_WORDS = 3
_CALLED = re.compile(
    r"(?:an?|the) (?:[\w-]+ ){0,3}(?:town|village|city|place|suburb|island|country|state) (?:called|named|of) ",
    re.IGNORECASE,
)


def read_place(text: str) -> Values:
    """Read a place after "live in": "Berlin", "portland, oregon", "the Netherlands"."""
    if called := _CALLED.match(text):
        text = text[called.end() :]
    if article := _ARTICLE.match(text):
        found = _WITH_ARTICLE.match(text, article.end())
        return [found[0]] if found else []
    if before := _BEFORE.match(text):
        text = text[before.end() :]
    place = phrase(text)
    if not place or not place[0][0].isalpha() or _is_no_place(place[0]) or fold(place[0]).endswith("ing"):
        return []
    if place[0][0].isupper():  # "Berlin lol"
        place = place[:1] + [word for word in place[1:] if word[0].isupper() or fold(word) in _WITHIN]
    elif len(place) > _MAX_SMALL_WORDS or (_is_no_place(place[-1]) and fold(place[-1]) != "city"):
        return []
    name = " ".join(place)
    if TIMEZONE.fullmatch(name):
        return []
    return [name + _region_after(text[len(name) :])]


def read_nearby(text: str) -> Values:
    """Read a place with how it lies to it: "near Hexham"."""
    found = _NEAR.match(text)
    places = read_place(text[found.end() :]) if found else []
    return [f"{found[0]}{place}" for place in places if found and str(place)[0].isupper()]


_NEAR = re.compile(r"(?:near|close to|just outside|outside(?: of)?|just outside of) (?=(?-i:[A-Z]))", re.IGNORECASE)


def _is_no_place(word: str) -> bool:
    return fold(word) in words("places", "no_places")


def _region_after(text: str) -> str:
    """Return ", Oregon" of "Portland, Oregon and …"."""
    found = _REGION.match(text)
    return found[0] if found and (found["region"].isupper() or fold(found["region"]) not in _SMALL_WORDS) else ""


def read_timezone(text: str) -> Values:
    """Read a time zone: "CET", "UTC+2", "Europe/Berlin", "Pacific time"."""
    found = TIMEZONE.match(text)
    return [found[0].strip()] if found else []
