"""The "Wait, what?" card: asks a person, by direct message, which of two things that they said is right (TDD 1.3)."""

import re
from datetime import datetime
from typing import Self
from uuid import UUID

import discord
from discord.ext import commands
from discord.ui import Button, DynamicItem, Item, View
from pydantic import JsonValue

from cortex_core import Correction, CorrectionAnswer, Memory, MemoryManager, NotFoundError
from cortex_core.attributes import value_in_words

from ._dates import DateForm
from ._errors import AWAY, NO_MENTIONS, Interaction, tell
from ._mailing import write_to
from ._messages import discord_id_of, owner_id_of
from ._projects import memory_of
from ._views import report
from ._wording import count_of, link_to, shown_name

_TAKEN_BACK = "That answer is taken back."
_SETTLED = "This is settled already, or what it was about is forgotten."
_MAX_VALUE_CHARS = 150
_LABELS = {
    CorrectionAnswer.UPDATED: "Update",
    CorrectionAnswer.KEPT: "Keep",
    CorrectionAnswer.BOTH: "Both",
    CorrectionAnswer.CHANGED: "It changed on …",
}


async def next_card(memory: MemoryManager, person_id: int) -> tuple[str, View] | None:
    """Return the text and the buttons of the oldest question to somebody, if there is one."""
    questions = await memory.list_corrections(owner_id_of(person_id))
    if not questions:
        return None
    question = questions[0]
    said_in = await memory.get(question.user_id, question.memory_id)
    return card_text(question, said_in, more=len(questions) - 1), card_view(question, person_id)


def card_text(question: Correction, said_in: Memory | None, *, more: int = 0) -> str:
    """Return what the person is asked.

    Args:
        question: What about.
        said_in: The memory that contradicts what is held.
        more: How many questions come after it.
    """
    lines = [f"{describe_question(question, said_in)} Update?"]
    if more:
        lines.append(f"-# {count_of(more, 'more question')} after this one.")
    return "\n".join(lines)


def describe_question(question: Correction, said_in: Memory | None) -> str:
    """Return what was held and what was said against it, with when and where."""
    whose = f"of {shown_name(question.subject, _MAX_VALUE_CHARS)}" if question.subject else "of you"
    source = discord.utils.format_dt(said_in.created_at if said_in else question.created_at, "R")
    if said_in and (link := link_to(said_in)):
        source += f", [there]({link})"
    attribute = shown_name(question.attribute, _MAX_VALUE_CHARS)
    return (
        f"I thought this {whose}: {attribute} **{_value(question.held)}**. "
        f"You now said **{_value(question.said)}** ({source})."
    )


def card_view(question: Correction, person_id: int) -> View:
    """Return the buttons under a question.

    It must never be stopped: with a view, Discord's library takes the kinds of its dynamic buttons out of service.
    """
    view = View(timeout=None)
    for answer in _LABELS:
        view.add_item(CardButton(answer, question.id, person_id))
    return view


