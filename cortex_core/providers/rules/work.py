"""Reads jobs, employers and schools: what tells a nurse from "a bit tired" is a table of occupations."""

import re

from cortex_core.providers.rules.lexicon import words
from cortex_core.providers.rules.places import read_place
from cortex_core.providers.rules.wording import AT_ENDS, ENDS, MAX_CHARS, Values, phrase
from cortex_core.words import fold

_ARTICLE = re.compile(r"(?:an? |the )", re.IGNORECASE)
_HELD_NOT = re.compile(
    r"(?:fan|at heart|of|in the shower|in training|wannabe|to be|by night|nerd|geek|lover|enjoyer|hater|kid|kinda"
    r"|myself|type|person)\b",
    re.IGNORECASE,
)
_INDEFINITE = re.compile(r"an? ", re.IGNORECASE)
_JOB_ENDS = AT_ENDS | frozenset(
    ["and", "studying", "doing", "making", "working", "living", "looking", "trying", "specialising", "specializing"]
)


_GOES_ON = re.compile(
    r"(?:\w+ly|irl|here|myself|full|part|based|using|specialis|specializ|stuck|currently|xd|haha\w*)\b", re.IGNORECASE
)
_BOASTS = frozenset({"professional", "certified", "licensed", "official"})
_NO_JOBS = frozenset(
    [
        "hard",
        "usual",
        "well",
        "team",
        "much",
        "expected",
        "intended",
        "fine",
        "boring",
        "killing",
        "stressful",
        "going",
        "great",
        "ok",
        "my",
        "slave",
        "ghost",
    ]
)


def read_occupation(text: str) -> Values:
    """Read what somebody is after "I'm a": only what is known as a job, whatever stands before it."""
    article = _INDEFINITE.match(text)
    job = phrase(text[article.end() :], ends=_JOB_ENDS, most=5) if article else []
    for end in range(len(job), 0, -1):
        folded = [fold(word) for word in job[:end]]
        if not _is_job(folded):
            continue
        goes_on = bool(job[end:]) and not _GOES_ON.match(job[end])
        rest = text[text.find(" ") + 1 + len(" ".join(job[:end])) :].strip()
        is_held = not _HELD_NOT.match(rest) and not words("jobs", "not_held") & set(folded)
        return [] if goes_on or not is_held or folded[:-1] == ["model"] else [" ".join(job[:end])]
    return []


def _is_job(folded: list[str]) -> bool:
    if folded[-1] in words("jobs", "heads"):
        return True
    before = folded[-2] if len(folded) > 1 else ""
    return folded[-1] in words("jobs", "with_modifier") and before in words("jobs", "modifiers") | words(
        "jobs", "fields"
    )


def read_job(text: str) -> Values:
    """Read a job after "I work as" or "my job is", where almost any words are one."""
    if known := read_occupation(text):
        return known
    article = _ARTICLE.match(text)
    job = phrase(text[article.end() :] if article else text, ends=_JOB_ENDS)
    folded = [fold(word) for word in job]
    if not job or (_NO_JOBS | _BOASTS) & set(folded) or not (article or _is_job(folded)):
        return []
    return [" ".join(job)]


def read_origin(text: str) -> Values:
    """Read where somebody is from after what they are: "a nurse from Cebu"."""
    job = next(iter(read_occupation(text)), None)
    rest = text.partition(str(job))[2] if job else ""
    places = read_place(rest[6:]) if rest.startswith(" from ") else []
    return [place for place in map(str, places) if place[0].isupper()]


def read_trade(text: str) -> Values:
    """Read what somebody drives for a living: "drive trams"."""
    found = _TRADE.match(text)
    return [f"{found['verb']} {found['what']}"] if found else []


def read_out_of_work(text: str) -> Values:
    """Read that somebody has no job: that they are unemployed or retired."""
    found = _OUT_OF_WORK.match(text)
    return [found[1]] if found else []


_OUT_OF_WORK = re.compile(
    r"(unemployed|retired)(?= ?(?:$|[,;]|(?:and|now|so|but|since|atm|rn|these|lol|as of|again)\b))", re.IGNORECASE
)
_TRADE = re.compile(
    r"(?P<verb>drive) (?P<what>(?:(?:an? )?(?:bus|tram|train|lorry|taxi|cab|truck|ambulance|forklift|tractor"
    r"|van)(?= for)"
    r"|(?:(?:an? )?(?:tram|train|lorry|taxi|cab|forklift|ambulance|school bus|city bus)|buses|trams|trains"
    r"|lorries|taxis|cabs"
    r"|trucks))\b)(?! home|,? if)",
    re.IGNORECASE,
)


def read_field(text: str) -> Values:
    """Read a line of work after "I work in"."""
    if text.startswith("IT") and not text[2:3].isalnum():
        return ["IT"]
    found = phrase(text, most=3)
    return [" ".join(found)] if found and fold(found[-1]) in words("jobs", "fields") else []


