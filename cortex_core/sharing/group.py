"""GroupChatMemory: many people in one channel (TDD 9.2).

What somebody says is that person's memory, and one memory only: in a channel that feeds a project its members find it
there. Each turn is recalled for its own author, however many talk at once.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import uuid_utils.compat as uuid7

from cortex_core.audience import Audience, AudienceKind
from cortex_core.errors import StoreUnavailableError
from cortex_core.ingestion.intake import IncomingMessage
from cortex_core.ingestion.recorder import Recorder
from cortex_core.models import ChannelSettings, StoreResult, utc_now
from cortex_core.recall.context import ContextBuilder, MemoryContext
from cortex_core.sharing.channels import ChannelProjectLink
from cortex_core.sharing.projects import ProjectMemory

_NOT_CAPTURED = StoreResult(success=False, error="What is said in this channel is not remembered.", is_unwanted=True)
_UNKNOWN = StoreResult(
    success=False,
    error="Whether this channel may be listened to can't be told while PostgreSQL is away; try again later.",
)


class GroupChatMemory:
    """Recalls for a message and remembers it, as its channel and its author want it."""

    def __init__(
        self, contexts: ContextBuilder, recorder: Recorder, links: ChannelProjectLink, projects: ProjectMemory
    ) -> None:
        self._contexts = contexts
        self._recorder = recorder
        self._links = links
        self._projects = projects

    async def hear(
        self, message: IncomingMessage, on_context: Callable[[MemoryContext], None] | None = None
    ) -> StoreResult:
        """Recall what answers a message, hand that out, then remember the message."""
        settings = await self._find_settings(message)
        speaks_to_projects = settings is None or settings.project_id or message.audience.kind is AudienceKind.OWNER
        # Nobody has used it yet: whoever answers with it calls `count_use`.
        context, project_id = await asyncio.gather(
            self._contexts.build(
                message.user_id,
                message.text,
                audience=message.audience,
                channel_id=message.home if speaks_to_projects else None,
                asked_at=message.created_at,
                is_addressed=message.is_addressed,
            ),
            self._find_project(message, settings),
        )
        if on_context:
            on_context(context)
        return await self._remember(message, settings, project_id)

    async def remember(self, message: IncomingMessage, *, edited_at: datetime | None = None) -> StoreResult:
        """Remember a message without recalling anything for it, or its newer wording."""
        settings = await self._find_settings(message)
        return await self._remember(message, settings, await self._find_project(message, settings), edited_at=edited_at)

    async def get_context_for_message(
        self,
        message: str,
        author_id: str,
        channel_id: str,
        *,
        mentioned: bool = False,
        audience: Audience | None = None,
        asked_at: datetime | None = None,
    ) -> MemoryContext | None:
        """Return what is known for a message of a group, as `MemoryManager.get_group_context` tells."""
        project_id = None
        if audience is None:
            with suppress(StoreUnavailableError):  # then no project can be recalled either
                project_id = await self._links.get_project_for_channel(channel_id)
        context = await self._contexts.build(
            author_id,
            message,
            audience=audience or Audience.owner(),
            channel_id=channel_id,
            project_id=project_id,
            asked_at=asked_at,
            is_addressed=mentioned,
        )
        return context if mentioned or context.rejection is None else None

    async def store_group_message(
        self,
        message: str,
        author_id: str,
        channel_id: str,
        *,
        source_id: str | None = None,
        created_at: datetime | None = None,
        author_name: str | None = None,
        audience: Audience | None = None,
    ) -> StoreResult:
        """Remember a message of a group, for its author and, in a channel that feeds a project, for its members."""
        return await self.remember(
            IncomingMessage(
                user_id=author_id,
                text=message,
                source_id=source_id or uuid7.uuid7().hex,
                channel_id=channel_id,
                created_at=created_at or utc_now(),
                author_name=author_name,
                audience=audience or Audience.owner(),
            )
        )

    async def _remember(
        self,
        message: IncomingMessage,
        settings: ChannelSettings | None,
        project_id: str | None,
        *,
        edited_at: datetime | None = None,
    ) -> StoreResult:
        if settings is None:
            return _UNKNOWN
        if not settings.is_captured:
            return _NOT_CAPTURED
        new = message.to_memory(project_id=project_id, edited_at=edited_at)
        return await self._recorder.store(message.user_id, new)

    async def _find_settings(self, message: IncomingMessage) -> ChannelSettings | None:
        """Return the settings of a message's channel, or None where nobody can tell whether it may be listened to."""
        try:
            return await self._links.get_settings(message.home)
        except StoreUnavailableError:
            is_private = message.audience.kind is AudienceKind.OWNER
            return ChannelSettings(channel_id=message.home) if is_private else None

    async def _find_project(self, message: IncomingMessage, settings: ChannelSettings | None) -> str | None:
        """Return the project that gets a message; while Postgres is away its writer decides, when it is back."""
        project_id = settings.project_id if settings and message.feeds_project else None
        if project_id is None:
            return None
        try:
            return project_id if await self._projects.check_access(project_id, message.user_id) else None
        except StoreUnavailableError:
            return project_id
