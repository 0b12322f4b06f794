"""Words as they are compared: without case, accents and punctuation."""

import re
import unicodedata

_WORD = re.compile(r"\w+")


def fold(text: str) -> str:
    """Return the text in lower case and without accents.

    >>> fold("José, ÉTÉ")
    'jose, ete'
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def split_words(text: str) -> list[str]:
    """Return the folded words of a text in their order.

    >>> split_words("What's José's?")
    ['what', 's', 'jose', 's']
    """
    return _WORD.findall(fold(text))
