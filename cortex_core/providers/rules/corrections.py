"""Reads what is taken back: "no, four kids, not three", "I don't live in Rome, I live in Oslo", "I meant …"."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from difflib import SequenceMatcher

from cortex_core.attributes import attribute_of, normal_form
from cortex_core.providers.analysis import ClaimKind, Value
from cortex_core.providers.rules.clauses import Clause
from cortex_core.providers.rules.dates import month_of, read_birthday
from cortex_core.providers.rules.findings import find
from cortex_core.providers.rules.grammar import DECLARED, LOOSE
from cortex_core.providers.rules.held import HEDGED, Finding, Held
from cortex_core.providers.rules.lexicon import read_number
from cortex_core.providers.rules.patterns import COUNTED, READERS

_IS_SIMILAR = 0.5
_MAX_PAIR_WORDS = 8
_MAX_OLD_WORDS = 4

_NOT = re.compile(
    r",? (?:and |but )?not (?:(?:in|on|at|from|for|as|an?|the|my) )*(?!\w+ of\b)(?P<old>[^,;]+)", re.IGNORECASE
)
_PAIR = re.compile(
    r"(?:(?:it'?s|it is|that'?s|(?:his|her|its|their|my \w+(?:'s)?) name(?:'s| is)|i'?m|i am|i have|i've got"
    r"|we have|make (?:that|it)|it should be|should be|i said|i was|was|is)(?: (?:actually|really"
    r"|in fact))* )?"
    r"(?:(?:in|on|at|from|an?|the|only) )*(?P<new>[^,;]+?),? (?:and |but )?not (?:(?:in|on|at|from|an?"
    r"|the) )*(?P<old>[^,;]+)$",
    re.IGNORECASE,
)
_PAIR_TURNED = re.compile(
    r"(?:i am |i'?m |it'?s )?not (?:(?:in|on|at|from|an?|the) )*(?P<old>[^,;]+), ?(?:but |it'?s |i'?m "
    r"|i said )?(?:(?:in|on|at|from|an?|the) )*"
    r"(?P<new>[^,;]+)",
    re.IGNORECASE,
)
_MERE_NUMBERS = re.compile(
    r"(?:i have|i'?ve got|we have|it'?s|that'?s|make (?:it|that))? ?[\w-]+,? not [\w-]+", re.IGNORECASE
)
_IT_IS = re.compile(
    r"(?:(?:it'?s|it is|that'?s|i'?m|i am|i have|i've got|ive got|i got|we have|i do|they'?re|make (?:that"
    r"|it))(?: (?:actually|really|just|in fact))*)? ?"
    r"(?:(?:in|on|at|from|for|as|only) )*(?P<new>.+)",
    re.IGNORECASE,
)
_SPELLED = re.compile(
    r"(?:(?:it'?s|it is|my name is|my name'?s|that'?s|name'?s|(?:his|her|their"
    r"|my [\w ]+?)(?:'s)? name is)?(?: actually)? ?(?:spelled|spelt|written)(?: as| like this"
    r"| like)?:? (?P<new>[^\W\d_][\w'-]+)"
    r"|(?:it'?s |my name is |my name'?s |that'?s )?(?P<also>(?-i:[A-Z])[\w'-]+),? with(?:out)? (?:an? |the )?\w+\b)",
    re.IGNORECASE,
)
_NEGATED = (
    (re.compile(r"^(i|we|they)(?: do not| don'?t)(?: actually| really)? ", re.IGNORECASE), r"\1 "),
    (re.compile(r"^(i ?'?m|i am|we'?re|we are) not(?: actually| really)? ", re.IGNORECASE), r"\1 "),
    (
        re.compile(
            r"^(my [\w ]{2,30}?) (?:isn'?t|is not|ain'?t|aren'?t|are not)(?: actually| really)? ", re.IGNORECASE
        ),
        r"\1 is ",
    ),
    (re.compile(r"^(i|we)(?: haven'?t got| have not got| didn'?t) ", re.IGNORECASE), r"\1 have "),
    (re.compile(r"^(i was)(?:n'?t| not) ", re.IGNORECASE), r"\1 "),
)
_BLAMED = re.compile(
    r"(?:you(?:'ve)? (?:got|have|had|spelled|wrote)|that'?s not|that isn'?t) my (?P<what>birthday|bday|name"
    r"|age|job|timezone|location|hometown|nickname|pronouns)\b",
    re.IGNORECASE,
)
_NOUNS = {"number of children": "kids", "number of siblings": "siblings"}
_TASTES = frozenset({"hobbies", "likes", "dislikes"})
_BLAMED_NAMES = {"bday": "birthday"}
_NAMES = ("name", "nickname", "partner", "children", "siblings", "pets")


def affirm(clause: Clause) -> Clause | None:
    """Return what a clause denies ("I live in Rome" of "I don't live in Rome"); None if it denies nothing."""
    for pattern, replacement in _NEGATED:
        text, count = pattern.subn(replacement, clause.said or clause.text, count=1)
        if count:
            return replace(clause, text=text, said=text, subject=None)
    return None


def with_contrast(found: Sequence[Finding], clause: Clause, held: Held, said_at: datetime) -> list[Finding]:
    """Make corrections of findings that say what they take the place of, or are led by "no" or "that's wrong"."""
    corrected: list[Finding] = []
    for finding in found:
        at = clause.text.find(str(finding.value).split(" (")[0]) + 1
        contrast = _NOT.search(clause.text, at)
        is_short = contrast and len(contrast["old"].split()) <= _MAX_OLD_WORDS
        old = _like(finding, contrast["old"], said_at) if contrast and is_short else None
        if old is not None and normal_form(old) != normal_form(finding.value):
            replaces = old if len(found) == 1 or not attribute_of(finding.attribute).has_many else None
            corrected.append(replace(finding, kind=ClaimKind.CORRECTS, replaces=replaces))
        elif (clause.is_correction or clause.follows_correction) and (pet := _renamed_pet(finding, held)):
            corrected.append(replace(finding, kind=ClaimKind.CORRECTS, replaces=pet))
        elif clause.is_correction and finding.confidence > LOOSE and _differs(finding, held):
            corrected.append(replace(finding, kind=ClaimKind.CORRECTS))
        else:
            corrected.append(finding)
    return corrected


def instead_of(denied: Sequence[Finding], clause: Clause, said_at: datetime) -> list[Finding]:
    """Return what stands in place of what the clause before denied: "I don't have three kids, I have four"."""
    stated = find(clause, said_at)
    for old in denied:
        if old.attribute in _TASTES:  # "I'm not into hiking but I'm curious" gives no other hobby
            return []
        same = [finding for finding in stated if (finding.attribute, finding.subject) == (old.attribute, old.subject)]
        if same and same[0].key != old.key:
            return [replace(same[0], kind=ClaimKind.CORRECTS, replaces=old.value)]
    if stated or len(denied) != 1:
        return []
    old, told = denied[0], _IT_IS.fullmatch(clause.text)
    new = _like(old, told["new"], said_at) if told else None
    if new is None or normal_form(new) == normal_form(old.value):
        return []
    return [replace(old, value=new, kind=ClaimKind.CORRECTS, replaces=old.value)]


def find_pair(clause: Clause, held: Held, said_at: datetime) -> list[Finding]:
    """Return what a mere pair corrects ("four kids, not three"), if exactly one thing held fits what is taken back."""
    pair = _PAIR.fullmatch(clause.text) or _PAIR_TURNED.fullmatch(clause.text)
    if not pair or len(clause.text.split()) > _MAX_PAIR_WORDS or clause.subject:
        return []
    candidates = [
        Finding(attribute, new, _confidence(clause), kind=ClaimKind.CORRECTS, replaces=old)
        for attribute in (*READERS, "birthday")
        if (old := _held_value(attribute, pair["old"], held, said_at, of=clause.text)) is not None
        and (new := _read(attribute, pair["new"], said_at, of=clause.text)) is not None
        and normal_form(new) != normal_form(old)
        and _is_all(new, pair["new"])
    ]
    candidates += [
        Finding("pets", new, _confidence(clause), kind=ClaimKind.CORRECTS, replaces=pet)
        for pet in held.values_of("pets")
        if normal_form(pet).split()[:1] == normal_form(pair["old"]).split()[:1] and (new := _renamed(pet, pair["new"]))
    ]
    return held.choose(candidates)


def find_counted(clause: Clause, held: Held) -> list[Finding]:
    """Return what "no, four kids" corrects, of a number that is held."""
    told = re.fullmatch(
        r"(?:it'?s |i have |i've got |we have )?(?:only )?(?P<new>[\w-]+) (?P<noun>[a-z]+)(?: actually)?",
        clause.text,
        re.IGNORECASE,
    )
    is_marked = clause.is_correction or clause.is_slip or clause.follows_correction
    count = read_number(told["new"]) if told and is_marked else None
    if not told or count is None:
        return []
    return [
        Finding(attribute, count, _confidence(clause), kind=ClaimKind.CORRECTS, replaces=old[0])
        for attribute, noun in COUNTED.items()
        if re.fullmatch(noun, told["noun"], re.IGNORECASE) and (old := held.values_of(attribute)) and old[0] != count
    ]


def find_slip(clause: Clause, before: Sequence[Finding], said_at: datetime) -> list[Finding]:
    """Return what "I meant Berlin" corrects: the one thing that was said just before."""
    told = _IT_IS.fullmatch(clause.text)
    if not clause.is_slip or not told or len(before) != 1 or len(clause.text.split()) > _MAX_PAIR_WORDS:
        return []
    old = before[0]
    text = _NOT.sub("", told["new"])
    new = _like(old, text, said_at)
    if new is None or normal_form(new) == normal_form(old.value):
        return []
    return [replace(old, value=new, kind=ClaimKind.CORRECTS, replaces=old.value)]


def find_spelling(clause: Clause, held: Held) -> list[Finding]:
    """Return which name a spelling corrects: the only one held that looks like it."""
    told = _SPELLED.match(clause.text)
    if not told:
        return []
    new = told["new"] or told["also"]
    alike = [
        Finding(attribute, new, _confidence(clause), kind=ClaimKind.CORRECTS, replaces=old)
        for attribute in _NAMES
        for old in held.values_of(attribute)
        if SequenceMatcher(None, normal_form(old), normal_form(new)).ratio() > _IS_SIMILAR
        and normal_form(old) != normal_form(new)
    ]
    return alike if len(alike) == 1 and alike[0].attribute != "pets" else []


def find_blamed(clause: Clause, held: Held) -> list[Finding]:
    """Return what a clause says is wrong, "you got my birthday wrong", if it is held."""
    blamed = _BLAMED.match(clause.text)
    attribute = _BLAMED_NAMES.get(blamed["what"].lower(), blamed["what"].lower()) if blamed else ""
    return [Finding(attribute, value, DECLARED) for value in held.values_of(attribute)][:1]


def _like(finding: Finding, text: str, said_at: datetime) -> Value | None:
    """Read a text as another value of what was found."""
    if finding.attribute == "pets":
        return _renamed(finding.value, text)
    return _read(finding.attribute, text, said_at, of=f"{text} {_NOUNS.get(finding.attribute, '')}")


def _renamed(pet: Value, text: str) -> Value | None:
    """Return an animal under another name, "Max (dog)" for "Mex (dog)", or animals in another number."""
    if " (" not in str(pet):  # "two cats", and "three"
        count, _, species = str(pet).partition(" ")
        said = text.split(maxsplit=1)[0] if text.split() else ""
        return f"{said} {species}" if read_number(count) and read_number(said) is not None else None
    names = READERS["name"](text)
    return f"{names[0]} {str(pet).split(' ', 1)[1]}" if names else None


def _renamed_pet(finding: Finding, held: Held) -> Value | None:
    """Return the animal that a correction gives another name, where only one of its kind is held."""
    species = str(finding.value).partition(" (")[2]
    if finding.attribute != "pets" or finding.subject or not species:
        return None
    same = [pet for pet in held.values_of("pets") if str(pet).endswith(f" ({species}")]
    return same[0] if len(same) == 1 and normal_form(same[0]) != normal_form(finding.value) else None


def _differs(finding: Finding, held: Held) -> bool:
    """Tell whether something else is held in the only place that there is for it."""
    if finding.subject is not None or attribute_of(finding.attribute).has_many:
        return False
    return any(normal_form(value) != normal_form(finding.value) for value in held.values_of(finding.attribute))


def _held_value(attribute: str, text: str, held: Held, said_at: datetime, *, of: str) -> Value | None:
    """Return the value held that a text names; of a birthday, its month is enough."""
    old = _read(attribute, text, said_at, of=of)
    if old is None:
        return None
    for value in held.values_of(attribute):
        is_month = attribute == "birthday" and str(old).isalpha() and month_of(str(value)) == month_of(str(old))
        if is_month or normal_form(value) == normal_form(old):
            return value
    return None


def _read(attribute: str, text: str, said_at: datetime, *, of: str) -> Value | None:
    """Read a text as a value of an attribute, a number only of what is counted in the clause it is of."""
    if attribute == "birthday":
        return read_birthday(re.sub(r"^(?:(?:in|on|the) )+", "", text), said_at)
    counted = COUNTED.get(attribute)
    if counted:
        word = text.split(maxsplit=1)[0] if text.split() else ""
        return (
            read_number(word)
            if (re.search(counted, of, re.IGNORECASE) or re.fullmatch(r"[\w-]+", of) or _MERE_NUMBERS.fullmatch(of))
            else None
        )
    if attribute.startswith("favorite "):
        return text.strip() or None
    read = READERS.get(attribute)
    if attribute == "job" and read:  # "a doctor", whose article went with the head
        text = f"a {re.sub(r'^an? ', '', text)}"
    values = read(text) if read else []
    return values[0] if values else None


def _is_all(value: Value, text: str) -> bool:
    """Tell whether a text says a value and nothing beside it: "concert in Hamburg" is no place."""
    return not isinstance(value, str) or value[0] in "-12" or normal_form(text).endswith(normal_form(value).split()[-1])


def _confidence(clause: Clause) -> float:
    return HEDGED if clause.is_hedged else DECLARED if clause.is_correction else LOOSE
