"""Reads what is so no more: "I quit my job", "we broke up", "I'm no longer vegan", "Rex died"."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from cortex_core.attributes import attribute_of, is_refined_by, normal_form
from cortex_core.providers.analysis import ClaimKind, Value
from cortex_core.providers.rules.clauses import Clause
from cortex_core.providers.rules.corrections import affirm
from cortex_core.providers.rules.family import pet_value
from cortex_core.providers.rules.findings import find
from cortex_core.providers.rules.grammar import DECLARED, LOOSE
from cortex_core.providers.rules.held import HEDGED, Finding, Held
from cortex_core.providers.rules.lexicon import any_of
from cortex_core.providers.rules.people import is_name

_NO_MORE = re.compile(r" ?,?\b(?:any ?more|any longer|no longer|no more)\b", re.IGNORECASE)
_PARTNER = any_of("people", "partner")
_SPECIES = any_of("pets", "species")
_LONG_WORD = 6
_MAX_WORDS_BETWEEN = 2
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
            rf"(?:{_I} )?(?:(?:have|got|landed|started|found) )?(?:a |my |the )?(?:new (?:job|gig|career)|job again)\b"
            rf"|(?:{_I} )?(?:switched|changed) (?:jobs|careers)\b"
        ),
        ("job", "employer"),
    ),
    (r"(?:the |our )?wedding(?:'?s| is| was) (?:off|cancelled|canceled)\b", ("relationship",)),
    (rf"(?:{_I} )?(?:got |was |been )?(?:kicked out of|expelled from|transferred to) \w+", ("school",)),
    (
        (
            rf"{_I} (?:dropped out|graduated)(?: (?:of|from) (?:uni|university|college|school|high school))?(?= ?(?:$"
            rf"|[,;]|last|this|in|today|yesterday|and|yay|lol|two|a\b))"
        ),
        ("school",),
    ),
    (rf"(?:{_I}(?:'?m)?(?: am)? )?(?:eat|eating|started eating) meat(?: again| now)\b", ("diet",)),
    (r"(?:i'?m|i am|went|i went) back to (?:eating )?meat\b", ("diet",)),
    (rf"my (?:late )?{_PARTNER}(?: \w+)?{_DIED}\b", ("relationship", "partner")),
    (rf"(?:\w+ and (?:i|me)|me and \w+|{_I})(?: are|'re)(?: now| finally| officially)* divorced\b", ("partner",)),
    (rf"(?:{_I} )?(?:officially |legally )?changed my name\b", ("name",)),
    (r"my name(?:'?s| is) (?:now )?(?:legally|officially)\b", ("name",)),
    (rf"{_I} (?:moved away|moved out)(?: (?:from there|of there))?$", ("location",)),
)
# What ends a value of these attributes that the same clause names.
_USED_TO = r"used to (?:be|have|work|live|play|do|eat|go|speak|like|love|date|study)"
_ENDS_NAMED: tuple[tuple[frozenset[str], str], ...] = (
    (
        frozenset({"job", "employer", "school"}),
        (
            r"quit|left|resigned|fired|sacked|laid (?:me )?off|let (?:me )?go|made redundant|retired|walked out"
            rf"|dropped out|graduated|finished|last day|let me go|contract (?:ended|is over)|stopped|gave up|no longer"
            rf"|done with|{_USED_TO}"
        ),
    ),
    (
        frozenset({"diet", "hobbies", "instruments", "languages", "likes"}),
        (
            r"quit|stopped|gave up|given up|had to give up|dropped|ditched|switched from|gone|lasted|didn'?t last"
            r"|forgot(?: all)? my|done with|sick of|over|no longer|sold"
            rf"|haven'?t (?:played|done|touched|gone)(?=.* (?:in|for) (?:\w+ )?(?:years|ages|months))|{_USED_TO}"
        ),
    ),
    (
        frozenset({"location"}),
        rf"left|moved (?:away|out|from)|no longer|(?:finally |now )?out of|packed up|escaped|{_USED_TO}",
    ),
    (
        frozenset({"partner"}),
        (
            r"broke up|broken up|split|divorced|dumped|left me|separated|ended (?:it|things)|died|passed(?: away| on)?"
            r"|my ex|called it off|called off"
        ),
    ),
    (
        frozenset({"pets"}),
        (
            r"died|dead|passed(?: away| on)?|rainbow bridge|put (?:\w+ )?(?:\w+ )?(?:down|to sleep)|rip|rest in peace"
            r"|no longer with us|re-?homed?|didn'?t make it|ran away|buried|rest easy|lost|gone|(?:our |final )*goodbye"
            r"|g[ia]ve(?=.* (?:to|away|up)\b)"
        ),
    ),
    (frozenset({"nickname", "name"}), r"no longer|dropped"),
    (frozenset({"allergies"}), r"not (?:\w+ )?allergic|outgrew|grew out of"),
)
_GOODBYE = (
    r"goodbye|good bye|bye(?:[- ]bye)?|farewell|no more|r\.?i\.?p|traded|swapped|behind me|is over"
    r"|was fun|days are over|went off|fell off|ditched|had enough of"
)
_FORMER = re.compile(r"^(?:\w+ )?(?:my )?(?:ex|former) ")
_NOT_YET = re.compile(
    r"\b(?:never|not|\w+n'?t|almost|nearly|cannot|wanna|want|wants|wish|might|may|should|could|would|will|\w+'ll|gonna"
    r"|going to|about to|thinking|think|if|before|when|until|once|plan\w*|try|trying|tempted|refuse|considering|how|why"
    r"|what|cant|wont|dont|didnt|havent)\b",
    re.IGNORECASE,
)
_DENIES = re.compile(r"\b(?:not|no|never|\w+n'?t|dont|nobody|none|longer)\b", re.IGNORECASE)
_OTHERS_DO = re.compile(r"(?:he|she|they|you|u|someone|somebody|everyone|people|who)\b", re.IGNORECASE)
_NEVER = re.compile(
    r"(?:(?:and|but|it'?s|it was|i'?m|i am|i was|that'?s|we'?re|definitely|really|actually|just) )*(?:not|never|wasn'?t"
    r"|isn'?t)(?: (?:at|in|on|from|for|an?|the|my|really|actually|even|with|called))* (?P<not>.+)"
    r"|(?:(?:no|and|but|so) )?(?P<no>.+?) (?:(?:was|is)(?: just)? (?:a typo|a lie|a joke|a mistake|wrong|autocorrect)"
    r"|never happened|isn'?t (?:right|true|real|mine|my name))"
    r"|(?:forget|ignore|scrap|scratch|delete|remove)(?: about| the)* (?P<drop>.+)"
    r"|i never said (?:i'?m |i was |i |my )?(?:\w+ ){0,3}?(?P<said>[^ ]+)"
    rf"|(?P<pet>[^\s,;]+)(?:'s| is)(?: actually| really)? (?:my |our )?\w+(?: \w+)?'s? {_SPECIES}",
    re.IGNORECASE,
)
_MARKS_AFTER = re.compile(
    r"[ ,]+(?:lol|lmao|haha\w*|though|tho|btw|at all|obviously|duh|sorry|like i said|either)$", re.IGNORECASE
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
_NAMED = tuple(
    (attributes, re.compile(rf"(?<![\w-])(?:{_GOODBYE}|{cues})(?![\w-])", re.IGNORECASE))
    for attributes, cues in _ENDS_NAMED
)


def find_endings(clause: Clause, held: Held, said_at: datetime) -> list[Finding]:
    """Return what a clause ends; what it doesn't name, only where something is held."""
    ended = list(_find_no_more(clause, said_at))
    said = clause.said or clause.text
    more = list(_find_named(clause, held))
    if clause.subject is None or not (ended or more):
        more += [*_find_pet(said, held), *_find_held(said, held)]
        if (left := _LEFT_PARTNER.match(said)) and is_name(name := left["name"] or left["other"]):
            more.append(_ended("partner", name))
    for finding in more:
        if all(finding.key != other.key for other in ended):
            ended.append(finding)
    return [replace(finding, confidence=HEDGED) if clause.is_hedged else finding for finding in ended]


