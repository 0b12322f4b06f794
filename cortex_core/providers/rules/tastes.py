"""Reads what somebody speaks, plays, does, likes and can't bear: things by their names, nothing of the moment."""

import re

from cortex_core.providers.rules.lexicon import words
from cortex_core.providers.rules.people import is_known_name, is_name
from cortex_core.providers.rules.wording import AT_ENDS, ENDS, Values, items, phrase
from cortex_core.words import fold


def _listed(text: str, known: frozenset[str], *, most: int = 3) -> list[str]:
    """Return the members of a list that are known words, until the first that isn't."""
    found: list[str] = []
    for item in items(text):
        told = phrase(_DEGREE.sub("", item), ends=AT_ENDS - {"go"}, most=99)[:most]
        hit = next(
            (" ".join(told[:end]) for end in range(len(told), 0, -1) if fold("-".join(told[:end])) in known), None
        )
        if hit is not None:
            found.append(hit)
    return found


_DEGREE = re.compile(
    r"^(?:(?:fluent|some|basic|decent|conversational|broken|native|bad|a bit of|a little(?: bit)?(?: of)?"
    r"|both|the|mostly|also|only|electric|acoustic|classical) )+",
    re.IGNORECASE,
)


def read_languages(text: str) -> Values:
    """Read languages."""
    return _listed(text, words("languages", "names"))


def read_instruments(text: str) -> Values:
    """Read what somebody plays, of instruments."""
    return _listed(text, words("hobbies", "instruments"))


def read_games(text: str) -> Values:
    """Read what somebody plays, of games and sports."""
    return _listed(text, words("hobbies", "games"))


def read_pastimes(text: str) -> Values:
    """Read what somebody does, of known pastimes."""
    return _listed(text, words("hobbies", "doing"))


def read_sports(text: str) -> Values:
    """Read what somebody does or is into, of known pastimes and games."""
    return _listed(text, words("hobbies", "doing") | words("hobbies", "games"))


def read_named_pastimes(text: str) -> Values:
    """Read what somebody calls their hobbies."""
    return _liked(text, frozenset())


def read_likes(text: str) -> Values:
    """Read what is liked for good: a thing by its name, not "it", "you", "that idea" or what is of the moment."""
    return _liked(text, words("likes", "with_article"))


_MAX_WORDS = 4
_MOMENT = re.compile(
    r"\b(?:today|rn|right now|lately|tonight|this (?:morning|week|weekend|evening)|atm|sometimes|when|if)\b"
    r"|(?:^| )(?:so far)\b",
    re.IGNORECASE,
)
_LIKED_ENDS = ENDS | frozenset(["in", "on", "at", "near", "a", "an", "from", "of"])


def _liked(text: str, with_article: frozenset[str]) -> list[str]:
    if _MOMENT.search(text):
        return []
    liked: list[str] = []
    for item in items(text):
        article = re.match(r"(?:the |all things |all kinds of |any kind of |some )", item, re.IGNORECASE)
        name = phrase(item[article.end() :] if article else item, ends=_LIKED_ENDS - {"of"}, most=9)
        while name and fold(name[-1]) == "of":
            name.pop()
        folded = [fold(word) for word in name]
        is_vague = (
            not name
            or len(name) > _MAX_WORDS
            or folded[0] in words("likes", "vague")
            or folded[-1] in words("likes", "vague")
        )
        needs_list = article and article[0].lower() == "the " and " ".join(folded) not in with_article
        if (
            is_vague
            or needs_list
            or not name[0][0].isalpha()
            or (len(name) == 1 and is_known_name(name[0]) and is_name(name[0]))
        ):
            break
        liked.append(" ".join(name))
    return liked


def read_favorite(text: str) -> Values:
    """Read what is somebody's favorite of a kind."""
    article = re.match(r"(?:the|an?) ", text, re.IGNORECASE)
    is_title = article and text[article.end() : article.end() + 1].isupper()
    name = phrase(
        text[article.end() :] if article and not is_title else text, ends=(ENDS | {"and", "or"}) - {"the"}, most=6
    )
    while name and fold(name[-1]) in {"of", "in", "on", "at", "by", "from"}:
        name.pop()
    first = fold(name[0]) if name else ""
    if (
        not name
        or (first in words("likes", "vague") and not name[0][0].isupper())
        or first in {"prolly", "probably", "definitely", "one"}
        or first.endswith("n't")
    ):
        return []
    return [" ".join(name)]


def read_allergies(text: str) -> Values:
    """Read what somebody can't bear, of the body."""
    found: list[str] = []
    for item in items(text):
        name = phrase(_DEGREE.sub("", item), most=3)
        if not name or fold(name[0]) in words("likes", "vague") - {"cold"} or fold(name[-1]) in _NO_ALLERGIES:
            break
        found.append(" ".join(name))
    return found


_NO_ALLERGIES = frozenset(
    [
        "mornings",
        "bullshit",
        "bs",
        "drama",
        "stupidity",
        "people",
        "fun",
        "effort",
        "exercise",
        "commitment",
        "nonsense",
        "responsibility",
        "mondays",
        "feelings",
        "sleep",
    ]
)
