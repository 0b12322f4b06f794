"""The command that hands somebody everything that is known about them."""

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from cortex_core.commands.console import say
from cortex_core.commands.memories import User
from cortex_core.commands.running import run
from cortex_core.config import load_config
from cortex_core.errors import InvalidInputError
from cortex_core.forgetting.export import Export
from cortex_core.manager import MemoryManager

_MAX_NAME_CHARS = 100


def export(
    user: User,
    *,
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="where to put the two files")] = Path(),
) -> None:
    """Write everything that is known about a user into two files: JSONL for programs, Markdown for people."""

    async def work() -> Export:
        async with MemoryManager(load_config()) as memory:
            return await memory.export(user)

    if not output.is_dir():
        raise InvalidInputError(f"There is no folder {output}; make it first.")
    exported = run(work())
    stem = output / f"cortex-{quote(user, safe='')[:_MAX_NAME_CHARS]}"
    for suffix, content in ((".jsonl", exported.jsonl), (".md", exported.markdown)):
        file = stem.with_name(stem.name + suffix)
        _write_for_oneself(file, content)
        say(f"{file}  {len(content):,} bytes")
    say(f"{exported.memory_count:,} memories")


def _write_for_oneself(file: Path, content: bytes) -> None:
    """Write a file that nobody else on this machine can read."""
    try:
        file.unlink(missing_ok=True)
        file.touch(mode=0o600, exist_ok=False)
        file.write_bytes(content)
    except OSError as error:
        raise InvalidInputError(f"{file} can't be written: {error.strerror}.") from None
