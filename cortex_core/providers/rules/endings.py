"""Reads what is so no more: "I quit my job", "we broke up", "I'm no longer vegan", "Rex died"."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from cortex_core.attributes import is_refined_by, normal_form
from cortex_core.providers.analysis import ClaimKind, Value
from cortex_core.providers.rules.clauses import Clause
from cortex_core.providers.rules.corrections import affirm
from cortex_core.providers.rules.family import pet_value
from cortex_core.providers.rules.findings import HEDGED, Finding, Held, find
from cortex_core.providers.rules.grammar import DECLARED, LOOSE
from cortex_core.providers.rules.lexicon import any_of
from cortex_core.providers.rules.people import is_name

_NO_MORE = re.compile(r" ?,?\b(?:any ?more|any longer|no longer|no more)\b", re.IGNORECASE)
_PARTNER = any_of("people", "partner")
_SPECIES = any_of("pets", "species")
_I = r"(?:i|we|i'?ve|i have|we'?ve)(?: (?:just|recently|finally|actually|sadly|also|already|kinda))*"
_DIED = (
    r"(?: (?:just|sadly|unfortunately|recently))*(?: (?:died|passed(?: away| on)?|crossed the rainbow bridge"
    r"|is dead|is gone now|was put (?:down|to sleep)|had to be put (?:down|to sleep)))"
)

# What ends whatever is held of these attributes, in the order of the words.
_ENDS_ALL: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        (
            rf"{_I} (?:quit|left|lost|resigned from|walked out of|got (?:fired|laid off|let go)(?: from)?"
            rf"|been (?:fired|laid off|let go)(?: from)?) (?:my|the) (?:old )?(?:job|work)\b"
        ),
        ("job", "employer"),
    ),
    (
        rf"{_I}(?: been| got| was)? (?:fired|sacked|laid off|made redundant|let go)\b(?! (?:of|my|a|the)\b)",
        ("job", "employer"),
    ),
    (
        (
            r"(?:i'?m|i am)(?: (?:now|currently|officially|finally))* (?:unemployed|retired|jobless"
            r"|out of (?:a job|work)|between jobs)\b"
        ),
        ("job", "employer"),
    ),
    (rf"{_I} (?:retired|resigned)(?: (?:last|this|in|after|from work|yesterday|today)\b.*)?$", ("job", "employer")),
    (
        (
            rf"(?:{_I}|(?:me and my|my) {_PARTNER}(?: and i| and me)?|me and \w+|\w+ and (?:i|me)) (?:have |'ve |just "
            rf"|finally |recently )*(?:broke up|broken up|split up|split|separated|ended things|called it quits)\b"
        ),
        ("relationship", "partner"),
    ),
    (
        rf"{_I} (?:broke up with|dumped|left|split up with|split from) (?:my|the) {_PARTNER}\b",
        ("relationship", "partner"),
    ),
    (rf"my {_PARTNER}(?: \w+)? (?:just )?(?:broke up with|dumped|left) me\b", ("relationship", "partner")),
    (rf"{_I} (?:got divorced|got a divorce|divorced|finalized (?:my|our) divorce)\b", ("partner",)),
    (
        (
            rf"{_I} (?:dropped out|graduated)(?: (?:of|from) (?:uni|university|college|school|high school))?(?= ?(?:$"
            rf"|[,;]|last|this|in|today|yesterday|and|yay|lol|two|a\b))"
        ),
        ("school",),
    ),
    (rf"{_I}(?:'?m)?(?: am)? (?:eat|eating|started eating) meat(?: again| now)\b", ("diet",)),
    (r"(?:i'?m|i am|went|i went) back to (?:eating )?meat\b", ("diet",)),
    (rf"my (?:late )?{_PARTNER}(?: \w+)?{_DIED}\b", ("relationship", "partner")),
    (rf"(?:\w+ and (?:i|me)|me and \w+|{_I})(?: are|'re)(?: now| finally| officially)* divorced\b", ("partner",)),
    (rf"(?:{_I} )?(?:officially |legally )?changed my name\b", ("name",)),
    (rf"{_I} (?:moved away|moved out)(?: (?:from there|of there))?$", ("location",)),
)
# What ends a value that it names, where that is held.
_ENDS_NAMED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        (
            rf"{_I} (?:quit|stopped|gave up|given up|dropped|had to (?:quit|stop|give up|drop))(?: (?:being"
            rf"|playing|doing|eating|working at|working for"
            rf"|working as|going to|speaking|practi[sc]ing|learning))?(?: on)?(?: (?:the|an?|my))? (?P<what>[^,;]+)"
        ),
        ("hobbies", "instruments", "diet", "employer", "job", "school", "likes"),
    ),
    (
        (
            rf"{_I} (?:left|quit|got (?:fired|laid off) (?:from|at|by)|got let go (?:from|by|at)|resigned from"
            rf"|stopped working (?:at|for)) (?P<what>[^,;]+)"
        ),
        ("employer", "location", "school"),
    ),
    (rf"{_I} (?:moved (?:away from|out of)|left) (?P<what>[^,;]+)", ("location",)),
    (rf"{_I} (?:broke up with|dumped|divorced|split up with|split from) (?P<what>[^,;]+)", ("partner",)),
    (
        rf"{_I} (?:sold|rehomed|gave away|had to (?:put down|rehome|give up)|lost)(?: my| our)? (?P<what>[^,;]+)",
        ("pets", "instruments"),
    ),
    (rf"{_I} (?:had to give|gave)(?: away)?(?: my| our)? (?P<what>[^,;]+?) (?:to|away|up)\b", ("pets", "instruments")),
    (rf"{_I} had to put (?:my |our )?(?P<what>[^,;]+?) (?:down|to sleep)\b", ("pets",)),
    (rf"{_I} (?:graduated|dropped out)(?: from| of)? (?P<what>[^,;]+)", ("school",)),
    (
        (
            r"(?:i|we) used to (?:be|have|work (?:at|for|as)|live in|play|do|eat|go to|speak|like|love)(?: (?:an?"
            r"|the))? (?P<what>[^,;]+)"
        ),
        ("diet", "employer", "job", "location", "instruments", "hobbies", "school", "likes"),
    ),
    (rf"(?P<what>[^\s,;]+){_DIED}\b", ("pets",)),
    (rf"(?P<what>[^\s,;]+)(?:'s| is)(?: actually| really)? (?:my |our )?\w+(?: \w+)?'s? {_SPECIES}\b", ("pets",)),
    (
        rf"{_I} (?:don'?t|no longer) have (?:my |our |the )?(?P<what>[^,;]+?) (?:any ?more|any longer)\b",
        ("pets", "instruments"),
    ),
    (
        r"(?:i )?haven'?t (?:played|done|gone) (?P<what>[^,;]+?) (?:in|for) (?:years|ages|months)\b",
        ("instruments", "hobbies"),
    ),
    (r"(?:i'?m|i am) not (?:actually |even )?allergic to (?P<what>[^,;]+)", ("allergies",)),
    (r"(?P<what>[^\s,;]+) (?:just )?(?:fired me|laid me off|let me go)\b", ("employer",)),
    (r"(?:it was |today was |today is |yesterday was )?(?:my )?last day at (?P<what>[^,;]+)", ("employer", "school")),
    (r"(?P<what>[^\s,;]+) is no longer with us\b", ("pets",)),
    (rf"{_I} said (?:our )?(?:final )?goodbye to (?:my |our )?(?P<what>[^,;]+)", ("pets",)),
    (rf"(?:my|our) (?:(?:old|little|sweet|poor|dear) )?(?:{_SPECIES} )?(?P<what>[^\s,;]+){_DIED}\b", ("pets",)),
    (r"(?:i'?m|i am) no longer (?:at|with|in) (?P<what>[^,;]+)", ("employer", "school", "location")),
)
_PET_DIED = re.compile(
    rf"(?:my|our) (?:(?:old|little|sweet|poor|dear"
    rf"|beloved) )?(?P<species>{_SPECIES}),?(?: (?P<name>[^\W\d_][\w-]*),?)??{_DIED}\b",
    re.IGNORECASE,
)
_REST_IN_PEACE = re.compile(r"^rip,?(?: to)? (.{1,60})$", re.IGNORECASE)
_LEFT_PARTNER = re.compile(
    rf"{_I} (?:broke up with|dumped|divorced|split up with) (?:my (?:{_PARTNER}) )?(?P<name>(?-i:[A-Z])\w+)"
    rf"|(?P<other>(?-i:[A-Z])\w+) and (?:i|me) (?:just |have |recently |finally )*(?:broke up|broken up"
    rf"|split up|separated|got divorced)",
    re.IGNORECASE,
)

_HAS_SOMEBODY = re.compile(
    rf"(?:{_I} (?:have|got|met) an? (?:new )?{_PARTNER}\b|(?:i'?m|i am)(?: now)? (?:seeing|dating) (?!no ?body"
    rf"|no one|any))",
    re.IGNORECASE,
)
_ALL = tuple((re.compile(pattern, re.IGNORECASE), attributes) for pattern, attributes in _ENDS_ALL)
_NAMED = tuple((re.compile(pattern, re.IGNORECASE), attributes) for pattern, attributes in _ENDS_NAMED)


def find_endings(clause: Clause, held: Held, said_at: datetime) -> list[Finding]:
    """Return what a clause ends; what it doesn't name, only where something is held."""
    ended = list(_find_no_more(clause, said_at))
    if clause.subject is None or not ended:
        said = clause.said or clause.text
        ended += _find_pet(said, held)
        ended += [finding for finding in _find_held(said, held) if all(finding.key != other.key for other in ended)]
        if (left := _LEFT_PARTNER.match(said)) and is_name(name := left["name"] or left["other"]):
            finding = _ended("partner", name)
            ended += [finding] if all(finding.key != other.key for other in ended) else []
    return [replace(finding, confidence=HEDGED) if clause.is_hedged else finding for finding in ended]


