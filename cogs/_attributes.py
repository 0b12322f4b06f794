"""The lines of a profile in words."""

import json

from pydantic import JsonValue

from cortex_core import Audience, AudienceKind, Fact, Memory, MemoryType
from cortex_core.attributes import value_in_words
from cortex_core.knowledge.identity import ProfileEntry

from ._errors import Interaction
from ._wording import MAX_CHOICE_CHARS, link_to, preview, quote, reach_of, shown_name, when

MAX_NAME_CHARS = 100


def describe_line(line: ProfileEntry) -> str:
    """Return a line for a list: what it says, where it may come up, and when the person said so."""
    fact = line.fact
    details = [f"may come up {' and '.join(map(reach_of, audiences_of(fact)))}"]
    details += [_cite(memory) for memory in _said_in_conversation(line.evidence)[-1:]]
    name = shown_name(fact.attribute, MAX_NAME_CHARS)
    return f"**{name}**\n{quote(value_in_words(fact.value))}\n{' · '.join(details)}"


def label_of_line(line: ProfileEntry) -> str:
    """Return what a line is called in a menu; where there are many values, with its own."""
    fact = line.fact
    return f"{fact.attribute}: {value_in_words(fact.value)}" if fact.has_many else fact.attribute


def audiences_of(fact: Fact) -> list[Audience]:
    """Return where a fact may come up, the widest place last."""
    kinds = list(AudienceKind)
    audiences = [Audience.parse(audience) for audience in fact.audiences] or [Audience.owner()]
    return sorted(audiences, key=lambda audience: kinds.index(audience.kind))


def one_of_many(fact: Fact) -> JsonValue:
    """Return the value that tells a fact from others of its attribute; None where it is the only one."""
    return fact.value if fact.has_many else None


def _cite(memory: Memory) -> str:
    link = link_to(memory)
    return f"[you said so]({link}) {when(memory)}" if link else f"you said so {when(memory)}"


def _said_in_conversation(evidence: list[Memory]) -> list[Memory]:
    """Return the evidence but for the memories that only state the line itself."""
    return [memory for memory in evidence if memory.memory_type is not MemoryType.IDENTITY]


def where_said(evidence: list[Memory]) -> list[Audience]:
    """Return who could hear what it rests on, where that was said."""
    return [Audience.parse(memory.audience) for memory in _said_in_conversation(evidence)]


def label_of(interaction: Interaction, audience: Audience, *, is_said: bool) -> str:
    """Return what a place is called in a menu, where no mention works."""
    match audience:
        case Audience(channel_id=int(channel_id)):
            channel = interaction.client.get_channel(channel_id)
            name = getattr(channel, "name", None)
            place = f"where all readers can read #{name} too" if name else "where all its readers could read it"
        case _:
            place = reach_of(audience)
    label = f"Where you said it: {place}" if is_said else place
    return preview(f"{label[0].upper()}{label[1:]}", MAX_CHOICE_CHARS)


def read_value(text: str, known: JsonValue) -> JsonValue:
    """Return a value as it was typed in place of a known one; as that is no text, such as a list, in its notation."""
    if text == value_in_words(known):
        return known
    if isinstance(known, str):
        return text
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return text
    return value
