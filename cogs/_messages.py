"""From Discord's messages to what the core hears, and which of them nobody said to be remembered."""

import re

import discord
from discord.ext import commands

from cortex_core import IncomingMessage, MemoryManager

from ._audience import Place, audience_of

_PREFIX = "discord-"
_SPOKEN = {discord.MessageType.default, discord.MessageType.reply}


def owner_id_of(user_id: int) -> str:
    """Return the id under which a person's memories are kept."""
    return f"{_PREFIX}{user_id}"


def discord_id_of(user_id: str) -> int | None:
    """Return Discord's id of a person; a host may have added people by others."""
    number = user_id.removeprefix(_PREFIX)
    return int(number) if number != user_id and number.isdecimal() else None


def source_id_of(message_id: int) -> str:
    """Return the name of a message as the source of memories."""
    return f"discord-message-{message_id}"


def channel_id_of(channel_id: int) -> str:
    """Return the name of a channel."""
    return f"discord-channel-{channel_id}"


def linked_channel_of(place: Place) -> str:
    """Return the name of the channel whose project is read in a place: a thread's is its parent's."""
    return channel_id_of(place.parent_id if isinstance(place, discord.Thread) else place.id)


def feeds_project(place: Place) -> bool:
    """Whether what is said there is for the project too; a private thread reads it, and keeps to itself."""
    return not (isinstance(place, discord.Thread) and place.is_private())


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


def is_addressed(bot: commands.Bot, message: discord.Message, name: str | None) -> bool:
    """Whether it is said to the bot: in a direct message, by a mention, in reply to it, or with its name in it.

    Args:
        bot: Who is spoken to.
        message: What Discord delivered.
        name: What the bot is called besides a mention.
    """
    me = bot.user
    if isinstance(message.channel, discord.DMChannel) or me in message.mentions:
        return True
    original = message.reference.resolved if message.reference else None
    if isinstance(original, discord.Message) and original.author == me:
        return True
    return name is not None and re.search(rf"\b{re.escape(name)}\b", message.content, re.IGNORECASE) is not None


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


def mentioned_people(message: discord.Message) -> dict[str, str]:
    """Return the ids of the people whom it mentions, by their names as `spoken_text` has them after an @.

    A name that two of them share is nobody's, and bots are no people.
    """
    named: dict[str, set[discord.User | discord.Member]] = {}
    for mentioned in message.mentions:
        if mentioned.id in message.raw_mentions:  # and not only replied to
            seen = (message.guild and message.guild.get_member(mentioned.id)) or mentioned
            named.setdefault(seen.display_name, set()).add(seen)
    unmistakable = {name: namesakes.pop() for name, namesakes in named.items() if len(namesakes) == 1}
    return {name: owner_id_of(person.id) for name, person in unmistakable.items() if not person.bot}


def replied_to(message: discord.Message) -> str | None:
    """Return the id of whoever said what it replies to, if that is known."""
    reference = message.reference
    if reference is None or message.type is not discord.MessageType.reply:  # a forwarded message has one as well
        return None
    original = reference.resolved if isinstance(reference.resolved, discord.Message) else reference.cached_message
    return None if original is None or original.webhook_id else owner_id_of(original.author.id)


def strip_name(text: str, name: str) -> str:
    """Return the text without the name by which somebody is called at its beginning or end: “Hey Clara, …”."""
    called = re.escape(name)
    text = re.sub(rf"^\W*((hey|hi|hello)[\s,]+)?{called}\b[\s,:;.!?-]*", "", text, flags=re.IGNORECASE)
    return re.sub(rf"\s*,\s*{called}(?=\W*$)", "", text, flags=re.IGNORECASE)


def to_incoming(message: discord.Message, text: str, *, is_addressed: bool) -> IncomingMessage:
    """Return the message as the core hears it."""
    place = message.channel
    return IncomingMessage(
        user_id=owner_id_of(message.author.id),
        text=text,
        source_id=source_id_of(message.id),
        channel_id=channel_id_of(place.id),
        created_at=message.created_at,
        author_name=message.author.display_name,
        audience=audience_of(place),
        linked_channel_id=linked_channel_of(place),
        feeds_project=feeds_project(place),
        is_addressed=is_addressed,
        mentions=mentioned_people(message),
        reply_to=replied_to(message),
    )
