"""Reads what somebody is: pronouns, age, relationship, diet."""

import re

from cortex_core.providers.rules.lexicon import any_of, read_number
from cortex_core.providers.rules.wording import Values

_AGES = range(13, 100)
_MAX_AGE = 120
_PRONOUNS = re.compile(
    r"\(?((?:he|she|they|it|xe|ze|fae|any|ey)/(?:him|her|hers|them|theirs|his|its|they|she|he|xem|zir|hir"
    r"|faer|all|em)(?:/\w{2,8})?|any pronouns|any\b)(?!\w)",
    re.IGNORECASE,
)
_AGE = re.compile(
    r"(?P<age>\d{1,3}\b|\d\d(?=yo|y/o|yrs|[mf]\b)|(?:twenty|thirty|forty|fifty|sixty|seventy)(?:-\w+)?"
    r"|\w+teen|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(?P<years> ?(?:years? old"
    r"|[mf]\b|y/?o|yrs? old|years? of age|yrs)\b)?(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_AFTER_AGE = re.compile(
    r"\s*(?:$|[,;)(|]|(?:and|now|btw|today|lol|but|so|from|with a|since|already|this|yesterday|last|haha"
    r"|on (?:\w+day|the)"
    r"|in dog years)\b)",
    re.IGNORECASE,
)
_RELATIONSHIP = re.compile(
    rf"({any_of('relationships', 'words')})(?=\s*(?:$|[,;)(]|(?:and|now|but|to|lol|again|since|for|btw|at|with"
    rf"|atm|rn|these|last|in (?:\d|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))|haha|so|right|with|yay"
    rf"|though|tho|on|this|yesterday|because|bc|anymore"
    rf"|currently|after|as|\d+)\b))",
    re.IGNORECASE,
)
_FOR_NOW = re.compile(
    r" (?:this (?:week|month|weekend)|today|tonight|for (?:lent|now|january)"
    r"|for (?:\w+ ){0,2}(?:seconds?|minutes?|mins?|hours?|hrs?|days?)(?! a))\b",
    re.IGNORECASE,
)
_TO = re.compile(r" ?(?:to|with)\b", re.IGNORECASE)
_TO_SOMEBODY = re.compile(
    rf" ?(?:to|with) (?:(?-i:[A-Z])|{any_of('names', 'common')}\b"
    rf"|(?:\w+ ){{0,4}}?(?:{any_of('people', 'partner')}|man|woman|guy|girl|lady"
    r"|dude|person|sweetheart|friend|bestie|love|soulmate|him|her|them|each other|someone|kids?|children|child"
    r"|sons?|daughters?|baby|dogs?|cats?)\b)",
    re.IGNORECASE,
)  # not "to the grind"
_DIET = re.compile(
    rf"({any_of('diets', 'words')})(?= ?(?:$|[,;)(]|(?:and|now|but|since|for|btw|diet|lol|so|because|bc|again"
    rf"|these|person|at|in|too|haha|though|tho|last|this|about|over|\d+|food|almost|or|anymore|years?|not|two"
    rf"|three|four|five|a)\b))",
    re.IGNORECASE,
)


def read_pronouns(text: str) -> Values:
    """Read pronouns: "they/them"."""
    found = _PRONOUNS.match(text)
    return [found[1]] if found else []


def read_age(text: str) -> Values:
    """Read an age in years, but not the 27 of "27 minutes late"."""
    return [age for age in _read_any_age(text) if age in _AGES]


def read_years(text: str) -> Values:
    """Read an age before what somebody is: "32 year old dad"."""
    found = re.match(r"([1-9]\d)[ -]?(?:years?|yrs?|y/?o)\b", text, re.IGNORECASE)
    return [int(found[1])] if found and int(found[1]) in _AGES else []


def read_age_of_other(text: str) -> Values:
    """Read the age of somebody else, who may be a child."""
    return _read_any_age(text)


def _read_any_age(text: str) -> list[int]:
    found = _AGE.match(text)
    age = read_number(found["age"]) if found else None
    if not found or age is None or age > _MAX_AGE or not (found["years"] or _AFTER_AGE.match(found["rest"])):
        return []
    return [age]


def read_relationship(text: str) -> Values:
    """Read how somebody is attached: "single", "in a relationship"."""
    found = _RELATIONSHIP.match(text)
    if not found or (_TO.match(text, found.end()) and not _TO_SOMEBODY.match(text, found.end())):
        return []
    return [found[1]]


def read_diet(text: str) -> Values:
    """Read how somebody eats."""
    found = _DIET.match(text)
    return [found[1]] if found and not _FOR_NOW.match(text, found.end()) else []
