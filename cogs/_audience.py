"""Who can read a place, from its live permissions; the same when a memory is stored and when it is recalled."""

import discord

from cortex_core import Audience

Place = discord.abc.GuildChannel | discord.abc.PrivateChannel | discord.Thread | discord.PartialMessageable


def audience_of(place: Place) -> Audience:
    """Return the audience of a channel, thread or direct message; in doubt its readers alone.

    A place counts as readable by the whole server when @everyone may view it. A public thread has its parent's readers,
    a private one its own.
    """
    if isinstance(place, discord.Thread) and place.parent is not None and not place.is_private():
        return audience_of(place.parent)
    match place:
        case discord.DMChannel():
            return Audience.owner()
        case discord.abc.GuildChannel() if _is_open_to_everyone(place):
            return Audience.guild(place.guild.id)
        case discord.abc.GuildChannel() | discord.Thread():
            return Audience.channel(place.guild.id, place.id)
        case _:  # a group of people, or a place that the bot does not know
            return Audience.channel(getattr(place, "guild_id", None) or 0, place.id)


def _is_open_to_everyone(channel: discord.abc.GuildChannel) -> bool:
    everyone = channel.guild.get_role(channel.guild.id)
    if everyone is None:  # a server that the bot isn't in: somebody brought the command there
        return False
    permissions = channel.permissions_for(everyone)
    # The chat of a voice channel shows itself only to those who may join it.
    may_enter = permissions.connect or not isinstance(channel, discord.VoiceChannel | discord.StageChannel)
    return permissions.view_channel and may_enter
