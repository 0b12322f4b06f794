"""The extension in somebody else's bot, installed from the wheel, in both kinds of folder that hosts have."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cortex_core import MemoryConfig

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 120

# The cogs, commands and extensions of a host with one of its own.
ALONE = ["Own", "ProjectsCog"], ["project"], ["projects"]
TOGETHER = (
    ["ChannelsCog", "ClaraCog", "CortexListening", "MemoryCog", "Own", "ProjectsCog"],
    ["Forget this", "Remember this", "Why did you say that?", "channel", "memory", "project"],
    ["channels", "clara", "memory", "projects"],
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    _run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    site = folder / "site"
    _run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    return site


@pytest.fixture(params=["cogs", "cortex_cogs"])
def package(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def host(tmp_path: Path, package: str) -> Path:
    """A host with a cog of its own; where its `cogs` is a regular package, ours goes by its second name."""
    cogs = tmp_path / "cogs"
    cogs.mkdir()
    (cogs / "own.py").write_text(
        "from discord.ext import commands\n"
        "class Own(commands.Cog):\n"
        "    @commands.Cog.listener()\n"
        "    async def on_message(self, message): ...\n"
        "async def setup(bot): await bot.add_cog(Own())\n"
    )
    if package == "cortex_cogs":
        (cogs / "__init__.py").touch()
    (tmp_path / "host_bot.py").write_text((ROOT / "tests/e2e/host_bot.py").read_text())
    return tmp_path


@pytest.mark.parametrize("opened_by", ["host", "extension"])
async def test_loads_reloads_and_unloads_without_a_leftover(
    site: Path, host: Path, package: str, opened_by: str, memory_config: MemoryConfig
) -> None:
    before, *states = await _live(site, host, package, opened_by, memory_config)

    assert before["installed_in"] == str(site), "the checkout takes no part"
    assert [state["name"] for state in states] == ["loaded", "reloaded", "unloaded", "alone", "unloaded"] * 2
    for state in states:
        name = state.pop("name")
        if name == "unloaded":
            assert state == {key: value for key, value in before.items() if key != "name"}
            continue
        cogs, commands, modules = ALONE if name == "alone" else TOGETHER
        assert state["cogs"] == cogs
        assert state["commands"] == commands
        assert state["modules"] == [f"{package}.{module}" for module in modules]
        assert state["has_memory"]


async def test_the_command_line_starts_the_bot_that_the_wheel_brings(
    site: Path, host: Path, memory_config: MemoryConfig
) -> None:
    code = "from cortex_core.commands import processes; print(processes._import_entry_point('bot').__file__)"
    output, _ = await _start(site, host, memory_config, "-c", code)
    assert output.strip() == str(site / "cortex_bot.py")


async def test_a_wrong_setting_leaves_nothing_behind(
    site: Path, host: Path, package: str, memory_config: MemoryConfig
) -> None:
    code = (
        "import asyncio, discord, logging\n"
        "from discord.ext import commands\n"
        "async def main():\n"
        "    logging.basicConfig()\n"
        "    bot = commands.Bot('!', intents=discord.Intents.all())\n"
        "    try:\n"
        f"        await bot.load_extension('{package}.memory')\n"
        "    except commands.ExtensionFailed as error:\n"
        "        print(type(error.original).__name__, bot.cogs, bot.tree.get_commands(), hasattr(bot, 'cortex'))\n"
        "asyncio.run(main())\n"
    )
    output, errors = await _start(site, host, memory_config, "-c", code, CORTEX_REDIS__URL="http://nowhere")

    assert output == "ConfigError {} [] False\n"
    (line,) = [line for line in errors.splitlines() if line.startswith("ERROR")]
    assert line.startswith(f"ERROR:cortex.discord:{package}.memory is not loaded: redis.url in "), errors


async def _live(
    site: Path, host: Path, package: str, opened_by: str, memory_config: MemoryConfig
) -> list[dict[str, Any]]:
    output, errors = await _start(
        site, host, memory_config, "-W", "error::ResourceWarning", "host_bot.py", package, opened_by
    )
    assert "Traceback" not in errors, errors
    return [json.loads(line) for line in output.splitlines()]


async def _start(site: Path, host: Path, config: MemoryConfig, *arguments: str, **environment: str) -> tuple[str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=host,
        env={
            **os.environ,
            "PYTHONPATH": f"{host}{os.pathsep}{site}",
            "CORTEX_REDIS__URL": config.redis.url,
            "CORTEX_POSTGRES__URL": config.postgres.url,
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TIMEOUT_SECONDS):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode(), errors.decode()


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, timeout=TIMEOUT_SECONDS)
