"""MemoryCog: `/memory …`, what people can see, put right and erase of what is remembered of them."""

from datetime import timedelta
from typing import Literal, get_args
from weakref import WeakSet

from discord import app_commands
from discord.ext import commands

from cortex_core import (
    Audience,
    InvalidInputError,
    Memory,
    MemoryManager,
    MemoryType,
    NotFoundError,
)
from cortex_core.models import utc_now

from ._audience import audience_of
from ._dates import read_day, suggest_days
from ._digest import StopButton, UndoMenu, send_digests
from ._errors import NO_MENTIONS, Interaction, answered, tell, usual_pace
from ._export import hand_over
from ._finding import SUGGESTED_FROM, find, list_newest, suggest
from ._forgetting import ForgetEverything, ForgetSome
from ._lifecycle import acquire_memory, release_memory
from ._listening import NAME as LISTENING
from ._listening import ListeningCog
from ._mailing import Rounds
from ._menus import MessageMenus
from ._messages import channel_id_of, owner_id_of
from ._pages import Found, Pages
from ._past import show_past
from ._privacy import Privacy, Until, end_of_pause, pause_text
from ._profile import Profile
from ._views import AnswersOldButtons, OwnedView
from ._why import Why
from ._wording import count_of, quote, where_heard

Kind = Literal["identity", "semantic", "episodic", "working", "session"]
Since = Literal["24 hours", "7 days", "30 days", "365 days"]
Where = Literal["only between us", "everybody who can read this channel"]

_SPANS = dict(zip(get_args(Since), map(timedelta, (1, 7, 30, 365)), strict=True))
_SEARCH_LIMIT = 50
_REPEATED_CHARS = 900  # so that the confirmation fits into a message even if every character needs escaping


