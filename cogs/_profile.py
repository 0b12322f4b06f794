"""The dialog of `/memory profile`: what is taken to be true of a person, why, and where it may come up."""

from uuid import UUID
from weakref import WeakSet

import discord
from discord.ui import Button, Select, TextInput

from cortex_core import Audience, InvalidInputError, MemoryManager, NotFoundError
from cortex_core.attributes import value_in_words
from cortex_core.knowledge.identity import ProfileEntry

from ._attributes import (
    MAX_NAME_CHARS,
    audiences_of,
    describe_line,
    label_of,
    label_of_line,
    one_of_many,
    read_value,
    where_said,
)
from ._choosing import Chooser, Entry
from ._errors import Interaction
from ._forgetting import MAX_CHOICES, ForgetFact
from ._messages import owner_id_of
from ._views import OwnedModal, OwnedView, entries_of, list_embed
from ._wording import preview, reach_of

_MAX_VALUE_CHARS = 1000
_SHOWN_EVIDENCE = 5
_NOTHING_KNOWN = "I don't know anything lasting about you yet. You can tell me something yourself."
_SOURCE = "profile"


class Profile:
    """Shows the lines of somebody's profile, and lets them put each right."""

    def __init__(self, memory: MemoryManager, open_views: WeakSet[OwnedView]) -> None:
        self.memory = memory
        self.open_views = open_views

    async def show(self, interaction: Interaction, *, instead_of: OwnedView | None = None) -> None:
        """Show all lines."""
        known = await self.memory.get_profile(owner_id_of(interaction.user.id))
        if instead_of:
            instead_of.stop()
        await _Lines(interaction, self, known).turn_to(0)

    async def show_line(
        self, interaction: Interaction, fact_id: UUID, *, instead_of: OwnedView, note: str | None = None
    ) -> None:
        """Show one line with what it rests on and what can be done about it.

        Raises:
            NotFoundError: It isn't known any more.
        """
        known = await self.memory.get_profile(owner_id_of(interaction.user.id))
        line = next((line for line in known if line.fact.id == fact_id), None)
        if line is None:
            raise NotFoundError("That isn't known of you any more.")
        instead_of.stop()
        await _Line(interaction, self, line).ask(note)


class _Lines(Chooser):
    """All lines of a profile."""

    def __init__(self, interaction: Interaction, profile: Profile, known: list[ProfileEntry]) -> None:
        async def choose(chooser: Chooser, number: int) -> None:
            await profile.show_line(chooser.interaction, known[number].fact.id, instead_of=chooser)

        async def fetch(offset: int, limit: int) -> list[Entry]:
            numbered = list(enumerate(known))[offset : offset + limit]
            return [Entry(describe_line(line), label_of_line(line), number) for number, line in numbered]

        super().__init__(
            interaction,
            profile.open_views,
            fetch,
            choose,
            total=len(known),
            title="What I know about you",
            intro=None if known else _NOTHING_KNOWN,
        )
        self._profile = profile

    @discord.ui.button(label="Add", custom_id="cortex:v1:profile:add", row=2)
    async def add(self, interaction: Interaction, _: Button["_Lines"]) -> None:
        """Ask for a new line."""
        await interaction.response.send_modal(_AddForm(self, interaction, self._profile))


class _Line(OwnedView):
    """One line of a profile."""

    def __init__(self, interaction: Interaction, profile: Profile, line: ProfileEntry) -> None:
        super().__init__(interaction, profile.open_views)
        self.profile = profile
        self.line = line
        self.add_item(_Places(self))

    async def ask(self, note: str | None) -> None:
        """Show it."""
        shown = self.line.evidence[-_SHOWN_EVIDENCE:]
        rest = len(self.line.evidence) - len(shown)
        evidence = entries_of(self.interaction, shown, ranked=False)
        more = [f"and {rest:,} more"] if rest > 0 else []
        heading = ["**Why I think so**"] if evidence else []
        entries = [*([note] if note else []), describe_line(self.line), *heading, *evidence, *more]
        await self.show(embed=list_embed("What I know about you", entries))

    async def place(self, interaction: Interaction, audience: Audience) -> None:
        """Let it come up there from now on."""
        await self.accept(interaction)
        owner, fact = owner_id_of(interaction.user.id), self.line.fact
        await self.profile.memory.set_identity_audience(owner, fact.attribute, audience, value=one_of_many(fact))
        note = f"It may come up {reach_of(audience)} now."
        await self.profile.show_line(interaction, fact.id, instead_of=self, note=note)

    @discord.ui.button(label="Correct", custom_id="cortex:v1:profile:correct", row=1)
    async def correct(self, interaction: Interaction, _: Button["_Line"]) -> None:
        """Ask for the right value."""
        await interaction.response.send_modal(_CorrectForm(self, interaction))

    @discord.ui.button(label="Forget", style=discord.ButtonStyle.danger, custom_id="cortex:v1:profile:forget", row=1)
    async def forget(self, interaction: Interaction, _: Button["_Line"]) -> None:
        """Ask whether it should go."""
        await self.accept(interaction)
        self.stop()
        profile = self.profile
        await ForgetFact(
            interaction, profile.open_views, profile.memory, self.line.fact, describe_line(self.line)
        ).ask()

    @discord.ui.button(label="Back", custom_id="cortex:v1:profile:back", row=1)
    async def back(self, interaction: Interaction, _: Button["_Line"]) -> None:
        """Show all lines."""
        await self.accept(interaction)
        await self.profile.show(interaction, instead_of=self)


