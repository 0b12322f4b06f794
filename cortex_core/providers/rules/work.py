"""Reads jobs, employers and schools: what tells a nurse from "a bit tired" is a table of occupations."""

import re

from cortex_core.providers.rules.lexicon import words
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
    if not job or _NO_JOBS & set(folded) or not (article or _is_job(folded)):
        return []
    return [" ".join(job)]


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
    if not name or (not article and fold(name[0]) in words("jobs", "no_employers")):
        return []
    if any(word[0].isupper() for word in name):
        return _read_company(name) if article or name[0][0].isupper() else []
    plain = phrase(rest)
    if not plain:
        return []
    if article:
        return [" ".join(plain)] if fold(plain[-1]) in words("jobs", "workplaces") else []
    is_company = len(plain) == 1 and plain[0].isalpha() and not fold(plain[0]).endswith("ing")
    return plain if is_company and fold(plain[0]) not in words("jobs", "workplaces") else []


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


_SCHOOL = re.compile(
    r"(?:the )?((?:(?-i:[A-Z])[\w'&.-]* )*(?:university|uni|college|academy|institute|school"
    r"|polytechnic)(?: of (?:(?-i:[A-Z])[\w-]*|the arts|art|applied sciences"
    r"|technology)(?: (?-i:[A-Z])[\w-]*){0,3})?"
    r"|(?-i:[A-Z]{2,5})\b|(?-i:[A-Z])\w+(?: (?-i:[A-Z])\w+){0,3})",
    re.IGNORECASE,
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
