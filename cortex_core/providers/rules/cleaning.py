"""Takes from a message what its author didn't write as their own plain word: code, quotes, links, emoji, markup."""

import re

from cortex_core.providers.rules.people import OTHER

_MAX_QUOTED_WORDS = 2

_REPLACEMENTS = (
    (re.compile(OTHER), ""),
    (re.compile(r"(?<=\w)[\u2018\u2019\u00b4`](?=\w)"), "'"),
    (re.compile(r"(?<=fianc)\u00e9"), "e"),
    (re.compile(r"```.*?(?:```|\Z)", re.DOTALL), "\n"),
    (re.compile(r"`[^`\n]*`"), " "),
    (re.compile(r"^[ \t]*>>>.*\Z", re.MULTILINE | re.DOTALL), ""),
    (re.compile(r"^[ \t]*>.*$", re.MULTILINE), ""),
    (re.compile(r"~~[^~]*~~"), " "),
    (re.compile(r"\b(?:https?://|www\.)\S+"), " "),
    (re.compile(r"<[@#:at/][^>\s]{0,80}>"), " "),
    (re.compile(r"^[ \t]*\*(?=[^\s*][^*\n]*$)", re.MULTILINE), "i meant "),  # *Berlin, as one corrects a slip
    (re.compile(r"^[ \t]*(?=[^\W\d_])([^*\n,.;!?]{2,30}?)(?<! )\*(?=\s|$)", re.MULTILINE), r"i meant \1"),  # Berlin*
    (
        re.compile(
            r"^[ \t]*(?=[^\W\d_])([^\n,.;!?]{2,30}?),? i meant?(?=[ \t]*(?:$|[,.!]))", re.MULTILINE | re.IGNORECASE
        ),
        r"i meant \1",
    ),
    (re.compile(r"(?<![*\w])\*[^*\n]*\s[^*\n]*\*(?![*\w])"), "; "),  # *waves at everybody*
    (re.compile(r"\*+|__+|\|\|"), ""),
    (re.compile(r"[\U0001F000-\U0001FAFF\u2600-\u27BF\u2B50\uFE0F\u200D]+"), " ; "),
    (re.compile(r"(?<!\S)(?:[:;=]['-]?[)(DPp/|3oO*]+|<3+|:\w{2,30}:)(?!\S)"), " ; "),
    (re.compile(r"(?<=\w) ?\((?:aged? )?\d{1,2}(?: ?(?:yo|y/o|years?(?: old)?|months?(?: old)?))?\)"), ""),  # Ella (9)
    (re.compile(r"\b(St|Mt|Ft|Dr|Mr|Mrs|Ms|Prof|vs)\."), r"\1"),
    (re.compile(r"\b([A-Za-z])\.(?=[A-Za-z]\b)"), r"\1"),  # U.S., e.g.
    (re.compile(r"(?<=\d):(?=\d)"), "."),  # 7:18
    (re.compile(r"([^\w\s])\1{3,}"), r"\1\1\1"),
    (re.compile(r"[ \t\r\f\v\xa0]+"), " "),
    (re.compile(r"(?<=\w)[.!\u2026]+ (?=(?:[Tt]o|of) (?:the|my|an?|this)\b)"), " "),  # "I'm married. To the grind."
)
_QUOTED = re.compile(r'"([^"\n]*)"|\u201c([^\u201d\n]*)\u201d|\u00ab([^\u00bb\n]*)\u00bb')


def clean(text: str) -> str:
    """Return what remains of a message, with single spaces; an emoji ends a sentence as a full stop does."""
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return _QUOTED.sub(_unquote, text)


def _unquote(match: re.Match[str]) -> str:
    """Leave a name that stands in quotes; what is said in them isn't the author's word."""
    quoted = next(filter(None, match.groups()), "")
    said = quoted.split()
    return "; " if len(said) > _MAX_QUOTED_WORDS or (said and said[0].lower().startswith(("i'", "im"))) else quoted
