"""Cuts a message into the clauses in which somebody declares something.

Each begins with its subject ("i live in …", "my brother is …"), also where the message leaves it out or says "he", so
that the patterns can be anchored there. What isn't so (`reality`) is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile

from cortex_core.providers.rules import reality
from cortex_core.providers.rules.cleaning import clean
from cortex_core.providers.rules.introductions import spell_out
from cortex_core.providers.rules.people import OTHER, PERSON, RELATIVE, VERBS, is_known_name, subject_of
from cortex_core.providers.rules.reality import phrases

READ_CHARS = 2_000
_MAX_CLAUSES = 40
_MAX_BINDING_CHARS = 12


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing that is declared.

    Attributes:
        text: From its subject on, without what leads up to it ("well", "btw"); `people.OTHER` stands for somebody else.
        said: The same with whoever it is about.
        subject: Whom it is about, if that isn't the speaker; None also where it is nobody.
        is_sure_of_subject: Whether the subject is certainly a person.
        sentence: Which sentence of the message it is in.
        is_hedged: Whether its speaker isn't sure.
        is_correction: Whether something before it says that this is a correction ("no", "actually").
        is_slip: Whether it takes the place of something just said ("I meant …", "*…").
        follows_correction: Whether something before it in the message says so.
        is_greeting: Whether a greeting stands before it.
        lead: What was taken off before it.
        after: What follows it in its sentence.
    """

    text: str
    sentence: int = 0
    said: str = ""
    subject: str | None = None
    is_sure_of_subject: bool = True
    is_hedged: bool = False
    is_correction: bool = False
    is_slip: bool = False
    follows_correction: bool = False
    is_greeting: bool = False
    lead: str = ""
    after: str = ""


def read_clauses(message: str) -> list[Clause]:
    """Return the clauses of a message that declare something, in their order.

    Args:
        message: Of any length; the first 2,000 characters are read.
    """
    text = clean(message[:READ_CHARS])
    if reality.is_unreal(text):
        return []
    clauses: list[Clause] = []
    subjects = _Subjects()
    leads, takes_back, is_corrected = "", False, False
    for number, sentence in enumerate(_SENTENCE.finditer(text)):
        if _ONLY_LEADS.fullmatch(sentence["text"].strip()) and "?" not in sentence["end"]:
            leads = f"{sentence['text'].strip()}, "  # "That's wrong. I live in …"
            continue
        if not reality.is_foreign(sentence["text"]):
            told = leads + sentence["text"].strip()
            takes_back |= bool(reality.takes_back(told))
            read = _read_sentence(told, number, subjects, asks="?" in sentence["end"])
            clauses += (
                replace(one, is_correction=one.is_correction or takes_back, follows_correction=is_corrected)
                for one in read
            )
            opening = _take_leads(Clause(told))
            is_corrected |= takes_back or opening.is_correction or opening.is_slip
        leads = ""
        if len(clauses) >= _MAX_CLAUSES:
            break
    return clauses[:_MAX_CLAUSES]


@dataclass(slots=True)
class _Subjects:
    """Who was spoken of: by the clause before ("and work as …"), and so far in the message ("he")."""

    last: str = ""
    has: bool = False
    others: set[str] = field(default_factory=set)


_SENTENCE = re.compile(r"(?P<text>(?:[^!?…\n;.]|\.(?=[a-z0-9]))+)(?P<end>[!?…;.]*)")

