"""The dialogs of `/memory forget`: preview, confirmation, receipt."""

from collections.abc import Awaitable, Sequence
from uuid import UUID
from weakref import WeakSet

import discord
from discord.ui import Button, Select, TextInput

from cortex_core import Fact, Memory, MemoryManager, Receipt

from ._attributes import one_of_many
from ._errors import Interaction
from ._messages import owner_id_of
from ._people import with_todays_names
from ._views import OwnedModal, OwnedView, list_embed, memories_embed
from ._wording import MAX_CHOICE_CHARS, count_of, preview, receipt_text

PHRASE = "forget everything"
MAX_CHOICES = 25

_PREVIEWED = 5
_NOTHING_DONE = "Nothing was forgotten."
_PARTLY_DONE = "Part of it may be gone already; please repeat that later."
_AWAY = f"I can't reach my memory right now. {_PARTLY_DONE}"


class _Dialog(OwnedView):
    """Claims that nothing was forgotten only as long as nothing was tried."""

    outcome = f"{_NOTHING_DONE} Time ran out before you decided."
    away = _AWAY

    def __init__(self, interaction: Interaction, open_views: WeakSet[OwnedView], memory: MemoryManager) -> None:
        super().__init__(interaction, open_views)
        self._memory = memory
        self._when_called_off = _NOTHING_DONE

    async def carry_out(self, erasing: Awaitable[Receipt]) -> None:
        """Erase and show the receipt."""
        self.outcome = self._when_called_off = _PARTLY_DONE
        await self.finish(receipt_text(await erasing))

    async def call_off(self, interaction: Interaction) -> None:
        """Leave everything as it is."""
        await self.accept(interaction)
        await self.finish(self._when_called_off)


class ForgetSome(_Dialog):
    """Asks before some memories are erased.

    Args:
        candidates: What may go.
        choose: Whether the person picks from them; otherwise all of them go.
    """

    def __init__(
        self,
        interaction: Interaction,
        open_views: WeakSet[OwnedView],
        memory: MemoryManager,
        candidates: Sequence[Memory],
        *,
        choose: bool,
    ) -> None:
        super().__init__(interaction, open_views, memory)
        self._candidates = candidates = with_todays_names(interaction.client, interaction.guild, candidates)
        self._chosen: list[UUID] = [] if choose else [candidate.id for candidate in candidates]
        if choose:
            self.add_item(_Picker(self, candidates))
        self._relabel()

    async def ask(self) -> None:
        """Show what is about to go."""
        rest = len(self._candidates) - _PREVIEWED
        title = "Forget this for good?" if len(self._candidates) == 1 else "Forget these for good?"
        footer = f"and {count_of(rest)} more" if rest > 0 else None
        candidates = self._candidates[:_PREVIEWED]
        await self.show(embed=memories_embed(self.interaction, title, candidates, footer=footer))

    async def choose(self, interaction: Interaction, chosen: list[UUID]) -> None:
        """Take those."""
        self._chosen = chosen
        self._relabel()
        await self.accept(interaction)
        await interaction.edit_original_response(view=self)

    @discord.ui.button(style=discord.ButtonStyle.danger, custom_id="cortex:v1:forget:confirm", row=1)
    async def confirm(self, interaction: Interaction, _: Button["ForgetSome"]) -> None:
        """Erase them and show the receipt."""
        await self.accept(interaction)
        await self.carry_out(self._memory.forget(owner_id_of(interaction.user.id), self._chosen))

    @discord.ui.button(label="Cancel", custom_id="cortex:v1:forget:cancel", row=1)
    async def cancel(self, interaction: Interaction, _: Button["ForgetSome"]) -> None:
        """Leave everything as it is."""
        await self.call_off(interaction)

    def _relabel(self) -> None:
        self.confirm.label = f"Forget {count_of(len(self._chosen))}" if self._chosen else "Forget"
        self.confirm.disabled = not self._chosen


