"""ChannelsCog: `/channel …`, which project a channel feeds and reads, and whether it is listened to."""

import logging
from collections.abc import Collection, Sequence
from typing import Literal
from weakref import WeakSet

import discord
from discord import app_commands
from discord.ext import commands

from cortex_core import (
    AccessDeniedError,
    ChannelSettings,
    InvalidInputError,
    MemoryManager,
    NotFoundError,
    NotSpreadError,
    Project,
)

from ._errors import NO_MENTIONS, Interaction, answered, explain, tell, usual_pace
from ._lifecycle import acquire_memory, release_memory
from ._messages import channel_id_of, discord_id_of, owner_id_of
from ._projects import MANAGERS, Confirmation, bold, find_project, suggest_projects
from ._views import AnswersOldButtons, OwnedView
from ._wording import count_of

log = logging.getLogger("cortex.discord")

_NAMED_AT_MOST = 20
_ASKED_AT_ONCE = 100  # Discord's own limit

# What holds in a channel, by whether it is listened to and whether it is linked.
_RULES = {
    (True, True): "What members of its project say here is remembered for all of them, what others say for each of "
    "them alone. What the members told the project may come up here, before everybody who can read this channel.",
    (True, False): "What people say here is remembered, for each of them alone.",
    (False, True): "Nothing that is said here is remembered. What the members of its project told it may still come "
    "up here, before everybody who can read this channel.",
    (False, False): "Nothing that is said here is remembered.",
}


@app_commands.guild_only()
@app_commands.default_permissions(manage_channels=True)
class ChannelsCog(
    AnswersOldButtons,
    commands.GroupCog,
    group_name="channel",
    group_description="What this channel shares with a project",
):
    """Lets those who manage a channel decide what it shares, in sight of everybody there.

    In a thread all of it concerns the channel that the thread belongs to.
    """

    def __init__(self, bot: commands.Bot, memory: MemoryManager) -> None:
        self.bot = bot
        self.links = memory.channel_links
        self.projects = memory.project_memory
        self.pace = usual_pace()
        self._open_views: WeakSet[OwnedView] = WeakSet()

    async def cog_unload(self) -> None:
        """Stop the buttons, which would otherwise go on calling this cog."""
        for view in list(self._open_views):
            view.stop()

    # Commands

    @app_commands.command()
    @app_commands.describe(project="A project that you own or are an admin of")
    @app_commands.autocomplete(project=suggest_projects(MANAGERS))
    @answered
    async def link(self, interaction: Interaction, project: str) -> None:
        """Let this channel feed and read a project, instead of any other."""
        channel = _managed_channel(interaction)
        found = await find_project(interaction, project, MANAGERS)
        before = await self.links.get_settings(channel_id_of(channel.id))
        if before.project_id == found.id:
            raise InvalidInputError(f"{channel.mention} is linked with {bold(found.name)} already.")
        members = await self.projects.list_members(found.id, owner_id_of(interaction.user.id))
        concerns = _strangers(channel, {member.user_id for member in members})
        if before.project_id is not None:
            concerns.append("It is linked with another project now, which it will feed and read no more.")

        async def act(pressed: Interaction) -> str:
            return await self._link(pressed, found, before)

        if concerns:
            question = f"Link {channel.mention} with {bold(found.name)}?"
            dialog = Confirmation(interaction, self._open_views, "Link", act)
            await dialog.ask("\n".join([question, *(f"- {concern}" for concern in concerns)]))
        else:
            await tell(interaction, await act(interaction))

    @app_commands.command()
    @answered
    async def unlink(self, interaction: Interaction) -> None:
        """Let this channel feed and read no project."""
        channel = _managed_channel(interaction)
        channel_id = channel_id_of(channel.id)
        before = await self.links.get_settings(channel_id)
        doubt = None
        try:
            if not await self.links.unlink_channel(channel_id, by=owner_id_of(interaction.user.id)):
                raise InvalidInputError(f"{channel.mention} isn't linked with a project.")
        except NotSpreadError as error:
            doubt = explain(error)
        news = f"{interaction.user.mention} unlinked this channel from its project, which keeps what it was told."
        posted = await _announce(interaction, channel, news, before.model_copy(update={"project_id": None}))
        await tell(interaction, _sentences(f"{channel.mention} isn't linked with a project any more.", doubt, posted))

    @app_commands.command()
    @app_commands.describe(listen="Whether I remember what is said in this channel")
    @answered
    async def capture(self, interaction: Interaction, listen: Literal["on", "off"]) -> None:
        """Let me remember what is said in this channel, or not."""
        channel = _managed_channel(interaction)
        is_captured = listen == "on"
        before = await self.links.get_settings(channel_id_of(channel.id))
        doubt = None
        try:
            settings = await self.links.set_capture(
                before.channel_id,
                is_captured=is_captured,
                by=owner_id_of(interaction.user.id),
                guild_id=channel.guild.id,
            )
        except NotSpreadError as error:
            settings, doubt = before.model_copy(update={"is_captured": is_captured}), explain(error)
        posted = await _announce(
            interaction, channel, f"{interaction.user.mention} turned listening {listen}.", settings
        )
        await tell(interaction, _sentences(f"Listening is {listen} in {channel.mention}.", doubt, posted))

    @app_commands.command()
    @answered
    async def status(self, interaction: Interaction) -> None:
        """Show what this channel shares, with whom."""
        channel = _managed_channel(interaction)
        settings = await self.links.get_settings(channel_id_of(channel.id))
        lines = [*await self._about_project(interaction, channel, settings.project_id), _rule_of(settings)]
        await tell(interaction, "\n".join(lines))

    async def _link(self, interaction: Interaction, project: Project, before: ChannelSettings) -> str:
        channel = _managed_channel(interaction)
        doubt = None
        try:
            settings = await self.links.link_channel(
                before.channel_id, project.id, by=owner_id_of(interaction.user.id), guild_id=channel.guild.id
            )
        except NotSpreadError as error:
            settings, doubt = before.model_copy(update={"project_id": project.id}), explain(error)
        news = f"{interaction.user.mention} linked this channel with the project {bold(project.name)}."
        posted = await _announce(interaction, channel, news, settings)
        return _sentences(f"{channel.mention} is linked with {bold(project.name)}.", doubt, posted)

    async def _about_project(
        self, interaction: Interaction, channel: discord.abc.GuildChannel, project_id: str | None
    ) -> list[str]:
        if project_id is None:
            return [f"{channel.mention} is linked with no project."]
        user_id = owner_id_of(interaction.user.id)
        try:
            project = await self.projects.get_project(project_id, user_id)
            members = {member.user_id for member in await self.projects.list_members(project_id, user_id)}
        except NotFoundError:
            return [f"{channel.mention} is linked with a project that you don't belong to."]
        of_members = f"Of its {count_of(len(members), 'member')}"
        try:
            here = await _members_here(channel, members)
            readers = f"{of_members}, {len(here)} can read this channel: {_names(here)}."
        except TimeoutError:
            readers = f"{of_members}, Discord doesn't tell me now who can read this channel."
        return [f"{channel.mention} is linked with {bold(project.name)}.", readers, *_strangers(channel, members)]

    # What goes away

    @commands.Cog.listener()
    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """Drop what is known of the channel."""
        await self._forget_channel(channel.id)

    @commands.Cog.listener()
    async def on_raw_thread_delete(self, payload: discord.RawThreadDeleteEvent) -> None:
        """Drop what is known of the thread."""
        await self._forget_channel(payload.thread_id)

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Drop what is known of the server's channels."""
        try:
            await self.links.forget_guild(guild.id)
        except Exception:
            log.exception("The bot left server %d, but the settings of its channels could not be dropped.", guild.id)

    async def _forget_channel(self, channel_id: int) -> None:
        try:
            await self.links.forget_channel(channel_id_of(channel_id))
        except Exception:
            log.exception("Channel %d is gone, but its settings could not be dropped.", channel_id)


