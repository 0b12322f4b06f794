"""Spells out how people introduce themselves: "31f nurse from Cebu", "Rob, 41, plumber, wife Jan", "Nick here".

What they leave out is put in, so that each member of such a list is a clause with its subject.
"""

import re

from cortex_core.providers.rules.lexicon import any_of
from cortex_core.providers.rules.paraphrases import LEAD, PRONOUNS, reword
from cortex_core.providers.rules.people import KIN, is_known_name, is_name
from cortex_core.providers.rules.work import read_occupation
from cortex_core.words import fold

_MAX_ITEMS = 12
_MAX_JOB_WORDS = 4

_ENDS = r"(?= ?(?:$|[,|]|(?:by the way|btw|here|please|pls|fyi|and|for me|if|now|these days)\b))"
_PRONOUNS_ALONE = re.compile(rf"^(?P<lead>{LEAD})(?P<pronouns>{PRONOUNS}){_ENDS}", re.IGNORECASE)
_HERE = re.compile(
    rf"^(?P<lead>{LEAD})(?P<what>(?:[\w'/-]+ ){{0,3}}?[\w'/-]+) here(?= ?(?:$|[,:;-]|(?:and|btw|lol|so|but|who)\b))",
    re.IGNORECASE,
)
_AGE_AND_SEX = re.compile(
    rf"^(?P<lead>{LEAD})(?:i'?m |i am |im )?(?P<age>[1-6]\d) ?/?(?:m|f|nb|ftm|mtf)\b(?:[ ,/|]+(?P<rest>.*))?$",
    re.IGNORECASE | re.DOTALL,
)
_NAME_FIRST = re.compile(
    rf"^(?P<lead>{LEAD})(?:(?:(?P<am>i'?m|i am)|my name is|my name'?s|the name'?s|name'?s) (?P<name>[^\W\d_][\w'-]*)"
    rf"|(?P<bare>(?-i:[A-Z])[a-z]+))"
    r" ?[,|](?P<rest> ?.+)$",
    re.IGNORECASE | re.DOTALL,
)
_AGE_FIRST = re.compile(
    rf"^(?P<lead>{LEAD})(?:i'?m |i am |im )?(?P<age>[1-6]\d)(?: ?(?:yo|y/o|years? old))? ?[,|](?P<rest> ?.+)$",
    re.IGNORECASE | re.DOTALL,
)
_POSSESSIVE = re.compile(rf"\b((?:my|our) (?:\w+ )?{KIN})s(?= (?:birthday|bday|pronouns)\b)", re.IGNORECASE)
_SPEAKING_AS = re.compile(
    rf"^{LEAD}(?:(?:tbh|ngl|honestly|speaking) )*as an? (?P<what>(?:[\w-]+ ){{0,3}}?[\w-]+)(?P<ends>,|:"
    rf"| (?=(?:i|i'm|im|i've|my)\b))",
    re.IGNORECASE,
)
_IS_PARENT = re.compile(r"(?:\w+ )?(?:mother|mom|mum|father|dad|parent) of \w+$", re.IGNORECASE)
_PARTS = re.compile(r" ?[,|] ?(?:and )?")
_AGE = re.compile(r"[1-9]\d(?: ?(?:yo|y/o|years? old|m|f))?")
_FROM = re.compile(
    r"(?:originally )?from \S|living in \S|based in \S|born (?:and raised )?in \S|studying \S|working (?:as|at|for) \S",
    re.IGNORECASE,
)
_TASTE = re.compile(r"(?:love|like|hate|enjoy|live in|work (?:at|as|for)|speak|play) \S", re.IGNORECASE)
_KIN_NAMED = re.compile(rf"(?:my )?(?P<kin>{KIN}) (?P<name>(?-i:[A-Z])[\w'-]*\w)", re.IGNORECASE)
_CHILDREN = re.compile(
    r"(?P<count>\d|one|two|three|four|five|six) (?P<who>kids|children|boys|girls|sons|daughters)", re.IGNORECASE
)
_STATES = re.compile(rf"(?:{any_of('diets', 'words')}|{any_of('relationships', 'words')})", re.IGNORECASE)
_SONS = {"boys": "sons", "girls": "daughters"}


