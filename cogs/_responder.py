"""Clara's words when no language model is there: honest, from memory alone, and with what they rest on."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cortex_core import Memory, Rejection
from cortex_core.words import QUESTION_MARKS

from ._wording import NO_NAMES, is_said_by, quote, shown_name, speaker_of, when

NOTHING = "I don't remember anything about that."
NOTHING_TO_RECOUNT = "You haven't told me anything here that I could repeat yet."
ONLY_ANSWERS = "I can only answer from what you told me; ask me a question."
WORDS_FORGET_NOTHING = "I forget nothing on a word alone. Use `/memory forget`: it shows you what goes, and asks first."
FORGETFUL = "I can't reach my memory right now, so I may not remember this. Please tell me again later."

UNKEPT = "I'm not keeping that: remembering is off, for you or in this channel. `/memory privacy` tells more."

ACKNOWLEDGEMENTS = (
    "I'll remember that.",
    "Noted.",
    "Got it, I'll keep that in mind.",
    "Thanks for telling me, I'll remember.",
    "Good to know. I'll keep it in mind.",
)

_SURE = 0.45  # how much of a question an answer says at least when there is little doubt
_MAYBE = 0.25  # and at least when it may be an answer
_ALSO = 0.42  # a cosine that a second answer has for itself, whatever was said around it
_MAX_QUOTED = 3
_QUOTED_CHARS = 300
_MIN_WORD_CHARS = 3

_QUESTION = re.compile(
    r"(who|whose|what|when|where|which|why|how)\b(?!\s+(i|you|he|she|it|we|they|a|an|the|my)\b)"
    r"|(do|does|did|is|are|am|was|were|can|could|should|would|will|have|has)\s+(i|you|he|she|it|we|they|my|your|our|the)\b"
    r"|(tell|remind)\s+me\b",
    re.IGNORECASE,
)
_RECALLING = {"know", "remember", "said", "say", "tell", "told"}
_OPEN_WORDS = _RECALLING | {
    "a", "about", "all", "any", "anything", "can", "could", "did", "do", "ever", "everything", "far", "have", "i",
    "just", "last", "me", "my", "of", "please", "recently", "so", "still", "that", "the", "things", "to", "us", "we",
    "what", "who", "you"
}  # fmt: skip

_REQUEST = re.compile(
    r"(please\s+)?((?P<forget>forget|erase|delete)|ignore|tell|show|list|help|stop|remember\s+(me|everything|what))\b(?!-)",
    re.IGNORECASE,
)
_WHO_ARE_YOU = re.compile(r"(who|what) are you|what (can|do) you do|what(.s| is) your name", re.IGNORECASE)

GREETING = "Hi! Tell me something about you, or ask me what I remember."
_SMALL_TALK = {
    Rejection.GREETING: GREETING,
    Rejection.THANKS: "You're welcome.",
}


class Answer(NamedTuple):
    """What to say, and the memories that it rests on."""

    text: str
    used: Sequence[Memory] = ()


def is_question(text: str) -> bool:
    """Whether it asks for something; by its mark in any language that has one, by its first words in English."""
    return text.rstrip(" \"')").endswith(QUESTION_MARKS) or _QUESTION.match(text) is not None


def is_statement(text: str) -> bool:
    """Whether it can be the answer to a question: it neither asks for something nor tells Clara what to do."""
    return not is_question(text) and _REQUEST.match(text) is None


def asks_who_she_is(text: str) -> bool:
    """Whether it asks for Clara herself."""
    return _WHO_ARE_YOU.fullmatch(text.rstrip(" ?!.")) is not None


def introduce(name: str) -> str:
    """Say who she is, and what she goes by."""
    return f"I'm {name}: I remember what I'm told, and I answer from that and from nothing else."


def asks_for_anything(text: str) -> bool:
    """Whether it asks what is remembered, without naming a topic, as “What did I tell you?” does."""
    words = set(re.findall(r"\w+", text.casefold()))
    return bool(words & _RECALLING) and words <= _OPEN_WORDS


def small_talk(reason: Rejection) -> str:
    """Answer what carries nothing to recall or to remember."""
    return _SMALL_TALK.get(reason, "👍")


def acknowledge(text: str, message_id: int) -> str:
    """Answer a request, or a statement in words that vary from message to message and are the same for the same one."""
    if request := _REQUEST.match(text):
        return WORDS_FORGET_NOTHING if request["forget"] else ONLY_ANSWERS
    # The lowest bits of Discord's ids hardly change, so a number of phrases that is a power of two would not vary.
    return ACKNOWLEDGEMENTS[message_id % len(ACKNOWLEDGEMENTS)]


def statements_among(memories: Iterable[Memory], *, but: str) -> list[Memory]:
    """Return the memories that can answer a question, which other questions and requests can't.

    Args:
        memories: In any order, which is kept.
        but: The source of the question itself, which may be among them already.
    """
    return [memory for memory in memories if memory.source_id != but and is_statement(memory.content)]


def near(found: Iterable[Memory]) -> list[Memory]:
    """Return the memories that are not beside the point, of those that a search found."""
    return [memory for memory in found if not memory.is_weak and _strength(memory) >= _MAYBE]


def sharing_words(text: str, memories: Iterable[Memory]) -> list[Memory]:
    """Return the memories that share a telling word with the text, most shared words first."""
    asked = _telling_words(text)
    shared = [(len(asked & _telling_words(memory.content)), memory) for memory in memories]
    return [memory for count, memory in sorted(shared, key=lambda pair: -pair[0]) if count]


def answer(memories: Sequence[Memory], *, reader: str | None = None, names: Mapping[str, str] = NO_NAMES) -> Answer:
    """Answer a question with memories, best first, and say how sure it is.

    Args:
        memories: What the reader may hear.
        reader: Who asked; the owner when absent.
        names: What people are called.
    """
    if not memories:
        return Answer(NOTHING)
    best, *rest = memories
    if not _is_sure(best):
        return Answer(f"I'm not sure, but this may help. {_cite(best, reader, names)}", [best])
    return _quote_first([best, *(memory for memory in rest if (memory.similarity or 0.0) >= _ALSO)], reader, names)


def recount(recent: Sequence[Memory], *, reader: str | None = None, names: Mapping[str, str] = NO_NAMES) -> Answer:
    """Answer what is remembered at all, newest first."""
    return _quote_first(recent, reader, names) if recent else Answer(NOTHING_TO_RECOUNT)


def _quote_first(memories: Sequence[Memory], reader: str | None, names: Mapping[str, str]) -> Answer:
    quoted = memories[:_MAX_QUOTED]
    return Answer("\n\n".join(_cite(memory, reader, names) for memory in quoted), quoted)


def _cite(memory: Memory, reader: str | None, names: Mapping[str, str]) -> str:
    if is_said_by(memory, reader):
        said = "You told me"
    else:
        said = f"{shown_name(names.get(speaker_of(memory), 'Somebody'))} said"
    return f"{said} {when(memory)}:\n{quote(memory.content, _QUOTED_CHARS, keeps_links=True)}"


def _is_sure(memory: Memory) -> bool:
    return _strength(memory) >= _SURE


def _strength(memory: Memory) -> float:
    """Return how well it matches: by its pieces, else as a whole; what its words alone found may be an answer."""
    if memory.relevance is not None:
        return memory.relevance
    return _MAYBE if memory.similarity is None else memory.similarity


def _telling_words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.casefold()) if len(word) > _MIN_WORD_CHARS} - _OPEN_WORDS