class CardButton(
    DynamicItem[Button[View]],
    template=re.compile(
        r"cortex:v1:card:(?P<answer>updated|kept|both|changed):(?P<question>[0-9a-f]{32}):(?P<person>[0-9]+)"
    ),
):
    """Answers a question; everything that it has to know is in its id and in Postgres."""

    def __init__(self, answer: CorrectionAnswer, question_id: UUID, person_id: int) -> None:
        self._answer = answer
        self._question_id = question_id
        self._person_id = person_id
        is_first = answer is CorrectionAnswer.UPDATED
        super().__init__(
            Button(
                label=_LABELS[answer],
                style=discord.ButtonStyle.primary if is_first else discord.ButtonStyle.secondary,
                custom_id=f"cortex:v1:card:{answer}:{question_id.hex}:{person_id}",
            )
        )

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: Item[View], match: re.Match[str], /) -> Self:  # type: ignore[override]  # noqa: ARG003
        """Return the button that was pressed."""
        return cls(CorrectionAnswer(match["answer"]), UUID(match["question"]), int(match["person"]))

    async def interaction_check(self, interaction: Interaction, /) -> bool:  # type: ignore[override]
        """Let only the person concerned press."""
        return await _is_for(self._person_id, interaction)

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Take the answer, or ask for the date that belongs to it."""
        if self._answer is CorrectionAnswer.CHANGED:
            await interaction.response.send_modal(DateForm(interaction, self._settle))
        else:
            await self._settle(interaction)

    async def _settle(self, interaction: Interaction, changed_on: datetime | None = None) -> None:
        """Answer the question, and let the message tell so and ask the next one."""
        await interaction.response.defer()
        memory = memory_of(interaction)
        try:
            answered = await memory.answer_correction(
                owner_id_of(self._person_id), self._question_id, self._answer, changed_on=changed_on
            )
            await _go_on(interaction, _outcome(answered), answered)
        except NotFoundError:
            question = await memory.corrections.get(owner_id_of(self._person_id), self._question_id)
            await _go_on(interaction, None, question)
            await tell(interaction, _SETTLED)
        except Exception as error:  # noqa: BLE001  nobody else answers for such a button; it is logged there
            await report(interaction, error, away=AWAY)


class UndoButton(
    DynamicItem[Button[View]],
    template=re.compile(r"cortex:v1:card:undo:(?P<question>[0-9a-f]{32}):(?P<person>[0-9]+)"),
):
    """Takes an answer back, and asks again."""

    def __init__(self, question_id: UUID, person_id: int) -> None:
        self._question_id = question_id
        self._person_id = person_id
        super().__init__(Button(label="Undo", custom_id=f"cortex:v1:card:undo:{question_id.hex}:{person_id}", row=1))

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: Item[View], match: re.Match[str], /) -> Self:  # type: ignore[override]  # noqa: ARG003
        """Return the button that was pressed."""
        return cls(UUID(match["question"]), int(match["person"]))

    async def interaction_check(self, interaction: Interaction, /) -> bool:  # type: ignore[override]
        """Let only the person concerned press."""
        return await _is_for(self._person_id, interaction)

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Take it back."""
        await interaction.response.defer()
        try:
            await memory_of(interaction).corrections.take_back(owner_id_of(self._person_id), self._question_id)
            await _go_on(interaction, _TAKEN_BACK)
        except Exception as error:  # noqa: BLE001  nobody else answers for such a button; it is logged there
            await report(interaction, error, away=AWAY)


async def _is_for(person_id: int, interaction: Interaction) -> bool:
    if interaction.user.id != person_id:
        await tell(interaction, "This question is for somebody else.")
        return False
    return True


async def _go_on(interaction: Interaction, note: str | None, answered: Correction | None = None) -> None:
    """Let a card tell what was done, if that is news, and ask the next question; an answer can be taken back there."""
    person_id = interaction.user.id
    text, view = await next_card(memory_of(interaction), person_id) or (None, View(timeout=None))
    if answered is not None and answered.run_id is not None:
        view.add_item(UndoButton(answered.id, person_id))
    content = "\n\n".join(part for part in (note, text) if part)
    await interaction.edit_original_response(
        content=content or discord.utils.MISSING,  # whatever it says, maybe how it was answered
        view=view if view.children else None,
        allowed_mentions=NO_MENTIONS,
    )


def _outcome(answered: Correction) -> str:
    held, said = f"**{_value(answered.held)}**", f"**{_value(answered.said)}**"
    match answered.answer:
        case CorrectionAnswer.UPDATED:
            return f"Thanks, I have {said} now."
        case CorrectionAnswer.KEPT:
            return f"Fine, {held} stays."
        case CorrectionAnswer.BOTH:
            return f"Fine, both {held} and {said} hold."
        case _:
            return f"Thanks: {held} until then, {said} since."


def _value(value: JsonValue) -> str:
    return shown_name(value_in_words(value), _MAX_VALUE_CHARS)


async def send_cards(bot: commands.Bot, memory: MemoryManager) -> None:
    """Ask everybody whose turn it is; who can't be reached is asked again later, and finds it in a list meanwhile."""
    await memory.corrections.expire()
    async for card in memory.corrections.claim_due():
        number = discord_id_of(card.user_id)
        shown = await next_card(memory, number) if number is not None else None
        if shown is not None and await write_to(bot, card.user_id, shown[0], view=shown[1]):
            await memory.corrections.note_sent(card)
