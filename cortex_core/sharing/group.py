"""GroupChatMemory: many people in one channel (TDD 9.2).

What somebody says is that person's memory, and one memory only: in a channel that feeds a project its members find it
there. Each turn is recalled for its own author, however many talk at once.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from cortex_core.audience import Audience
from cortex_core.errors import StoreUnavailableError
from cortex_core.ingestion.intake import IncomingMessage
from cortex_core.ingestion.recorder import Recorder
from cortex_core.models import ChannelSettings, StoreResult
from cortex_core.recall.context import ContextBuilder, MemoryContext
from cortex_core.sharing.channels import ChannelProjectLink
from cortex_core.sharing.projects import ProjectMemory

_NOT_CAPTURED = StoreResult(success=False, error="What is said in this channel is not remembered.", is_unwanted=True)


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
        # Nobody has used it yet: whoever answers with it calls `count_use`.
        context, settings = await asyncio.gather(
            self._contexts.build(
                message.user_id,
                message.text,
                audience=message.audience,
                channel_id=message.home,
                asked_at=message.created_at,
                is_addressed=message.is_addressed,
            ),
            self._get_settings(message.home),
        )
        if on_context:
            on_context(context)
        return await self._remember(message, settings)

    async def remember(self, message: IncomingMessage, *, edited_at: datetime | None = None) -> StoreResult:
        """Remember a message without recalling anything for it, or its newer wording."""
        return await self._remember(message, await self._get_settings(message.home), edited_at=edited_at)

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
        """Return what is known for a message of a group: its author's memories, and those of the channel's project.

        Args:
            message: What was said.
            author_id: By whom.
            channel_id: In which channel.
            mentioned: Whether the bot was; if not, None is the answer to what needs no memory.
            audience: Who can hear the answer; the author alone when absent, who then hears everything of their own.
            asked_at: When it was said.
        """
        project_id = None if audience else (await self._get_settings(channel_id)).project_id
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
        source_id: str,
        created_at: datetime,
        author_name: str,
        audience: Audience | None = None,
    ) -> StoreResult:
        """Remember a message of a group, for its author and, in a channel that feeds a project, for its members."""
        return await self.remember(
            IncomingMessage(
                user_id=author_id,
                text=message,
                source_id=source_id,
                channel_id=channel_id,
                created_at=created_at,
                author_name=author_name,
                audience=audience or Audience.owner(),
            )
        )

    async def _remember(
        self, message: IncomingMessage, settings: ChannelSettings, *, edited_at: datetime | None = None
    ) -> StoreResult:
        if not settings.is_captured:
            return _NOT_CAPTURED
        project_id = settings.project_id if message.feeds_project else None
        if project_id is not None and not await self._belongs(project_id, message.user_id):
            project_id = None
        return await self._recorder.store(
            message.user_id, message.to_memory(project_id=project_id, edited_at=edited_at)
        )

    async def _belongs(self, project_id: str, user_id: str) -> bool:
        """Tell whether somebody may feed a project; while Postgres is away the writer decides, when it is back."""
        try:
            return await self._projects.check_access(project_id, user_id)
        except StoreUnavailableError:
            return True

    async def _get_settings(self, channel_id: str) -> ChannelSettings:
        """Return a channel's settings; while Postgres is away those that Redis knows, or the default ones."""
        try:
            return await self._links.get_settings(channel_id)
        except StoreUnavailableError:
            return ChannelSettings(channel_id=channel_id)
