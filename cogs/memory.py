"""MemoryCog: listens to what people say, and answers `/memory …`."""

import logging
from collections import deque
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID
from weakref import WeakSet, WeakValueDictionary

import discord
from discord import app_commands
from discord.ext import commands

from cortex_core import (
    Audience,
    CortexError,
    InvalidInputError,
    Memory,
    MemoryContext,
    MemoryManager,
    MemoryType,
    NotFoundError,
    StoreResult,
)
from cortex_core.models import utc_now

from ._audience import audience_of
from ._errors import NO_MENTIONS, Interaction, answered
from ._forgetting import MAX_CHOICES, ForgetEverything, ForgetSome
from ._lifecycle import acquire_memory, release_memory
from ._messages import (
    called_name,
    channel_id_of,
    is_command,
    is_from_person,
    owner_id_of,
    source_id_of,
    spoken_text,
    to_incoming,
)
from ._responder import is_statement
from ._turns import Turns
from ._views import OwnedView, Pages
from ._wording import choice_name, count_of, quote, where_heard

log = logging.getLogger("cortex.discord")

# After a reconnect Discord may send the last messages again: they are stored once anyway, and answered once by this.
REPLAYED_AT_MOST = 1000
COMMANDS_PER_PERIOD, PERIOD_SECONDS = 6, 15.0

Kind = Literal["identity", "semantic", "episodic", "working", "session"]
Since = Literal["24 hours", "7 days", "30 days", "365 days"]
Where = Literal["only between us", "everybody who can read this channel"]

_SPANS = dict(zip(get_args(Since), map(timedelta, (1, 7, 30, 365)), strict=True))
_SEARCH_LIMIT = 50
_SUGGESTED_FROM = 100
_REPEATED_CHARS = 900  # so that the confirmation fits into a message even if every character needs escaping


