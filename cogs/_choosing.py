"""A list of which one entry can be chosen, a few at a time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from weakref import WeakSet

import discord
from discord.ui import Select

from ._errors import Interaction
from ._pages import ListPages
from ._views import OwnedView
from ._wording import MAX_CHOICE_CHARS, preview


class Entry(NamedTuple):
    """One line of a list, what it is called in the menu below, and its place among all of them."""

    text: str
    label: str
    number: int


class Chooser(ListPages):
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
        async def fetch_texts(offset: int, limit: int) -> list[str]:
            shown = await fetch(offset, limit)
            self._offer(shown)
            return [entry.text for entry in shown]

        super().__init__(interaction, open_views, fetch_texts, total=total, title=title, intro=intro)
        self._choose = choose
        self._menu = _Menu(self)

    def _offer(self, shown: Sequence[Entry]) -> None:
        self.remove_item(self._menu)
        if shown:  # Discord takes no menu without options
            self.add_item(self._menu)
        self._menu.options = [
            discord.SelectOption(label=preview(entry.label, MAX_CHOICE_CHARS) or "…", value=str(entry.number))
            for entry in shown
        ]

    async def choose(self, interaction: Interaction, number: int) -> None:
        """Show that entry instead."""
        await self.accept(interaction)
        await self._choose(self, number)


class _Menu(Select[Chooser]):
    """The entries of the page."""

    def __init__(self, chooser: Chooser) -> None:
        super().__init__(custom_id="cortex:v1:chooser:menu", placeholder="Choose one to see more", row=0)
        self._chooser = chooser

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Show what was chosen."""
        await self._chooser.choose(interaction, int(self.values[0]))