def find_denied(clause: Clause, held: Held, said_at: datetime) -> list[Finding]:
    """Return what a clause says was never so, and nothing else: "not the post office" of where somebody works."""
    if clause.subject is not None or not (denied := _NEVER.fullmatch(_MARKS_AFTER.sub("", clause.text))):
        return []
    what = next(filter(None, denied.groups()))
    return [
        replace(finding, kind=ClaimKind.WITHDRAWS if held.is_news(finding, said_at) else ClaimKind.ENDS)
        for finding in held.findings()
        if (not attribute_of(finding.attribute).has_many or held.is_news(finding, said_at) or denied["pet"])
        and normal_form(str(finding.value).partition(" (")[0]) == normal_form(what)
    ]


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


def _find_named(clause: Clause, held: Held) -> Iterable[Finding]:
    """Yield what a clause names and says to be over, of whom it is about."""
    text = clause.text
    facts = held.findings()
    if clause.subject or _OTHERS_DO.match(text):
        facts = [fact for fact in held.of_others() if clause.subject in {None, fact.subject}]
    if not facts:
        return
    denied = is_ending(clause) and _DENIES.search(text)
    in_form = normal_form(text)
    if _FORMER.match(in_form):  # so that not every message is looked through for every value
        former = [fact for fact in facts if _is_former(in_form, fact.value)]
        yield from (replace(fact, kind=ClaimKind.ENDS, confidence=LOOSE) for fact in former)
    for attributes, cues in _NAMED:
        cue = None if denied else cues.search(text)
        if denied or (cue and not _NOT_YET.search(text, 0, cue.start())):
            named = [fact for fact in facts if fact.attribute in attributes and _is_ended(text, fact.value, cue)]
            if len(named) == 1 or (attributes != {"pets"} and not _OTHERS_DO.match(text)):
                yield from (replace(fact, kind=ClaimKind.ENDS, confidence=LOOSE) for fact in named)


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


