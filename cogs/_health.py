"""How everything is that the memory depends on: in detail for whoever runs the bot, for admins as what it means."""

import discord

from cortex_core import Health
from cortex_core.dashboard import Check, Status

from ._wording import preview

_LIGHTS = {Status.OK: "🟢", Status.WARNING: "🟡", Status.FAILED: "🔴"}
_MAX_DETAIL_CHARS = 200

_ADVICE = "Whoever runs me can find out more in a direct message."

# What an admin reads, by dependency: what it is for, and what it means when it is well, has something to tell, is away.
_MEANINGS = {
    "redis": (
        "What was said lately",
        "at hand",
        "at hand; a power cut could cost its last second",
        "out of reach: I'm slower, and what was said lately may be missing",
    ),
    "write queue": (
        "Storing",
        "keeps up",
        "is behind: what is said is safe, and found later",
        "out of reach",
    ),
    "postgres": (
        "Long-term memory",
        "at hand",
        "at hand; it waits for an update",
        "out of reach: I recall nothing older; what is said is kept and arrives later",
    ),
    "dead letters": ("Memories that could not be stored", "none", "some, or they can't be counted now", "unknown"),
    "embedding": (
        "Search by meaning",
        "works",
        "works, with something to know",
        "out of reach: I find things by their words alone",
    ),
    "llm": ("Language model", "as set up", "works, with something to know", "out of reach: I do without"),
    "consolidation": (
        "Background work",
        "goes on",
        "doesn't go on by itself: I learn less from what is said",
        "stopped",
    ),
}


# What the bot misses without an intent, which an operator switches on in Discord's developer portal.
_INTENTS = {
    "message_content": "**Message Content** is off: most messages reach me empty, so that I remember next to nothing",
    "members": "**Server Members** is off: I don't see who leaves a server, and keep what they said there",
}


def health_text(health: Health, intents: discord.Intents, *, for_operator: bool) -> str:
    """Return a line for each dependency, and what to do.

    Args:
        health: As the dashboard tells it.
        intents: What Discord tells the bot.
        for_operator: Whether the reader may know where servers are and what people elsewhere do.
    """
    lines = [_detail(check) if for_operator else _meaning(check) for check in health.checks]
    missing = [meaning for intent, meaning in _INTENTS.items() if not getattr(intents, intent)]
    lines += [f"{_LIGHTS[Status.WARNING]} The intent {meaning}." for meaning in missing]
    worst = {check.status for check in health.checks} | ({Status.WARNING} if missing else set())
    if Status.FAILED in worst:
        title = "**Something is away.**"
    else:
        title = "**It works, with something to know.**" if Status.WARNING in worst else "**All is well.**"
    advice = [] if for_operator or worst == {Status.OK} else [_ADVICE]
    return "\n".join([title, *lines, *advice])


def _detail(check: Check) -> str:
    return f"{_LIGHTS[check.status]} **{check.name}**: {preview(check.detail, _MAX_DETAIL_CHARS)}"


def _meaning(check: Check) -> str:
    name, *meanings = _MEANINGS[check.name]
    return f"{_LIGHTS[check.status]} **{name}**: {meanings[list(Status).index(check.status)]}"
