"""What `/project` and `/channel` share: which project is meant, how it is written, and asking before it is acted on."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import Any
from weakref import WeakSet

import discord
from discord import app_commands
from discord.ui import Button

from cortex_core import (
    AccessDeniedError,
    CortexError,
    InvalidInputError,
    MemoryManager,
    NotFoundError,
    NotSpreadError,
    Project,
    ProjectRole,
    StoreUnavailableError,
)

from ._errors import AWAY, Interaction, explain
from ._lifecycle import ATTRIBUTE
from ._messages import discord_id_of, linked_channel_of, owner_id_of
from ._views import OwnedView
from ._wording import MAX_CHOICE_CHARS, preview, shown_name

log = logging.getLogger("cortex.discord")

MAX_CHOICES = 25
ARCHIVED = "This project is archived; its owner can restore it."
UNCERTAIN = "I can't tell whether that was done; please look again later."
UNCERTAIN_AWAY = f"I can't reach my memory right now. {UNCERTAIN}"

EVERYBODY = (ProjectRole.OWNER, ProjectRole.ADMIN, ProjectRole.MEMBER)
MANAGERS = (ProjectRole.OWNER, ProjectRole.ADMIN)
OWNER = (ProjectRole.OWNER,)

_CHANNEL_PREFIX = "discord-channel-"
_MAX_PROJECT_NAME_CHARS = 100
_REFUSALS = {
    MANAGERS: "Only the owner or an admin of the project can do that.",
    OWNER: "Only the owner of the project can do that.",
}

Suggest = Callable[[Interaction, str], Coroutine[Any, Any, list[app_commands.Choice[str]]]]


def memory_of(interaction: Interaction) -> MemoryManager:
    """Return the memory of the bot that was asked."""
    memory: MemoryManager = getattr(interaction.client, ATTRIBUTE)
    return memory


def suggest_projects(roles: Collection[ProjectRole], *, are_archived: bool | None = False) -> Suggest:
    """Return an autocompletion with those projects in which whoever types has one of the roles.

    Args:
        roles: What the command takes.
        are_archived: Whether the command is for archived projects; None if for both kinds.
    """

    async def suggest(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        try:
            projects = await memory_of(interaction).project_memory.list_projects(
                owner_id_of(interaction.user.id), include_archived=are_archived is not False
            )
        except CortexError as error:
            log.info("There are no suggestions: %s", error)
            return []
        fitting = [
            project
            for project in projects
            if project.role in roles
            and are_archived in {None, project.archived_at is not None}
            and typed.casefold() in project.name.casefold()
        ]
        return [
            app_commands.Choice(name=preview(project.name, MAX_CHOICE_CHARS), value=project.id)
            for project in fitting[:MAX_CHOICES]
        ]

    return suggest


async def find_project(
    interaction: Interaction, chosen: str | None, roles: tuple[ProjectRole, ...] = EVERYBODY
) -> Project:
    """Return the project that is meant: the chosen one, else the one that the channel is linked with.

    Args:
        interaction: Who asks, and where.
        chosen: The id that was picked from the suggestions, or the name of a project of theirs.
        roles: Those that may do what is asked. It spares people a dialog that leads nowhere; the core decides.

    Raises:
        InvalidInputError: None is meant, or more than one.
        NotFoundError: There is no such project, or the person doesn't belong to it.
        AccessDeniedError: The person has none of the roles.
    """
    memory, user_id = memory_of(interaction), owner_id_of(interaction.user.id)
    if chosen is None:
        place = interaction.channel
        linked = await memory.channel_links.get_project_for_channel(linked_channel_of(place)) if place else None
        if linked is None:
            raise InvalidInputError("Please choose a project: this channel isn't linked with one.")
        project = await memory.project_memory.get_project(linked, user_id)
    else:
        project = _pick(await memory.project_memory.list_projects(user_id, include_archived=True), chosen)
    if project.role not in roles:
        raise AccessDeniedError(_REFUSALS[roles])
    return project


def _pick(projects: Sequence[Project], chosen: str) -> Project:
    for project in projects:
        if project.id == chosen:
            return project
    name = chosen.strip().casefold()
    namesakes = [project for project in projects if project.name.casefold() == name]
    if len(namesakes) > 1:
        raise InvalidInputError("You belong to several projects of that name; please pick one of the suggestions.")
    if not namesakes:
        raise NotFoundError("There is no such project, or you don't belong to it.")
    return namesakes[0]


def plain(name: str) -> str:
    """Return the name of a project for a title."""
    return shown_name(name, _MAX_PROJECT_NAME_CHARS)


def bold(name: str) -> str:
    """Return the name of a project for the middle of a text."""
    return f"**{plain(name)}**"


def mention_of(user_id: str) -> str:
    """Return a person as Discord shows them, by today's name; one whom a host added under another id by that."""
    number = discord_id_of(user_id)
    return shown_name(user_id) if number is None else f"<@{number}>"


def channel_mention(channel_id: str) -> str:
    """Return a channel as Discord shows it, to those who can see it."""
    return f"<#{channel_id.removeprefix(_CHANNEL_PREFIX)}>"


def fingerprint_of(project_id: str) -> str:
    """Return what stands for a project in the id of a button: ids of hosts may be too long and too odd for it."""
    return hashlib.blake2b(project_id.encode(), digest_size=16).hexdigest()


class Confirmation(OwnedView):
    """Asks before something is done that can't simply be undone.

    Args:
        label: What the button says.
        act: Does it for the one who presses, and tells the outcome. What it refuses is an outcome too.
    """

    outcome = "Nothing was changed. Time ran out before you decided."
    away = UNCERTAIN_AWAY

    def __init__(
        self,
        interaction: Interaction,
        open_views: WeakSet[OwnedView],
        label: str,
        act: Callable[[Interaction], Awaitable[str]],
    ) -> None:
        super().__init__(interaction, open_views)
        self._act = act
        self._when_called_off = "Nothing was changed."
        self._deciding = asyncio.Lock()
        self.confirm.label = label

    async def ask(self, question: str) -> None:
        """Say what is about to happen."""
        await self.show(content=question)

    @discord.ui.button(style=discord.ButtonStyle.danger, custom_id="cortex:v1:confirmation:confirm")
    async def confirm(self, interaction: Interaction, _: Button["Confirmation"]) -> None:
        """Do it; of two presses the second one comes too late."""
        await self.accept(interaction)
        async with self._deciding:
            if self.is_finished():
                return
            try:
                outcome = await self._act(interaction)
            except NotSpreadError as error:
                outcome = explain(error)
            except StoreUnavailableError:
                self.outcome = self._when_called_off = UNCERTAIN
                raise
            except CortexError as error:
                outcome = explain(error, away=AWAY)
            await self.finish(outcome)

    @discord.ui.button(label="Cancel", custom_id="cortex:v1:confirmation:cancel")
    async def cancel(self, interaction: Interaction, _: Button["Confirmation"]) -> None:
        """Leave everything as it is."""
        await self.accept(interaction)
        async with self._deciding:
            if not self.is_finished():
                await self.finish(self._when_called_off)
