"""The weekly digest: tells a person by direct message what was learned about them, and lets them take it back."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self
from uuid import UUID

import discord
from discord.ext import commands
from discord.ui import Button, DynamicItem, Item, Select, View

from cortex_core import Memory, MemoryManager, NotFoundError
from cortex_core.attributes import value_in_words
from cortex_core.consolidation.digest import Digest, News

from ._errors import AWAY, NO_MENTIONS, Interaction, tell
from ._mailing import write_to
from ._messages import discord_id_of, owner_id_of
from ._projects import memory_of
from ._views import list_embed, report
from ._wording import MAX_CHOICE_CHARS, preview, shown_name

_SHOWN = 12
_MAX_NAME_CHARS = 40
_MAX_VALUE_CHARS = 50
_MAX_PATTERN_CHARS = 120
_NOT_YOURS = "This digest is somebody else's."
_STOPPED = "I'll write no more digests. `/memory privacy` turns them on again."
_ADDED, _ENDED, _NOTICED = "added", "ended", "noticed"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Entry(NamedTuple):
    """Something that was learned: as it is told, and in the menu."""

    text: str
    label: str
    value: str


async def send_digests(bot: commands.Bot, memory: MemoryManager) -> None:
    """Tell everybody whose week is over; who can't be reached is told later, and has `/memory profile` meanwhile."""
    async for digest in memory.digests.claim_due():
        number = discord_id_of(digest.user_id)
        if number is not None and await write_to(
            bot, digest.user_id, view=digest_view(digest, number), embed=digest_embed(digest)
        ):
            await memory.digests.note_sent(digest)


def digest_embed(digest: Digest, note: str | None = None) -> discord.Embed:
    """Return what the person reads.

    Args:
        digest: What was learned.
        note: What was done about it just now.
    """
    shown = _entries_of(digest)
    entries = [*([note] if note else []), *(entry.text for entry in shown)]
    if not shown:
        entries.append("*Nothing else.*")
    if rest := len(digest.news) + len(digest.patterns) - len(shown):
        entries.append(f"*and {rest:,} more: `/memory profile` and `/memory list` show everything.*")
    embed = list_embed("What I learned about you", entries, separator="\n")
    embed.timestamp = digest.until
    return embed.set_footer(text=f"since {digest.since:%d %b %Y}")


def digest_view(digest: Digest, person_id: int) -> View:
    """Return what can be done about a digest.

    It must never be stopped: with a view, Discord's library takes the kinds of its dynamic buttons out of service.
    """
    view = View(timeout=None)
    if shown := _entries_of(digest):
        menu: Select[View] = Select(
            custom_id=_menu_id(digest, person_id),
            placeholder="Take something back …",
            options=[discord.SelectOption(label=entry.label, value=entry.value) for entry in shown],
        )
        view.add_item(UndoMenu(menu, person_id, digest.since, digest.until))
    view.add_item(StopButton(person_id))
    return view


