"""The dialog of `/contradictions review`: one contradiction after the other, and what the person decides about it."""

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Self
from uuid import UUID

import discord
from discord.ui import Button, DynamicItem, Item, TextInput, View

from cortex_core import AccessDeniedError, InvalidInputError, MemoryManager, NotFoundError
from cortex_core.consolidation.contradictions import Resolution
from cortex_core.consolidation.reviewing import Case

from ._dates import DateForm
from ._errors import AWAY, NO_MENTIONS, Interaction, tell
from ._messages import owner_id_of
from ._projects import bold, memory_of, mention_of
from ._views import OwnedModal, entries_of, list_embed, report
from ._wording import shown_name

_MAX_MERGED_CHARS = 2000
_MAX_REASON_CHARS = 150
_SKIP, _UNDO = "skip", "undo"
_NOTHING_LEFT = "Nothing is left to decide."
_TAKEN_BACK = "That decision is taken back."
_OUTCOMES = {
    Resolution.A_WINS: "**A** stays; **B** holds no more.",
    Resolution.B_WINS: "**B** stays; **A** holds no more.",
    Resolution.MERGE: "Both became one memory, in your words.",
    Resolution.BOTH_VALID: "Both stay.",
    Resolution.CHANGED: "The older one held until then, the newer one holds since.",
}


_LABELS = {
    Resolution.A_WINS: "Keep A",
    Resolution.B_WINS: "Keep B",
    Resolution.MERGE: "Merge …",
    Resolution.BOTH_VALID: "Both are true",
    Resolution.CHANGED: "It changed on …",
    _SKIP: "Skip",
    _UNDO: "Undo",
}
_TEMPLATE = re.compile(
    rf"cortex:v1:review:(?P<action>{'|'.join(_LABELS)}):(?P<contradiction>[0-9a-f]{{32}}):(?P<person>[0-9]+)"
)


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


class ReviewButton(DynamicItem[Button[View]], template=_TEMPLATE):
    """Decides a contradiction, passes it over, or takes a decision back.

    Everything that it has to know is in its id and in Postgres, also who is at it, so that it outlives restarts.
    """

    def __init__(self, action: str, contradiction_id: UUID, person_id: int, *, disabled: bool = False) -> None:
        self._action = action
        self._contradiction_id = contradiction_id
        self._person = owner_id_of(person_id)
        custom_id = f"cortex:v1:review:{action}:{contradiction_id.hex}:{person_id}"
        row = 1 if action in (_SKIP, _UNDO) else 0
        super().__init__(Button(label=_LABELS[action], custom_id=custom_id, disabled=disabled, row=row))

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: Item[View], match: re.Match[str], /) -> Self:  # type: ignore[override]  # noqa: ARG003
        """Return the button that was pressed."""
        return cls(match["action"], UUID(match["contradiction"]), int(match["person"]))

    async def interaction_check(self, interaction: Interaction, /) -> bool:  # type: ignore[override]
        """Let only the person who asked press."""
        if owner_id_of(interaction.user.id) != self._person:
            await tell(interaction, "This review is somebody else's.")
            return False
        return True

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Do it, or ask for what belongs to it."""
        try:
            if self._action in (Resolution.MERGE, Resolution.CHANGED):
                await self._ask(interaction)
            elif self._action in _OUTCOMES:
                await self._decide(interaction, Resolution(self._action))
            else:
                await interaction.response.defer()
                await (self._skip(interaction) if self._action == _SKIP else self._take_back(interaction))
        except Exception as error:  # noqa: BLE001  nobody else answers for such a button; it is logged there
            await report(interaction, error, away=AWAY)

    async def _ask(self, interaction: Interaction) -> None:
        """Ask for the words that take the place of both, or for the date."""
        case = await memory_of(interaction).reviews.begin(self._person, self._contradiction_id)
        if case.claimed_by is not None:
            await tell(interaction, _busy(case.claimed_by))
        elif self._action == Resolution.MERGE:
            await interaction.response.send_modal(_MergeForm(interaction, case, self._merge))
        else:
            await interaction.response.send_modal(DateForm(interaction, self._change))

    async def _merge(self, interaction: Interaction, merged: str) -> None:
        await self._decide(interaction, Resolution.MERGE, merged=merged)

    async def _change(self, interaction: Interaction, changed_on: datetime) -> None:
        await self._decide(interaction, Resolution.CHANGED, changed_on=changed_on)

    async def _decide(
        self,
        interaction: Interaction,
        resolution: Resolution,
        *,
        changed_on: datetime | None = None,
        merged: str | None = None,
    ) -> None:
        """Carry a decision out, unless somebody else is at it or was faster, and go on."""
        await interaction.response.defer()
        reviews, decided = memory_of(interaction).reviews, None
        try:
            case = await reviews.begin(self._person, self._contradiction_id)
            if case.claimed_by is None:
                await reviews.decide(
                    self._person, self._contradiction_id, resolution, changed_on=changed_on, merged=merged
                )
                note, decided = _OUTCOMES[resolution], self._contradiction_id
            else:
                note = _busy(case.claimed_by)
        except (AccessDeniedError, InvalidInputError, NotFoundError) as error:
            note = str(error)
        await self._go_on(interaction, note, decided=decided or _ids_in(interaction).get(_UNDO))

    async def _skip(self, interaction: Interaction) -> None:
        """Leave it to later, or to others."""
        await memory_of(interaction).reviews.leave(self._person, self._contradiction_id)
        await self._go_on(interaction, decided=_ids_in(interaction).get(_UNDO))

    async def _take_back(self, interaction: Interaction) -> None:
        """Take the decision back, and ask again."""
        reviews, shown, note = memory_of(interaction).reviews, _ids_in(interaction).get(_SKIP), _TAKEN_BACK
        try:
            await reviews.take_back(self._person, self._contradiction_id)
        except (AccessDeniedError, InvalidInputError, NotFoundError) as error:
            note = str(error)
        if shown is not None:
            await reviews.leave(self._person, shown)
        await self._go_on(interaction, note)

    async def _go_on(self, interaction: Interaction, *notes: str, decided: UUID | None = None) -> None:
        """Show this one if it is still open and wasn't passed over, else the next one."""
        found = await memory_of(interaction).reviews.list_open(self._person)
        first, passed = self._contradiction_id, self._contradiction_id if self._action == _SKIP else None
        waiting = [one.id for one in found if one.id >= first and one.id != passed]
        await show_next(interaction, waiting, *notes, decided=decided)


