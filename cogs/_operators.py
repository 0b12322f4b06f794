"""Who may use `/cortex`: whoever manages a server, about that server, and whoever runs the bot, about everything."""

from cortex_core import AccessDeniedError

from ._errors import Interaction


async def is_operator(interaction: Interaction) -> bool:
    """Whether whoever asks runs the bot."""
    return await interaction.client.is_owner(interaction.user)


async def server_asked_about(interaction: Interaction) -> int | None:
    """Return the server that a command is about; None stands for everything, of which only the operator is told.

    Discord lets the admins of a server change who sees a command, so the permission is asked for here as well.

    Raises:
        AccessDeniedError: That isn't for whoever asks.
    """
    if interaction.guild_id is not None and interaction.permissions.manage_guild:
        return interaction.guild_id
    if not await is_operator(interaction):
        raise AccessDeniedError(
            "That works in a server in which you have the permission Manage Server."
            if interaction.guild_id is None
            else "You need the permission Manage Server for that."
        )
    return interaction.guild_id