# What may stand before the subject. Those of a correction say that what was thought so far is wrong.
_CORRECTING = phrases(r"""
no+(?! (?:more|longer|one)\b), nope, nah, nono, wrong, incorrect, actually, sorry, my bad, correction
that'?s (?:wrong|not right|incorrect|not true|not correct|a lie), that is wrong, oops, wait, not quite, you'?re wrong
sry, soz, wait no, hang on, hold on, my mistake, whoops, woops, i lied, jk, j/k, just kidding, kidding
you got (?:that|it|me) wrong, you(?:'ve| have)? (?:mixed|mix) (?:that|it) up, not true, typo, edit
""")
_SLIPPING = phrases(
    r"i meant, meant, i mean, i meant to say, make that, should be, scratch that, typo,"
    r" i misspoke, mistyped, (?:stupid |damn )?autocorrect, oops"
)
_GREETING = phrases(
    r"hi+, hey+, hello, heya, hiya, yo, sup, good (?:morning|evening"
    r"|afternoon), howdy, greetings, nice to meet (?:you|u|ya|everyone)( all)?"
)
_FILLER = phrases(r"""
oh no, well, so+, ye+a+h*, yes, yep, yup, oh+, o+k+a*y*, k, btw, fyi, also, and, but, anyway, anyways, honestly, tbh
ngl, lo+l+
lma+o+, haha\w*, hehe\w*, rofl, welp, alright, aight, yo, in other news, long story short, plot twist, confession
announcement
(?:(?:quick|small|little|big|life|minor|slight|sad|good|bad|great|happy|exciting) )?(?:update|news|psa|note)(?: time)?
reminder, hm+, um+, uh+, like, then, plus, though, cause, because, cuz, bc, while, whereas, where
personally, by day, you know, by the way, for the record, fun fact, just so you know, guess what, pls, please, clara
all, everyone, everybody, guys, folks, there, y'?all, dude, bro, man, remember,? that, remember, don'?t forget
i swear, as i said, like i said, i told you, i told u, i said, told you, i already (?:told|said)\w*(?: you)?
note that, keep in mind, good to know, for context, context, in fact, as for me, as it happens, to be fair
to be honest, the thing is, unfortunately, sadly, luckily, thankfully, finally, currently, now, right now
nowadays, these days, at the moment, rn, atm, so far, or, n, as well, too, little fact, about me, intro, update
i think, i guess, i suppose, i believe, maybe, probably, perhaps, apparently, i reckon, thanks?, thank you, sure
cool, nice, great, same, me too, aw+, omg, wow, xd, just, guys, mate, ugh, sigh, same here, since you asked
technically, basically, literally
turns out, listen, look, heads up, hear me out, seriously, originally, since (?:19|20)\d\d, ever since, growing up
as of \w+(?: (?:week|month|year|night))?, yesterday, last (?:week|month|year|\w+day)
this (?:week|month|year|morning), (?:back )?in (?:19|20)\d\d, \w+ (?:years?|months?|weeks?|days?) ago
""")
_LEAD = re.compile(
    rf"(?:(?P<corrects>{_CORRECTING})|(?P<slips>{_SLIPPING})|(?P<greets>{_GREETING})|{_FILLER})(?!\w"
    rf"|'\w)(?: ?[,:!.-]+)* *",
    re.IGNORECASE,
)
_ONLY_LEADS = re.compile(
    rf"(?:{_CORRECTING}|{_FILLER}|{_GREETING}|{_SLIPPING})(?:,? (?:{_CORRECTING}|{_FILLER}|clara|that))?", re.IGNORECASE
)
_MAX_LEADS = 6

