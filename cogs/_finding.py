"""Which of their memories somebody means: by their newest ones, by a suggestion, or in free words."""

import logging
from uuid import UUID

from discord import app_commands

from cortex_core import CortexError, Memory, MemoryManager

from ._errors import Interaction
from ._forgetting import MAX_CHOICES
from ._messages import owner_id_of
from ._people import with_todays_names
from ._responder import is_statement
from ._wording import choice_name

log = logging.getLogger("cortex.discord")

SUGGESTED_FROM = 100


async def suggest(interaction: Interaction, memory: MemoryManager, typed: str) -> list[app_commands.Choice[str]]:
    """Return recent memories that contain what is typed, questions and requests last; none if the memory is away."""
    try:
        recent = await memory.list_memories(owner_id_of(interaction.user.id), limit=SUGGESTED_FROM)
    except CortexError as error:
        log.info("There are no suggestions: %s", error)
        return []
    recent = with_todays_names(interaction.client, interaction.guild, recent)
    matching = [memory for memory in recent if typed.casefold() in memory.content.casefold()]
    matching.sort(key=lambda memory: not is_statement(memory.content))
    return [app_commands.Choice(name=choice_name(memory), value=str(memory.id)) for memory in matching[:MAX_CHOICES]]


async def find(memory: MemoryManager, owner: str, query: str) -> list[Memory]:
    """Return the memory that was picked from the suggestions, or what answers free text."""
    try:
        memory_id = UUID(query)
    except ValueError:
        return (await memory.search(owner, query, limit=MAX_CHOICES)).memories
    picked = await memory.get(owner, memory_id)
    return [picked] if picked else []


async def list_newest(memory: MemoryManager, owner: str, count: int) -> list[Memory]:
    """Return the newest memories, also those that are still on their way to Postgres."""
    working = (await memory.get_context(owner)).working
    stored = await memory.list_memories(owner, limit=count)
    newest = {memory.id: memory for memory in [*working, *stored]}
    return sorted(newest.values(), key=lambda memory: memory.created_at, reverse=True)
