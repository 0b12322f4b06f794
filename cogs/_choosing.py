"""A list of which one entry can be chosen, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from weakref import WeakSet

import discord
from discord.ui import Button, Select

from ._errors import Interaction
from ._views import PAGE_SIZE, OwnedView, gone_since, list_embed
from ._wording import MAX_CHOICE_CHARS, preview


class Entry(NamedTuple):
    """One line of a list, what it is called in the menu below, and its place among all of them."""

    text: str
    label: str
    number: int


class Chooser(OwnedView):
    """A list with a menu to choose an entry from.

    Args:
        fetch: Gives the entries from an offset on, at most as many as asked for; fewer where some are gone since.
        choose: Shows the entry with that number in the place of this list.
        total: How many there were when the list was made.
        intro: What stands above the entries of each page.
    """

    def __init__(
        self,
        interaction: Interaction,
        open_views: WeakSet[OwnedView],
        fetch: Callable[[int, int], Awaitable[Sequence[Entry]]],
        choose: Callable[["Chooser", int], Awaitable[None]],
        *,
        total: int,
        title: str,
        intro: str | None = None,
    ) -> None:
        super().__init__(interaction, open_views)
        self._fetch = fetch
        self._choose = choose
        self._title = title
        self._intro = [intro] if intro else []
        self._total = total
        self._last = max(0, (total - 1) // PAGE_SIZE)
        self._page = 0
        self._turning = asyncio.Lock()
        self._menu = _Menu(self)
        if not self._last:
            self.remove_item(self.back)
            self.remove_item(self.forward)

    async def turn_to(self, page: int) -> None:
        """Show that page, or the nearest one that there is."""
        async with self._turning:
            self._page = min(max(page, 0), self._last)
            start = self._page * PAGE_SIZE
            shown = await self._fetch(start, PAGE_SIZE)
            self.remove_item(self._menu)
            if shown:  # Discord takes no menu without options
                self.add_item(self._menu)
            self._menu.options = [
                discord.SelectOption(label=preview(entry.label, MAX_CHOICE_CHARS) or "…", value=str(entry.number))
                for entry in shown
            ]
            gone = gone_since(min(PAGE_SIZE, self._total - start) - len(shown))
            self.back.disabled = self._page == 0
            self.forward.disabled = self._page == self._last
            embed = list_embed(self._title, [*self._intro, *(entry.text for entry in shown), *gone])
            if self._last:
                embed.set_footer(text=f"{self._page + 1} / {self._last + 1}")
            await self.show(embed=embed)

    async def choose(self, interaction: Interaction, number: int) -> None:
        """Show that entry instead."""
        await self.accept(interaction)
        await self._choose(self, number)

    @discord.ui.button(emoji="◀️", custom_id="cortex:v1:chooser:back", row=1)
    async def back(self, interaction: Interaction, _: Button["Chooser"]) -> None:
        """Turn one page back."""
        await self.accept(interaction)
        await self.turn_to(self._page - 1)

    @discord.ui.button(emoji="▶️", custom_id="cortex:v1:chooser:forward", row=1)
    async def forward(self, interaction: Interaction, _: Button["Chooser"]) -> None:
        """Turn one page on."""
        await self.accept(interaction)
        await self.turn_to(self._page + 1)


class _Menu(Select[Chooser]):
    """The entries of the page."""

    def __init__(self, chooser: Chooser) -> None:
        super().__init__(custom_id="cortex:v1:chooser:menu", placeholder="Choose one to see more", row=0)
        self._chooser = chooser

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Show what was chosen."""
        await self._chooser.choose(interaction, int(self.values[0]))