def _managed_channel(interaction: Interaction) -> discord.abc.GuildChannel:
    """Return the channel that a command is about, if whoever uses it manages that channel now."""
    place = interaction.channel
    channel = place.parent if isinstance(place, discord.Thread) else place
    if not isinstance(channel, discord.abc.GuildChannel) or not isinstance(interaction.user, discord.Member):
        raise InvalidInputError("That works in a channel of a server that I can see.")
    if not channel.permissions_for(interaction.user).manage_channels:
        raise AccessDeniedError(f"You need the permission Manage Channels in {channel.mention} for that.")
    return channel


async def _announce(
    interaction: Interaction, channel: discord.abc.GuildChannel, news: str, settings: ChannelSettings
) -> str:
    """Tell everybody in a channel what holds there from now on, and tell whoever changed it whether that worked."""
    place = channel if isinstance(channel, discord.abc.Messageable) else interaction.channel  # a forum has posts only
    try:
        if isinstance(place, discord.abc.Messageable):
            notice = f"{news}\nFrom now on: {_rule_of(settings)}"
            await place.send(notice, allowed_mentions=NO_MENTIONS)
            return "I've told everybody there."
    except discord.HTTPException as error:
        log.info("There is no notice in channel %d: %s", channel.id, error)
    return "I can't write there, so please tell people yourself: " + _rule_of(settings)


def _sentences(*sentences: str | None) -> str:
    return " ".join(filter(None, sentences))


def _rule_of(settings: ChannelSettings) -> str:
    return _RULES[settings.is_captured, settings.project_id is not None]


def _strangers(channel: discord.abc.GuildChannel, members: Collection[str]) -> list[str]:
    """Return a sentence on people who can read a channel and are no members, if there are or may be any."""
    strangers = [
        person
        for person in channel.guild.members
        if not person.bot and owner_id_of(person.id) not in members and channel.permissions_for(person).view_channel
    ]
    effect = "They hear what I say there, also when it is from the project."
    if strangers:
        unseen = "" if channel.guild.chunked else ", and maybe others whom I can't see"
        return [f"People who are no members of the project can read it: {_names(strangers)}{unseen}. {effect}"]
    if not channel.guild.chunked:
        return [f"I can't see everybody who can read it; they may be no members of the project. {effect}"]
    return []


async def _members_here(channel: discord.abc.GuildChannel, members: Collection[str]) -> list[discord.Member]:
    """Return those members of a project who can read a channel.

    Bots rarely know who is in a server, so Discord is asked.

    Raises:
        TimeoutError: Discord doesn't answer.
    """
    numbers = [number for number in map(discord_id_of, members) if number is not None]
    found: list[discord.Member] = []
    for start in range(0, len(numbers), _ASKED_AT_ONCE):
        some = numbers[start : start + _ASKED_AT_ONCE]
        found += await channel.guild.query_members(user_ids=some, limit=_ASKED_AT_ONCE, cache=False)
    return [member for member in found if channel.permissions_for(member).view_channel]


def _names(people: Sequence[discord.Member]) -> str:
    if not people:
        return "nobody"
    rest = len(people) - _NAMED_AT_MOST
    named = ", ".join(person.mention for person in people[:_NAMED_AT_MOST])
    return f"{named} and {rest} more" if rest > 0 else named


async def setup(bot: commands.Bot) -> None:
    """Add the cog."""
    await bot.add_cog(ChannelsCog(bot, await acquire_memory(bot, __name__)))


async def teardown(bot: commands.Bot) -> None:
    """Give the memory back."""
    await release_memory(bot, __name__)