@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
class MemoryCog(commands.GroupCog, group_name="memory", group_description="What I remember about you"):
    """Remembers messages, and lets everybody see and erase their own memories.

    For each message it dispatches `cortex_context(message, context)`: what is known for an answer, before the message
    itself is remembered. If it then can't be, it dispatches `cortex_refused(message, result)`.
    """

    def __init__(self, bot: commands.Bot, memory: MemoryManager) -> None:
        self.bot = bot
        self.memory = memory
        self.pace = commands.CooldownMapping[Interaction].from_cooldown(
            COMMANDS_PER_PERIOD, PERIOD_SECONDS, lambda interaction: interaction.user.id
        )
        self._turns: WeakValueDictionary[int, Turns] = WeakValueDictionary()
        self._open_views: WeakSet[OwnedView] = WeakSet()
        self._heard: deque[int] = deque(maxlen=REPLAYED_AT_MOST)

    async def cog_load(self) -> None:
        """Tell the operator when messages will arrive empty."""
        if not self.bot.intents.message_content:
            log.warning(
                "The message content intent is off, so that most messages arrive empty and are not remembered: set "
                "intents.message_content and switch it on in Discord's developer portal."
            )

    async def cog_unload(self) -> None:
        """Stop the buttons, which would otherwise go on calling this cog."""
        for view in list(self._open_views):
            view.stop()

    # Messages

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Recall for a message, then remember it."""
        try:
            if is_from_person(message) and not await is_command(self.bot, message):
                await self._hear(message)
        except Exception:
            log.exception("Message %d was not heard.", message.id)

    @commands.Cog.listener()
    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """Let the memory follow an edit; a link that unfolds is none."""
        message, before = payload.message, payload.cached_message
        if message.edited_at is None or (before is not None and before.content == message.content):
            return
        try:
            if is_from_person(message):
                await self._hear_again(message, is_command=await is_command(self.bot, message))
        except Exception:
            log.exception("The edit of message %d was not followed.", message.id)

    @commands.Cog.listener()
    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """Forget what was deleted."""
        await self._forget_message(payload.message_id, payload.cached_message)

    @commands.Cog.listener()
    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """Forget all that was deleted."""
        cached = {message.id: message for message in payload.cached_messages}
        for message_id in payload.message_ids:
            await self._forget_message(message_id, cached.get(message_id))

    async def _hear(self, message: discord.Message) -> None:
        text = spoken_text(message, called_name(self.bot, self.memory))
        if not (text or message.content.strip()):  # attachments alone
            return
        is_new = message.id not in self._heard
        self._heard.append(message.id)

        def hand_out(context: MemoryContext) -> None:
            if is_new:
                self.bot.dispatch("cortex_context", message, context)

        said = to_incoming(message, text)
        async with self._turns.setdefault(message.channel.id, Turns(message.channel.id)).take() as has_turn:
            if not text:  # somebody called the bot and said nothing else
                if has_turn:
                    hand_out(await self.memory.get_context(said.user_id, audience=said.audience))
                return
            result = await (self.memory.hear(said, hand_out) if has_turn else self._store(message, text))
        if not result.success:
            log.warning("Message %d was not remembered: %s", message.id, result.error)
            if is_new:
                self.bot.dispatch("cortex_refused", message, result)

    async def _hear_again(self, message: discord.Message, *, is_command: bool) -> None:
        text = spoken_text(message, called_name(self.bot, self.memory))
        if is_command or not text:
            source, owner = source_id_of(message.id), owner_id_of(message.author.id)
            await self.memory.forget_source(source, owner=owner, edited_at=message.edited_at)
            return
        result = await self._store(message, text, edited_at=message.edited_at)
        if not result.success:
            log.warning("The edit of message %d was not remembered: %s", message.id, result.error)

    async def _store(self, message: discord.Message, text: str, *, edited_at: datetime | None = None) -> StoreResult:
        said = to_incoming(message, text).model_dump(exclude={"user_id", "text"})
        return await self.memory.store(owner_id_of(message.author.id), text, **said, edited_at=edited_at)

    async def _forget_message(self, message_id: int, cached: discord.Message | None) -> None:
        if cached is not None and not is_from_person(cached):
            return
        owner = owner_id_of(cached.author.id) if cached else None
        try:
            await self.memory.forget_source(source_id_of(message_id), owner=owner)
        except Exception:
            log.exception("Message %d was deleted, but its memory could not be erased.", message_id)

    # Commands

    @app_commands.command()
    @app_commands.describe(text="What I should keep", where="Who may hear it again; only you, unless you choose")
    @answered
    async def remember(
        self, interaction: Interaction, text: app_commands.Range[str, 1, 2000], where: Where = "only between us"
    ) -> None:
        """Keep something on purpose; it does not fade."""
        place = interaction.channel
        audience = Audience.owner() if place is None or where == "only between us" else audience_of(place)
        result = await self.memory.store(
            owner_id_of(interaction.user.id),
            text,
            source="remember",
            tags=("pinned",),
            source_id=f"discord-interaction-{interaction.id}",
            channel_id=channel_id_of(place.id) if place else None,
            created_at=interaction.created_at,
            author_name=interaction.user.display_name,
            audience=audience,
        )
        if not result.success:
            raise InvalidInputError(result.error or "That could not be remembered.")
        await interaction.edit_original_response(
            content=f"I'll remember that:\n{quote(text, _REPEATED_CHARS)}\nIt may come up {where_heard(audience)}.",
            allowed_mentions=NO_MENTIONS,
        )

    @app_commands.command()
    @app_commands.describe(query="What you are looking for, in your own words")
    @answered
    async def search(self, interaction: Interaction, query: app_commands.Range[str, 1, 200]) -> None:
        """Search what I remember about you."""
        result = await self.memory.search(owner_id_of(interaction.user.id), query, limit=_SEARCH_LIMIT)
        if not result.memories:
            raise NotFoundError("I don't remember anything like that.")

        async def fetch(offset: int, limit: int) -> list[Memory]:
            return result.memories[offset : offset + limit]

        pages = Pages(
            interaction,
            self._open_views,
            fetch,
            total=len(result.memories),
            title=f"Best matches ({len(result.memories)})",
            ranked=True,
        )
        await pages.turn_to(0)

    @app_commands.command(name="list")
    @app_commands.rename(kind="type")
    @app_commands.describe(kind="Only memories of this kind", since="Only what you said in this time")
    @answered
    async def list_(self, interaction: Interaction, kind: Kind | None = None, since: Since | None = None) -> None:
        """List what I remember about you, newest first."""
        owner = owner_id_of(interaction.user.id)
        types = [MemoryType(kind)] if kind else None
        start = utc_now() - _SPANS[since] if since else None
        total = await self.memory.count_memories(owner, memory_types=types, since=start)
        if not total:
            raise NotFoundError(
                "I remember nothing of that kind." if kind or since else "I don't remember anything yet."
            )

        async def fetch(offset: int, limit: int) -> list[Memory]:
            return await self.memory.list_memories(owner, memory_types=types, since=start, offset=offset, limit=limit)

        title = f"What I remember: {count_of(total)}, newest first"
        await Pages(interaction, self._open_views, fetch, total=total, title=title).turn_to(0)

    @app_commands.command()
    @app_commands.describe(
        query="What it is about; you choose from what I find",
        last="The last so many things you told me",
        everything="All that I know about you",
    )
    @answered
    async def forget(
        self,
        interaction: Interaction,
        query: app_commands.Range[str, 1, 200] | None = None,
        last: app_commands.Range[int, 1, 100] | None = None,
        everything: bool = False,  # noqa: FBT001, FBT002  an option of the command
    ) -> None:
        """Forget something for good; I show it and ask first."""
        owner = owner_id_of(interaction.user.id)
        if [query is not None, last is not None, everything].count(True) != 1:
            raise InvalidInputError("Please choose one of `query`, `last` and `everything`.")
        if everything:
            count = len({memory.id for memory in await self._recent(owner, _SUGGESTED_FROM)})
            count = max(count, await self.memory.count_memories(owner))
            await ForgetEverything(interaction, self._open_views, self.memory, count).ask()
            return
        found = await self._find(owner, query) if query else (await self._recent(owner, last or 1))[:last]
        if not found:
            raise NotFoundError("I don't remember anything like that." if query else "I don't remember anything yet.")
        choose = query is not None and len(found) > 1
        await ForgetSome(interaction, self._open_views, self.memory, found, choose=choose).ask()

    @forget.autocomplete("query")
    async def _suggest(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """Offer the person's recent memories that contain what is typed, questions and requests last."""
        try:
            recent = await self.memory.list_memories(owner_id_of(interaction.user.id), limit=_SUGGESTED_FROM)
        except CortexError as error:
            log.info("There are no suggestions: %s", error)
            return []
        matching = [memory for memory in recent if typed.casefold() in memory.content.casefold()]
        matching.sort(key=lambda memory: not is_statement(memory.content))
        return [
            app_commands.Choice(name=choice_name(memory), value=str(memory.id)) for memory in matching[:MAX_CHOICES]
        ]

    async def _find(self, owner: str, query: str) -> list[Memory]:
        """Return the memory that was picked from the suggestions, or what answers free text."""
        try:
            memory_id = UUID(query)
        except ValueError:
            return (await self.memory.search(owner, query, limit=MAX_CHOICES)).memories
        memory = await self.memory.get(owner, memory_id)
        return [memory] if memory else []

    async def _recent(self, owner: str, count: int) -> list[Memory]:
        """Return the newest memories, also those that are still on their way to Postgres."""
        working = (await self.memory.get_context(owner)).working
        stored = await self.memory.list_memories(owner, limit=count)
        newest = {memory.id: memory for memory in [*working, *stored]}
        return sorted(newest.values(), key=lambda memory: memory.created_at, reverse=True)


async def setup(bot: commands.Bot) -> None:
    """Add the cog."""
    await bot.add_cog(MemoryCog(bot, await acquire_memory(bot, __name__)))


async def teardown(bot: commands.Bot) -> None:
    """Give the memory back."""
    await release_memory(bot, __name__)