class _Places(Select[_Line]):
    """Lets the person say where a line may come up."""

    def __init__(self, view: _Line) -> None:
        super().__init__(custom_id="cortex:v1:profile:where", placeholder="Where it may come up", row=0)
        self._view_of = view
        now, said = audiences_of(view.line.fact), where_said(view.line.evidence)
        offered = list(dict.fromkeys([Audience.owner(), *said, *now, Audience.everywhere()]))[:MAX_CHOICES]
        for audience in offered:
            self.add_option(
                label=label_of(view.interaction, audience, is_said=audience in said),
                value=str(audience),
                default=[audience] == now,
            )

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Take the choice."""
        await self._view_of.place(interaction, Audience.parse(self.values[0]))


class _AddForm(OwnedModal):
    """Asks for a new line."""

    name: TextInput["_AddForm"] = TextInput(
        label="What it is", custom_id="cortex:v1:profile:name", placeholder="city", max_length=MAX_NAME_CHARS
    )
    value: TextInput["_AddForm"] = TextInput(
        label="What I should know", custom_id="cortex:v1:profile:value", max_length=_MAX_VALUE_CHARS
    )

    def __init__(self, lines: _Lines, interaction: Interaction, profile: Profile) -> None:
        super().__init__("profile:add", "Tell me something about you", interaction)
        self._lines = lines
        self._profile = profile

    async def on_submit(self, interaction: Interaction, /) -> None:  # type: ignore[override]
        """Take it, for the person alone."""
        name, value = self.name.value.strip(), _said(self.value.value)
        await self._lines.accept(interaction)
        owner = owner_id_of(interaction.user.id)
        fact = await self._profile.memory.update_identity(owner, name, value, source=_SOURCE, is_beside=True)
        note = "I'll keep that in mind. It comes up only in direct messages with me, unless you choose otherwise."
        await self._profile.show_line(interaction, fact.id, instead_of=self._lines, note=note)


class _CorrectForm(OwnedModal):
    """Asks for the right value of a line."""

    value: TextInput["_CorrectForm"] = TextInput(
        label="What is right", custom_id="cortex:v1:profile:value", max_length=_MAX_VALUE_CHARS
    )

    def __init__(self, view: _Line, interaction: Interaction) -> None:
        super().__init__("profile:correct", preview(view.line.fact.attribute, 45), interaction)
        self._view_of = view
        known = value_in_words(view.line.fact.value)
        self.value.default = known if len(known) <= _MAX_VALUE_CHARS else None

    async def on_submit(self, interaction: Interaction, /) -> None:  # type: ignore[override]
        """Let it hold from now on, in the same place, or in the widest of them."""
        fact = self._view_of.line.fact
        value = read_value(_said(self.value.value), fact.value)
        profile = self._view_of.profile
        await self._view_of.accept(interaction)
        corrected = await profile.memory.update_identity(
            fact.user_id,
            fact.attribute,
            value,
            audience=audiences_of(fact)[-1],
            source=_SOURCE,
            replaces=one_of_many(fact),
        )
        note = "Thanks, I know better now."
        await profile.show_line(interaction, corrected.id, instead_of=self._view_of, note=note)


def _said(text: str) -> str:
    said = text.strip()
    if not said:
        raise InvalidInputError("There is nothing to remember in an empty text.")
    return said
