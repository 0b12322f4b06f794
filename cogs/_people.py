"""What people are called today, from what the bot knows already; a nickname stays in the server that it belongs to."""

from collections.abc import Iterable, Sequence
from itertools import chain

import discord

from cortex_core import Memory
from cortex_core.recall.people import people_in, rename

from ._messages import discord_id_of
from ._wording import server_of, speaker_of


def names_of(bot: discord.Client, guild: discord.Guild | None, user_ids: Iterable[str]) -> dict[str, str]:
    """Return what people are called today in a server, elsewhere (None) by everybody; without those it does not know.

    Args:
        bot: Who is asked; Discord is not. It may know no more than the messages that it just heard.
        guild: Where the names are going to be read.
        user_ids: The ids under which their memories are kept.
    """
    wanted = {number: user_id for user_id in user_ids if (number := discord_id_of(user_id)) is not None}
    heard = [message.author for message in bot.cached_messages if message.author.id in wanted]  # the last one last
    members = {person.id: person for person in heard if _is_member(person, guild)}
    users = {person.id: person.global_name or person.name for person in heard}
    names = {}
    for number, user_id in wanted.items():
        if person := (guild and guild.get_member(number)) or members.get(number) or bot.get_user(number):
            names[user_id] = person.display_name
        elif number in users:
            names[user_id] = users[number]
    return names


def _is_member(person: discord.User | discord.Member, guild: discord.Guild | None) -> bool:
    return guild is not None and isinstance(person, discord.Member) and person.guild.id == guild.id


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


def with_todays_names(bot: discord.Client, guild: discord.Guild | None, memories: Sequence[Memory]) -> list[Memory]:
    """Return memories for readers in a server, elsewhere (None) for one person, with today's names in what they say.

    Who is not known there keeps the name of then in the server where that was given, and is "somebody" elsewhere.
    """
    names = names_of(bot, guild, chain.from_iterable(map(people_in, memories)))
    return [rename(memory, names, guild_id=guild.id if guild else None) for memory in memories]
