"""Direct messages that nobody asked for at that moment: sent round by round, and again later if they reach nobody."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp
import discord
from discord.ext import commands, tasks
from discord.ui import View

from cortex_core import CortexError

from ._errors import NO_MENTIONS
from ._messages import discord_id_of

log = logging.getLogger("cortex.discord")

_EVERY_SECONDS = 60.0


class Rounds:
    """Does something again and again while the bot is online.

    Args:
        work: Does it once; what it raises is logged, and the next round comes all the same.
    """

    def __init__(self, bot: commands.Bot, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._loop = tasks.loop(seconds=_EVERY_SECONDS)(self.make)
        self._loop.before_loop(bot.wait_until_ready)

    def start(self) -> None:
        """Begin."""
        self._loop.start()

    async def stop(self) -> None:
        """End, also in the middle of a round."""
        task = self._loop.get_task()
        self._loop.cancel()
        if task is not None:
            await asyncio.wait([task])

    async def make(self) -> None:
        """Make one round."""
        try:
            await self._work()
        except CortexError as error:
            log.info("Direct messages wait for the next round: %s", error)
        except Exception:  # the edge where a round ends: logged, and the next one comes
            log.exception("A round of direct messages failed.")


async def write_to(
    bot: commands.Bot, user_id: str, text: str | None = None, *, view: View, embed: discord.Embed | None = None
) -> bool:
    """Send a person a direct message and tell whether it reached them, as far as that is known."""
    number = discord_id_of(user_id)
    if number is None:
        return False
    try:
        person = bot.get_user(number) or await bot.fetch_user(number)
        await person.send(text, embeds=[embed] if embed else [], view=view, allowed_mentions=NO_MENTIONS)
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:  # refused, or Discord is away
        log.debug("A direct message reached nobody: %s", type(error).__name__)
        return False
    return True