class UndoMenu(
    DynamicItem[Select[View]],
    template=re.compile(r"cortex:v1:digest:undo:(?P<person>[0-9]+):(?P<since>[0-9]+):(?P<until>[0-9]+)"),
):
    """Takes back what was learned; everything that it has to know is in its id and in Postgres."""

    def __init__(self, menu: Select[View], person_id: int, since: datetime, until: datetime) -> None:
        self._person_id = person_id
        self._since = since
        self._until = until
        super().__init__(menu)

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: Item[View], match: re.Match[str], /) -> Self:  # type: ignore[override]  # noqa: ARG003
        """Return the menu that was used."""
        if not isinstance(item, Select):
            raise TypeError("A digest's menu is a menu.")
        since, until = (_EPOCH + int(match[name]) * _MICROSECOND for name in ("since", "until"))
        return cls(item, int(match["person"]), since, until)

    async def interaction_check(self, interaction: Interaction, /) -> bool:  # type: ignore[override]
        """Let only the person concerned choose."""
        return await _is_for(self._person_id, interaction)

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Take it back, and tell what is left."""
        await interaction.response.defer()
        digests, user_id = memory_of(interaction).digests, owner_id_of(self._person_id)
        try:
            try:
                kind, _, target = self.item.values[0].partition(":")
                if kind == _NOTICED:
                    await digests.take_back_pattern(user_id, UUID(target))
                else:
                    await digests.take_back(user_id, UUID(target), has_ended=kind == _ENDED)
                note = "Taken back: I go by what I knew before."
            except NotFoundError as error:
                note = str(error)
            left = await digests.get(user_id, since=self._since, until=self._until)
            await interaction.edit_original_response(
                embed=digest_embed(left, note), view=digest_view(left, self._person_id), allowed_mentions=NO_MENTIONS
            )
        except Exception as error:  # noqa: BLE001  nobody else answers for such a menu; it is logged there
            await report(interaction, error, away=AWAY)


class StopButton(DynamicItem[Button[View]], template=re.compile(r"cortex:v1:digest:stop:(?P<person>[0-9]+)")):
    """Turns digests off."""

    def __init__(self, person_id: int) -> None:
        self._person_id = person_id
        super().__init__(Button(label="Stop sending", custom_id=f"cortex:v1:digest:stop:{person_id}"))

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: Item[View], match: re.Match[str], /) -> Self:  # type: ignore[override]  # noqa: ARG003
        """Return the button that was pressed."""
        return cls(int(match["person"]))

    async def interaction_check(self, interaction: Interaction, /) -> bool:  # type: ignore[override]
        """Let only the person concerned press."""
        return await _is_for(self._person_id, interaction)

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Write no more."""
        await interaction.response.defer()
        try:
            await memory_of(interaction).change_preferences(owner_id_of(self._person_id), wants_digest=False)
            await tell(interaction, _STOPPED)
        except Exception as error:  # noqa: BLE001  nobody else answers for such a button; it is logged there
            await report(interaction, error, away=AWAY)


async def _is_for(person_id: int, interaction: Interaction) -> bool:
    if interaction.user.id != person_id:
        await tell(interaction, _NOT_YOURS)
        return False
    return True


def _menu_id(digest: Digest, person_id: int) -> str:
    since, until = ((moment - _EPOCH) // _MICROSECOND for moment in (digest.since, digest.until))
    return f"cortex:v1:digest:undo:{person_id}:{since}:{until}"


def _entries_of(digest: Digest) -> list[_Entry]:
    """Return what is told of a digest: facts first, but half of the room is for patterns if there are so many."""
    facts = digest.news[: max(_SHOWN // 2, _SHOWN - len(digest.patterns))]
    entries = [_entry_of_fact(news) for news in facts] + [_entry_of_pattern(memory) for memory in digest.patterns]
    return entries[:_SHOWN]


def _entry_of_fact(news: News) -> _Entry:
    label = preview(f"{_name_of(news)}: {value_in_words(news.fact.value)}", MAX_CHOICE_CHARS)
    return _Entry(_describe(news), label, f"{_ENDED if news.has_ended else _ADDED}:{news.fact.id.hex}")


def _entry_of_pattern(memory: Memory) -> _Entry:
    text = f"*noticed* · {shown_name(memory.content, _MAX_PATTERN_CHARS)}"
    return _Entry(text, preview(memory.content, MAX_CHOICE_CHARS), f"{_NOTICED}:{memory.id.hex}")


def _describe(news: News) -> str:
    fact = news.fact
    value = shown_name(value_in_words(fact.value), _MAX_VALUE_CHARS)
    name = f"**{shown_name(_name_of(news), _MAX_NAME_CHARS)}**"
    if news.has_ended:
        return f"*ended* · {name}: {value}"
    if news.before is not None:
        return f"*changed* · {name}: {value}, not {shown_name(value_in_words(news.before), _MAX_VALUE_CHARS)} any more"
    return f"*new* · {name}: {value}"


def _name_of(news: News) -> str:
    fact = news.fact
    return f"{fact.subject}, {fact.attribute}" if fact.subject else fact.attribute