_LOCAL = re.compile(r"(?:an?|the|my local|our local) (?:(?:local|small|big|large|little|tiny|nearby) )*", re.IGNORECASE)
_EMPLOYER_ENDS = ENDS | frozenset(["in", "on", "at", "near", "a", "an", "doing"])


def read_employer(text: str) -> Values:
    """Read where somebody works: a name, or a kind of place with an article ("a bakery")."""
    article = _LOCAL.match(text)
    rest = text[article.end() :] if article else text
    name = phrase(rest, ends=_EMPLOYER_ENDS)
    is_person = len(name) == 1 and fold(name[0]) in words("names", "common")
    if not name or is_person or (not article and fold(name[0]) in words("jobs", "no_employers")):
        return []
    if any(word[0].isupper() for word in name):
        return _read_company(name) if article or name[0][0].isupper() else []
    plain = phrase(rest)
    if not plain:
        return []
    if article:
        return [" ".join(plain)] if _is_workplace(plain) else []
    is_company = len(plain) == 1 and plain[0].isalpha() and not fold(plain[0]).endswith("ing")
    return plain if is_company and fold(plain[0]) not in words("jobs", "workplaces") else []


def _is_workplace(name: list[str]) -> bool:
    last = fold(name[-1])
    return last in words("jobs", "workplaces") or (len(name) > 1 and last in words("jobs", "workplaces_with_modifier"))


def read_workplace(text: str) -> Values:
    """Read a kind of place with an article, as after "I work in"."""
    found = read_employer(text) if _INDEFINITE.match(text) else []
    return [name for name in map(str, found) if name.islower()]


def _read_company(name: list[str]) -> list[str]:
    """Return a company's name without what a conjunction adds: "Tesco" of "Tesco and hate it"."""
    for at, word in enumerate(name):
        if fold(word) in {"and", "&", "of", "or"} and not (name[at + 1 :] and name[at + 1][0].isupper()):
            name = name[:at]
            break
    return [" ".join(name)] if name else []


def read_named_employer(text: str) -> Values:
    """Read an employer where only a name is credible, as after "I joined"."""
    return [name for name in map(str, read_employer(text)) if name[0].isupper()]


def read_new_employer(text: str) -> Values:
    """Read an employer after "I started at": a name, or a kind of place where nobody is a customer for long."""
    found = [name for name in map(str, read_employer(text)) if name[0].isupper() or _is_workplace(name.split())]
    return [name for name in found if fold(name) not in _JOINED_OTHERWISE]


_JOINED_OTHERWISE = frozenset(
    ["gym", "school", "university", "college", "kindergarten", "library", "nursery", "daycare"]
)


_SCHOOL = re.compile(
    r"(?:the )?((?:(?-i:[A-Z])[\w'&.-]* )*(?:university|uni|college|academy|institute|school"
    r"|polytechnic)(?: of (?:(?-i:[A-Z])[\w-]*|the arts|art|applied sciences"
    r"|technology)(?: (?-i:[A-Z])[\w-]*){0,3})?"
    r"|(?-i:[A-Z]{2,5})\b|(?-i:[A-Z])\w+(?: (?-i:[A-Z])\w+){0,3})",
    re.IGNORECASE,
)


_SURELY_SCHOOL = re.compile(
    r"\b(?:university|college|institute|academy|polytechnic|uni|high|tech|prep|elementary)\b|^UC \w|^(?:harvard"
    r"|yale|stanford|oxford"
    r"|cambridge|princeton|mit|ucl|eth|lse|kcl|nyu|ucla|usc|cornell|duke|berkeley|caltech|tu \w+)\b",
    re.IGNORECASE,
)


def read_sure_school(text: str) -> Values:
    """Read a school that says by itself that it is one, as after "I'm at"."""
    found = re.match(r"UC [A-Z]\w+", text)
    schools = [found[0]] if found else read_school(text)
    return [school for school in map(str, schools) if _SURELY_SCHOOL.search(school) and school[0].isupper()]


def read_attended(text: str) -> Values:
    """Read a school where nothing else can stand, so that its name needs no capital: "i study at monash"."""
    if schools := read_school(text):
        return schools
    name = phrase(text, most=2)
    return (
        [" ".join(name)]
        if name
        and name[-1].isalpha()
        and fold(name[0]) not in words("jobs", "no_employers") | words("jobs", "no_schools")
        else []
    )


def read_school(text: str) -> Values:
    """Read a school by its name; "uni" and "school" alone are none."""
    found = _SCHOOL.match(text)
    if (
        not found
        or fold(found[1]) in {"university", "uni", "college", "academy", "institute", "school", "polytechnic"}
        or len(found[1]) > MAX_CHARS
    ):
        return []
    return [found[1].strip()] if fold(found[1].split()[0]) not in words("people", "nobody") else []
