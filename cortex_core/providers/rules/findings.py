"""What the rules find in a clause, before it becomes a claim."""

import re
from dataclasses import replace
from datetime import datetime

from cortex_core.attributes import normal_form
from cortex_core.providers.rules.clauses import Clause
from cortex_core.providers.rules.dates import read_birthday, read_since
from cortex_core.providers.rules.family import pet_value
from cortex_core.providers.rules.grammar import DECLARED, LOOSE
from cortex_core.providers.rules.held import HEDGED, Finding
from cortex_core.providers.rules.lexicon import any_of, read_number, words
from cortex_core.providers.rules.patterns import BIRTHDAYS, PATTERNS
from cortex_core.providers.rules.people import (
    KIN,
    OTHER,
    attribute_of_kin,
    is_known_name,
    is_name,
    read_called,
    read_name,
    read_names,
    read_parted_name,
)
from cortex_core.providers.rules.places import read_place
from cortex_core.providers.rules.reality import is_future
from cortex_core.providers.rules.tastes import read_favorite, read_languages
from cortex_core.providers.rules.wording import Values
from cortex_core.words import fold

_COUNTS = frozenset({"age", "number of children", "number of siblings"})
_FOR_A_TIME = re.compile(
    r" (?:and )?then (?:to |back)| and back| for (?:uni|university|college|school"
    r"|(?:a|my|the) (?:bit|while|semester|term|year|month|week|few|degree|studies|internship|gap year|masters))\b",
    re.IGNORECASE,
)
_LASTING = frozenset(
    {"location", "job", "employer", "school", "relationship", "partner", "diet", "hobbies", "instruments", "pets"}
)


_MORE_OF_OTHERS = re.compile(
    rf"(?:all|both|they'?re|they are)(?: all| of them| of which)?(?: are)? (?:an? )?{any_of('pets', 'species')}"
    rf"|(?:an? )?(?:\w+ )?(?:plants?|cactus"
    rf"|cacti|ferns?|ficus|succulents?|cars?|guitars?|consoles?)\b|(?:and )?\d+ (?!{any_of('pets', 'species')}"
    rf"|pets?\b|grand|step|cars?\b|jobs?\b|and\b|y(?:ea)?rs?\b|yo\b|n\b)\w",
    re.IGNORECASE,
)  # "5 children and 4 fires" is no family
_IS_FAVORITE = re.compile(
    r"(?P<value>[\w' &-]{2,40}?)(?: is| are|'s)(?: (?:probably|definitely|still|def|easily))*"
    r" my(?: all[- ]?time| absolute)? (?:favou?rite|fave?) (?P<kind>(?!thing|part|one|of)\w+)"
    r"(?= ?(?:$|[,;)]|of all time|ever\b|lol\b|by far|and\b|but\b))",
    re.IGNORECASE,
)


def find(clause: Clause, said_at: datetime) -> list[Finding]:
    """Return what a clause states, of its speaker or of somebody else."""
    found = [*_find_by_patterns(clause, said_at), *_find_birthday(clause, said_at), *_find_favorite(clause)]
    found += _find_told_before(clause)
    if clause.is_hedged:
        found = [replace(finding, confidence=min(finding.confidence, HEDGED)) for finding in found]
    return found


_MAY_TELL = re.compile(
    rf"(?:{OTHER}|i|im|iam|ive|i'|we|my|our|me|pronouns|you|u|y'?all|people|everyone|everybody|please|pls|just"
    rf"|friends|all"
    r"|they|most|usually|mostly|irl|in|at|online|on|else|still|calls?)(?!\w)"
    r"|(?:my )?[^\W\d_]+(?: \w+)? and (?:i|me|my)\b",
    re.IGNORECASE,
)
"""With what any of the patterns begins."""


def _find_by_patterns(clause: Clause, said_at: datetime) -> list[Finding]:
    found: list[Finding] = []
    if not _MAY_TELL.match(clause.text):
        return found
    for pattern in PATTERNS:
        match = pattern.match(clause.text) if clause.is_greeting or not pattern.in_greetings else None
        if not match:
            continue
        rest = clause.text[match.end() :]
        values: Values = pattern.read(rest)
        if (
            not values
            or (pattern.attribute in _LASTING | _COUNTS and is_future(rest.split(",")[0]))
            or any(pattern.attribute == other.attribute for other in found)
            or (pattern.attribute == "number of children" and _MORE_OF_OTHERS.match(clause.after))
        ):
            continue
        attribute = pattern.attribute
        if "kind" in match.groupdict():
            attribute = f"favorite {_singular(match['kind'].lower())}"
        if pattern.tells_when and _FOR_A_TIME.search(rest):
            continue
        if attribute == "nickname" and clause.after.lower().startswith("but"):
            continue  # "call me old-fashioned, but …"
        since = (
            read_since(f"{rest}; {clause.lead}", said_at, tells_when=pattern.tells_when)
            if attribute in _LASTING
            else None
        )
        confidence = pattern.confidence if clause.is_sure_of_subject else min(pattern.confidence, LOOSE)
        found += [Finding(attribute, value, confidence, clause.subject, valid_from=since) for value in values]
    return _without_doubles(found)


