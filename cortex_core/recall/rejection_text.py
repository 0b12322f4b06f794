"""How a message is read before it is judged: without Discord's marks, folded, as words of any script."""

import re
import tomllib
import unicodedata
from functools import cache
from importlib.resources import files

READ_CHARS = 400
"""What is looked at of a message or a memory; who has something to say has said what it is about by then."""

_MARKUP = re.compile(r"<a?:\w{1,40}:\d+>|<(?:@[!&]?|#|t:|/[\w ]{1,64}:|id:)[\w:-]{1,40}>|@everyone\b|@here\b")
_LINK = re.compile(r"\bhttps?://\S+", re.IGNORECASE)
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Scripts without spaces between words: kana, ideographs, Thai, Lao, Burmese, Khmer."""
_MARKS = "\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Scripts whose vowel signs are marks, which `\\w` leaves out: those of India and of South-East Asia."""
_WORD = re.compile(rf"[\w{_MARKS}]+")
_TOKEN = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[\w{_MARKS}])+")
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u093c\u094d\u09bc\u09cd\u0a3c\u0a4d\u0acd\u0bcd\u0c4d\u0ccd\u0d4d\u0e38-\u0e3a\u0e48-\u0e4b\u3099\u309a]+"
)
"""Marks that people leave out or that come in several ways: accents, vowel points, the dots and strokes of letters."""


def strip_markup(message: str) -> str:
    """Return the message without mentions, custom emoji, time stamps and the like, as Discord writes them."""
    return _MARKUP.sub(" ", message)


def strip_links(text: str) -> str:
    """Return the text without the addresses of pages."""
    return _LINK.sub(" ", text)


def fold_letters(text: str) -> str:
    """Return the text in lower case, without accents and underscores, every syllable and letter one character.

    `cortex_core.words.fold` takes syllables apart, and costs too much for what is asked of every message.

    >>> fold_letters("ÉTÉ 안녕")
    'ete 안녕'
    """
    if text.isascii():
        return text.lower().replace("_", " ")
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", bare).replace("_", " ")


def split_folded(folded: str) -> list[str]:
    """Return the words of a folded text; where no spaces part them, whole runs.

    >>> split_folded("what's नमस्ते")
    ['what', 's', 'नमस्ते']
    """
    return _WORD.findall(folded)


def split_tokens(folded: str) -> list[str]:
    """Return the words of a folded text, or the characters where no spaces part words.

    >>> split_tokens("ok 早上好")
    ['ok', '早', '上', '好']
    """
    return _TOKEN.findall(folded)


def is_unspaced(character: str) -> bool:
    """Whether the script of a character has no spaces between words."""
    return "\u3040" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff" or "\u0e00" <= character <= "\u0eff"


@cache
def load_words(section: str, kind: str, *, separator: str | None = None) -> frozenset[str]:
    """Return the folded entries of a list of `rejection_words.toml`, in all languages."""
    lists = tomllib.loads((files("cortex_core.recall") / "rejection_words.toml").read_text("utf-8"))[section][kind]
    entries = (entry for text in lists.values() for entry in text.split(separator))
    return frozenset(fold_letters(entry.strip()) for entry in entries)
