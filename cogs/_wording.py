"""Memories in words: quoted so that nothing in them can ping, format or pretend, and short enough for Discord."""

import re
from collections.abc import Mapping
from types import MappingProxyType

import discord

from cortex_core import Audience, AudienceKind, Memory, Receipt

MAX_MESSAGE_CHARS = 2000
MAX_CHOICE_CHARS = 100

NO_NAMES: Mapping[str, str] = MappingProxyType({})

_MAX_NAME_CHARS = 40
_MARKUP = re.compile(r"[\\*_~|`<\[\]]|^[#>+-]")
_LINK = re.compile(r"://|\bdiscord\.(gg|com/invite)/|\bdiscordapp\.com/invite/", re.IGNORECASE)
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
_NOT_SHOWN = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def preview(text: str, limit: int) -> str:
    """Return the text on one line, cut to `limit` characters, without what reverses or breaks lines; for labels."""
    line = " ".join(_NOT_SHOWN.sub(" ", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def quote(text: str, limit: int = 200, *, keeps_links: bool = False) -> str:
    """Return the text as a quotation of one line: no mention, markup, link text or time stamp in it works.

    Nor does Discord make a preview of a link or an invitation in it, except with `keeps_links`, where it is to be sent
    without previews.
    """
    line = _escape(preview(text, limit), _MARKUP)
    return f"> {line if keeps_links else _LINK.sub(_defuse, line)}"


def _defuse(link: re.Match[str]) -> str:
    return link[0].replace("/", "\u200b/", 1)


def shown_name(name: str, limit: int = _MAX_NAME_CHARS) -> str:
    """Return the name of a person or thing for the middle of a text, where it works as nothing but a name."""
    return _escape(preview(name, limit), _PUNCTUATION)


def _escape(line: str, markup: re.Pattern[str]) -> str:
    return discord.utils.escape_mentions(markup.sub(r"\\\g<0>", line))


def when(memory: Memory) -> str:
    """Return how long ago it was said, in each reader's own time zone."""
    return discord.utils.format_dt(memory.created_at, "R")


def choice_name(memory: Memory) -> str:
    """Return a memory as a suggestion, where no time stamp works; with its time, since the same may be said twice."""
    said = f" ({memory.created_at:%d %b %Y %H:%M} UTC)"
    return preview(memory.content, MAX_CHOICE_CHARS - len(said)) + said


def link_to(memory: Memory) -> str | None:
    """Return the address of the message that it was made from, if it was one of Discord's."""
    message = (memory.source_id or "").removeprefix("discord-message-")
    channel = (memory.channel_id or "").removeprefix("discord-channel-")
    if not (message.isdecimal() and channel.isdecimal()):
        return None
    return f"https://discord.com/channels/{server_of(memory) or '@me'}/{channel}/{message}"


def server_of(memory: Memory) -> int | None:
    """Return the server where it was said, if its audience tells."""
    audience = Audience.parse(memory.audience)
    return audience.guild_id if audience.kind in {AudienceKind.GUILD, AudienceKind.CHANNEL} else None


def speaker_of(memory: Memory) -> str:
    """Return the id of the person who said it."""
    return memory.author_id or memory.user_id


def where_heard(audience: Audience) -> str:
    """Return where a memory of that audience may come up, as the end of a sentence."""
    match audience.kind:
        case AudienceKind.OWNER:
            return "only in direct messages with me"
        case AudienceKind.GUILD:
            return "anywhere in this server, and in direct messages with me"
        case _:
            return "wherever everybody who can read along can read this channel too, and in direct messages with me"


def reach_of(audience: Audience) -> str:
    """Return where something with that audience may come up, for whoever reads it anywhere."""
    match audience.kind:
        case AudienceKind.OWNER:
            return "only in direct messages with me"
        case AudienceKind.CHANNEL:
            return f"where all readers can read <#{audience.channel_id}> too"
        case AudienceKind.GUILD:
            return "anywhere in its server"
        case _:
            return "everywhere"


def describe(
    memory: Memory, *, reader: str | None = None, names: Mapping[str, str] = NO_NAMES, ranked: bool = False
) -> str:
    """Return a memory's entry in a list: what, when, who said it where, and why it stands where it stands.

    Args:
        memory: One that the reader may see.
        reader: Whose list it is; the owner's when absent.
        names: What people are called.
        ranked: Whether the place in the list has a reason.
    """
    details = [when(memory), memory.memory_type.value]
    is_own = is_said_by(memory, reader)
    if not is_own:
        details.append(f"said by {shown_name(names.get(speaker_of(memory), 'somebody else'))}")
    if memory.is_pinned:
        details.append("📌 kept on purpose")
    if link := link_to(memory):
        details.append(f"[where {'you' if is_own else 'they'} said it]({link})")
    if ranked:
        details.append(_why(memory))
    return f"{quote(memory.content)}\n{' · '.join(details)}"


def is_said_by(memory: Memory, reader: str | None) -> bool:
    """Whether the reader said it; without one, whether its owner did."""
    return speaker_of(memory) == (reader or memory.user_id)


def _why(memory: Memory) -> str:
    if memory.score is None:
        return "said lately"
    if memory.relevance is None:
        return "found by its words"
    return f"weak match, {memory.relevance:.2f}" if memory.is_weak else f"relevance {memory.relevance:.2f}"


def count_of(number: int, thing: str = "memory") -> str:
    """Return a number with its noun: 1 memory, 2 memories."""
    plural = f"{thing[:-1]}ies" if re.search("[^aeiou]y$", thing) else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def receipt_text(receipt: Receipt) -> str:
    """Return what was erased, tier by tier."""
    tiers = [
        (receipt.long_term, f"long-term memory: {receipt.long_term:,}"),
        (receipt.working, f"working memory: {receipt.working:,}"),
        (receipt.identity_facts, f"what I had learned about you from them: {count_of(receipt.identity_facts, 'fact')}"),
        (receipt.contradictions, f"contradictions that they were part of: {receipt.contradictions:,}"),
        (receipt.dead_letters, f"writes that had failed: {receipt.dead_letters:,}"),
        (receipt.session, "our current conversation"),
    ]
    lines = [f"- {line}" for erased, line in tiers if erased]
    return "\n".join([f"Forgotten for good: {count_of(len(receipt.memory_ids))}.", *lines])