@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
class MemoryCog(
    AnswersOldButtons, commands.GroupCog, group_name="memory", group_description="What I remember about you"
):
    """Lets everybody see, put right and erase their own memories; `ListeningCog` makes them."""

    def __init__(self, bot: commands.Bot, memory: MemoryManager) -> None:
        self.bot = bot
        self.memory = memory
        self.pace = usual_pace()
        self._open_views: WeakSet[OwnedView] = WeakSet()
        self._rounds = Rounds(bot, self.send_digests)
        self._menus = MessageMenus(bot, memory, self.pace, self._open_views)

    async def cog_load(self) -> None:
        """Add the menus on messages, put the buttons of all digests into service, and begin to send digests."""
        self._menus.add()
        self.bot.add_dynamic_items(UndoMenu, StopButton)
        self._rounds.start()

    async def cog_unload(self) -> None:
        """Take the menus away and stop the buttons, which would otherwise go on calling this cog."""
        await self._rounds.stop()
        self.bot.remove_dynamic_items(UndoMenu, StopButton)
        self._menus.remove()
        for view in list(self._open_views):
            view.stop()

    async def send_digests(self) -> None:
        """Tell everybody whose week is over what was learned about them."""
        await send_digests(self.bot, self.memory)

    # Looking and keeping

    @app_commands.command()
    @app_commands.describe(text="What I should keep", where="Who may hear it again; only you, unless you choose")
    @answered
    async def remember(
        self, interaction: Interaction, text: app_commands.Range[str, 1, 2000], where: Where = "only between us"
    ) -> None:
        """Keep something on purpose; it does not fade."""
        place = interaction.channel
        audience = Audience.owner() if place is None or where == "only between us" else audience_of(place)
        result = await self.memory.store(
            owner_id_of(interaction.user.id),
            text,
            source="remember",
            tags=("pinned",),
            source_id=f"discord-interaction-{interaction.id}",
            channel_id=channel_id_of(place.id) if place else None,
            created_at=interaction.created_at,
            author_name=interaction.user.display_name,
            audience=audience,
        )
        if not result.success:
            raise InvalidInputError(result.error or "That could not be remembered.")
        await interaction.edit_original_response(
            content=f"I'll remember that:\n{quote(text, _REPEATED_CHARS)}\nIt may come up {where_heard(audience)}.",
            allowed_mentions=NO_MENTIONS,
        )

    @app_commands.command()
    @app_commands.describe(query="What you are looking for, in your own words")
    @answered
    async def search(self, interaction: Interaction, query: app_commands.Range[str, 1, 200]) -> None:
        """Search what I remember about you."""
        result = await self.memory.search(owner_id_of(interaction.user.id), query, limit=_SEARCH_LIMIT)
        if not result.memories:
            raise NotFoundError("I don't remember anything like that.")

        title = f"Best matches ({len(result.memories)})"
        await Found(interaction, self._open_views, self.memory, result.memories, title=title).turn_to(0)

    @app_commands.command(name="list")
    @app_commands.rename(kind="type")
    @app_commands.describe(kind="Only memories of this kind", since="Only what you said in this time")
    @answered
    async def list_(self, interaction: Interaction, kind: Kind | None = None, since: Since | None = None) -> None:
        """List what I remember about you, newest first."""
        owner = owner_id_of(interaction.user.id)
        types = [MemoryType(kind)] if kind else None
        start = utc_now() - _SPANS[since] if since else None
        total = await self.memory.count_memories(owner, memory_types=types, since=start)
        if not total:
            raise NotFoundError(
                "I remember nothing of that kind." if kind or since else "I don't remember anything yet."
            )

        async def fetch(offset: int, limit: int) -> list[Memory]:
            return await self.memory.list_memories(owner, memory_types=types, since=start, offset=offset, limit=limit)

        title = f"What I remember: {count_of(total)}, newest first"
        await Pages(interaction, self._open_views, fetch, total=total, title=title).turn_to(0)

    @app_commands.command()
    @answered
    async def profile(self, interaction: Interaction) -> None:
        """Show what I take to be true of you, and put it right."""
        await Profile(self.memory, self._open_views).show(interaction)

    @app_commands.command(name="as-of")
    @app_commands.describe(date="A day in the past, such as 2024-05-17, May 2024 or 2 weeks ago")
    @answered
    async def as_of(self, interaction: Interaction, date: app_commands.Range[str, 1, 100]) -> None:
        """Show what I took to be true of you then."""
        day = read_day(date, interaction.created_at)
        await show_past(interaction, self._open_views, self.memory, day)

    @as_of.autocomplete("date")
    async def _suggest_days(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return suggest_days(typed, interaction.created_at)

    @app_commands.command()
    @answered
    async def why(self, interaction: Interaction) -> None:
        """Show what my last reply to you drew on."""
        await Why(self.memory, self._open_views).show(interaction)

    @app_commands.command()
    @answered
    async def export(self, interaction: Interaction) -> None:
        """Get everything I keep about you as files, by direct message."""
        await hand_over(interaction, self.memory)

    # Wishes

    @app_commands.command()
    @app_commands.describe(until="How long; until you resume, unless you choose")
    @answered
    async def pause(self, interaction: Interaction, until: Until = "until I resume") -> None:
        """Let me remember nothing of what you say for a while."""
        paused_until = end_of_pause(until, interaction.created_at)
        await self.memory.change_preferences(owner_id_of(interaction.user.id), paused_until=paused_until)
        await tell(interaction, f"I remember nothing of what you say {pause_text(paused_until)}.")

    @app_commands.command()
    @answered
    async def resume(self, interaction: Interaction) -> None:
        """Let me remember again what you say."""
        wishes = await self.memory.change_preferences(owner_id_of(interaction.user.id), paused_until=None)
        if wishes.opted_out:
            raise InvalidInputError("You've opted out, which `/memory privacy` changes; only then I remember again.")
        await tell(interaction, "I remember what you say again.")

    @app_commands.command()
    @answered
    async def privacy(self, interaction: Interaction) -> None:
        """Read what I keep, why, how long and who hears it, and decide."""
        wishes = await self.memory.get_preferences(owner_id_of(interaction.user.id))
        await Privacy(interaction, self._open_views, self.memory, wishes).ask()

    # Forgetting

    @app_commands.command()
    @app_commands.describe(
        query="What it is about; you choose from what I find",
        last="The last so many things you told me",
        everything="All that I know about you",
    )
    @answered
    async def forget(
        self,
        interaction: Interaction,
        query: app_commands.Range[str, 1, 200] | None = None,
        last: app_commands.Range[int, 1, 100] | None = None,
        everything: bool = False,  # noqa: FBT001, FBT002  an option of the command
    ) -> None:
        """Forget something for good; I show it and ask first."""
        owner = owner_id_of(interaction.user.id)
        if [query is not None, last is not None, everything].count(True) != 1:
            raise InvalidInputError("Please choose one of `query`, `last` and `everything`.")
        if everything:
            count = len({memory.id for memory in await list_newest(self.memory, owner, SUGGESTED_FROM)})
            count = max(count, await self.memory.count_memories(owner))
            await ForgetEverything(interaction, self._open_views, self.memory, count).ask()
            return
        newest = [] if query else await list_newest(self.memory, owner, last or 1)
        found = await find(self.memory, owner, query) if query else newest[:last]
        if not found:
            raise NotFoundError("I don't remember anything like that." if query else "I don't remember anything yet.")
        choose = query is not None and len(found) > 1
        await ForgetSome(interaction, self._open_views, self.memory, found, choose=choose).ask()

    @forget.autocomplete("query")
    async def _suggest(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await suggest(interaction, self.memory, typed)


async def setup(bot: commands.Bot) -> None:
    """Add the cogs: one that listens, one for the commands."""
    memory = await acquire_memory(bot, __name__)
    await bot.add_cog(ListeningCog(bot, memory))
    await bot.add_cog(MemoryCog(bot, memory))


async def teardown(bot: commands.Bot) -> None:
    """Give the memory back."""
    await bot.remove_cog(LISTENING)  # which the bot can't tell to be of this extension
    await release_memory(bot, __name__)
