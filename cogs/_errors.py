"""From errors to private sentences for the person who asked; what is left is a bug and goes to the host's handler."""

import functools
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import discord
from discord.ext import commands

from cortex_core import (
    AccessDeniedError,
    CortexError,
    InvalidInputError,
    NotFoundError,
    NotSpreadError,
    StoreUnavailableError,
)

Interaction = discord.Interaction[commands.Bot]

log = logging.getLogger("cortex.discord")

NO_MENTIONS = discord.AllowedMentions.none()
_COMMANDS_PER_PERIOD, _PERIOD_SECONDS = 6, 15.0
AWAY = "I can't reach my memory right now. Please try again later."
BUG = "Something went wrong on my side; it is in the log. Please try again, or tell whoever runs me."


class Paced(Protocol):
    """A cog that limits how often one person may use its commands."""

    pace: commands.CooldownMapping[Interaction]


def usual_pace() -> commands.CooldownMapping[Interaction]:
    """Return a limit that nobody meets who reads the answers."""
    return commands.CooldownMapping[Interaction].from_cooldown(
        _COMMANDS_PER_PERIOD, _PERIOD_SECONDS, lambda interaction: interaction.user.id
    )


_CogT = TypeVar("_CogT", bound=Paced)
_P = ParamSpec("_P")
_Callback = Callable[Concatenate[_CogT, Interaction, _P], Coroutine[Any, Any, None]]


def answered(callback: _Callback[_CogT, _P]) -> _Callback[_CogT, _P]:
    """Make a command acknowledge at once and in private, keep to its pace, and answer expected failures itself.

    It happens within the command because Discord's library hands an error that leaves it to the cog *and* to the host,
    which would both answer.
    """

    async def answer(self: _CogT, interaction: Interaction, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        wait = self.pace.update_rate_limit(interaction)
        if wait:
            until = discord.utils.format_dt(discord.utils.utcnow() + timedelta(seconds=wait), "R")
            await interaction.response.send_message(
                f"That was a lot at once. Please try again {until}.", ephemeral=True
            )
            return
        await interaction.response.defer(ephemeral=True)
        try:
            await callback(self, interaction, *args, **kwargs)
        except CortexError as error:
            await tell(interaction, explain(error))

    return functools.update_wrapper(answer, callback)


def explain(error: Exception, *, away: str = AWAY) -> str:
    """Return what the person can do about it; what only the operator can change is logged.

    Args:
        error: What happened.
        away: What to say when a store is away.
    """
    match error:
        case AccessDeniedError() | InvalidInputError() | NotFoundError():
            return str(error)
        case NotSpreadError():
            log.warning("What a command changed is not heeded everywhere yet: %s", error)
            return str(error)
        case StoreUnavailableError():
            log.warning("A command went unanswered: %s", error)
            return away
        case _:
            log.error("A command failed.", exc_info=error)
            return BUG


async def tell(interaction: Interaction, sentence: str) -> None:
    """Say it to the one person who asked, in place of what they are waiting for if there is no answer yet."""
    response = interaction.response
    if not response.is_done():
        await response.send_message(sentence, ephemeral=True, allowed_mentions=NO_MENTIONS)
    elif response.type is discord.InteractionResponseType.deferred_channel_message:
        await interaction.edit_original_response(content=sentence, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.followup.send(sentence, ephemeral=True, allowed_mentions=NO_MENTIONS)
