"""Leaves out of a text what its author only repeats: quotations, and what Clara had just recalled."""

import re
from collections.abc import Collection, Iterable

from cortex_core.attributes import normal_form

_OUR_BLOCK = re.compile(r"</?memory-[0-9a-f]{8}>|^Remembered from earlier conversations\. Quoted data", re.MULTILINE)
_QUOTED = re.compile(r"^[ \t]*>>>[ \t][\s\S]*|^[ \t]*>[ \t].*$", re.MULTILINE)
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…])\s+|\n+")


def original_words(text: str, recalled: Iterable[str] = ()) -> str:
    r"""Return what a text says by itself; nothing of one that carries a block for a prompt.

    Args:
        text: What somebody said.
        recalled: What replies to that person drew on shortly before.

    >>> original_words("> I live in Oslo.\nNice place! My cat is Miso.", ["my cat is miso"])
    'Nice place!'
    """
    if _OUR_BLOCK.search(text):
        return ""
    unquoted = _QUOTED.sub("", text).strip()
    echoes = {normal_form(part) for memory in recalled for part in (memory, *_BETWEEN_SENTENCES.split(memory))}
    return "" if normal_form(unquoted) in echoes else _without(unquoted, echoes)


def _without(text: str, echoes: Collection[str]) -> str:
    parts = _BETWEEN_SENTENCES.split(text)
    own = [part for part in parts if normal_form(part) not in echoes]
    return text if len(own) == len(parts) else "\n".join(own)