_TOLD_BEFORE = (
    (
        "languages",
        re.compile(
            r"(?P<value>[A-Z]\w+)(?:'s| is) my (?:native|first|main|mother) (?:language|tongue)\b", re.IGNORECASE
        ),
        read_languages,
    ),
    (
        "name",
        re.compile(r"(?P<value>(?-i:[A-Z])\w+)(?:'s| is) my(?: real| actual| first)? name\b", re.IGNORECASE),
        read_name,
    ),
    (
        "name",
        re.compile(
            r"my (?:mother|mom|mum|dad|father|parents)(?: \w+)? named me (?P<value>(?-i:[A-Z])\w+)", re.IGNORECASE
        ),
        read_parted_name,
    ),
    (
        "location",
        re.compile(
            r"(?P<value>(?-i:[A-Z])\w+(?: (?-i:[A-Z])\w+)?)(?:'s| has| is) (?:been (?:my )?|my )home (?=for|since|now)",
            re.IGNORECASE,
        ),
        read_place,
    ),
)


def _find_told_before(clause: Clause) -> list[Finding]:
    """Return what a clause begins with and then says what it is: "Portuguese is my native language"."""
    text = clause.said or clause.text
    return [
        Finding(attribute, value, LOOSE)
        for attribute, pattern, read in _TOLD_BEFORE
        if (told := pattern.match(text))
        for value in read(told["value"])[:1]
    ]


def _find_favorite(clause: Clause) -> list[Finding]:
    """Return what a clause begins with and calls a favorite: "blue is my favorite color"."""
    told = _IS_FAVORITE.match(clause.text)
    if not told:
        return []
    kind = f"favorite {_singular(told['kind'].lower())}"
    return [Finding(kind, value, DECLARED) for value in read_favorite(told["value"]) if value == told["value"]]


def _without_doubles(found: list[Finding]) -> list[Finding]:
    """Leave what reads the same words in two ways to the first: "I'm into hiking" is a hobby."""
    hobbies = {normal_form(finding.value) for finding in found if finding.attribute == "hobbies"}
    return [finding for finding in found if finding.attribute != "likes" or normal_form(finding.value) not in hobbies]


def _singular(kind: str) -> str:
    kind = kind.replace("colour", "color").replace("flavour", "flavor")
    return kind[:-1] if kind.endswith("s") and not kind.endswith(("ss", "series", "us")) else kind


_IS_BIRTHDAY = re.compile(r"(?P<day>(?!to)[\w ]{3,25}) is (?:also )?my (?:birthday|bday)\b", re.IGNORECASE)


def _find_birthday(clause: Clause, said_at: datetime) -> list[Finding]:
    told = _IS_BIRTHDAY.match(clause.text)
    if told and (day := read_birthday(told["day"], said_at)) and day[-1].isdigit():
        return [Finding("birthday", day, DECLARED)]
    for pattern in BIRTHDAYS:
        if match := pattern.match(clause.text):
            rest = clause.text[match.end() :]
            is_today = match[0].lower().lstrip().startswith(("it", "today"))
            is_tomorrow = match[0].lower().startswith("tomorrow")
            day = read_birthday("tomorrow" if is_tomorrow else rest or ("today" if is_today else ""), said_at)
            born = " born" in match[0].lower()
            if not day or (born and day[0] not in "-12") or (day.isalpha() and "in" not in match[0].lower().split()):
                return []
            near = rest[:3].lower() in {"tod", "tom", "yes"} or is_tomorrow or (is_today and not rest)
            return [Finding("birthday", day, LOOSE if near else DECLARED, clause.subject)]
    return []


# ------------------------------------------------------------------------------------------------ names in passing

