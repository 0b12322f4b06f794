"""ContradictionsCog: `/contradictions …` and the "Wait, what?" card: what can't both be true is put right by people."""

from collections.abc import Sequence
from weakref import WeakSet

from discord import app_commands
from discord.ext import commands

from cortex_core import AccessDeniedError, Correction, MemoryManager, NotFoundError
from cortex_core.consolidation.contradictions import Contradiction

from ._cards import CardButton, UndoButton, describe_question, next_card, send_cards
from ._errors import NO_MENTIONS, Interaction, answered, usual_pace
from ._lifecycle import acquire_memory, release_memory
from ._mailing import Rounds
from ._messages import owner_id_of
from ._pages import ListPages
from ._review import ReviewButton, describe_case, show_next
from ._views import AnswersOldButtons, OwnedView
from ._wording import count_of

_BUTTONS = (CardButton, UndoButton, ReviewButton)
_NOTHING = "Nothing that I know of you contradicts itself."
_HOW = "`/contradictions review` lets you decide one after the other."


@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
class ContradictionsCog(
    AnswersOldButtons, commands.GroupCog, group_name="contradictions", group_description="What can't both be true"
):
    """Shows people what contradicts itself in their memories and their projects', and asks them about it."""

    def __init__(self, bot: commands.Bot, memory: MemoryManager) -> None:
        self.bot = bot
        self.memory = memory
        self.pace = usual_pace()
        self._open_views: WeakSet[OwnedView] = WeakSet()
        self._rounds = Rounds(bot, self.send_cards)

    async def cog_load(self) -> None:
        """Put all buttons into service, also those sent before a restart, and begin to send cards."""
        self.bot.add_dynamic_items(*_BUTTONS)
        self._rounds.start()

    async def cog_unload(self) -> None:
        """Stop the buttons, which would otherwise go on calling this cog."""
        await self._rounds.stop()
        self.bot.remove_dynamic_items(*_BUTTONS)
        for view in list(self._open_views):
            view.stop()

    async def send_cards(self) -> None:
        """Ask everybody whose turn it is."""
        await send_cards(self.bot, self.memory)

    @app_commands.command(name="list")
    @answered
    async def list_(self, interaction: Interaction) -> None:
        """List what can't both be true, and what I'd like to ask you."""
        owner = owner_id_of(interaction.user.id)
        waiting: Sequence[Correction | Contradiction] = [
            *await self.memory.list_corrections(owner),
            *await self.memory.reviews.list_open(owner),
        ]
        if not waiting:
            raise NotFoundError(_NOTHING)

        async def fetch(offset: int, limit: int) -> list[str]:
            entries = [await self._describe(interaction, one) for one in waiting[offset : offset + limit]]
            return [entry for entry in entries if entry is not None]

        title = f"What can't both be true: {count_of(len(waiting), 'case')}"
        await _Waiting(interaction, self._open_views, fetch, total=len(waiting), title=title, intro=_HOW).turn_to(0)

    @app_commands.command()
    @answered
    async def review(self, interaction: Interaction) -> None:
        """Decide one after the other what is right."""
        person_id = interaction.user.id
        card = await next_card(self.memory, person_id)
        found = await self.memory.reviews.list_open(owner_id_of(person_id))
        if found:
            await show_next(interaction, [one.id for one in found])
        if card is None:
            if not found:
                raise NotFoundError(_NOTHING)
            return
        text, view = card
        if found:
            await interaction.followup.send(text, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)
        else:
            await interaction.edit_original_response(content=text, view=view, allowed_mentions=NO_MENTIONS)

    async def _describe(self, interaction: Interaction, one: Correction | Contradiction) -> str | None:
        """Return an entry of the list; None for what is settled, forgotten or not theirs any more."""
        owner = owner_id_of(interaction.user.id)
        if isinstance(one, Correction):
            return describe_question(one, await self.memory.get(owner, one.memory_id))
        try:
            case = await self.memory.reviews.get(owner, one.id)
            return "\n".join(await describe_case(interaction, self.memory, case))
        except (AccessDeniedError, NotFoundError):
            return None


class _Waiting(ListPages):
    """What waits for a decision; an entry is long."""

    page_size = 3


async def setup(bot: commands.Bot) -> None:
    """Add the cog."""
    await bot.add_cog(ContradictionsCog(bot, await acquire_memory(bot, __name__)))


async def teardown(bot: commands.Bot) -> None:
    """Give the memory back."""
    await release_memory(bot, __name__)
