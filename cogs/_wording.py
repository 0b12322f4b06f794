"""Memories in words: quoted so that nothing in them can ping, format or pretend, and short enough for Discord."""

import re

import discord

from cortex_core import Audience, AudienceKind, Memory, Receipt

MAX_MESSAGE_CHARS = 2000
MAX_CHOICE_CHARS = 100

_NOT_SHOWN = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def preview(text: str, limit: int) -> str:
    """Return the text on one line, cut to `limit` characters, without what reverses or breaks lines; for labels."""
    line = " ".join(_NOT_SHOWN.sub(" ", text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def quote(text: str, limit: int = 200) -> str:
    """Return the text as a quotation of one line: no mention, markup, link text or time stamp in it works."""
    line = preview(text, limit)
    escaped = discord.utils.escape_markdown(line, ignore_links=False)
    return f"> {discord.utils.escape_mentions(escaped).replace('<', chr(92) + '<')}"


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
    return f"https://discord.com/channels/{_guild_of(memory) or '@me'}/{channel}/{message}"


def where_heard(audience: Audience) -> str:
    """Return where a memory of that audience may come up, as the end of a sentence."""
    match audience.kind:
        case AudienceKind.OWNER:
            return "only in direct messages with me"
        case AudienceKind.GUILD:
            return "anywhere in this server, and in direct messages with me"
        case _:
            return "in this channel, and in direct messages with me"


def describe(memory: Memory, *, ranked: bool = False) -> str:
    """Return a memory's entry in a list: what, when, where it was said, and why it stands where it stands."""
    details = [when(memory), memory.memory_type.value]
    if memory.author_id not in {None, memory.user_id}:
        details.append(f"said by {discord.utils.escape_markdown(preview(memory.author_name or 'somebody else', 40))}")
    if memory.is_pinned:
        details.append("📌 kept on purpose")
    if link := link_to(memory):
        details.append(f"[where you said it]({link})")
    if ranked:
        details.append(_why(memory))
    return f"{quote(memory.content)}\n{' · '.join(details)}"


def _why(memory: Memory) -> str:
    if memory.relevance is None:
        return "found by its words"
    return f"weak match, {memory.relevance:.2f}" if memory.is_weak else f"relevance {memory.relevance:.2f}"


def count_of(number: int, thing: str = "memory") -> str:
    """Return a number with its noun: 1 memory, 2 memories."""
    plural = f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else plural}"


def receipt_text(receipt: Receipt) -> str:
    """Return what was erased, tier by tier."""
    tiers = [
        (receipt.long_term, f"long-term memory: {receipt.long_term:,}"),
        (receipt.working, f"working memory: {receipt.working:,}"),
        (receipt.identity_facts, f"what I had learned about you from them: {count_of(receipt.identity_facts, 'fact')}"),
        (receipt.dead_letters, f"writes that had failed: {receipt.dead_letters:,}"),
        (receipt.session, "our current conversation"),
    ]
    lines = [f"- {line}" for erased, line in tiers if erased]
    return "\n".join([f"Forgotten for good: {count_of(len(receipt.memory_ids))}.", *lines])


def _guild_of(memory: Memory) -> int | None:
    audience = Audience.parse(memory.audience)
    return audience.guild_id if audience.kind in {AudienceKind.GUILD, AudienceKind.CHANNEL} else None