_RELATIONS = (
    rf"(?P<kin>(?:(?:little|big|younger|older|elder|oldest|youngest|eldest|twin|baby|step|lovely|dear"
    rf"|beautiful|sweet) ?-?)?{KIN}|(?:(?:\d+|\w+)[ -](?:years?|months?|weeks?)[ -]old |(?:old|little|new|sweet"
    rf"|poor|dumb|stupid|fat|lazy|elderly"
    rf"|rescue|black|white|orange|tabby|ginger|grey|gray|tiny|big|giant|beloved|precious|baby|clumsy|first|second|other"
    rf"|late|dear|foster|senior|blind|deaf|border|golden|german|corn) )*{any_of('pets', 'species')})"
)
_CALLED = (
    r"(?:(?:'s names? is|'s name'?s|s name is|'s called| is called| is named|,? called|,? named|s are(?: called"
    r"| named)?"
    r"|s' names are|s names are|s called|s named|s,|s:|s|,)?)"
)
_NAMED = re.compile(rf"\b(?:my|our) {_RELATIONS}(?P<called>{_CALLED}) (?P<names>\S.*)", re.IGNORECASE)
_IS_NAME = re.compile(rf"\b(?:my|our) {_RELATIONS} is (?P<name>(?-i:[A-Z])[\w-]*\w)(?= ?(?:$|[,;]))", re.IGNORECASE)
_NAME_IS = re.compile(rf"(?P<name>(?-i:[A-Z])[\w-]*?\w)(?:'s| is) (?:my|our) {_RELATIONS}\b(?!'s)", re.IGNORECASE)
_NAMED_SO = re.compile(
    r"(?:(?:her|his|its|their|the) name(?:'s| is)|(?:he|she|it)(?:'s| is) (?:called|named)|(?:(?:i"
    r"|we) )?(?:called|named) (?:him|her|it|them)) (?P<name>.+)",
    re.IGNORECASE,
)
_MY_COUNT = re.compile(
    r"(?:^|(?<=[ ,]))(?:my|our|all of (?:my|our)|all (?=\w+ of))(?P<of>)"
    r" (?:own )?(?P<count>\d{1,2}|one|two|three|four|five|six|seven|eight)(?: of (?:my|our))?"
    r"(?: (?:little|lovely|young|small|grown|adult|older|younger|wonderful|beautiful|crazy))*"
    r" (?P<kin>kids?|children|child|siblings)\b(?!'s? )",
    re.IGNORECASE,
)
_MAX_COUNTED = 16
_THE_ANIMAL = re.compile(
    rf"the (?P<kin>{any_of('pets', 'species')})(?:'s name)?(?: is|'s)(?: (?:called|named))? (?P<name>(?-i:[A-Z])\w+)"
    r"(?= ?(?:$|[,;]|too\b|btw\b|not\b|lol\b|actually\b))",
    re.IGNORECASE,
)
_PLURAL = re.compile(r"s(?: are.*|' names are|:|,| called| named)?$", re.IGNORECASE)
_MAX_PASSING = 5


def find_names(text: str) -> list[Finding]:
    """Return the names of relatives and animals that a clause mentions in passing: "my wife Anna and I"."""
    found: list[Finding] = []
    at = 0
    for _ in range(_MAX_PASSING):
        match = _NAMED.search(text, at)
        if not match:
            break
        at = match.start("names")
        says_so = bool(match["called"].strip(",s "))
        names = (read_called if says_so else read_names)(match["names"])
        if not match["called"] or match["called"] == ",":
            names = [name for name in names[:1] if _stands_alone(name, match["names"], of=match["kin"])]
        found += _named(match["kin"], names if _PLURAL.search(match["called"]) else names[:1], says_so=says_so)
    if (match := _IS_NAME.search(text) or _NAME_IS.match(text)) and is_known_name(match["name"]):
        found += _named(match["kin"], [match["name"]], says_so=False)
    if match := _MY_COUNT.search(text):
        count = read_number(match["count"]) or 0
        attribute = "number of siblings" if match["kin"][0].lower() in "sb" else "number of children"
        found += [Finding(attribute, count, LOOSE)] if 0 < count < _MAX_COUNTED else []
    if (match := _THE_ANIMAL.match(text)) and (
        is_known_name(match["name"]) or fold(match["name"]) in words("names", "animals")
    ):
        found += _named(match["kin"], [match["name"]], says_so=False)
    return found


def name_animal(clause: Clause, before: Finding) -> list[Finding]:
    """Return the animal spoken of before by the name that a clause gives it: "her name is Biscuit"."""
    told = _NAMED_SO.match(clause.text)
    if not told or before.attribute != "pets" or str(before.value)[-1:] == ")" or str(before.value)[0].isdigit():
        return []
    return [replace(before, value=pet_value(name, str(before.value))) for name in read_called(told["name"])[:1]]


_NO_NAME_BEFORE = re.compile(
    r" (?:[A-Z][a-z]|(?:obsessed|addict(?:ed)?|fans?|bound|enthusiast|lover|hater|player|gamer)\b)"
)


def _stands_alone(name: str, text: str, *, of: str) -> bool:
    """Tell whether a word after "my dog" is its name; "my brother Oslo Airport" has none."""
    is_verb = name.endswith(("ed", "ing")) and not is_known_name(name)
    is_pets = fold(of) in words("pets", "species") and fold(name) in words("names", "animals")
    return (
        (is_name(name) or is_known_name(name) or is_pets) and not is_verb and not _NO_NAME_BEFORE.match(text, len(name))
    )


def _named(kin: str, names: list[str], *, says_so: bool) -> list[Finding]:
    attribute = attribute_of_kin(kin) or (
        "pets" if fold(kin.rsplit(maxsplit=1)[-1]) in words("pets", "species") else None
    )
    if not attribute:
        return []
    return [
        Finding(
            attribute,
            pet_value(name, kin.rsplit(maxsplit=1)[-1]) if attribute == "pets" else name,
            DECLARED if says_so or is_known_name(name) else LOOSE,
        )
        for name in names
    ]
