"""Clara in a simulated Discord in the browser: the real bot and cogs, no token and no network.

The simulator invents Discord and nothing else: memory, stores and workers are the real ones, opened by the caller
before the simulation starts, because the simulator waits for every task that the bot itself starts.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module, util
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import discord

from cortex_core import MemoryManager, load_config
from cortex_core.errors import ConfigError, CortexError, MissingExtraError
from cortex_core.signals import Interrupted, run_until_signal

if TYPE_CHECKING:
    from discord.ext import commands
    from simcord import ChannelHandle, Env, MemberActor, Preview, UserHandle
    from simcord.actors import MessageLike
    from simcord.backend import Backend

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8765
PORTS_TO_TRY = 20
PLACES = ("general", "staff", "dm")

# The page waits this long for an answer; it also waits for every shorter timer that a handler leaves behind.
ACTION_TIMEOUT = timedelta(seconds=20)
HEARTBEAT_TIMEOUT = timedelta(seconds=0.5)
HEARTBEAT = timedelta(seconds=1)

# Memory is filed under these ids, so they are the same after a restart.
GUILD_ID = 1_100_000_000_000_000_001
GENERAL_ID, STAFF_ID, DM_ID = (GUILD_ID + offset for offset in (1, 2, 3))
ADMIN_ROLE_ID = GUILD_ID + 4
SAM_ID, ROBIN_ID, ADA_ID = (GUILD_ID + offset for offset in (5, 6, 7))

WELCOME = {
    "general": (
        "Hi, I'm Clara, and I remember what people tell me. Tell me something about yourself, for example "
        "“My favourite tea is jasmine”, and then ask “Clara, what is my favourite tea?”.\n"
        "Restart the playground, open the new address and ask again: I will still know. Choose under “Viewing as” who "
        "you are, and type `/` for what I can do: `/memory` shows, explains, corrects and forgets what I know of you, "
        "`/project` shares a memory with others, and as Ada `/channel` lets this channel feed and read it. The menus "
        "that messages have on Discord are replies here: reply “Remember this” or “Forget this” to a message of yours, "
        "“Why did you say that?” to one of mine."
    ),
    "staff": (
        "Hi, I'm Clara. Only Ada and I can read this channel, so what is said here comes up nowhere else. "
        "Tell me something, and then ask “Clara, what did I tell you?”. Ask also for what a project was told that "
        "isn't linked with this channel: I won't say it here."
    ),
    "dm": (
        "Hi Sam, I'm Clara. In here you need not call me by name: tell me something about yourself, and then ask me "
        "about it. What you say here comes up in no channel. Type `/memory` for all that you can do with what I know "
        "of you, and `/project list` for projects and invitations."
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """One channel of the simulated world, with the people who can read it."""

    channel: "ChannelHandle"
    viewers: "tuple[MemberActor | UserHandle, ...]"


def build_world(env: "Env") -> Mapping[str, Place]:
    """Make the server “Cortex Playground” with its people and channels.

    Returns:
        Each place by its name in `PLACES`.
    """
    backend = env.backend
    backend.edit_bot_profile("Clara")
    people = []
    for person_id, handle, display_name in (
        (SAM_ID, "sam", "Sam"),
        (ROBIN_ID, "robin", "Robin"),
        (ADA_ID, "ada", "Ada (admin)"),
    ):
        with _next_id(backend, person_id):
            people.append(env.create_user(handle, global_name=display_name))
    sam, robin, ada = people

    guild = env.create_guild("Cortex Playground", id=GUILD_ID, owner=ada)
    with _next_id(backend, ADMIN_ROLE_ID):
        admins = guild.create_role("Admin", permissions=discord.Permissions(administrator=True), color=0xE67E22)
    members = tuple(guild.add_member(person) for person in (sam, robin))
    admin = guild.add_member(ada, roles=[admins])

    readable = discord.PermissionOverwrite(view_channel=True)
    with _next_id(backend, GENERAL_ID):
        general = guild.create_text_channel("general", topic="Everybody of this server reads along.")
    with _next_id(backend, STAFF_ID):
        staff = guild.create_text_channel(
            "staff",
            topic="Only admins and Clara read along.",
            overwrites={
                guild.default_role: discord.PermissionOverwrite(view_channel=False),
                admins: readable,
                guild.roles["Clara"]: readable,
            },
        )
    with _next_id(backend, DM_ID):
        dm = sam.dm_channel
    return {
        "general": Place(general, (*members, admin)),
        "staff": Place(staff, (admin,)),
        "dm": Place(dm, (sam,)),
    }


def _offer_menus(member: "MemberActor", names: Collection[str]) -> None:
    """Let a reply that is the name of a message menu use that menu: the page has no right mouse button."""
    send = member.send

    async def send_or_use(
        channel: "ChannelHandle", content: str = "", *, reply_to: "MessageLike | None" = None
    ) -> "MessageLike":
        if reply_to is None or content not in names:
            return await send(channel, content, reply_to=reply_to)
        await member.context_menu(channel, content, reply_to)
        return reply_to

    member.send = send_or_use  # type: ignore[method-assign, assignment]


@contextlib.contextmanager
def _next_id(backend: "Backend", value: int) -> Iterator[None]:
    """Give the one object that is made in this block an id of our choice."""
    draw = backend.snowflake
    backend.snowflake = lambda: backend.reserve_id(value)  # type: ignore[method-assign]
    try:
        yield
    finally:
        backend.snowflake = draw  # type: ignore[method-assign]


class Clockwork:
    """Keeps the simulator's clock, which stands still by itself, at the real time.

    Ids of messages derive from that clock, so they never repeat, not even after a restart; buttons expire when they
    should. The simulator does one thing at a time: the heartbeat and the page's actions take turns.
    """

    def __init__(self, env: "Env") -> None:
        self._env = env
        self._turn = asyncio.Lock()
        self._seen = 0  # events that the page already shows
        env.backend.clock.elapsed = time.monotonic()
        self._set()

    def drive(self, preview: "Preview") -> None:
        """Set the clock before each action that the page sends."""
        perform = preview._action  # noqa: SLF001 - the only place that every action passes
        self._seen = len(self._env.backend.transcript)

        async def perform_in_turn(context_id: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
            async with self._turn:
                await self._catch_up(preview)
                try:
                    return await perform(context_id, body)
                finally:
                    self._seen = len(self._env.backend.transcript)

        preview._action = perform_in_turn  # type: ignore[method-assign]  # noqa: SLF001

    async def beat(self, preview: "Preview") -> None:
        """Set the clock, and show on the page what happened without an action: a message, an expired button."""
        async with self._turn:
            await self._catch_up(preview)
            if len(self._env.backend.transcript) > self._seen:
                await preview.refresh()
                self._seen = len(self._env.backend.transcript)

    async def _catch_up(self, preview: "Preview") -> None:
        """Let the bot live through the real time that passed since the last time."""
        behind = time.monotonic() - self._env.backend.clock.elapsed
        self._env.settle_timeout = HEARTBEAT_TIMEOUT.total_seconds()
        try:
            # A bot that is busy for longer keeps its work; the clock goes on with the next turn.
            with contextlib.suppress(TimeoutError):
                await self._env.advance_time(max(0.0, behind))
        finally:
            self._env.settle_timeout = ACTION_TIMEOUT.total_seconds()
        self._set()
        preview.capture_time = datetime.now(UTC)  # from which the page counts “3 minutes ago”

    def _set(self) -> None:
        """Let the simulator's UTC be the real one.

        Its monotonic clock is the real one too: connections and time-outs that workers outside and handlers inside the
        simulation share must mean the same by a point in time.
        """
        clock = self._env.backend.clock
        clock._epoch = datetime.now(UTC) - timedelta(seconds=clock.elapsed)  # noqa: SLF001


@contextlib.asynccontextmanager
async def _simulated_discord(bot: "commands.Bot", env: "Env") -> AsyncIterator[None]:
    """Connect `bot` to the simulated Discord; afterwards it is closed like a real one."""
    async with contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(env.shutdown)
        closing.push_async_callback(bot.close)
        await env.start()
        closing.enter_context(env.time_context())
        await bot.tree.sync()
        yield


async def _greet(bot: "commands.Bot", env: "Env", place: str, channel_id: int) -> None:
    """Post the message that tells a newcomer what to try."""
    target = (await bot.fetch_user(SAM_ID)) if place == "dm" else bot.get_channel(channel_id)
    if isinstance(target, discord.abc.Messageable):
        await target.send(WELCOME[place])
        await env.settle()


def check_stage(place: str, port: int | None) -> int:
    """Find what would keep the playground from opening, before anything is started.

    Returns:
        The port to serve on: the given one, or the first free one from `DEFAULT_PORT` on.

    Raises:
        ConfigError: There is no such place, or the port is taken.
        MissingExtraError: The simulator isn't installed.
    """
    if place not in PLACES:
        raise ConfigError(f"PLACE is {place!r}, but the playground has only these places: {', '.join(PLACES)}.")
    if any(util.find_spec(module) is None for module in ("simcord", "linkify_it", "markdown_it", "regex", "PIL")):
        raise MissingExtraError("The playground needs one more package: run `pip install 'clara-cortex[playground]'`.")
    if port is not None and not 0 < port < 2**16:
        raise ConfigError(f"Port {port} does not exist: choose one from 1 to 65535.")
    candidates = range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TO_TRY) if port is None else (port,)
    for candidate in candidates:
        with contextlib.suppress(OSError), socket.create_server((LOOPBACK, candidate)):
            return candidate
    if port is None:
        raise ConfigError(f"The ports {candidates[0]} to {candidates[-1]} are all taken: choose one with PORT=….")
    raise ConfigError(f"Port {port} is taken by another program, or not allowed: choose another one with PORT=….")


async def run_playground(memory: MemoryManager, *, place: str = "general", port: int | None = None) -> None:
    """Serve Clara's channel `place` on this machine until the page ends the session or the task is cancelled.

    Args:
        memory: Already open, so that its workers are no tasks of the simulation.
        place: One of `PLACES`.
        port: None takes a free one.

    Raises:
        ConfigError: There is no such place, or the port is taken.
        MissingExtraError: The simulator isn't installed.
    """
    port = check_stage(place, port)
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # Clara never speaks
    logging.disable(logging.WARNING)  # while it is imported, the simulator tries discord.py out, which warns
    simcord = import_module("simcord")
    logging.disable(logging.NOTSET)
    markdown = import_module("simcord.preview._markdown")
    markdown._FIELD_POLICIES["embed_description"]["mentions"] = True  # noqa: SLF001 - Discord names people there as well
    bot = _clara(memory)
    env: Env = simcord.Env(bot, check_errors=False, settle_timeout=ACTION_TIMEOUT.total_seconds())
    clockwork = Clockwork(env)
    stage = build_world(env)[place]
    async with _simulated_discord(bot, env):
        menus = {menu.name for menu in bot.tree.get_commands(type=discord.AppCommandType.message)}
        for viewer in stage.viewers:
            if isinstance(viewer, simcord.MemberActor):  # the simulator has no menus in direct messages
                _offer_menus(viewer, menus)
        await _greet(bot, env, place, stage.channel.id)
        async with env.preview(
            stage.channel, viewers=stage.viewers, layout="channel", timezone=_local_timezone(), port=port
        ) as preview:
            clockwork.drive(preview)
            print(f"Playground: {preview.url}", flush=True)  # noqa: T201 - the line that the newcomer waits for
            while True:
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(preview.wait_closed(), HEARTBEAT.total_seconds())
                with contextlib.suppress(TimeoutError, simcord.SetupError):  # busy, or just closed by the page
                    await clockwork.beat(preview)


def _clara(memory: MemoryManager) -> "commands.Bot":
    """Make Clara, who answers to her name here.

    A checkout calls the entry points `bot` and `playground`, an installed wheel `cortex_bot` and `cortex_playground`.
    """
    module = import_module("cortex_bot" if __name__ == "cortex_playground" else "bot")
    clara: commands.Bot = module.Clara(memory, extra_names=True)
    clara.owner_id = SAM_ID  # who runs her here; on Discord the application's owner does
    return clara


def _local_timezone() -> str:
    """Name the zone of this machine's clock, so that the page's times are those of its reader."""
    name = os.environ.get("TZ") or str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    return name if name in available_timezones() else "UTC"


async def _open(place: str, port: int | None) -> None:
    check_stage(place, port)
    async with MemoryManager(load_config()) as memory:
        await run_playground(memory, place=place, port=port)


def main() -> int:
    """Open the playground; the exit code is 1 when a sentence on stderr says why it can't."""
    parser = argparse.ArgumentParser(
        prog="playground", description="Clara in a simulated Discord in the browser. PLACE and PORT set the same."
    )
    parser.add_argument("--place", default=os.environ.get("PLACE") or "general", help=", ".join(PLACES))
    parser.add_argument("--port", default=os.environ.get("PORT") or None, help=f"{DEFAULT_PORT} or the next free one")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        if arguments.port and not arguments.port.isdecimal():
            raise ConfigError(f"The port is {arguments.port!r}, but it must be a number from 1 to 65535.")
        asyncio.run(run_until_signal(_open(arguments.place, int(arguments.port) if arguments.port else None)))
    except Interrupted:
        return 0
    except CortexError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
