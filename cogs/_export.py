"""Hands people everything that is kept about them, as files: by direct message, else in the private answer."""

import asyncio
import gzip
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import discord

from cortex_core import InvalidInputError, MemoryManager

from ._errors import NO_MENTIONS, Interaction
from ._messages import owner_id_of
from ._wording import count_of

MAX_UPLOAD_BYTES = 10 * 1024 * 1024
_TOO_LARGE = (
    "That is more than Discord lets me send ({size} even when packed). Please ask whoever runs me for it: "
    "`cortex export {owner}` writes it to files."
)


class _File(NamedTuple):
    name: str
    content: bytes


async def hand_over(interaction: Interaction, memory: MemoryManager) -> None:
    """Send the person who asked everything that is kept about them.

    Raises:
        InvalidInputError: It is too large for Discord.
        StoreUnavailableError: A store is away.
    """
    owner = owner_id_of(interaction.user.id)
    export = await memory.export(owner)
    files = [_File("cortex-memory.jsonl", export.jsonl), _File("cortex-memory.md", export.markdown)]
    if _size_of(files) > MAX_UPLOAD_BYTES:
        files = [_File(f"{name}.gz", await asyncio.to_thread(gzip.compress, content)) for name, content in files]
    if _size_of(files) > MAX_UPLOAD_BYTES:
        raise InvalidInputError(_TOO_LARGE.format(size=f"{_size_of(files) / 1024**2:,.0f} MiB", owner=owner))
    text = (
        f"This is everything that I keep about you: {count_of(export.memory_count)} and what goes with them. "
        "The `.md` file is to be read, the `.jsonl` file is for programs."
    )
    try:
        sent = await interaction.user.send(text, files=_attach(files), allowed_mentions=NO_MENTIONS)
    except discord.HTTPException:  # who takes no direct messages gets it here, where nobody else sees it either
        await interaction.edit_original_response(content=text, attachments=_attach(files), allowed_mentions=NO_MENTIONS)
    else:
        await interaction.edit_original_response(content=f"I've sent it to you by direct message: {sent.jump_url}")


def _attach(files: Sequence[_File]) -> list[discord.File]:
    return [discord.File(BytesIO(content), filename=name) for name, content in files]


def _size_of(files: Sequence[_File]) -> int:
    return sum(len(file.content) for file in files)
