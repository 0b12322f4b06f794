"""Lists with pages."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from weakref import WeakSet

import discord
from discord.ui import Button, TextInput

from cortex_core import Memory, MemoryManager

from ._errors import NO_MENTIONS, Interaction, tell
from ._messages import owner_id_of
from ._views import PAGE_SIZE, OwnedModal, OwnedView, entries_of, gone_since, list_embed


class ListPages(OwnedView):
    """A long list, a few entries at a time.

    Args:
        fetch: Gives the entries from an offset on, at most as many as asked for; fewer where some are gone since.
        total: How many there were when the list was made.
        intro: What stands above the entries of each page.

    Attributes:
        page_size: How many entries a page has.
        separator: What stands between two of them.
    """

    page_size = PAGE_SIZE
    separator = "\n\n"

    def __init__(
        self,
        interaction: Interaction,
        open_views: WeakSet[OwnedView],
        fetch: Callable[[int, int], Awaitable[Sequence[str]]],
        *,
        total: int,
        title: str,
        intro: str | None = None,
    ) -> None:
        super().__init__(interaction, open_views)
        self._fetch = fetch
        self._title = title
        self._intro = [intro] if intro else []
        self._turning = asyncio.Lock()
        self._total = total
        self._last = max(0, (total - 1) // self.page_size)
        self._page = 0
        if not self._last:
            for button in (self.first, self.back, self.jump, self.forward, self.last):
                self.remove_item(button)

    async def turn_to(self, page: int) -> None:
        """Show that page, or the nearest one that there is."""
        async with self._turning:
            self._page = min(max(page, 0), self._last)
            start = self._page * self.page_size
            shown = await self._fetch(start, self.page_size)
            entries = [*shown, *gone_since(min(self.page_size, self._total - start) - len(shown))]
            self.first.disabled = self.back.disabled = self._page == 0
            self.forward.disabled = self.last.disabled = self._page == self._last
            self.jump.label = f"{self._page + 1} / {self._last + 1}"
            embed = list_embed(self._title, [*self._intro, *entries], self.separator)
            if self.children:
                await self.show(embed=embed)
            else:
                self.stop()
                await self.interaction.edit_original_response(embed=embed, allowed_mentions=NO_MENTIONS)

    @discord.ui.button(emoji="⏮️", custom_id="cortex:v1:pages:first", row=1)
    async def first(self, interaction: Interaction, _: Button["ListPages"]) -> None:
        """Turn to the first page."""
        await self.accept(interaction)
        await self.turn_to(0)

    @discord.ui.button(emoji="◀️", custom_id="cortex:v1:pages:back", row=1)
    async def back(self, interaction: Interaction, _: Button["ListPages"]) -> None:
        """Turn one page back."""
        await self.accept(interaction)
        await self.turn_to(self._page - 1)

    @discord.ui.button(label="1", custom_id="cortex:v1:pages:jump", row=1)
    async def jump(self, interaction: Interaction, _: Button["ListPages"]) -> None:
        """Ask for a page."""
        await interaction.response.send_modal(_JumpForm(self, interaction, self._last + 1))

    @discord.ui.button(emoji="▶️", custom_id="cortex:v1:pages:forward", row=1)
    async def forward(self, interaction: Interaction, _: Button["ListPages"]) -> None:
        """Turn one page on."""
        await self.accept(interaction)
        await self.turn_to(self._page + 1)

    @discord.ui.button(emoji="⏭️", custom_id="cortex:v1:pages:last", row=1)
    async def last(self, interaction: Interaction, _: Button["ListPages"]) -> None:
        """Turn to the last page."""
        await self.accept(interaction)
        await self.turn_to(self._last)


class _JumpForm(OwnedModal):
    """Asks for the number of a page."""

    number: TextInput["_JumpForm"] = TextInput(label="Page", custom_id="cortex:v1:pages:number", max_length=6)

    def __init__(self, pages: ListPages, interaction: Interaction, count: int) -> None:
        super().__init__("pages:jump", "Go to a page", interaction)
        self._pages = pages
        self._count = count
        self.number.placeholder = f"1 to {count}"

    async def on_submit(self, interaction: Interaction, /) -> None:  # type: ignore[override]
        """Turn to it."""
        if not self.number.value.strip().isdecimal():
            await tell(interaction, f"Pages are numbers from 1 to {self._count}.")
            return
        await self._pages.accept(interaction)
        await self._pages.turn_to(int(self.number.value) - 1)


class Pages(ListPages):
    """A long list of memories, a few at a time.

    Args:
        fetch: Gives the memories from an offset on, at most as many as asked for.
        ranked: Whether the place in the list has a reason.
    """

    def __init__(
        self,
        interaction: Interaction,
        open_views: WeakSet[OwnedView],
        fetch: Callable[[int, int], Awaitable[Sequence[Memory]]],
        *,
        total: int,
        title: str,
        ranked: bool = False,
    ) -> None:
        async def fetch_entries(offset: int, limit: int) -> list[str]:
            return entries_of(interaction, await fetch(offset, limit), ranked=ranked)

        super().__init__(interaction, open_views, fetch_entries, total=total, title=title)


class Found(Pages):
    """What a search found, best first; each page is checked when it is shown, since people leave and forget meanwhile.

    Args:
        found: All of it.
        title: What it is called.
    """

    def __init__(
        self,
        interaction: Interaction,
        open_views: WeakSet[OwnedView],
        memory: MemoryManager,
        found: Sequence[Memory],
        *,
        title: str,
    ) -> None:
        reader = owner_id_of(interaction.user.id)

        async def fetch(offset: int, limit: int) -> list[Memory]:
            return await memory.still_heard(reader, found[offset : offset + limit])

        super().__init__(interaction, open_views, fetch, total=len(found), title=title, ranked=True)
