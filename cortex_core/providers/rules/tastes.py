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
        goes_on = told[len(hit.split()) :][:1] if hit else []
        if hit is not None and (
            not goes_on or goes_on[0].endswith("ly") or fold(goes_on[0]) in words("hobbies", "manners")
        ):
            found.append(hit)
    return found


_DEGREE = re.compile(
    r"^(?:(?:fluent|some|basic|decent|conversational|broken|native|bad|a bit of|a little(?: bit)?(?: of)?"
    r"|both|the|mostly|also|only|electric|acoustic|classical) )+",
    re.IGNORECASE,
)


_ON_A_SCREEN = re.compile(
    r"\bon (?:the |my |a )?(?:wii|switch|xbox|ps\d|playstation|pc|phone|vr|steam|mobile)\b", re.IGNORECASE
)


def read_languages(text: str) -> Values:
    """Read languages."""
    return _listed(text, words("languages", "names"))


def read_instruments(text: str) -> Values:
    """Read what somebody plays, of instruments."""
    return _listed(text, words("hobbies", "instruments"))


def read_games(text: str) -> Values:
    """Read what somebody plays, of games and sports."""
    return [] if _ON_A_SCREEN.search(text) else _listed(text, words("hobbies", "games"))


def read_pastimes(text: str) -> Values:
    """Read what somebody does, of known pastimes."""
    return _listed(text, words("hobbies", "doing"))


def read_begun_pastimes(text: str) -> Values:
    """Read what somebody took up, or goes and does: "started climbing", but not "started painting my room"."""
    return read_pastimes(text) if _AS_A_HABIT.fullmatch(text) else []


def read_habits(text: str) -> Values:
    """Read what somebody does or goes for, of known pastimes and games."""
    return read_sports(text) if _AS_A_HABIT.fullmatch(text) else []


def read_long_pastimes(text: str) -> Values:
    """Read what somebody has done for years: "been climbing since 2019", but not "since noon"."""
    return read_pastimes(text) if _FOR_LONG.search(text) and _AS_A_HABIT.fullmatch(text) else []


_FOR_LONG = re.compile(
    r"\b(?:for (?:\w+ ){0,3}?(?:years?|months?|decades?|ages|life)|since (?:(?:19|20)\d\d|i was|childhood"
    r"|school|college|uni|last|\w+uary"
    r"|march|april|june|july|august|\w+ber)|all my life|my whole life)\b",
    re.IGNORECASE,
)
_AS_A_HABIT = re.compile(
    r"[\w-]+(?:(?:,? and|,| &) [\w-]+){0,3}? ?(?:$|[,;)(!.-].*|(?:and|&|for (?:a few|about|like|over|almost"
    r"|some|many|\d+|\w+"
    r" (?:years?|months?|decades?))|since|every|each|twice|once|three times|four times|a lot|regularly|often"
    r"|on (?:the )?(?:week|sun|sat|mon|tue|wed"
    r"|thu|fri)\w*|in (?:my|the) (?:free|spare|summer|winter|evening|morning|local|gym|park)\w*|with (?:my"
    r"|friends|a|some|the)|recently"
    r"|again|lately|as a hobby|during|over|now|too|lol|but|so|because|bc|when i|these days|classes|lessons|most"
    r"|all my|my whole|at (?:the|a|my)|last"
    r"|this|in|to (?:relax|unwind|stay|keep)|btw|here)\b.*)",
    re.IGNORECASE | re.DOTALL,
)


def read_sports(text: str) -> Values:
    """Read what somebody does or is into, of known pastimes and games."""
    return _listed(text, words("hobbies", "doing") | words("hobbies", "games"))


def read_named_pastimes(text: str) -> Values:
    """Read what somebody calls their hobbies."""
    return [name for name in map(str, _liked(text, frozenset())) if fold(name) not in _NO_HOBBIES]


def read_likes(text: str) -> Values:
    """Read what is liked for good: a thing by its name, not "it", "you", "that idea" or what is of the moment."""
    return _liked(text, words("likes", "with_article"))


_MAX_WORDS = 4
_NO_HOBBIES = frozenset(
    {"regret", "crying", "napping", "sleeping", "existing", "procrastinating", "breathing", "suffering"}
)
_GOES_ON = re.compile(r" (?:my|me|your|you|him|us|how|what|that)\b", re.IGNORECASE)  # "missing my dog"
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
        rest = item[article.end() if article else 0 :][len(" ".join(name)) :].strip()
        is_cut = bool(name) and (fold(name[-1]) == "of" or (rest and _is_mere_gerund(name)))
        folded = [fold(word) for word in name]
        is_vague = (
            not name
            or (len(name) > 1 and _is_doing(name))
            or len(name) > _MAX_WORDS
            or folded[0] in words("likes", "vague")
            or folded[-1] in words("likes", "vague")
        )
        needs_list = article and article[0].lower() == "the " and " ".join(folded) not in with_article
        goes_on = _GOES_ON.match(item[article.end() if article else 0 :], len(" ".join(name)))
        if (
            is_vague
            or is_cut
            or goes_on
            or needs_list
            or not name[0][0].isalpha()
            or (len(name) == 1 and is_known_name(name[0]) and is_name(name[0]))
        ):
            break
        liked.append(" ".join(name))
        if rest:  # what comes next may belong to that: "books about growth and mindset"
            break
    return liked


def _is_mere_gerund(name: list[str]) -> bool:
    """Tell whether a name needs what comes after it: "capturing" of "capturing the moment", unlike "hiking"."""
    return len(name) == 1 and _is_doing(name)


def _is_doing(name: list[str]) -> bool:
    """Tell whether a name says what one does, and no pastime: "moving house", "paying rent"."""
    known = words("hobbies", "doing") | words("hobbies", "games") | words("likes", "gerunds")
    is_thing = fold(name[-1]) in known or fold(" ".join(name)) in known
    return name[0].endswith("ing") and fold(name[0]) not in known and not is_thing


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
    """Read what somebody can't bear, of what bodies are known not to bear."""
    found: list[str] = []
    for item in items(text):
        name = phrase(_DEGREE.sub("", item), most=3)
        if not name or not _is_allergen(fold(" ".join(name))):
            break
        found.append(" ".join(name))
    return found


def _is_allergen(name: str) -> bool:
    known = words("allergies", "names")
    last = name.rsplit(maxsplit=1)[-1]
    return any(
        word in known or word.removesuffix("s") in known or word.removesuffix("es") in known for word in (name, last)
    ) or name.endswith("berries")
