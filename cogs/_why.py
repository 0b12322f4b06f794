"""The dialog of `/memory why`: what a reply drew on, and what may be done about each of these memories."""

from collections.abc import Mapping
from uuid import UUID
from weakref import WeakSet

import discord
from discord.ui import Button

from cortex_core import Audience, Memory, MemoryManager, MemoryStatus, NotFoundError
from cortex_core.consolidation.compaction import SOURCE as SUMMARY
from cortex_core.recall.replies import Explanation

from ._choosing import Chooser, Entry
from ._errors import NO_MENTIONS, Interaction
from ._forgetting import ForgetSome
from ._messages import owner_id_of
from ._people import with_todays_names
from ._views import OwnedView, entries_of, memories_embed
from ._wording import count_of

_UNKNOWN = "I know of no reply to you in the last week."
_NOT_THIS_ONE = "I can explain my replies only to whom they were for, and only for a week."
_FROM_NOTHING = "drew on no memory."
_GONE = "That is gone since: forgotten, or not shared with you any more."
_FORGOTTEN = "of it can't be shown: forgotten since, or not shared with you any more"

_Key = tuple[str, UUID]


class Why:
    """Shows what a reply drew on.

    Args:
        reply_id: The reply; the last one to whoever asks when absent.
    """

    def __init__(self, memory: MemoryManager, open_views: WeakSet[OwnedView], reply_id: str | None = None) -> None:
        self.memory = memory
        self.open_views = open_views
        self._reply_id = reply_id

    async def show(
        self, interaction: Interaction, *, instead_of: OwnedView | None = None, note: str | None = None
    ) -> None:
        """Show all that it drew on.

        Raises:
            NotFoundError: Nothing is known of such a reply to whoever asks.
        """
        explained = await self.memory.explain_reply(owner_id_of(interaction.user.id), self._reply_id)
        if explained is None:
            raise NotFoundError(_NOT_THIS_ONE if self._reply_id else _UNKNOWN)
        if instead_of:
            instead_of.stop()
        said = f"My reply {discord.utils.format_dt(explained.at, 'R')}"
        if not explained.memories:
            sentences = [note, f"{said} {_FROM_NOTHING}" if not explained.gone else f"{said}: {_gone(explained)}."]
            await interaction.edit_original_response(
                content="\n".join(filter(None, sentences)), embed=None, view=None, allowed_mentions=NO_MENTIONS
            )
            return
        await self._list(interaction, explained, said, note)

    async def _list(self, interaction: Interaction, explained: Explanation, said: str, note: str | None) -> None:
        keys = [(memory.user_id, memory.id) for memory in explained.memories]

        async def load() -> dict[_Key, Memory]:
            """Return what may be shown now; people leave projects and forget while the list stands there."""
            now = await self.memory.explain_reply(owner_id_of(interaction.user.id), explained.reply_id)
            return {(memory.user_id, memory.id): memory for memory in now.memories} if now else {}

        async def fetch(offset: int, limit: int) -> list[Entry]:
            left = await load()
            there = [number for number, key in enumerate(keys) if key in left and offset <= number < offset + limit]
            return _entries(interaction, {number: left[keys[number]] for number in there})

        async def choose(chooser: Chooser, number: int) -> None:
            memory = (await load()).get(keys[number])
            if memory is None:
                await self.show(chooser.interaction, instead_of=chooser, note=_GONE)
            else:
                chooser.stop()
                await _Reason(chooser.interaction, self, memory).ask()

        gone = f" Another {_gone(explained)}." if explained.gone else ""
        intro = f"{said} drew on {count_of(len(keys))}, best first.{gone}"
        await Chooser(
            interaction,
            self.open_views,
            fetch,
            choose,
            total=len(keys),
            title="Why I said that",
            intro=f"{note}\n\n{intro}" if note else intro,
        ).turn_to(0)


