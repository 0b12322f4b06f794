"""What people are called today, from what the bot knows already; a nickname stays in the server that it belongs to."""

from collections.abc import Iterable

import discord

from cortex_core import Memory

from ._wording import server_of, speaker_of

_PREFIX = "discord-"


def names_of(bot: discord.Client, guild: discord.Guild | None, user_ids: Iterable[str]) -> dict[str, str]:
    """Return what people are called today in a server, elsewhere (None) by everybody; without those it does not know.

    Args:
        bot: Who is asked; Discord is not.
        guild: Where the names are going to be read.
        user_ids: The ids under which their memories are kept.
    """
    names = {}
    for user_id in set(user_ids):
        number = user_id.removeprefix(_PREFIX)
        if number == user_id or not number.isdecimal():
            continue
        person = (guild and guild.get_member(int(number))) or bot.get_user(int(number))
        if person:
            names[user_id] = person.display_name
    return names


def names_of_speakers(bot: discord.Client, guild: discord.Guild | None, memories: Iterable[Memory]) -> dict[str, str]:
    """Return what to call those who said these memories: by today's names, else by those of then.

    A name of then may be a nickname, so it is shown only in the server where the memory was said.
    """
    memories = sorted(memories, key=lambda memory: memory.created_at)
    then = {
        speaker_of(memory): memory.author_name
        for memory in memories
        if memory.author_name and guild is not None and server_of(memory) == guild.id
    }
    return then | names_of(bot, guild, map(speaker_of, memories))