class ForgetFact(_Dialog):
    """Asks before something that is durably known is erased.

    Args:
        fact: What is known.
        entry: The same as it is shown.
    """

    def __init__(
        self,
        interaction: Interaction,
        open_views: WeakSet[OwnedView],
        memory: MemoryManager,
        fact: Fact,
        entry: str,
    ) -> None:
        super().__init__(interaction, open_views, memory)
        self._fact = fact
        self._entry = entry

    async def ask(self) -> None:
        """Show what is about to go, and what isn't."""
        history = "" if self._fact.has_many else "Every value that it ever had goes too. "
        note = f"{history}What you said about it in conversations stays: `/memory forget`."
        await self.show(embed=list_embed("Forget this for good?", [self._entry, note]))

    @discord.ui.button(label="Forget it", style=discord.ButtonStyle.danger, custom_id="cortex:v1:forget-line:confirm")
    async def confirm(self, interaction: Interaction, _: Button["ForgetFact"]) -> None:
        """Erase it and show the receipt."""
        await self.accept(interaction)
        owner, fact = owner_id_of(interaction.user.id), self._fact
        value = one_of_many(fact)
        await self.carry_out(self._memory.forget_identity(owner, fact.attribute, value=value))

    @discord.ui.button(label="Cancel", custom_id="cortex:v1:forget-line:cancel")
    async def cancel(self, interaction: Interaction, _: Button["ForgetFact"]) -> None:
        """Leave everything as it is."""
        await self.call_off(interaction)


class _Picker(Select[ForgetSome]):
    """Lets the person pick from what a search found."""

    def __init__(self, dialog: ForgetSome, candidates: Sequence[Memory]) -> None:
        self._dialog = dialog
        super().__init__(
            custom_id="cortex:v1:forget:pick",
            placeholder="Choose what I should forget",
            max_values=len(candidates),
            options=[
                discord.SelectOption(
                    label=preview(memory.content, MAX_CHOICE_CHARS),
                    value=str(memory.id),
                    description=f"{memory.created_at:%d %B %Y}",
                )
                for memory in candidates
            ],
            row=0,
        )

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Keep the choice, so that the list still shows it."""
        for option in self.options:
            option.default = option.value in self.values
        await self._dialog.choose(interaction, [UUID(value) for value in self.values])


class ForgetEverything(_Dialog):
    """Asks before everything about a person is erased; one click is not enough."""

    def __init__(
        self, interaction: Interaction, open_views: WeakSet[OwnedView], memory: MemoryManager, count: int
    ) -> None:
        super().__init__(interaction, open_views, memory)
        self._count = count

    async def ask(self, hint: str = "") -> None:
        """Say what is about to go."""
        await self.show(
            content=f"This erases **everything** I know about you: {count_of(self._count)}, what I learned from them, "
            f"and our current conversation, from every server and from our direct messages. It can't be undone.{hint}"
        )

    async def erase(self, interaction: Interaction) -> None:
        """Erase it and show the receipt."""
        await self.accept(interaction)
        await self.carry_out(self._memory.forget_everything(owner_id_of(interaction.user.id)))

    @discord.ui.button(
        label="Forget everything …", style=discord.ButtonStyle.danger, custom_id="cortex:v1:forget-all:open"
    )
    async def open(self, interaction: Interaction, _: Button["ForgetEverything"]) -> None:
        """Ask for the phrase."""
        await interaction.response.send_modal(_PhraseForm(self, interaction))

    @discord.ui.button(label="Cancel", custom_id="cortex:v1:forget-all:cancel")
    async def cancel(self, interaction: Interaction, _: Button["ForgetEverything"]) -> None:
        """Leave everything as it is."""
        await self.call_off(interaction)


class _PhraseForm(OwnedModal):
    """Asks for the phrase that nobody types by accident."""

    away = _AWAY
    phrase: TextInput["_PhraseForm"] = TextInput(
        label=f"Type “{PHRASE}”", custom_id="cortex:v1:forget-all:phrase", placeholder=PHRASE, max_length=50
    )

    def __init__(self, dialog: ForgetEverything, interaction: Interaction) -> None:
        super().__init__("forget-all", "Forget everything about me", interaction)
        self._dialog = dialog

    async def on_submit(self, interaction: Interaction, /) -> None:  # type: ignore[override]
        """Compare the phrase, whatever its letter case."""
        if " ".join(self.phrase.value.casefold().split()) == PHRASE:
            await self._dialog.erase(interaction)
            return
        await self._dialog.accept(interaction)
        if not self._dialog.is_finished():  # otherwise the answer already says how it ended
            hint = f"That isn't the phrase. To go on, press the button again and type “{PHRASE}”."
            await self._dialog.ask(f"\n\n**{hint}**")