def _is_ended(text: str, value: Value, cue: re.Match[str] | None) -> bool:
    mention = _find_mention(text, value)
    return bool(mention and (cue is None or _is_near(text, cue, mention)))


def _is_former(in_form: str, value: Value) -> bool:
    """Tell whether a text in its normal form names a value as one that was: "ex vegetarian", "ex wife Ann"."""
    name = re.escape(normal_form(str(value).partition(" (")[0]))
    return bool(re.search(rf"{_FORMER.pattern}(?:{_PARTNER} )?{name}\b", in_form))


def _find_mention(text: str, value: Value) -> re.Match[str] | None:
    """Find a value in a text, or a part of it that stands for it: "Rex" or "our dog" for "Rex (dog)"."""
    name, _, species = (normal_form(part) for part in str(value).partition(" ("))
    stem = name.removesuffix("ing") if len(name) > _LONG_WORD else name
    forms = [rf"{re.escape(name.removesuffix('s'))}s?", re.escape(stem)]
    forms += [rf"(?:my|our|the) (?:\w+ )?{re.escape(species)}"] if species else []
    return re.search(rf"(?<!\w)(?:{'|'.join(forms)})(?!\w)", text.replace("-", " "), re.IGNORECASE)


def _is_near(text: str, cue: re.Match[str], mention: re.Match[str]) -> bool:
    """Tell whether no more than a few words part a cue from what it is about: "left Tesco", not "left it at Tesco"."""
    between = text[cue.end() : mention.start()] or text[mention.end() : cue.start()]
    return len(between.split()) <= _MAX_WORDS_BETWEEN


def _ended(attribute: str, value: Value) -> Finding:
    return Finding(attribute, value, DECLARED if attribute != "likes" else LOOSE, kind=ClaimKind.ENDS)
