"""`python bot.py` as a process, and going online against a simulated Discord."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import discord
import pytest
import simcord

from bot import Clara
from cortex_core import MemoryConfig, MemoryManager
from tests.e2e.test_playground import ROOT, START_TIMEOUT

NOBODY = "x.y.z"


async def start(folder: Path, config: MemoryConfig, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(("CORTEX_", "DISCORD_", "PLACE", "PORT"))}
    servers = {"CORTEX_REDIS__URL": config.redis.url, "CORTEX_POSTGRES__URL": config.postgres.url}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *(arguments or [str(ROOT / "bot.py")]),
        cwd=folder,
        env={**inherited, **servers, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
async def test_without_a_token_it_says_so_and_opens_the_playground(
    tmp_path: Path, memory_config: MemoryConfig, stop: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:  # not the default, which tests beside this one look for
        port = str(free.getsockname()[1])
    process = await start(tmp_path, memory_config, PORT=port)
    assert process.stdout is not None
    async with asyncio.timeout(START_TIMEOUT):
        first, second = [(await process.stdout.readline()).decode() for _ in range(2)]
        process.send_signal(stop)
        output, errors = await process.communicate()

    assert first == "DISCORD_TOKEN is not set: Clara opens the playground, a simulated Discord in your browser.\n"
    assert second.startswith("Playground: http://127.0.0.1:")
    assert (process.returncode, output, errors) == (0, b"", b"")


async def test_a_wrong_setting_is_a_sentence(tmp_path: Path, memory_config: MemoryConfig) -> None:
    process = await start(tmp_path, memory_config, DISCORD_TOKEN=NOBODY, CORTEX_REDIS__URL="http://nowhere")
    output, errors = await process.communicate()

    assert (process.returncode, output) == (1, b"")
    assert errors.decode().startswith("redis.url in the environment variable CORTEX_REDIS__URL is wrong")
    assert "Traceback" not in errors.decode()


GATE = """
import asyncio, os, signal, sys
import discord
import bot
from cortex_core import MemoryManager

async def login(self, token):
    {login}

async def connect(self, reconnect=True):
    await asyncio.sleep(3600)

discord.Client.login = login
discord.Client.connect = connect
bot.Clara.sync_commands = lambda self, folder: asyncio.sleep(0)
sys.exit(bot.main())
"""


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        ("discord.LoginFailure('no')", "Discord refused DISCORD_TOKEN."),
        ("discord.PrivilegedIntentsRequired(None)", "Discord refused the message content intent or the server"),
        ("__import__('aiohttp').ClientConnectionError()", "Discord can't be reached (ClientConnectionError)."),
    ],
)
async def test_what_discord_refuses_is_a_sentence(
    tmp_path: Path, memory_config: MemoryConfig, failure: str, sentence: str
) -> None:
    program = GATE.format(login=f"raise {failure}")
    process = await start(tmp_path, memory_config, "-c", program, DISCORD_TOKEN=NOBODY, PYTHONPATH=str(ROOT))
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert errors.decode().splitlines()[-1].startswith(sentence)
    assert "Traceback" not in errors.decode()


@pytest.mark.parametrize("stop", ["SIGINT", "SIGTERM"])
async def test_a_signal_writes_what_was_acknowledged_and_closes(
    tmp_path: Path, memory_config: MemoryConfig, memory: MemoryManager, stop: str
) -> None:
    login = (
        "[await self.cortex.store('discord-1', f'Thing number {n}') for n in range(200)]; "
        f"os.kill(os.getpid(), signal.{stop})"
    )
    program = GATE.format(login=login)
    process = await start(tmp_path, memory_config, "-c", program, DISCORD_TOKEN=NOBODY, PYTHONPATH=str(ROOT))
    _, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    assert "Traceback" not in errors.decode()
    assert await memory.count_memories("discord-1") == 200


async def test_commands_are_published_only_when_they_changed(memory: MemoryManager, tmp_path: Path) -> None:
    def published(env: simcord.Env) -> int:
        return sum(entry.method == "PUT" and entry.path.endswith("/commands") for entry in env.http_requests)

    async with simcord.run(Clara(memory)) as env:
        bot = env.bot
        assert isinstance(bot, Clara)
        await bot.sync_commands(tmp_path / "data")
        await bot.sync_commands(tmp_path / "data")
        assert published(env) == 1
        bot.tree.remove_command("memory")
        await bot.sync_commands(tmp_path / "data")
        assert published(env) == 2


async def test_she_pings_nobody_and_takes_no_text_commands(memory: MemoryManager) -> None:
    bot = Clara(memory)

    assert bot.allowed_mentions is not None
    assert bot.allowed_mentions.to_dict() == discord.AllowedMentions.none().to_dict()
    assert bot.help_command is None
    assert list(bot.commands) == []