def spell_out(sentence: str) -> str:
    """Return a sentence with the words that an introduction leaves out; any other as it is.

    >>> spell_out("so i'm Rob, 41, plumber, wife Jan"), spell_out("vegan here"), spell_out("come here")
    ("so my name is Rob, i'm 41, i'm a plumber, my wife Jan", "i'm vegan", 'come here')
    """
    sentence = reword(_POSSESSIVE.sub(r"\1's", sentence))
    if (found := _SPEAKING_AS.match(sentence)) and _is_told_as(found["what"]):
        return f"i'm a {found['what']}, {sentence[found.end() :]}"
    if found := _PRONOUNS_ALONE.match(sentence):
        return f"{found['lead']}my pronouns are {sentence[found.start('pronouns') :]}"
    if (found := _HERE.match(sentence)) and (told := _spell_here(found["what"], has_lead=bool(found["lead"]))):
        return f"{found['lead']}{told}{sentence[found.end() :]}"
    if found := _AGE_AND_SEX.match(sentence):
        return f"{found['lead']}i'm {found['age']}{_spell_rest(found['rest'] or '')}"
    return _spell_list(sentence)


def _spell_list(sentence: str) -> str:
    """Return a list that begins with an age or a name, each of its members with its subject."""
    if found := _AGE_FIRST.match(sentence):
        rest = _spell_rest(found["rest"])
        return f"{found['lead']}i'm {found['age']}{rest}" if rest != f", {found['rest'].strip()}" else sentence
    if found := _NAME_FIRST.match(sentence):
        name, rest = found["name"] or found["bare"], found["rest"]
        if is_known_name(name) or (found["name"] and is_name(name)):
            is_list = _AGE.fullmatch(
                next(part for part in _PARTS.split(rest + ",") if part or not rest.strip(" ,|")).strip()
            )
            if found["name"] or is_list:
                said = "my name is" if is_list or not found["am"] else "i'm"
                return f"{found['lead']}{said} {name}{_spell_rest(rest)}"
    return sentence


def _spell_here(what: str, *, has_lead: bool) -> str:
    """Return what "nurse here" or "Nick here" says; empty if it is something else."""
    if is_known_name(what) and what[0].isupper():
        return f"my name is {what}"
    if has_lead and " " not in what and what[0].isupper() and is_name(what):
        return f"my name is {what}"
    return _spell_item(what) if _AGE.fullmatch(what) or _STATES.fullmatch(what) or _is_job(what) else ""


def _spell_rest(text: str) -> str:
    """Return the rest of a list, after its first member."""
    parts = [part.strip() for part in _PARTS.split(text.strip(" ,|"), _MAX_ITEMS)]
    return "".join(f", {_spell_item(part)}" for part in parts if part)


def _spell_item(item: str) -> str:
    if _AGE.fullmatch(item) or _STATES.fullmatch(item) or _FROM.match(item):
        return f"i'm {item}"
    if _TASTE.match(item):
        return f"i {item}"
    if re.fullmatch(PRONOUNS, item, re.IGNORECASE):
        return f"my pronouns are {item}"
    if found := _KIN_NAMED.fullmatch(item):
        return f"my {found['kin']} {found['name']}" if is_name(found["name"]) else item
    if found := _CHILDREN.fullmatch(item):
        return f"i have {found['count']} {_SONS.get(fold(found['who']), found['who'])}"
    return f"i'm a {item}" if _is_job(item) else item


def _is_told_as(what: str) -> bool:
    """Tell whether somebody who speaks as something says what they are: a parent, a nurse, a vegan."""
    return bool(_IS_PARENT.match(what) or _STATES.fullmatch(what)) or _is_job(what)


def _is_job(item: str) -> bool:
    job, *_ = re.split(r" (?:from|in|at|based|living|for)\b", item, maxsplit=1)
    return len(job.split()) <= _MAX_JOB_WORDS and read_occupation(f"a {job}") == [job]
