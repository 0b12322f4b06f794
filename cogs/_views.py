"""Messages with buttons for one person: the ground they share."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from weakref import WeakSet, WeakValueDictionary

import discord
from discord.ext import commands
from discord.ui import Modal, View

from cortex_core import CortexError, Memory

from ._errors import AWAY, BUG, NO_MENTIONS, Interaction, explain, tell
from ._messages import owner_id_of
from ._people import names_of_speakers, with_todays_names
from ._wording import describe

log = logging.getLogger("cortex.discord")

TIMEOUT_SECONDS = 180.0
PAGE_SIZE = 5

_MAX_DESCRIPTION_CHARS = 4096
_PREFIX = "cortex:v1:"
# Kinds of buttons that work whoever sent them, also after a restart.
_LASTING = tuple(f"{_PREFIX}{kind}:" for kind in ("invitation", "card", "digest", "review"))
_COLOUR = discord.Colour.blurple()


_LOOKED_AT = "cortex_looked_at"  # among the extras of an interaction

_SHOWN: "WeakValueDictionary[int, OwnedView]" = WeakValueDictionary()
"""The views under private answers, by the answer's id."""


async def report(interaction: Interaction, error: Exception, *, away: str) -> None:
    """Answer for a button or form that failed; nobody else does."""
    if isinstance(error, CortexError):
        sentence = explain(error, away=away)
    else:
        log.error("A button or form failed.", exc_info=error)
        sentence = BUG
    with suppress(discord.HTTPException):
        await tell(interaction, sentence)


class OwnedView(View):
    """Buttons under a private answer: only the person who asked may press them, and they go when time is up.

    Attributes:
        interaction: The one by way of which the answer is edited; the newest, since none lasts over fifteen minutes.
        outcome: What the answer turns into when time is up; None leaves it as it is, without its buttons.
        away: What a press is answered with when a store is away.
    """

    outcome: str | None = None
    away = AWAY

    def __init__(self, interaction: Interaction, open_views: "WeakSet[OwnedView]") -> None:
        super().__init__(timeout=TIMEOUT_SECONDS)
        self.interaction = interaction
        self._owner = interaction.user
        open_views.add(self)

    async def show(self, *, content: str | None = None, embed: discord.Embed | None = None) -> None:
        """Put it under the answer."""
        answer = await self.interaction.edit_original_response(
            content=content, embed=embed, view=self, allowed_mentions=NO_MENTIONS
        )
        _SHOWN[answer.id] = self

    async def finish(self, outcome: str) -> None:
        """Turn the answer into the outcome, without buttons."""
        self.stop()
        await self.interaction.edit_original_response(
            content=outcome, embed=None, view=None, allowed_mentions=NO_MENTIONS
        )

    async def interaction_check(self, interaction: Interaction, /) -> bool:  # type: ignore[override]
        """Let only the owner press."""
        if interaction.user != self._owner:
            await tell(interaction, "Those buttons belong to somebody else's memories. Use the command yourself.")
            return False
        return True

    async def accept(self, interaction: Interaction) -> None:
        """Acknowledge a press or a form; the answer is edited by way of it from now on."""
        await interaction.response.defer()
        self.interaction = interaction

    async def on_timeout(self) -> None:
        """Take the buttons away."""
        with suppress(discord.HTTPException):  # the person may have dismissed the answer
            if self.outcome is None:
                await self.interaction.edit_original_response(view=None)
            else:
                await self.finish(self.outcome)

    async def on_error(self, interaction: Interaction, error: Exception, item: object, /) -> None:  # type: ignore[override]  # noqa: ARG002
        """Answer the person and log."""
        await report(interaction, error, away=self.away)


class AnswersOldButtons(commands.Cog):
    """A cog with buttons: it answers for those of a time before it was loaded, once whichever of our cogs are there."""

    @commands.Cog.listener()
    async def on_interaction(self, interaction: Interaction) -> None:
        """Answer if nobody else does."""
        if interaction.type is discord.InteractionType.component and not interaction.extras.get(_LOOKED_AT):
            interaction.extras[_LOOKED_AT] = True
            await answer_if_stale(interaction)


async def answer_if_stale(interaction: Interaction) -> None:
    """Answer a press of a button that nobody listens to any more, which Discord would call a failed interaction.

    Buttons in private answers work until time is up, the extension is unloaded or the bot ends.
    """
    data: Mapping[str, object] = {**(interaction.data or {})}
    message, pressed = interaction.message, str(data.get("custom_id"))
    if (
        message is None
        or not message.flags.ephemeral
        or not pressed.startswith(_PREFIX)
        or pressed.startswith(_LASTING)
        or interaction.response.is_done()
    ):
        return
    view = _SHOWN.get(message.id)
    if view is None or view.is_finished() or view.interaction.client is not interaction.client:
        with suppress(discord.HTTPException):
            await tell(interaction, "Those buttons don't work any more. Please use the command again.")


class OwnedModal(Modal):
    """A form that a button of an `OwnedView` opens.

    Attributes:
        away: What it is answered with when a store is away.
    """

    away = AWAY

    def __init__(self, name: str, title: str, interaction: Interaction) -> None:
        # Discord's library tells open forms apart by this id alone, so two people need two.
        super().__init__(title=title, custom_id=f"cortex:v1:{name}:{interaction.id}", timeout=TIMEOUT_SECONDS)

    async def on_error(self, interaction: Interaction, error: Exception, /) -> None:  # type: ignore[override]
        """Answer the person and log."""
        await report(interaction, error, away=self.away)


def memories_embed(
    interaction: Interaction, title: str, memories: Sequence[Memory], *, footer: str | None = None, ranked: bool = False
) -> discord.Embed:
    """Return a list of memories for the person who asked."""
    embed = list_embed(title, entries_of(interaction, memories, ranked=ranked))
    return embed.set_footer(text=footer) if footer else embed


def entries_of(interaction: Interaction, memories: Sequence[Memory], *, ranked: bool) -> list[str]:
    """Return memories as entries of a list for the person who asked."""
    reader = owner_id_of(interaction.user.id)
    memories = with_todays_names(interaction.client, interaction.guild, memories)
    names = names_of_speakers(interaction.client, interaction.guild, memories)
    return [describe(memory, reader=reader, names=names, ranked=ranked) for memory in memories]


def list_embed(title: str, entries: Sequence[str], separator: str = "\n\n") -> discord.Embed:
    """Return a list of entries under a title."""
    return discord.Embed(title=title, description=separator.join(entries)[:_MAX_DESCRIPTION_CHARS], colour=_COLOUR)


def gone_since(count: int) -> list[str]:
    """Return what a page says of entries that it had to leave out."""
    if count <= 0:
        return []
    return [f"*{count:,} {'is' if count == 1 else 'are'} gone since, or out of reach for now.*"]
