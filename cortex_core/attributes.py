"""What can be known of a person: the declared attributes, how many values each holds, and which of them change."""

import json
import re
import unicodedata
from dataclasses import dataclass

from pydantic import JsonValue

from cortex_core.days import day_in_words, read_day

_FAVORITE = "favorite "
_APART = re.compile(r"[\W_]+")
_ARTICLES = re.compile(r"^(?:an?|the|my|our)\s+")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing that can be known of a person.

    Attributes:
        has_many: Whether several values hold at once, as with pets; else a new value takes the place of the old one.
        is_fixed: Whether it stays as it is in the course of a life, as a birthday does: of two values one is wrong. Of
            what isn't fixed, another value is news.
    """

    name: str
    has_many: bool = False
    is_fixed: bool = False


_DECLARED = {
    attribute.name: attribute
    for attribute in (
        Attribute("name", is_fixed=True),
        Attribute("nickname"),
        Attribute("pronouns"),
        Attribute("birthday", is_fixed=True),
        Attribute("age"),
        Attribute("location"),
        Attribute("hometown", is_fixed=True),
        Attribute("timezone"),
        Attribute("job"),
        Attribute("employer"),
        Attribute("school"),
        Attribute("partner"),
        Attribute("relationship"),
        Attribute("diet"),
        Attribute("number of children", is_fixed=True),
        Attribute("number of siblings", is_fixed=True),
        Attribute("children", has_many=True),
        Attribute("siblings", has_many=True),
        Attribute("pets", has_many=True),
        Attribute("languages", has_many=True),
        Attribute("likes", has_many=True),
        Attribute("dislikes", has_many=True),
        Attribute("hobbies", has_many=True),
        Attribute("instruments", has_many=True),
        Attribute("allergies", has_many=True),
    )
}


def attribute_of(name: str) -> Attribute:
    """Return what is declared of an attribute; one that isn't declared holds many values, so that none is ended."""
    if name in _DECLARED:
        return _DECLARED[name]
    return Attribute(name, has_many=not name.startswith(_FAVORITE))


def declared_attributes() -> list[Attribute]:
    """Return every attribute that is declared."""
    return list(_DECLARED.values())


def normal_form(value: JsonValue) -> str:
    """Return what two spellings of a value have in common: without case, accents, punctuation and a leading article.

    >>> normal_form("The  Café-Bar!"), normal_form(3), normal_form("3")
    ('cafe bar', '3', '3')
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    words = _APART.sub(" ", plain).strip()
    return _ARTICLES.sub("", words) or text


def standard_value(name: str, value: JsonValue) -> JsonValue:
    """Return a value in the form in which its attribute is kept, or as it is where it can't be read so.

    >>> standard_value("birthday", "May 3rd"), standard_value("birthday", "in spring"), standard_value("job", "May 3rd")
    ('--05-03', 'in spring', 'May 3rd')
    """
    return read_day(value) or value if name == "birthday" and isinstance(value, str) else value


def value_in_words(value: JsonValue) -> str:
    """Return a value as people read it.

    >>> value_in_words("--05-03"), value_in_words(3)
    ('3 May', '3')
    """
    return day_in_words(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def is_refined_by(older: JsonValue, newer: JsonValue) -> bool:
    """Tell whether a value says the same as an older one and more: "Lyon" and "Lyon, France"."""
    known, said = normal_form(older).split(), normal_form(newer).split()
    return len(said) > len(known) and set(known) <= set(said)