_CONJUNCTION = phrases(
    "and, but, so, because, cause, cuz, bc, plus, though, although, while, whereas, also, then, however,"
    " yet, or, btw, lol, where, haha, lmao"
)
_SUBJECT = phrases(rf"""
i'?m, i'?ve, i'?d, i'?ll, i, my, we'?re, we'?ve, we, our, he'?s, she'?s, they'?re, he, she, they, his name
her name(?:'?s)?, it'?s, it
(?-i:[A-Z][a-z]+) (?:lives|works|speaks|studies|moved)(?= ), you'?re, you, u, your, that'?s, that, this, these
there'?s, there, {RELATIVE}, everyone, everybody, people
name'?s, call me, pronouns, wbu, hbu, what, how, who, why, do you, are you, does, did, can, could, should, would
is that, is there, if, idk, dunno, don'?t know, no idea, not sure, anyone
any (?:ideas?|tips?|recs?|recommendations?|suggestions?|thoughts|advice|one|of)
does any
""")
# Clauses without a subject of their own, and what stands for it.
_HAVE = r"(?:have|got) (?:\w+ ){1,2}(?:kids|children|cats?|dogs?|siblings|brothers?|sisters?|sons?|daughters?)"
_DOING = phrases(
    rf"live in, work (?:as|at|for|in), {_HAVE}, speak, play, study, love, like, hate, enjoy, moved to, grew up"
    rf" in, was born, go by, don'?t (?:like|eat)"
)
_BEING = phrases(r"""
living in, working (?:as|at|for), based in, from(?= (?-i:[A-Z])), originally from, born (?:and|in|on)
allergic to, vegan, vegetarian, single, married, divorced, engaged
(?:a )?(?:proud )?(?:mother|mom|mum|father|dad|parent) of, an? \w+, (?:one|two|three|four|\d) \w+
\d\d(?= *(?:$|,|years|yo\b|y/o|from|and|\|)), not an? \w+ any ?more, fluent in
""")
_THEY_DO = phrases(
    r"lives in, works (?:as|at|for), speaks, plays, studies, loves, likes, hates, enjoys, moved to, grew up"
    r" in, is, has (?:\w+ ){1,2}(?:kids|children)"
)
# The same at the start of a sentence, where fewer verbs can't be a command or somebody else's.
_DOES_DROPPED = phrases(r"""
turned \d\d, went, moved (?:to|back|from|away|in|out), grew up, quit, left, stopped, gave up, got, broke up
started, adopted, had to put, was born, live in, work (?:as|at|for), study at, joined, became, dropped out
graduated, lost my, sold my, been, named, (?:picked|took) up, had to (?:put|give|rehome|sell|quit|stop|leave|drop)
""")
_IS_DROPPED = phrases(r"""
living in, based (?:in|out of), born and, originally from, from(?= (?-i:[A-Z])), working (?:as|at|for)
(?:(?:deathly|severely|highly|super|very|mildly) )?allergic to, happily (?:single|divorced)
studying at, (?:a )?(?:proud |single )*(?:mother|mom|mum|father|dad|parent) of, not (?:a )?(?:big |huge )?fan of
(?:a )?(?:big|huge|massive) fan of, married, happily married
(?:single|divorced|separated|engaged|widowed) (?:since|for|now)
(?:vegan|vegetarian|pescatarian|keto) (?:since|for|now), married to, fluent in, no longer
""")
_ADVERBS = r"(?:(?:now|currently|also|still|just|recently|really|mostly|only|both|always) )*"
_BREAK = re.compile(
    rf"(?:(?:(?<![,:()|~]) ?[,:()|~]++| [-\u2013\u2014]++|\u2014) ?| (?={_CONJUNCTION}\b))"
    rf"(?=(?P<lead>(?:(?:{_CONJUNCTION}|{_FILLER}|{_CORRECTING}),? ){{0,3}}?)"
    rf"(?:(?P<joint>(?:i|me|my \w+)\b(?!'))|{_SUBJECT}\b(?!/)|{_ADVERBS}(?:(?P<does>{_DOING})|(?P<is>{_BEING})"
    rf"|(?P<they>{_THEY_DO}))\b))",
    re.IGNORECASE,
)
_KINDS = ("does", "is", "they")

# "I'm a nurse, a mother of two and …", "I have a dog and two cats".
_COUNTED = re.compile(r"(?:an?|one|two|three|four|\d) ", re.IGNORECASE)
_TAKES_COUNTED = re.compile(r"\b(?:i'?m|i am|is|'s|have|has|got)\b|'ve got\b", re.IGNORECASE)
_HAVING = re.compile(r"(?:i|we)(?: \w+)? (?:have|got)\b|(?:i|we)'?ve got\b", re.IGNORECASE)

_KINDRED = re.compile(r"(?:an?|one|two|three|four|\d) (?:\w+ )?(?:brother|sister|son|daughter)s?\b", re.IGNORECASE)
_JOINT = re.compile(
    r"(?:(?:hi|hey|so|well|yeah|today|yesterday),? )?(?:my \w+(?: \w+)?|(?-i:[A-Z])\w+|me)", re.IGNORECASE
)

