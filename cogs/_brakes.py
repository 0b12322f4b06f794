"""How often people may invite others to projects, since each invitation is a message that somebody did not ask for."""

import time
from collections import OrderedDict
from datetime import timedelta
from weakref import WeakKeyDictionary

import discord
from discord.ext import commands

from cortex_core import InvalidInputError

from ._errors import Interaction

_INVITATIONS, _PERIOD = 5, timedelta(hours=1)
_DECLINED_FOR = timedelta(hours=24)
_REMEMBERED_AT_MOST = 10_000


class Brakes:
    """The invitations that a bot sent lately, and those that were declined; a restart lets it start afresh."""

    def __init__(self) -> None:
        self._pace = commands.CooldownMapping[Interaction].from_cooldown(
            _INVITATIONS, _PERIOD.total_seconds(), lambda interaction: interaction.user.id
        )
        self._declined: OrderedDict[tuple[str, str], float] = OrderedDict()

    def check(self, interaction: Interaction, project_id: str, user_id: str) -> None:
        """Count an invitation by whoever asks.

        Raises:
            InvalidInputError: The person declined lately, or these were too many.
        """
        declined_at = self._declined.get((project_id, user_id))
        if declined_at is not None and time.monotonic() < declined_at + _DECLINED_FOR.total_seconds():
            raise InvalidInputError("That person declined an invitation to this project; please ask them first.")
        wait = self._pace.update_rate_limit(interaction)
        if wait:
            until = discord.utils.format_dt(discord.utils.utcnow() + timedelta(seconds=wait), "R")
            raise InvalidInputError(f"You've invited many people lately. Please go on {until}.")

    def note_declined(self, project_id: str, user_id: str) -> None:
        """Remember that somebody doesn't want to."""
        self._declined.pop((project_id, user_id), None)
        self._declined[project_id, user_id] = time.monotonic()
        if len(self._declined) > _REMEMBERED_AT_MOST:
            self._declined.popitem(last=False)


_OF_BOTS: WeakKeyDictionary[discord.Client, Brakes] = WeakKeyDictionary()


def brakes_of(bot: discord.Client) -> Brakes:
    """Return those of a bot, which stay when an extension is reloaded."""
    return _OF_BOTS.setdefault(bot, Brakes())
