"""ChannelProjectLink: which project a channel feeds and reads, and whether it is listened to (TDD 9.5).

The table `channels` tells; Redis keeps a copy of each channel's settings for a day, and for good of one that isn't
listened to. Every change replaces it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cortex_core.errors import InvalidInputError, NotSpreadError, StoreUnavailableError
from cortex_core.models import ChannelSettings
from cortex_core.stores.keys import check_channel_id, check_project_id, check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.channels import StoredSettings
from cortex_core.stores.redis import RedisStore

_NOT_HEEDED_YET = (
    "The channel's new settings are stored, but Redis can't be reached, so that not all of Cortex goes by them yet; do "
    "the same again to make sure."
)


class ChannelProjectLink:
    """Links channels with projects and keeps the other settings that channels have.

    What somebody may do to a channel is for the host to check; what `by` may do to a project is checked here. Without
    `by` it is the host that acts.

    A change is in force everywhere when its call returns. If Redis can't be reached after the change was committed, the
    call raises `NotSpreadError`, whose message says so; the same call again is safe and completes it.
    """

    def __init__(self, postgres: PostgresStore, redis: RedisStore) -> None:
        self._channels = postgres.channels
        self._redis = redis

    async def link_channel(
        self, channel_id: str, project_id: str, *, by: str | None = None, guild_id: int | None = None
    ) -> ChannelSettings:
        """Let a channel feed and read a project, instead of whichever it was linked with.

        Args:
            channel_id: The channel.
            project_id: The project.
            by: Its owner or an admin of it.
            guild_id: The server that the channel belongs to; `forget_guild` goes by it.

        Raises:
            NotFoundError: There is no such project, or `by` doesn't belong to it.
            AccessDeniedError: `by` is no more than a member of it.
            InvalidInputError: The project is archived.
            StoreUnavailableError: A store is away.
        """
        check_channel_id(channel_id)
        stored = await self._channels.link(
            channel_id, check_project_id(project_id), by=_check_actor(by), guild_id=_check_guild(guild_id)
        )
        return await self._spread(stored)

    async def unlink_channel(self, channel_id: str, *, by: str | None = None) -> bool:
        """Let a channel feed and read no project, and tell whether there was one."""
        was_linked = await self._channels.unlink(check_channel_id(channel_id), by=_check_actor(by))
        await self._spread(await self._channels.get(channel_id))
        return was_linked

    async def set_capture(
        self, channel_id: str, *, is_captured: bool, by: str | None = None, guild_id: int | None = None
    ) -> ChannelSettings:
        """Set whether what is said in a channel is stored."""
        check_channel_id(channel_id)
        stored = await self._channels.set_capture(
            channel_id, is_captured=is_captured, by=_check_actor(by), guild_id=_check_guild(guild_id)
        )
        return await self._spread(stored)

    async def get_settings(self, channel_id: str) -> ChannelSettings:
        """Return a channel's settings; the default ones if it has none of its own.

        That a project was archived or restored shows within a day. Recall and storing ask Postgres about that.

        Raises:
            StoreUnavailableError: Redis doesn't know them and Postgres is away.
        """
        check_channel_id(channel_id)
        try:
            cached = await self._redis.get_channel(channel_id)
        except StoreUnavailableError:
            return (await self._channels.get(channel_id)).settings
        if cached is not None:
            return cached
        stored = await self._channels.get(channel_id)
        with suppress(StoreUnavailableError):  # the next one to ask loads it again
            await self._redis.cache_channel(stored.settings, version=stored.version)
        return stored.settings

    async def get_project_for_channel(self, channel_id: str) -> str | None:
        """Return the project that a channel is linked with."""
        return (await self.get_settings(channel_id)).project_id

    async def get_channels_for_project(self, project_id: str, *, user_id: str | None = None) -> list[str]:
        """Return the channels that are linked with a project; none while it is archived.

        Args:
            project_id: The project.
            user_id: Who asks, unless it is the host.

        Raises:
            NotFoundError: There is no such project, or the person doesn't belong to it.
        """
        return await self._channels.list_of_project(check_project_id(project_id), _check_actor(user_id))

    async def forget_channel(self, channel_id: str) -> None:
        """Drop the settings of a channel or thread that is gone."""
        await self._channels.forget(check_channel_id(channel_id))
        with suppress(StoreUnavailableError):  # nobody speaks there any more
            await self._redis.drop_channels([channel_id])

    async def forget_guild(self, guild_id: int) -> None:
        """Drop the settings of all channels of a server that is gone."""
        channel_ids = await self._channels.forget_guild(guild_id)
        if channel_ids:
            with suppress(StoreUnavailableError):
                await self._redis.drop_channels(channel_ids)

    async def _spread(self, stored: StoredSettings) -> ChannelSettings:
        with _after_commit():
            await self._redis.cache_channel(stored.settings, version=stored.version)
        return stored.settings


@contextmanager
def _after_commit() -> Iterator[None]:
    try:
        yield
    except StoreUnavailableError:
        raise NotSpreadError(_NOT_HEEDED_YET) from None


def _check_actor(user_id: str | None) -> str | None:
    return None if user_id is None else check_user_id(user_id)


def _check_guild(guild_id: int | None) -> int | None:
    if guild_id is not None and not 0 < guild_id < 2**63:
        raise InvalidInputError("A server's id is a positive number of 63 bits.")
    return guild_id
