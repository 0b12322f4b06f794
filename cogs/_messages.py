"""From Discord's messages to what the core hears, and which of them nobody said to be remembered."""

import re

import discord
from discord.ext import commands

from cortex_core import IncomingMessage, MemoryManager

from ._audience import audience_of

_SPOKEN = {discord.MessageType.default, discord.MessageType.reply}


def owner_id_of(user_id: int) -> str:
    """Return the id under which a person's memories are kept."""
    return f"discord-{user_id}"


def source_id_of(message_id: int) -> str:
    """Return the name of a message as the source of memories."""
    return f"discord-message-{message_id}"


def channel_id_of(channel_id: int) -> str:
    """Return the name of a channel."""
    return f"discord-channel-{channel_id}"


def is_from_person(message: discord.Message) -> bool:
    """Whether a human being said it: no bot, no webhook, no notice of Discord's own."""
    return not message.author.bot and message.webhook_id is None and message.type in _SPOKEN


async def is_command(bot: commands.Bot, message: discord.Message) -> bool:
    """Whether it is a text command of the host, or looks like one.

    Many hosts accept a mention as prefix; a mention that no command follows is somebody talking to the bot.
    """
    context = await bot.get_context(message)
    prefix = (context.prefix or "").strip()
    return context.valid or (prefix != "" and not prefix.startswith("<@"))


def called_name(bot: commands.Bot, memory: MemoryManager) -> str | None:
    """Return the name that the bot answers to besides a mention, if its `extra_names` attribute says that it does."""
    return memory.config.clara.name if getattr(bot, "extra_names", False) else None


def spoken_text(message: discord.Message, name: str | None) -> str:
    """Return what was said in the words that people saw, with names for mentions, without calling the bot.

    Args:
        message: What Discord delivered.
        name: What the bot is called besides a mention.
    """
    text = message.clean_content.replace("@\u200b", "@")  # discord.py defuses @everyone; we keep what was said
    me = message.guild.me if message.guild else getattr(message.channel, "me", None)
    if me is not None:
        mention = f"@{me.display_name}"
        text = text.strip().removeprefix(mention).removesuffix(mention).lstrip(",: ")
    return (strip_name(text, name) if name else text).strip()


def strip_name(text: str, name: str) -> str:
    """Return the text without the name by which somebody is called at its beginning or end: “Hey Clara, …”."""
    called = re.escape(name)
    text = re.sub(rf"^\W*((hey|hi|hello)[\s,]+)?{called}\b[\s,:;.!?-]*", "", text, flags=re.IGNORECASE)
    return re.sub(rf"\s*,\s*{called}(?=\W*$)", "", text, flags=re.IGNORECASE)


def to_incoming(message: discord.Message, text: str) -> IncomingMessage:
    """Return the message as the core hears it."""
    return IncomingMessage(
        user_id=owner_id_of(message.author.id),
        text=text,
        source_id=source_id_of(message.id),
        channel_id=channel_id_of(message.channel.id),
        created_at=message.created_at,
        author_name=message.author.display_name,
        audience=audience_of(message.channel),
    )