def is_ending(clause: Clause) -> bool:
    """Tell whether a clause says that something is so no more."""
    return bool(_NO_MORE.search(clause.text))


def _find_no_more(clause: Clause, said_at: datetime) -> Iterable[Finding]:
    """Yield what is denied with "any more", or said with "no longer"."""
    if not is_ending(clause):
        return
    text = _NO_MORE.sub("", clause.text)
    clause_now = replace(clause, text=text, said=_NO_MORE.sub("", clause.said))
    denied = affirm(clause_now) or clause_now
    if denied.text == text and not re.search(r"no longer|no more", clause.text, re.IGNORECASE):
        return
    for finding in find(denied, said_at):
        yield replace(finding, kind=ClaimKind.ENDS, valid_from=None)


def _find_held(text: str, held: Held) -> Iterable[Finding]:
    if _HAS_SOMEBODY.match(text):
        yield from (_ended("relationship", value) for value in held.values_of("relationship") if value == "single")
    for pattern, attributes in _ALL:
        if pattern.match(text):
            for attribute in attributes:
                yield from (_ended(attribute, value) for value in held.values_of(attribute))
            return
    for pattern, attributes in _NAMED:
        if match := pattern.match(text):
            named = [
                _ended(attribute, value)
                for attribute in attributes
                for value in held.values_of(attribute)
                if _names(match["what"], value)
            ]
            if named and (len(named) == 1 or attributes != ("pets",)):
                yield from named
                return


