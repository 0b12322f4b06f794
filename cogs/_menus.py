"""The menus on messages: *Remember this*, *Forget this* and *Why did you say that?*, which explains a reply."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakSet

import discord
from discord import app_commands
from discord.ext import commands

from cortex_core import Audience, InvalidInputError, MemoryManager, NotFoundError
from cortex_core.models import PINNED, utc_now

from ._errors import NO_MENTIONS, Interaction, answered
from ._forgetting import ForgetSome
from ._messages import called_name, is_from_person, owner_id_of, source_id_of, spoken_text, to_incoming
from ._views import OwnedView
from ._why import Why
from ._wording import quote, where_heard

log = logging.getLogger("cortex.discord")

REMEMBER, FORGET, WHY = "Remember this", "Forget this", "Why did you say that?"

_REPEATED_CHARS = 900
_NOT_YOURS = "Please choose a message of your own: what others say is theirs."

_Callback = Callable[[Interaction, discord.Message], Coroutine[Any, Any, None]]


class MessageMenus:
    """Adds the menus to a bot and takes them away again.

    Args:
        pace: How often one person may use them.
        open_views: Where the dialogs that they open are kept.
    """

    def __init__(
        self,
        bot: commands.Bot,
        memory: MemoryManager,
        pace: commands.CooldownMapping[Interaction],
        open_views: WeakSet[OwnedView],
    ) -> None:
        self.bot = bot
        self.memory = memory
        self.pace = pace
        self._open_views = open_views
        self._added: list[app_commands.ContextMenu] = []

    def add(self) -> None:
        """Add them; one for which the host's own menus leave no room is left out."""
        callbacks: dict[str, _Callback] = {REMEMBER: self.remember, FORGET: self.forget, WHY: self.explain}
        for name, callback in callbacks.items():
            menu = app_commands.ContextMenu(
                name=name,
                callback=callback,
                allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
                allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
            )
            try:
                self.bot.tree.add_command(menu)
            except (app_commands.CommandLimitReached, app_commands.CommandAlreadyRegistered) as error:
                log.warning("The bot goes without the menu “%s”: %s", name, error)
            else:
                self._added.append(menu)

    def remove(self) -> None:
        """Take away those that were added."""
        for menu in self._added:
            self.bot.tree.remove_command(menu.name, type=menu.type)
        self._added.clear()

    @answered
    async def remember(self, interaction: Interaction, message: discord.Message) -> None:
        """Keep what the person said there; it doesn't fade."""
        _check_own(interaction, message)
        owner, source = owner_id_of(interaction.user.id), source_id_of(message.id)
        wishes = await self.memory.get_preferences(owner)
        if reason := wishes.why_not_stored(utc_now()):
            raise InvalidInputError(reason)
        said = to_incoming(message, spoken_text(message, called_name(self.bot, self.memory)), is_addressed=True)
        known = await self.memory.get_by_source(owner, source)
        if known is None:
            new = said.to_memory(project_id=None, edited_at=message.edited_at)
            audience = Audience.owner() if wishes.keeps_private else said.audience
            kept = new.model_copy(update={"source": "remember", "tags": (PINNED,), "audience": audience})
            [result] = await self.memory.store_many(owner, [kept])
            if not result.success:
                raise InvalidInputError(result.error or "That could not be remembered.")
            known = await self.memory.get_by_source(owner, source)
            if known is None:
                raise InvalidInputError("That was forgotten before, and stays so. `/memory remember` keeps it anew.")
        await self.memory.pin(owner, known.id)
        await interaction.edit_original_response(
            content=f"I'll remember that:\n{quote(known.content, _REPEATED_CHARS)}\n"
            f"It may come up {where_heard(Audience.parse(known.audience))}.",
            allowed_mentions=NO_MENTIONS,
        )

    @answered
    async def forget(self, interaction: Interaction, message: discord.Message) -> None:
        """Ask whether what was kept of it should go."""
        _check_own(interaction, message)
        owner = owner_id_of(interaction.user.id)
        known = await self.memory.get_by_source(owner, source_id_of(message.id))
        if known is None:
            raise NotFoundError("I keep nothing of that message.")
        await ForgetSome(interaction, self._open_views, self.memory, [known], choose=False).ask()

    @answered
    async def explain(self, interaction: Interaction, message: discord.Message) -> None:
        """Show what it drew on."""
        if self.bot.user is None or message.author.id != self.bot.user.id:
            raise InvalidInputError("Please choose something that I said.")
        await Why(self.memory, self._open_views, source_id_of(message.id)).show(interaction)


def _check_own(interaction: Interaction, message: discord.Message) -> None:
    if message.author.id != interaction.user.id or not is_from_person(message):
        raise InvalidInputError(_NOT_YOURS)
