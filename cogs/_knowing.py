"""What Clara knows of whoever asks: which attribute a question is about, and the identity in words."""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from cortex_core.attributes import value_in_words

from ._wording import shown_name

_MAX_CHARS = 150
_MOST_LINES = 10

_KNOWING = re.compile(r"\b(?:know|remember)\b", re.IGNORECASE)
_MY = r"(?:my|our)"
_CALLED = rf"(?:what(?:'?s| is| are) {_MY} {{0}}'?s? names?\b|what (?:is|are) {_MY} {{0}} called)"
_QUESTIONS = tuple(
    (attribute, re.compile(rf"\b(?:{pattern})", re.IGNORECASE))
    for attribute, pattern in (
        ("name", r"what(?:'?s| is) my name|who am i\b"),
        ("nickname", r"what(?:'?s| is) my nickname"),
        ("pronouns", r"what(?:'?s| are) my pronouns"),
        ("birthday", r"when(?:'?s| is) my birthday|when was i born"),
        ("age", r"how old am i"),
        ("location", r"where (?:do|am) i (?:live|living|based)"),
        ("hometown", r"where (?:am i from|do i come from|did i grow up)|what(?:'?s| is) my hometown"),
        ("timezone", r"what(?:'?s| is) my time ?zone"),
        ("job", r"what(?:'?s| is) my (?:job|profession|occupation)|what do i (?:do for a living|work as)"),
        ("employer", r"(?:where|who|whom) do i work(?: at| for)?\b|who(?:'?s| is) my employer"),
        ("partner", r"who(?:'?s| is) my (?:partner|wife|husband|girlfriend|boyfriend)|" + _CALLED.format("partner")),
        ("diet", r"what(?:'?s| is) my diet|am i (?:a )?veg(?:an|etarian)"),
        ("number of children", r"how many (?:kids|children) do (?:i|we) have"),
        ("number of siblings", r"how many siblings do i have"),
        ("children", _CALLED.format(r"(?:kids?|children)")),
        ("siblings", _CALLED.format(r"(?:siblings?|brothers?|sisters?)")),
        ("pets", r"(?:what|which) pets do i have|" + _CALLED.format("pets?")),
        ("languages", r"(?:what|which) languages do i speak"),
        ("allergies", r"what am i allergic to|what(?:'?s| are) my allergies"),
        ("hobbies", r"what are my hobbies"),
        ("instruments", r"(?:what|which) instruments? do i play"),
        ("likes", r"what do i (?:like|love)\s*\??$"),
        ("dislikes", r"what do i (?:dislike|hate)\s*\??$"),
    )
)


def attribute_asked(text: str) -> str | None:
    """Return the attribute of the speaker that a question asks for, in English, or None if it asks for none."""
    plain = text.replace("\u2019", "'")
    return next((attribute for attribute, pattern in _QUESTIONS if pattern.search(plain)), None)


def asks_for_knowledge(text: str) -> bool:
    """Whether it asks what is known or remembered, rather than what was said."""
    return _KNOWING.search(text) is not None


def tell(attribute: str, value: JsonValue) -> str:
    """Say what an attribute is."""
    return f"**{_named(attribute)}**: {_in_words(value)}"


def tell_all(identity: Mapping[str, JsonValue]) -> str:
    """Say what is known of somebody, a line each; empty if nothing is."""
    if not identity:
        return ""
    lines = [f"- {tell(attribute, value)}" for attribute, value in list(identity.items())[:_MOST_LINES]]
    left = len(identity) - len(lines)
    more = [f"-# and {left} more: `/memory profile` shows all."] if left else []
    return "\n".join(["This is what I know about you:", *lines, *more])


def _named(attribute: str) -> str:
    name = shown_name(attribute, _MAX_CHARS)
    return name[:1].upper() + name[1:]


def _in_words(value: JsonValue) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join(shown_name(value_in_words(each), _MAX_CHARS) for each in values[:_MOST_LINES])