def _find_pet(text: str, held: Held) -> Iterable[Finding]:
    """Yield the animal that died, held or not."""
    died = _PET_DIED.match(_REST_IN_PEACE.sub(r"\1 died", text))
    if not died:
        return
    value = pet_value(died["name"], died["species"]) if died["name"] else died["species"]
    alike = [
        other
        for other in held.values_of("pets")
        if normal_form(other) == normal_form(value) or is_refined_by(value, other)
    ]
    if not alike and died["name"]:
        alike = [other for other in held.values_of("pets") if normal_form(other) == normal_form(died["name"])]
    if len(alike) <= 1:
        yield _ended("pets", alike[0] if alike else value)


def _names(text: str, value: Value) -> bool:
    """Tell whether a text begins with a value, or with a part of it that stands for it: "Rex" for "Rex (dog)"."""
    said, kept = normal_form(text).split(), normal_form(value).split()
    is_part = len(kept) > 1 and said[:1] in (kept[:1], kept[-1:])  # "Rex" or "our dog"
    return said[: len(kept)] == kept or is_part or "".join(said[:1]) == "".join(kept)


def _ended(attribute: str, value: Value) -> Finding:
    return Finding(attribute, value, DECLARED if attribute != "likes" else LOOSE, kind=ClaimKind.ENDS)
