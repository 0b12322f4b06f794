"""Who is spoken of: the speaker, "my brother", "Tom"; and which words are names."""

import re

from cortex_core.providers.rules.lexicon import any_of, words
from cortex_core.words import fold

_DEGREE = (
    r"(?:(?:little|big|younger|older|elder|oldest|youngest|eldest|twin|best|baby|step|new|lovely|dear"
    r"|beautiful|adorable|sweet|middle|only|ex) ?-?)?"
)
_KINDS = ("partner", "children", "siblings")
KIN = "(?:" + "|".join(any_of("people", kind) for kind in (*_KINDS, "others")) + ")"
_BARE_KIN = r"(?:mum|mom|dad|mummy|daddy|grandma|grandpa|granny|grandad|nana|brother in law|sister in law)"
RELATIVE = rf"(?:(?:my|our) {_DEGREE}{KIN}|{_BARE_KIN})(?!\w)"
VERBS = (
    r"(?:is|was|lives?|works?|has|have|loves?|likes?|hates?|just|also|moved|speaks?|plays?|goes|studies|turned|got|grew"
    r"|comes|don'?t|doesn'?t|isn'?t|never|quit|left|stopped|started|became|died|gave|sold|retired|went|joined|used)"
)
PERSON = rf"(?:{RELATIVE}(?: (?!{VERBS}\b)[\w-]*\w)?|(?-i:[A-Z][a-z]+))"
"""Somebody other than the speaker as a subject; `subject_of` tells whether it is one."""

OTHER = "\N{SECTION SIGN}"
"""What stands for somebody else at the start of a clause."""

_RELATIVE_NAMED = re.compile(
    rf"(?:(?:my|our) )?(?P<kin>{_DEGREE}{KIN}|{_BARE_KIN})(?!\w)(?: (?P<name>[\w-]+))?", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_][^\W_]*(?:[-'][^\W\d_]+)*")
_FOLLOWS_NAME = re.compile(
    r"\s*(?:$|[,;)(:/-]|(?:and|from|btw|nice|by|but|here|lol|in case|i|i'm|im|pleased|ur|your|a|the|your|who"
    r"|also|haha|hi|hello|again|n|or)\b(?! fan\b))",
    re.IGNORECASE,
)


def subject_of(person: str) -> str | None:
    """Return how a person is called as a subject: "brother" for "my brother Tom", "Tom"; None if it is nobody.

    >>> subject_of("my little brother Tom"), subject_of("Tom"), subject_of("Everybody")
    ('little brother', 'Tom', None)
    """
    if relative := _RELATIVE_NAMED.fullmatch(person):
        return fold(relative["kin"]) if not relative["name"] or is_name(relative["name"]) else None
    return person if is_name(person) else None


def attribute_of_kin(kin: str) -> str | None:
    """Return the attribute that holds the names of such people; None where there is none, as for a friend."""
    last = fold(kin).split()[-1].removeprefix("step-")
    return next((kind for kind in _KINDS if last in words("people", kind)), None)


def is_name(word: str) -> bool:
    """Tell whether a word by itself is most likely somebody's name, by its capital or among the known ones."""
    folded = fold(word)
    if word[:1].isupper() and not (word.isupper() and len(word) > 1):
        return folded not in words("people", "nobody")
    return folded in words("names", "common")


def is_known_name(word: str) -> bool:
    """Tell whether a word is a first name, and written as one if it could be another word."""
    folded = fold(word)
    return folded in words("names", "common") or (word[:1].isupper() and folded in words("names", "ambiguous"))


def read_name(text: str) -> list[str]:
    """Read the name after "my name is" or "called": any word that isn't plainly another thing."""
    found = _WORD.match(text)
    if not found or fold(found[0]) in words("people", "nobody") or fold(found[0]) in _NO_NAMES:
        return []
    if not found[0][0].isupper() and not is_known_name(found[0]) and not _FOLLOWS_NAME.match(text[found.end() :]):
        return []
    names = [found[0]]
    while found[0][0].isupper() and (found := _WORD.match(text, found.end() + 1)) and text[found.start() - 1] == " ":
        if not found[0][0].isupper() or fold(found[0]) in words("people", "nobody"):
            break
        names.append(found[0])
    return [_without_possessive(" ".join(names[:3]))]


def read_parted_name(text: str) -> list[str]:
    """Read a name alone, where only one with a capital or a known one is credible."""
    return [name for name in read_name(text) if name[0].isupper() or is_known_name(name)]


def read_nickname(text: str) -> list[str]:
    """Read the name after "call me", where so many other things stand."""
    found = _WORD.match(text)
    if not found or fold(found[0]) in words("people", "idioms") | words("people", "nobody") | _NO_NAMES:
        return []
    return read_name(text)


def read_said_nickname(text: str) -> list[str]:
    """Read the name after "people call me", where an adjective stands as often."""
    return [name for name in read_nickname(text) if name[0].isupper() or is_known_name(name)]


def read_bare_name(text: str) -> list[str]:
    """Read the name after "I'm", where most words are something else."""
    found = _WORD.match(text)
    if not found or not is_known_name(found[0]):
        return []
    second = _WORD.match(text, found.end() + 1) if text[found.end() : found.end() + 1] == " " else None
    if second and found[0][0].isupper() and second[0][0].isupper() and not second[0].startswith("I"):
        return [f"{found[0]} {second[0]}"] if _FOLLOWS_NAME.match(text[second.end() :]) else []
    return [found[0]] if _FOLLOWS_NAME.match(text[found.end() :]) else []


def read_greeting_name(text: str) -> list[str]:
    """Read the name after "hi, I'm", where also a name is believed that isn't known."""
    found = _WORD.match(text)
    if (
        found
        and is_name(found[0])
        and not found[0].endswith(("ed", "ing"))
        and _FOLLOWS_NAME.match(text[found.end() :])
    ):
        return [found[0]]
    return []


def read_partner(text: str) -> list[str]:
    """Read the name after "married to" or "dating"."""
    found = _WORD.match(text)
    return [_without_possessive(found[0])] if found and is_name(found[0]) else []


def read_called(text: str) -> list[str]:
    """Read names after "called", where any word is one."""
    found = _WORD.match(text)
    if names := read_names(text):
        return names
    is_alone = found and re.match(r"\s*(?:$|[,;.!)]|(?:and|lol|btw|but|who|she|he)\b)", text[found.end() :])
    return [found[0]] if found and is_alone and fold(found[0]) not in words("people", "nobody") | _NO_NAMES else []


def read_names(text: str) -> list[str]:
    """Read one name or several: "Tom, Anna and Mia"."""
    names: list[str] = []
    at = 0
    while (found := _WORD.match(text, at)) and (
        is_known_name(found[0]) or fold(found[0]) not in words("people", "nobody") | _NO_NAMES
    ):
        if (
            not found[0][0].isupper()
            and not is_known_name(found[0])
            and fold(found[0]) not in words("names", "animals")
        ):
            break
        names.append(_without_possessive(found[0]))
        link = _LINK.match(text, found.end())
        if not link:
            break
        at = link.end()
    return names


_LINK = re.compile(r" ?(?:,? and |, ?|& ?| & )")
_NO_NAMES = words("people", "unnamed")


def _without_possessive(name: str) -> str:
    return name.removesuffix("'s")