async def show_next(
    interaction: Interaction, waiting: Sequence[UUID], *notes: str, decided: UUID | None = None
) -> None:
    """Show the next contradiction that is still open and that nobody else is at, and keep it from others.

    Args:
        interaction: By way of which the review is edited.
        waiting: Those that are to be decided, in their order.
        notes: What is told above it.
        decided: The one that was decided last, if that can be taken back.
    """
    memory, person = memory_of(interaction), owner_id_of(interaction.user.id)
    told, left, case = list(notes), list(waiting), None
    while left and case is None:
        try:
            found = await memory.reviews.begin(person, left.pop(0))
        except (AccessDeniedError, InvalidInputError, NotFoundError) as error:
            told.append(str(error))
        else:
            if found.claimed_by is None:
                case = found
            else:
                told.append(_busy(found.claimed_by))
    entries = list(dict.fromkeys(told))
    entries += await describe_case(interaction, memory, case) if case else [_NOTHING_LEFT]
    embed = list_embed("Which is right?", entries)
    if left:
        embed.set_footer(text=f"{len(left):,} more after this one")
    await interaction.edit_original_response(
        embed=embed, view=_view(case, decided, interaction.user.id), allowed_mentions=NO_MENTIONS
    )


def _view(case: Case | None, decided: UUID | None, person_id: int) -> View | None:
    """Return what can be done; it must never be stopped, see `card_view`."""
    view = View(timeout=None)
    if case is not None:
        are_two_people = case.a.user_id != case.b.user_id
        for action in (*_OUTCOMES, _SKIP):
            is_off = action == Resolution.MERGE and are_two_people
            view.add_item(ReviewButton(action, case.contradiction.id, person_id, disabled=is_off))
    if decided is not None:
        view.add_item(ReviewButton(_UNDO, decided, person_id))
    return view if view.children else None


def _ids_in(interaction: Interaction) -> dict[str, UUID]:
    """Return what the buttons under a message are for, by what they do."""
    rows = interaction.message.components if interaction.message else []
    buttons = [item for row in rows if isinstance(row, discord.ActionRow) for item in row.children]
    found = (_TEMPLATE.fullmatch(button.custom_id or "") for button in buttons)
    return {match["action"]: UUID(match["contradiction"]) for match in found if match}


def _busy(person: str) -> str:
    return f"{mention_of(person)} is deciding one of them at this moment."


class _MergeForm(OwnedModal):
    """Asks for what is true of both.

    Args:
        act: Gets the words.
    """

    content: TextInput["_MergeForm"] = TextInput(
        label="What is true of both",
        custom_id="cortex:v1:review:content",
        style=discord.TextStyle.paragraph,
        max_length=_MAX_MERGED_CHARS,
    )

    def __init__(
        self, interaction: Interaction, case: Case, act: Callable[[Interaction, str], Awaitable[None]]
    ) -> None:
        super().__init__("review:merge", "One memory instead of two", interaction)
        self._act = act
        self.content.default = f"{case.a.content}\n{case.b.content}"[:_MAX_MERGED_CHARS]

    async def on_submit(self, interaction: Interaction, /) -> None:  # type: ignore[override]
        """Let it take the place of both."""
        merged = self.content.value.strip()
        if not merged:
            raise InvalidInputError("Please say in words what is true of both.")
        await self._act(interaction, merged)
