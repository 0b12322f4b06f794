"""AdminCog: `/cortex …`, how the memory works and what there is, for those who manage a server or run the bot."""

import asyncio
from collections.abc import Sequence
from io import BytesIO
from weakref import WeakSet

import discord
from discord import app_commands
from discord.ext import commands

from cortex_core import MemoryManager, MissingExtraError, NotFoundError
from cortex_core.dashboard import MAX_HOURS, Slot

from ._chart import draw_chart
from ._consolidation import Job, JobView, Work, work_on, work_on_all
from ._errors import NO_MENTIONS, Interaction, answered, tell, usual_pace
from ._figures import guild_embed, stats_embed
from ._health import health_text
from ._jobs import RunPages
from ._lifecycle import acquire_memory, release_memory
from ._messages import owner_id_of
from ._operators import is_operator, server_asked_about
from ._views import AnswersOldButtons, OwnedView

_CHART = "cortex-stats.png"


@app_commands.allowed_installs(guilds=True, users=False)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)
@app_commands.default_permissions(manage_guild=True)
class AdminCog(
    AnswersOldButtons, commands.GroupCog, group_name="cortex", group_description="How my memory works and what there is"
):
    """In a server it tells of that server, in direct messages with whoever runs the bot of everything."""

    def __init__(self, bot: commands.Bot, memory: MemoryManager) -> None:
        self.bot = bot
        self.memory = memory
        self.pace = usual_pace()
        self._open_views: WeakSet[OwnedView] = WeakSet()
        self._jobs: dict[int | None, Job] = {}

    async def cog_unload(self) -> None:
        """Stop what goes on, and the buttons, which would otherwise go on calling this cog."""
        for job in self._jobs.values():
            await job.stop()
        for view in list(self._open_views):
            view.stop()

    @app_commands.command()
    @app_commands.describe(hours="How far back; a day, unless you choose")
    @answered
    async def stats(self, interaction: Interaction, hours: app_commands.Range[int, 1, MAX_HOURS] = 24) -> None:
        """Show what was stored and recalled, how fast, and what it cost."""
        guild_id = await server_asked_about(interaction)
        if guild_id is None:
            everything = await self.memory.dashboard.get_stats(hours)
            await _show(interaction, stats_embed(everything, hours), everything.timeline, with_latency=True)
        else:
            here = await self.memory.dashboard.get_guild_stats(guild_id, hours)
            await _show(interaction, guild_embed(here, hours), here.timeline, with_latency=False)

    @app_commands.command()
    @answered
    async def health(self, interaction: Interaction) -> None:
        """Show whether everything is there that I need, and what to do if not."""
        await server_asked_about(interaction)
        health = await self.memory.dashboard.get_health()
        for_operator = await is_operator(interaction)
        await tell(interaction, health_text(health, interaction.client.intents, for_operator=for_operator))

    @app_commands.command()
    @app_commands.describe(user="Only this person; everybody, unless you choose")
    @answered
    async def consolidate(self, interaction: Interaction, user: discord.User | None = None) -> None:
        """Let me draw conclusions from what people said now, instead of at the next turn."""
        guild_id = await server_asked_about(interaction)
        work = await self._plan(guild_id, user)
        job = self._jobs.get(guild_id)
        title = "This goes on already."
        if job is None or not job.is_going_on:
            job = self._jobs[guild_id] = Job(interaction.user, work)
            title = "I'm at it."
        await job.show_in(JobView(interaction, self._open_views, job, title=title))

    async def _plan(self, guild_id: int | None, user: discord.User | discord.Member | None) -> Work:
        """Return the work on one person, or on everybody who is meant.

        In a server these are members of it who spoke there. It is the work that their own turn would bring, on all that
        is theirs: whoever starts it is told for how many people it is done, and nothing of what came out.
        """
        if guild_id is not None and isinstance(user, discord.User):
            raise NotFoundError("This person is no member of this server.")
        if guild_id is None and user is None:
            return work_on_all(self.memory)
        people = [] if guild_id is None else await self.memory.dashboard.list_people(guild_id)
        if user is not None:
            people = [owner for owner in [owner_id_of(user.id)] if guild_id is None or owner in people]
        if not people:
            raise NotFoundError(
                "I remember nothing that was said here."
                if user is None
                else "I remember nothing that this person said here."
            )
        return work_on(self.memory, people)

    @app_commands.command()
    @answered
    async def jobs(self, interaction: Interaction) -> None:
        """Show the last runs of background work and which of them failed."""
        guild_id = await server_asked_about(interaction)
        total = await self.memory.dashboard.count_runs(guild_id=guild_id)
        if not total:
            raise NotFoundError("There was no background work yet.")
        await RunPages(interaction, self._open_views, self.memory, guild_id, total=total).turn_to(0)


async def _show(
    interaction: Interaction, embed: discord.Embed, timeline: Sequence[Slot], *, with_latency: bool
) -> None:
    """Answer with the figures and, where it can be drawn, the chart."""
    try:
        picture = await asyncio.to_thread(draw_chart, timeline, with_latency=with_latency)
    except MissingExtraError as error:
        await interaction.edit_original_response(content=str(error), embed=embed, allowed_mentions=NO_MENTIONS)
        return
    embed.set_image(url=f"attachment://{_CHART}")
    chart = discord.File(BytesIO(picture), _CHART, description="Memories stored over time")
    await interaction.edit_original_response(embed=embed, attachments=[chart], allowed_mentions=NO_MENTIONS)


async def setup(bot: commands.Bot) -> None:
    """Add the cog."""
    await bot.add_cog(AdminCog(bot, await acquire_memory(bot, __name__)))


async def teardown(bot: commands.Bot) -> None:
    """Give the memory back."""
    await release_memory(bot, __name__)