# Where a clause begins anew without a mark, as in "im sam i live in oslo", but not in "the city i live in".
_RUN_ON = re.compile(r" (?=(?:i'?m|i am|i live|i work|i have|i've got|my name)\b)", re.IGNORECASE)
_STARTS_OWN = re.compile(
    r"(?:i'?m|i'?ve|i|my|hi+|hey+|hello|yo|well|ok|okay|so|lol|oh|yeah|yes|heya|hiya)\b", re.IGNORECASE
)
_BINDS = re.compile(
    r"\b"
    + phrases(r"""
that, if, when, where, what, who, which, how, why, because, cause, cuz, bc, since, as, than, until, till, before
after, while, things?, place, city, town, house, job, people, guy, girl, friend, team, company, know, thinks?
thought, hope, wish, guess, says?, said, told, tell, bet, feel, means?, realise, realize, forgot, believe, sure
like, glad, happy, sad, proud, afraid, all, everything, only, so, not, one, way, time, day, reason, and, but, or
swear, see, pretend, apparently, whenever, area, country, school, region, street, part, fact, mean, the more
every day, love, hate, kind, person, moment, now
""")
    + r"\Z",
    re.IGNORECASE,
)


def _read_sentence(sentence: str, number: int, subjects: _Subjects, *, asks: bool) -> Iterator[Clause]:
    sentence = spell_out(sentence)
    own = reality.before_hearsay(sentence)
    if reality.is_supposed(own) or reality.is_question_without_mark(own):
        return
    pieces = list(takewhile(_is_certain, islice(_split(own), _MAX_CLAUSES)))
    if asks:
        if len(pieces) <= 1 or own != sentence or not reality.is_question(pieces[-1][1]):
            return
        pieces = [piece for piece in pieces if not reality.is_question(piece[1])]
    led, is_first = "", True
    for at, (kind, piece) in enumerate(pieces):
        if _ONLY_LEADS.fullmatch(piece):
            led += f"{piece}, "
            continue
        clause = _take_leads(Clause(led + piece, number, after=" ".join(later for _, later in pieces[at + 1 :])))
        if at and _SO_I_AM.match(piece):
            clause = replace(clause, is_hedged=True)
        yield _with_subject(clause, kind, subjects, is_first=is_first)
        led, is_first = "", False


def _is_certain(piece: tuple[str, str]) -> bool:
    """Tell whether a piece of a sentence depends on nothing; what comes after one that does may hang on it, too."""
    return not reality.is_conditional(piece[1])


