"""The dialog of `/contradictions review`: one contradiction after the other, and what the person decides about it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID
from weakref import WeakSet

import discord
from discord.ui import Button, TextInput

from cortex_core import AccessDeniedError, InvalidInputError, MemoryManager, NotFoundError, StoreUnavailableError
from cortex_core.consolidation.contradictions import Resolution
from cortex_core.consolidation.reviewing import Case

from ._dates import DateForm
from ._errors import AWAY, Interaction
from ._messages import owner_id_of
from ._projects import bold, mention_of
from ._views import OwnedModal, OwnedView, entries_of, list_embed
from ._wording import shown_name

_MAX_MERGED_CHARS = 2000
_MAX_REASON_CHARS = 150
_NOTHING_LEFT = "Nothing is left to decide."
_TAKEN_BACK = "That decision is taken back."
_OUTCOMES = {
    Resolution.A_WINS: "**A** stays; **B** holds no more.",
    Resolution.B_WINS: "**B** stays; **A** holds no more.",
    Resolution.MERGE: "Both became one memory, in your words.",
    Resolution.BOTH_VALID: "Both stay.",
    Resolution.CHANGED: "The older one held until then, the newer one holds since.",
}


async def describe_case(interaction: Interaction, memory: MemoryManager, case: Case) -> list[str]:
    """Return a contradiction in words: both statements, why they clash, and whose decision it is."""
    a, b = entries_of(interaction, [case.a, case.b], ranked=False)
    found = case.contradiction
    about = [shown_name(found.explanation, _MAX_REASON_CHARS)]
    if found.project_id is not None:
        project = await memory.project_memory.get_project(found.project_id, owner_id_of(interaction.user.id))
        about.append(f"project {bold(project.name)}")
    about.append(f"found {discord.utils.format_dt(found.detected_at, 'R')}")
    return [f"**A**\n{a}", f"**B**\n{b}", " · ".join(about)]


class Review(OwnedView):
    """Shows one contradiction after the other, keeping each from other reviewers as long as it is shown.

    Args:
        waiting: Those that are to be decided, in their order.
    """

    away = AWAY

    def __init__(
        self, interaction: Interaction, open_views: WeakSet[OwnedView], memory: MemoryManager, waiting: Sequence[UUID]
    ) -> None:
        super().__init__(interaction, open_views)
        self._memory = memory
        self._person = owner_id_of(interaction.user.id)
        self._waiting = list(waiting)
        self._case: Case | None = None
        self._decided: UUID | None = None
        self._deciding = asyncio.Lock()

    async def show_next(self, *notes: str) -> None:
        """Show the next one that is still open and that nobody else is at."""
        told = list(notes)
        self._case = None
        while self._waiting and self._case is None:
            try:
                case = await self._memory.reviews.begin(self._person, self._waiting.pop(0))
            except (AccessDeniedError, InvalidInputError, NotFoundError) as error:
                told.append(str(error))
            else:
                if case.claimed_by is None:
                    self._case = case
                else:
                    told.append(f"{mention_of(case.claimed_by)} is deciding one of them at this moment.")
        self._arrange()
        entries = list(dict.fromkeys(told))
        if self._case is None:
            await self._end([*entries, _NOTHING_LEFT])
            return
        entries += await describe_case(self.interaction, self._memory, self._case)
        embed = list_embed("Which is right?", entries)
        if self._waiting:
            embed.set_footer(text=f"{len(self._waiting):,} more after this one")
        await self.show(embed=embed)

    async def decide(
        self,
        interaction: Interaction,
        resolution: Resolution,
        *,
        changed_on: datetime | None = None,
        merged: str | None = None,
        case: Case | None = None,
    ) -> None:
        """Carry a decision out and go on; of two presses the second one comes too late.

        Args:
            interaction: The press, or the form.
            resolution: The decision.
            changed_on: The date of a change.
            merged: The words of a merged memory.
            case: What a form was opened for; what is shown when absent.
        """
        await self.accept(interaction)
        meant = case or self._case
        async with self._deciding:
            if self._case is None or meant is None or self._case.contradiction.id != meant.contradiction.id:
                return
            decided = meant.contradiction.id
            try:
                await self._memory.reviews.decide(
                    self._person, decided, resolution, changed_on=changed_on, merged=merged
                )
            except (AccessDeniedError, InvalidInputError, NotFoundError) as error:
                await self.show_next(str(error))
                return
            self._decided = decided
            await self.show_next(_OUTCOMES[resolution])

    @discord.ui.button(label="Keep A", custom_id="cortex:v1:review:a", row=0)
    async def keep_a(self, interaction: Interaction, _: Button["Review"]) -> None:
        """Let A win."""
        await self.decide(interaction, Resolution.A_WINS)

    @discord.ui.button(label="Keep B", custom_id="cortex:v1:review:b", row=0)
    async def keep_b(self, interaction: Interaction, _: Button["Review"]) -> None:
        """Let B win."""
        await self.decide(interaction, Resolution.B_WINS)

    @discord.ui.button(label="Merge …", custom_id="cortex:v1:review:merge", row=0)
    async def merge(self, interaction: Interaction, _: Button["Review"]) -> None:
        """Ask for the words that take the place of both."""
        if self._case is not None:
            await interaction.response.send_modal(_MergeForm(self, interaction, self._case))

    @discord.ui.button(label="Both are true", custom_id="cortex:v1:review:both", row=0)
    async def both(self, interaction: Interaction, _: Button["Review"]) -> None:
        """Let both stay."""
        await self.decide(interaction, Resolution.BOTH_VALID)

    @discord.ui.button(label="It changed on …", custom_id="cortex:v1:review:changed", row=0)
    async def changed(self, interaction: Interaction, _: Button["Review"]) -> None:
        """Ask since when the newer one holds."""
        case = self._case

        async def act(answered: Interaction, changed_on: datetime) -> None:
            await self.decide(answered, Resolution.CHANGED, changed_on=changed_on, case=case)

        await interaction.response.send_modal(DateForm(interaction, act))

    @discord.ui.button(label="Skip", custom_id="cortex:v1:review:skip", row=1)
    async def skip(self, interaction: Interaction, _: Button["Review"]) -> None:
        """Leave it to later, or to others."""
        await self.accept(interaction)
        async with self._deciding:
            await self.leave()
            await self.show_next()

    @discord.ui.button(label="Undo", custom_id="cortex:v1:review:undo", row=1)
    async def undo(self, interaction: Interaction, _: Button["Review"]) -> None:
        """Take the last decision back, and ask again."""
        await self.accept(interaction)
        async with self._deciding:
            if self._decided is None:
                return
            note, again = _TAKEN_BACK, [self._decided]
            try:
                await self._memory.reviews.take_back(self._person, self._decided)
            except (AccessDeniedError, InvalidInputError, NotFoundError) as error:
                note, again = str(error), []
            if self._case is not None:
                again.append(self._case.contradiction.id)
            self._waiting[:0] = again
            self._decided = None
            await self.leave()
            await self.show_next(note)

    async def leave(self) -> None:
        """Let others have what is shown."""
        if self._case is not None:
            await self._memory.reviews.leave(self._person, self._case.contradiction.id)
            self._case = None

    async def on_timeout(self) -> None:
        """Take the buttons away, and let others have what was shown."""
        with suppress(StoreUnavailableError):  # then it is kept from others for some minutes more
            await self.leave()
        await super().on_timeout()

    def _arrange(self) -> None:
        """Offer what can be done now."""
        self.clear_items()
        if self._case is not None:
            for button in (self.keep_a, self.keep_b, self.merge, self.both, self.changed, self.skip):
                self.add_item(button)
            self.merge.disabled = self._case.a.user_id != self._case.b.user_id
        if self._decided is not None:
            self.add_item(self.undo)

    async def _end(self, entries: list[str]) -> None:
        embed = list_embed("Which is right?", entries)
        if self._decided is not None:
            await self.show(embed=embed)
            return
        self.stop()
        await self.interaction.edit_original_response(embed=embed, view=None)


class _MergeForm(OwnedModal):
    """Asks for what is true of both."""

    content: TextInput["_MergeForm"] = TextInput(
        label="What is true of both",
        custom_id="cortex:v1:review:content",
        style=discord.TextStyle.paragraph,
        max_length=_MAX_MERGED_CHARS,
    )

    def __init__(self, review: Review, interaction: Interaction, case: Case) -> None:
        super().__init__("review:merge", "One memory instead of two", interaction)
        self._review = review
        self._case = case
        self.content.default = f"{case.a.content}\n{case.b.content}"[:_MAX_MERGED_CHARS]

    async def on_submit(self, interaction: Interaction, /) -> None:  # type: ignore[override]
        """Let it take the place of both."""
        merged = self.content.value.strip()
        if not merged:
            raise InvalidInputError("Please say in words what is true of both.")
        await self._review.decide(interaction, Resolution.MERGE, merged=merged, case=self._case)