class _Reason(OwnedView):
    """One memory that a reply drew on; what others told a project can only be looked at."""

    def __init__(self, interaction: Interaction, why: Why, memory: Memory) -> None:
        super().__init__(interaction, why.open_views)
        self._why = why
        self._memory = memory
        if not self._is_own:
            for button in (self.wrong, self.outdated, self.forget, self.not_here):
                self.remove_item(button)
        if not self._is_own or memory.source != SUMMARY or _is_retired(memory):
            self.remove_item(self.undo_summary)
        self.wrong.disabled = self.outdated.disabled = _is_retired(memory)
        self.not_here.disabled = memory.audience == str(Audience.owner()) and memory.project_id is None

    @property
    def _is_own(self) -> bool:
        return self._memory.user_id == owner_id_of(self.interaction.user.id)

    async def ask(self) -> None:
        """Show it."""
        footer = None if self._is_own else "It comes from a project. Only its author can change it."
        embed = memories_embed(self.interaction, "Why I said that", [self._memory], footer=footer, ranked=True)
        await self.show(embed=embed)

    @discord.ui.button(label="Wrong", custom_id="cortex:v1:why:wrong")
    async def wrong(self, interaction: Interaction, _: Button["_Reason"]) -> None:
        """Recall it no more."""
        note = "I won't bring that up again, since it is wrong. Tell me what is right!"
        await self._retire(interaction, note, was_wrong=True)

    @discord.ui.button(label="Outdated", custom_id="cortex:v1:why:outdated")
    async def outdated(self, interaction: Interaction, _: Button["_Reason"]) -> None:
        """Recall it no more."""
        note = "I won't bring that up again, since it is outdated."
        await self._retire(interaction, note, was_wrong=False)

    @discord.ui.button(label="Not here", custom_id="cortex:v1:why:not-here")
    async def not_here(self, interaction: Interaction, _: Button["_Reason"]) -> None:
        """Recall it only in private."""
        await self.accept(interaction)
        owner = owner_id_of(interaction.user.id)
        await self._why.memory.set_audience(owner, self._memory.id, Audience.owner())
        note = "That comes up only in direct messages with me from now on."
        await self._why.show(interaction, instead_of=self, note=note)

    @discord.ui.button(label="Undo summary", custom_id="cortex:v1:why:undo-summary")
    async def undo_summary(self, interaction: Interaction, _: Button["_Reason"]) -> None:
        """Recall again what the memory sums up."""
        await self.accept(interaction)
        owner = owner_id_of(interaction.user.id)
        undone = await self._why.memory.consolidation.undo_summary(owner, self._memory.id)
        note = f"Undone: I go by {count_of(len(undone.restored))} again, and won't summarise them any more."
        await self._why.show(interaction, instead_of=self, note=note)

    @discord.ui.button(label="Forget", style=discord.ButtonStyle.danger, custom_id="cortex:v1:why:forget")
    async def forget(self, interaction: Interaction, _: Button["_Reason"]) -> None:
        """Ask whether it should go for good."""
        await self.accept(interaction)
        self.stop()
        await ForgetSome(interaction, self._why.open_views, self._why.memory, [self._memory], choose=False).ask()

    @discord.ui.button(label="Back", custom_id="cortex:v1:why:back")
    async def back(self, interaction: Interaction, _: Button["_Reason"]) -> None:
        """Show all of them."""
        await self.accept(interaction)
        await self._why.show(interaction, instead_of=self)

    async def _retire(self, interaction: Interaction, note: str, *, was_wrong: bool) -> None:
        await self.accept(interaction)
        await self._why.memory.retire(owner_id_of(interaction.user.id), self._memory.id, was_wrong=was_wrong)
        await self._why.show(interaction, instead_of=self, note=note)


def _entries(interaction: Interaction, memories: Mapping[int, Memory]) -> list[Entry]:
    renamed = with_todays_names(interaction.client, interaction.guild, list(memories.values()))
    texts = entries_of(interaction, renamed, ranked=True)
    return [
        Entry(f"~~no longer used~~\n{text}" if _is_retired(memory) else text, memory.content, number)
        for number, memory, text in zip(memories, renamed, texts, strict=True)
    ]


def _gone(explained: Explanation) -> str:
    return f"{count_of(explained.gone)} {_FORGOTTEN}"


def _is_retired(memory: Memory) -> bool:
    return memory.status is not MemoryStatus.ACTIVE
