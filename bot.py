"""Clara, the reference bot. `python bot.py` goes online with DISCORD_TOKEN, and opens the playground without."""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import sys
from importlib import import_module
from pathlib import Path

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from cortex_core import CortexError, MemoryManager, load_config
from cortex_core.signals import Interrupted, run_until_signal

EXTENSIONS = (
    "cortex_cogs.memory",
    "cortex_cogs.clara",
    "cortex_cogs.projects",
    "cortex_cogs.channels",
    "cortex_cogs.contradictions",
    "cortex_cogs.admin",
)

log = logging.getLogger("cortex.clara")


class _Tree(app_commands.CommandTree["Clara"]):
    """Answers for what the cogs did not expect; a sentence instead of a command that thinks for ever."""

    async def on_error(self, interaction: discord.Interaction["Clara"], error: app_commands.AppCommandError, /) -> None:
        """Log it and tell the person."""
        log.error("A command failed.", exc_info=error)
        sentence = "Something went wrong on my side; it is in the log. Please try again later."
        with contextlib.suppress(discord.HTTPException):
            if interaction.response.is_done():
                await interaction.followup.send(sentence, ephemeral=True)
            else:
                await interaction.response.send_message(sentence, ephemeral=True)


class Clara(commands.Bot):
    """The cogs in a bot of their own.

    Args:
        memory: Already open, and closed by whoever opened it.
        extra_names: Whether she answers to her name as to a mention.
    """

    def __init__(self, memory: MemoryManager, *, extra_names: bool = False) -> None:
        intents = discord.Intents.default()
        intents.message_content = True
        intents.members = True
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=_Tree,
            intents=intents,
            chunk_guilds_at_startup=False,  # she needs to hear who leaves, and no list of everybody
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self.cortex = memory
        self.extra_names = extra_names

    async def setup_hook(self) -> None:
        """Load the cogs."""
        for extension in EXTENSIONS:
            await self.load_extension(extension)

    async def on_message(self, message: discord.Message, /) -> None:
        """Do nothing: she has no text commands, and a mention would be taken for one. The cogs listen by themselves."""

    async def sync_commands(self, data_dir: Path) -> None:
        """Publish the slash commands if they are not those of the last time; Discord limits how often that may be."""
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        text = json.dumps([self.application_id, payload], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        published = data_dir / "commands.sha256"
        if _read(published) != digest:
            await self.tree.sync()
            _write(published, digest)


def _read(path: Path) -> str | None:
    return path.read_text("ascii", "replace") if path.is_file() else None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "ascii")


async def run_clara(token: str) -> None:
    """Be online until the task is cancelled; then everything that was acknowledged is written and closed.

    Raises:
        CortexError: The memory can't be opened.
        discord.LoginFailure, discord.PrivilegedIntentsRequired: Discord doesn't let the bot in.
    """
    async with MemoryManager(load_config()) as memory, Clara(memory) as clara:
        await clara.login(token)
        await clara.sync_commands(memory.config.embedded.data_dir)
        await clara.connect()


def main() -> int:
    """Start Clara; the exit code is 1 when a sentence on stderr says why she can't."""
    token = os.environ.get("DISCORD_TOKEN", "").strip()
    if not token:
        print("DISCORD_TOKEN is not set: Clara opens the playground, a simulated Discord in your browser.", flush=True)  # noqa: T201
        playground = import_module("cortex_playground" if __name__ == "cortex_bot" else "playground")
        exit_code: int = playground.main()
        return exit_code
    discord.utils.setup_logging()
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # she never speaks
    try:
        asyncio.run(run_until_signal(run_clara(token)))
    except Interrupted:
        return 0
    except CortexError as error:
        reason = str(error)
    except discord.LoginFailure:
        reason = "Discord refused DISCORD_TOKEN. Copy the bot's token anew from discord.com/developers/applications."
    except discord.PrivilegedIntentsRequired:
        reason = (
            "Discord refused the message content intent or the server members intent. Switch both on for this bot "
            "under Bot, Privileged Gateway Intents at discord.com/developers/applications."
        )
    except (aiohttp.ClientError, discord.DiscordServerError) as error:
        reason = f"Discord can't be reached ({type(error).__name__}). Check the network and try again."
    else:
        return 0
    print(reason, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
