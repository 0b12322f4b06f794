"""Channels with settings of their own: the project that they feed and read, and whether they are listened to."""

from dataclasses import dataclass

from asyncpg import Record

from cortex_core.errors import InvalidInputError, NotFoundError
from cortex_core.models import ChannelSettings
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool
from cortex_core.stores.postgres.projects import ARCHIVED, MANAGERS, NO_PROJECT, Standing

_SQL = load_queries("channels")


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """A channel's settings at one moment.

    Attributes:
        version: Grows with each change; 0 for the default ones.
    """

    settings: ChannelSettings
    version: int = 0


class Channels:
    """The table `channels`. `by` is whoever acts; None is the host."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def get(self, channel_id: str) -> StoredSettings:
        """Return a channel's settings; the default ones if it has none of its own."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(_SQL["get"], channel_id)
        return _read(row) if row else StoredSettings(ChannelSettings(channel_id=channel_id))

    async def link(self, channel_id: str, project_id: str, *, by: str | None, guild_id: int | None) -> StoredSettings:
        """Link it with a project instead of what it was linked with.

        Raises:
            NotFoundError: There is no such project, or whoever acts doesn't belong to it.
            AccessDeniedError: Whoever acts is no more than a member.
            InvalidInputError: The project is archived.
        """
        async with self._pool.transaction() as connection:
            standing = await Standing.read(connection, project_id, by)
            row = await connection.fetchrow(_SQL["link"], project_id, by, channel_id, guild_id)
            if row:
                return _read(row)
        raise standing.refusal(*MANAGERS, otherwise=InvalidInputError(ARCHIVED))

    async def unlink(self, channel_id: str, *, by: str | None) -> bool:
        """Undo `link` and tell whether there was anything to undo."""
        async with self._pool.connection() as connection:
            return await connection.fetchval(_SQL["unlink"], channel_id, by) is not None

    async def set_capture(
        self, channel_id: str, *, is_captured: bool, by: str | None, guild_id: int | None
    ) -> StoredSettings:
        """Set whether what is said there is stored."""
        async with self._pool.connection() as connection:
            [row] = await connection.fetch(_SQL["set_capture"], channel_id, is_captured, guild_id, by)
        return _read(row)

    async def list_of_project(self, project_id: str, user_id: str | None) -> list[str]:
        """Return the channels that are linked with a project, for the host or for a member; none if it is archived.

        Raises:
            NotFoundError: There is no such project, or it isn't the person's.
        """
        async with self._pool.connection() as connection:
            channel_ids: list[str] | None = await connection.fetchval(_SQL["list_of_project"], project_id, user_id)
        if channel_ids is None:
            raise NotFoundError(NO_PROJECT)
        return channel_ids

    async def forget(self, channel_id: str) -> None:
        """Delete what is known of a channel."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["forget"], channel_id)

    async def forget_guild(self, guild_id: int) -> list[str]:
        """Delete what is known of a server's channels and return which they were."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["forget_guild"], guild_id)
        return [row["channel_id"] for row in rows]


def _read(row: Record) -> StoredSettings:
    fields = dict(row)
    version: int = fields.pop("version")
    return StoredSettings(ChannelSettings(**fields), version)