def _split(sentence: str) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a sentence, each with how it does without a subject: "does", "is", "they", or not: ""."""
    start, kind = 0, ""
    for match in _BREAK.finditer(sentence):
        if match["joint"] and "and " in match[0] + match["lead"] and _JOINT.fullmatch(sentence, start, match.start()):
            continue  # "my wife and i"
        if (
            match["is"]
            and _KINDRED.match(sentence, match.start("is"))
            and _KINDRED.search(sentence, start, match.start())
        ):
            continue  # "two brothers and a sister"
        if match["is"] and _COUNTED.match(match["is"]) and not _TAKES_COUNTED.search(sentence, start, match.start()):
            continue  # "german and a bit of french"
        yield from _split_run_on(kind, sentence[start : match.start()])
        kind = next((name for name in _KINDS if match[name]), "")
        start = match.end()
    yield from _split_run_on(kind, sentence[start:])


def _split_run_on(kind: str, text: str) -> Iterator[tuple[str, str]]:
    start = 0
    if _STARTS_OWN.match(text):
        for match in _RUN_ON.finditer(text):
            if not _BINDS.search(text[max(start, match.start() - _MAX_BINDING_CHARS) : match.start()]):
                yield kind, text[start : match.start()].strip()
                start, kind = match.end(), ""
    if piece := text[start:].strip():
        yield kind, piece


def _take_leads(clause: Clause) -> Clause:
    """Return the clause from its subject on, with what the words before it say."""
    text, met = clause.text, set[str]()
    for _ in range(_MAX_LEADS):
        lead = _LEAD.match(text)
        if not lead:
            break
        met |= {name for name, found in lead.groupdict().items() if found}
        text = text[lead.end() :]
    return replace(
        clause,
        text=text,
        is_hedged=reality.is_hedged(clause.text) or clause.text[:3].lower() == "or ",
        is_correction="corrects" in met,
        is_slip="slips" in met,
        is_greeting="greets" in met,
        lead=clause.text[: len(clause.text) - len(text)],
    )


_SO_I_AM = re.compile(r"(?:and )?so (?:i'?m|i am) (?:now )?an? ", re.IGNORECASE)  # "did my taxes so I'm an accountant"
_FIRST_PERSON = re.compile(r"(?:i'?m|i am|i'?ve|i|we)\b", re.IGNORECASE)
_RELATIVE = re.compile(RELATIVE, re.IGNORECASE)
_PERSON = re.compile(rf"(?P<person>{PERSON})(?= {VERBS}\b|'s )", re.IGNORECASE)
_NO_MORE = re.compile(r"(?:not an? \w+|not \w+|no longer \w+(?: \w+)?)(?: any ?more)?$", re.IGNORECASE)
_ANIMATE = re.compile(
    r" (?:just )?(?:lives|works|loves|likes|hates|speaks|studies|moved|turned|grew)\b|'s birthday\b|(?: is"
    r"|'s) (?:single|married|engaged|divorced|allergic)\b",
    re.IGNORECASE,
)
_GERUND_CLAUSE = (
    r"(?:living|working|studying)\b.* (?:is|isn'?t|sucks?|was|wasn'?t|has|can|can'?t|makes?|means?|costs?|gets?"
    r"|beats?|feels?|would|will"
    r"|rocks?)\b"
)  # "living in Berlin is expensive"
_DROPPED = {
    "i am ": re.compile(rf"(?!{_GERUND_CLAUSE})(?:{_ADVERBS}{_IS_DROPPED}\b|{_NO_MORE.pattern})", re.IGNORECASE),
    "i ": re.compile(rf"{_ADVERBS}{_DOES_DROPPED}\b", re.IGNORECASE),
    "my ": re.compile(
        r"(?:(?:the )?name's|(?:the )?name is|birthday is|b-?day:|(?:new )?fav\w* \w+(?: is| are|:))", re.IGNORECASE
    ),
}
_HIS = re.compile(r"(?:his|her) (?=(?:name|birthday|bday|pronouns)(?:'?s)? )", re.IGNORECASE)
_FROM = re.compile(r"from (?=(?-i:[A-Z]))", re.IGNORECASE)
_PRONOUN = re.compile(r"(?:he|she)(?=(?:'s)? )", re.IGNORECASE)


def _with_subject(clause: Clause, kind: str, subjects: _Subjects, *, is_first: bool) -> Clause:
    """Return the clause with a subject, and keep in mind who that is."""
    text = clause.text
    if kind == "they":
        text = f"{subjects.last} {text}" if subjects.last not in {"", "i"} else text
    elif kind and subjects.last:
        has = subjects.has and _COUNTED.match(text)
        verb = "" if kind == "does" else " have" if has else " am" if subjects.last == "i" else " is"
        text = f"{subjects.last}{verb} {text}"
    elif (pronoun := _PRONOUN.match(text)) and len(subjects.others) == 1:
        text = next(iter(subjects.others)) + text[pronoun.end() :]
    elif (his := _HIS.match(text)) and len(subjects.others) == 1:
        text = f"{next(iter(subjects.others))}'s {text[his.end() :]}"
    elif is_first or subjects.last == "i":
        dropped = next((subject for subject, start in _DROPPED.items() if start.match(text)), "")
        if clause.is_greeting and _FROM.match(text):  # "hi from Osaka!"
            is_home = not reality.is_away(f"{text} {clause.after}")
            dropped, text = ("i am living ", _FROM.sub("in ", text)) if is_home else ("", text)
        text = dropped + text
    subjects.has = bool(_HAVING.match(text)) or (subjects.has and bool(kind))
    found = _PERSON.match(text)
    subject = subject_of(found["person"]) if found else None
    is_sure = bool(found and subject) and (bool(_RELATIVE.match(text)) or is_known_name(subject or ""))
    if not found or not subject or not (is_sure or _ANIMATE.match(text, found.end())):
        if not kind:
            subjects.last = "i" if _FIRST_PERSON.match(text) else ""
        return replace(clause, text=text, said=text)
    subjects.last = found["person"]
    subjects.others.add(found["person"])
    return replace(clause, text=OTHER + text[found.end() :], said=text, subject=subject, is_sure_of_subject=is_sure)
