"""ListeningCog: hears what people say, and lets the memory follow edits, deletions, and people who come and go."""

import logging
from collections import deque
from weakref import WeakValueDictionary

import discord
from discord.ext import commands

from cortex_core import IncomingMessage, MemoryContext, MemoryManager

from ._messages import (
    called_name,
    is_addressed,
    is_command,
    is_from_person,
    owner_id_of,
    source_id_of,
    spoken_text,
    to_incoming,
)
from ._people import names_of
from ._turns import Turns

log = logging.getLogger("cortex.discord")

NAME = "CortexListening"

# After a reconnect Discord may send the last messages again: they are stored once anyway, and answered once by this.
REPLAYED_AT_MOST = 1000


class ListeningCog(commands.Cog, name=NAME):
    """Remembers messages.

    For each message it dispatches `cortex_context(message, context)`: what is known for an answer, before the message
    itself is remembered. If it then can't be, it dispatches `cortex_refused(message, result)`, unless its author or
    whoever manages the channel wants it so.
    """

    def __init__(self, bot: commands.Bot, memory: MemoryManager) -> None:
        self.bot = bot
        self.memory = memory
        self._called = called_name(bot, memory)
        self._turns: WeakValueDictionary[int, Turns] = WeakValueDictionary()
        self._heard: deque[int] = deque(maxlen=REPLAYED_AT_MOST)

    async def cog_load(self) -> None:
        """Tell the operator what the bot will not notice."""
        if not self.bot.intents.message_content:
            log.warning(
                "The message content intent is off, so that most messages arrive empty and are not remembered: set "
                "intents.message_content and switch it on in Discord's developer portal."
            )
        if not self.bot.intents.members:
            log.warning(
                "The server members intent is off, so that people who leave a server can't be noticed, and what they "
                "said there is kept: set intents.members and switch it on in Discord's developer portal."
            )

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
        text = spoken_text(message, self._called)
        if not (text or message.content.strip()):  # attachments alone
            return
        is_new = message.id not in self._heard
        self._heard.append(message.id)

        def hand_out(context: MemoryContext) -> None:
            if is_new:
                self.bot.dispatch("cortex_context", message, self._with_names(message, context))

        said = self._to_incoming(message, text)
        async with self._turns.setdefault(message.channel.id, Turns(message.channel.id)).take() as has_turn:
            if not text:  # somebody called the bot and said nothing else
                if has_turn:
                    context = await self.memory.get_context(
                        said.user_id, audience=said.audience, channel_id=said.linked_channel_id
                    )
                    hand_out(context)
                return
            result = await (self.memory.hear(said, hand_out) if has_turn else self.memory.remember(said))
        if not (result.success or result.is_unwanted):
            log.warning("Message %d was not remembered: %s", message.id, result.error)
            if is_new:
                self.bot.dispatch("cortex_refused", message, result)

    def _with_names(self, message: discord.Message, context: MemoryContext) -> MemoryContext:
        """Return the context with today's names, among them those that the message itself brings."""
        guild = message.guild
        seen = {owner_id_of(person.id): person.display_name for person in [message.author, *message.mentions]}
        return context.with_names(
            seen | names_of(self.bot, guild, context.people()), guild_id=guild.id if guild else None
        )

    async def _hear_again(self, message: discord.Message, *, is_command: bool) -> None:
        text = spoken_text(message, self._called)
        if is_command or not text:
            await self._forget_older_wording(message)
            return
        result = await self.memory.remember(self._to_incoming(message, text), edited_at=message.edited_at)
        if result.is_unwanted:
            if not await self._is_pinned(message):
                await self._forget_older_wording(message)
        elif not result.success:
            log.warning("The edit of message %d was not remembered: %s", message.id, result.error)

    async def _is_pinned(self, message: discord.Message) -> bool:
        known = await self.memory.get_by_source(owner_id_of(message.author.id), source_id_of(message.id))
        return known is not None and known.is_pinned

    async def _forget_older_wording(self, message: discord.Message) -> None:
        source, owner = source_id_of(message.id), owner_id_of(message.author.id)
        await self.memory.forget_source(source, owner=owner, edited_at=message.edited_at)

    async def _forget_message(self, message_id: int, cached: discord.Message | None) -> None:
        if cached is not None and not is_from_person(cached):
            return
        owner = owner_id_of(cached.author.id) if cached else None
        try:
            await self.memory.forget_source(source_id_of(message_id), owner=owner)
        except Exception:
            log.exception("Message %d was deleted, but its memory could not be erased.", message_id)

    def _to_incoming(self, message: discord.Message, text: str) -> IncomingMessage:
        return to_incoming(message, text, is_addressed=is_addressed(self.bot, message, self._called))

    # Coming and going

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Let what was said in a server that the bot left be erased some time later."""
        await self._leave(guild.id, None)

    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Keep what was said there, if the bot is back in time."""
        await self._come_back(guild.id, None)

    @commands.Cog.listener()
    async def on_raw_member_remove(self, payload: discord.RawMemberRemoveEvent) -> None:
        """Let what somebody said in a server that they left be erased some time later."""
        if not payload.user.bot:
            await self._leave(payload.guild_id, owner_id_of(payload.user.id))

    @commands.Cog.listener()
    async def on_member_join(self, member: discord.Member) -> None:
        """Keep what somebody said there, if they are back in time."""
        if not member.bot:
            await self._come_back(member.guild.id, owner_id_of(member.id))

    async def _leave(self, guild_id: int, user_id: str | None) -> None:
        try:
            await self.memory.leave_guild(guild_id, user_id)
        except Exception:
            log.exception("Server %d was left (by %s), but what was said there keeps no term.", guild_id, user_id)

    async def _come_back(self, guild_id: int, user_id: str | None) -> None:
        try:
            await self.memory.return_to_guild(guild_id, user_id)
        except Exception:
            log.exception("Server %d was joined again (by %s), but its term still runs.", guild_id, user_id)
