"""Reads a bare value that corrects: "scratch that, GMT+2", "arkansas*", "sorry, the 14th", "so three sisters".

Such a value names no attribute. It is taken for that of the one thing said just before, or held, which is of its kind:
a day for a birthday, a number of cats for "two cats", a name for one that looks like it.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from difflib import SequenceMatcher

from cortex_core.attributes import normal_form
from cortex_core.providers.analysis import ClaimKind, Value
from cortex_core.providers.rules.clauses import Clause
from cortex_core.providers.rules.dates import read_birthday, with_day
from cortex_core.providers.rules.grammar import DECLARED, LOOSE
from cortex_core.providers.rules.held import HEDGED, Finding, Held
from cortex_core.providers.rules.lexicon import read_number, words
from cortex_core.providers.rules.patterns import COUNTED, READERS
from cortex_core.providers.rules.people import is_known_name, is_name
from cortex_core.providers.rules.person import read_pronouns
from cortex_core.providers.rules.places import read_place, read_timezone
from cortex_core.providers.rules.wording import Values
from cortex_core.providers.rules.work import read_employer, read_occupation
from cortex_core.words import fold

_IS_SIMILAR = 0.5
_IS_VARIANT = 0.6
_MAX_WORDS = 14
_MAX_AGE = 100

_HEAD = re.compile(
    r"(?P<is>(?:it'?s|it is|it was|that'?s|should be|should have been|i'?m|i am|i have|i'?ve(?: only)? got"
    r"|we have|we'?ve got"
    r"|make (?:it|that)|(?P<called>(?:his|her|its) name(?: is|'s))|(?:my )?(?:birthday|bday)(?: is|'s))(?!\w))?"
    r"(?: ?(?:actually|really|only|just|supposed to be|in fact|called|named))*"
    r" ?(?:(?:in|on|from|at|the|an?)(?= ))*(?: the)? ?",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"\s*(?:$|[,;:(*-]|(?:not|actually|lol|lmao|haha\w*|sorry|oops|autocorrect|typo|i mean|i meant|i said"
    r"|obviously|ofc|of course|duh|smh"
    r"|ugh|tbh|now|though|tho|btw|xd|with|instead|in (?:summer|winter)|and not|my|stupid|damn)\b)",
    re.IGNORECASE,
)
_MARKED_AFTER = re.compile(
    r"\w,? (?:actually|i meant|i mean|typo|autocorrect|oops|not the \d)\b|not the \d", re.IGNORECASE
)
_AGE_NOW = re.compile(
    r"(?:(?:i'?m |i am )?(?:officially|finally|just hit|hit|already) )(?P<age>[1-9]\d)\b(?! \w+s\b)"
    r"|(?P<now>[1-9]\d) (?:now|as of|today|already)\b",
    re.IGNORECASE,
)
_MAX_YEARS = 10
_SORRY = re.compile(
    r"\b(?:sorry|oops|whoops|typo|autocorrect|my bad|i meant?|i always mix|brain fart)\b", re.IGNORECASE
)
_NAMED_NOW = re.compile(r"(?:his|her|its) name(?: is|'s) \w+ now\b", re.IGNORECASE)
_DAY = re.compile(
    r"(?:the )?(?:\d{1,2}(?:st|nd|rd|th)?(?: of)?(?: (?!with|not)[a-z]{3,9})?|[a-z]{3,9} (?:the )?\d{1,2}(?:st"
    r"|nd|rd|th)?"
    r"|\d[\d/.-]+)(?:,? (?:19|20)\d\d)?(?!\w)",
    re.IGNORECASE,
)
_VARIANT = re.compile(r"[^\W\d_][\w'-]*(?: [\w'-]+){0,3}")
_WORD = re.compile(r"[^\W\d_][\w'-]*")
_COUNT = re.compile(r"(?P<count>\d{1,3}|[a-z]+(?:-[a-z]+)?)(?: (?P<noun>[a-z]+))?", re.IGNORECASE)
_NAMES = frozenset({"name", "nickname", "partner", "children", "siblings", "pets"})
_PLACES = frozenset({"location", "hometown"})


def find_restated(clause: Clause, before: Sequence[Finding], held: Held, said_at: datetime) -> list[Finding]:
    """Return what a bare value corrects: the one thing that fits it, of what was just said or else of what is held."""
    if variant := _find_variant(clause, before) or _find_older(clause, held):
        return variant
    is_corrected = clause.is_correction or clause.is_slip or clause.follows_correction
    is_marked = is_corrected or any(
        (
            _MARKED_AFTER.search(clause.text),
            _NAMED_NOW.match(clause.text),
            not clause.sentence and _SORRY.search(clause.after),
        )
    )
    if not is_marked or clause.subject or len(clause.text.split()) > _MAX_WORDS:
        return []
    head = _HEAD.match(clause.text)
    text = clause.text[head.end() :] if head else clause.text
    is_said, is_called = bool(head and head["is"]), bool(head and head["called"])
    for candidates in (before, held.findings()):
        fitting = [
            replace(old, value=new, kind=ClaimKind.CORRECTS, replaces=old.value, confidence=_confidence(clause))
            for old in candidates
            if old.subject is None
            and (
                new := _of_kind(
                    old,
                    text,
                    said_at,
                    clause,
                    is_said=is_said,
                    is_near=candidates is before or (is_called and is_corrected),
                )
            )
            is not None
            and normal_form(new) != normal_form(old.value)
        ]
        if alike := [one for one in fitting if _is_similar(str(one.value), one.replaces or "")]:
            return held.choose(alike)
        if fitting:
            return held.choose(fitting)
    return []


def _find_variant(clause: Clause, before: Sequence[Finding]) -> list[Finding]:
    """Return what a message that begins with nearly the same as was just said puts right: "BARRISTER", of a barista."""
    text = clause.text.strip()
    if clause.sentence > 1 or not _VARIANT.fullmatch(text):
        return []
    alike = [
        replace(old, value=text, kind=ClaimKind.CORRECTS, replaces=old.value, confidence=LOOSE)
        for old in before
        if isinstance(old.value, str) and _is_variant(text, old)
    ]
    return alike if len(alike) == 1 else []


def _find_older(clause: Clause, held: Held) -> list[Finding]:
    """Return the age that somebody has by now, of whom an age is held: "29 now"."""
    told = _AGE_NOW.match(clause.text)
    before = [age for age in held.values_of("age") if isinstance(age, int)]
    age = int(told["age"] or told["now"]) if told else 0
    return [Finding("age", age, LOOSE)] if before and 0 < age - before[0] <= _MAX_YEARS else []


def _is_variant(text: str, old: Finding) -> bool:
    kept = str(old.value)
    is_read = old.attribute.startswith("favorite ") or text in map(str, READERS.get(old.attribute, _nothing)(text))
    is_read |= old.attribute == "job" and text in read_occupation(f"a {text}")
    is_as_long = len(text.split()) == len(kept.split())
    return (
        is_read and is_as_long and 1 > SequenceMatcher(None, normal_form(kept), normal_form(text)).ratio() > _IS_VARIANT
    )


def _nothing(_: str) -> Values:
    return []


def _of_kind(
    old: Finding, text: str, said_at: datetime, clause: Clause, *, is_said: bool, is_near: bool
) -> Value | None:
    """Read a text as another value of what was said, where its kind shows what it is."""
    is_sure = clause.is_slip or is_near
    values: Values = []
    if old.attribute == "birthday":
        told = _DAY.match(text)
        day = read_birthday(text, said_at) if told and _TAIL.match(text, told.end()) else None
        new = day or (with_day(str(old.value), text) if told and _TAIL.match(text, told.end()) else None)
        values = [new] if new and new[-1].isdigit() else []
    elif old.attribute in {"timezone", "pronouns"}:
        values = _alone(read_timezone(text) if old.attribute == "timezone" else read_pronouns(text), text)
    elif old.attribute in COUNTED or (old.attribute in {"age", "pets"} and not str(old.value).endswith(")")):
        return _read_count(old, text, is_sure=is_sure)
    elif old.attribute in _NAMES:
        return _read_name(old, text, is_sure=is_near and (clause.is_slip or is_said), is_meant=clause.is_slip)
    elif old.attribute in _PLACES and (is_sure or is_said):
        values = [
            place
            for place in map(str, read_place(text))
            if _fits_place(place, old, is_near=is_near, is_meant=clause.is_slip)
        ]
        values = _alone(values, text)
    elif old.attribute == "job" and (is_sure or is_said):
        values = _alone(read_occupation(f"a {text}"), text)
    elif old.attribute == "employer" and is_sure and str(old.value).islower():
        values = _alone(read_employer(f"a {text}"), text)
    return values[0] if values else None


def _alone(values: Values, text: str) -> list[str]:
    """Return the values that nothing else goes on from."""
    return [value for value in map(str, values) if _TAIL.match(text, len(value))]


def _read_count(old: Finding, text: str, *, is_sure: bool) -> Value | None:
    """Read a number of what was counted; one without what it counts only where nothing else can be meant."""
    told = _COUNT.match(text)
    number = read_number(told["count"]) if told else None
    if not told or number is None:
        return None
    bare = number if is_sure and _TAIL.match(text, told.end("count")) and number < _MAX_AGE else None
    if old.attribute == "age":
        is_years = fold(told["noun"] or "") in {"years", "yrs", "yo"}
        return number if is_years and number < _MAX_AGE else bare
    if old.attribute in COUNTED:
        counts = told["noun"] and re.fullmatch(COUNTED[old.attribute], told["noun"], re.IGNORECASE)
        return number if counts and _TAIL.match(text, told.end()) else bare
    species = str(old.value).rsplit(maxsplit=1)[-1].removesuffix("s")
    if told["noun"] and fold(told["noun"]).removesuffix("s") == fold(species) and _TAIL.match(text, told.end()):
        return told[0]
    return None


def _fits_place(place: str, old: Finding, *, is_near: bool, is_meant: bool) -> bool:
    is_new = is_meant and is_name(place) and not is_known_name(place)
    return is_near or is_new or _is_similar(place, old.value)


def _read_name(old: Finding, text: str, *, is_sure: bool, is_meant: bool) -> Value | None:
    """Read a name in place of one that looks like it, or of the one just said."""
    told = _WORD.match(text)
    if not told or not _TAIL.match(text, told.end()):
        return None
    name, kept = told[0].removesuffix("'s"), str(old.value).split(" (")[0]
    is_one = is_name(name) or is_known_name(name) or fold(name) in words("names", "animals")
    is_new = is_meant and (is_known_name(name) or (old.attribute == "pets" and fold(name) in words("names", "animals")))
    if not is_one or not (is_sure or is_new or _is_similar(name, kept)):
        return None
    return str(old.value).replace(kept, name, 1) if old.attribute == "pets" else name


def _is_similar(new: str, old: Value) -> bool:
    return SequenceMatcher(None, normal_form(old), normal_form(new)).ratio() > _IS_SIMILAR


def _confidence(clause: Clause) -> float:
    return HEDGED if clause.is_hedged else DECLARED
