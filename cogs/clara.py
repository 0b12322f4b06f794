"""ClaraCog: the reference bot's voice. It answers those who speak to it, from the context that it is handed."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

import discord
from discord.ext import commands

from cortex_core import (
    ChatMessage,
    ChatModel,
    Degradation,
    Memory,
    MemoryContext,
    MemoryManager,
    MemoryType,
    ProviderError,
    StoreError,
    StoreResult,
)
from cortex_core.models import utc_now
from cortex_core.prompts import build_reply_prompt

from . import _responder as responder
from ._audience import audience_of
from ._errors import NO_MENTIONS
from ._knowing import asks_for_knowledge, attribute_asked, tell, tell_all
from ._lifecycle import acquire_memory, release_memory
from ._messages import called_name, is_addressed, linked_channel_of, source_id_of, spoken_text
from ._people import names_of_speakers, with_todays_names
from ._responder import Answer
from ._wording import MAX_MESSAGE_CHARS

T = TypeVar("T")

log = logging.getLogger("cortex.discord")

_SEARCHED = 50
_LISTED = 200
_WORDED_AT_MOST = 3
_NO_MODEL = "\n-# My language model isn't available right now; this comes straight from my memory."


class ClaraCog(commands.Cog):
    """Replies when mentioned, replied to, or spoken to in a direct message.

    A bot with a true `extra_names` attribute also answers to its name (`clara.name`) as a word.
    """

    def __init__(self, bot: commands.Bot, memory: MemoryManager) -> None:
        self.bot = bot
        self.memory = memory
        self.name = memory.config.clara.name
        self._called = called_name(bot, memory)
        self._name = re.compile(rf"\b{re.escape(self.name)}\b", re.IGNORECASE)
        self._answering: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    @commands.Cog.listener()
    async def on_cortex_context(self, message: discord.Message, context: MemoryContext) -> None:
        """Answer if the message is for Clara and she may write there."""
        if not self._is_asked(message):
            return
        try:
            async with self._lock_of(message):
                answer = await self._word_answer(message, context)
                reply = await self._reply(message, answer.text)
                await self._note(context.user_id, reply, answer.used)
        except Exception:
            log.exception("Message %d was not answered.", message.id)

    @commands.Cog.listener()
    async def on_cortex_refused(self, message: discord.Message, result: StoreResult) -> None:
        """Own up that a message for Clara could not be remembered."""
        if not self._is_asked(message):
            return
        try:
            async with self._lock_of(message):
                await self._reply(message, f"I could not keep that: {result.error}")
        except Exception:
            log.exception("The author of message %d was not told that it could not be remembered.", message.id)

    def _lock_of(self, message: discord.Message) -> asyncio.Lock:
        """Return what keeps a refusal from being told before the answer that it takes back."""
        return self._answering.setdefault(message.id, asyncio.Lock())

    def _is_asked(self, message: discord.Message) -> bool:
        return is_addressed(self.bot, message, self._called) and _may_answer(message)

    # With a language model

    async def _word_answer(self, message: discord.Message, context: MemoryContext) -> Answer:
        llm = self.memory.llm
        if llm is None:
            return await self._answer_from_memory(message, context)
        try:
            async with message.channel.typing():
                return await self._ask_until_it_holds(llm, message, context)
        except ProviderError as error:
            log.warning("Message %d is answered without the language model: %s", message.id, error)
            answer = await self._answer_from_memory(message, context)
            return Answer(answer.text + _NO_MODEL, answer.used)

    async def _ask_until_it_holds(self, llm: ChatModel, message: discord.Message, context: MemoryContext) -> Answer:
        """Let the model word an answer; if it was given what may not be heard any more, once more from what is left."""
        for _ in range(_WORDED_AT_MOST):
            text = await self._ask(llm, message, context)
            left = await _check(message, partial(self.memory.recheck, context))
            if left == context:
                return Answer(text, context.memories)
            context = left
        return Answer(responder.NOTHING)

    async def _ask(self, llm: ChatModel, message: discord.Message, context: MemoryContext) -> str:
        prompt = build_reply_prompt(
            name=self.name,
            memories=context.to_prompt_string(self.memory.config.retrieval.max_prompt_tokens),
            speaker=message.author.display_name,
            text=spoken_text(message, self._called),
        )
        conversation = [ChatMessage("system", prompt.system), ChatMessage("user", prompt.user)]
        account = audience_of(message.channel).account_of(context.user_id)
        return await llm.complete(conversation, max_tokens=self.memory.config.llm.max_reply_tokens, account=account)

    # From memory alone

    async def _answer_from_memory(self, message: discord.Message, context: MemoryContext) -> Answer:
        text = spoken_text(message, self._called)
        if not text:
            return Answer(responder.GREETING)
        if reason := self.memory.rejection.why_reject(self._name.sub("", text)):
            return Answer(responder.small_talk(reason))
        if responder.asks_who_she_is(text):
            return Answer(responder.introduce(self.name))
        if not responder.is_question(text):
            return Answer(await self._acknowledge(message, text, context))

        return await self._answer_by_heart(message, text, context) or await self._search(message, text, context)

    async def _search(self, message: discord.Message, text: str, context: MemoryContext) -> Answer:
        owner, place = context.user_id, audience_of(message.channel)
        question = source_id_of(message.id)  # it may be among the memories by now
        if responder.asks_for_anything(text):
            try:
                recent = await self.memory.list_memories(owner, limit=_LISTED, audience=place)
            except StoreError:
                recent = context.working
            said = [memory for memory in recent if memory.memory_type is not MemoryType.IDENTITY]  # that is the profile
            statements, names = await self._may_tell(message, owner, responder.statements_among(said, but=question))
            recounted = responder.recount(statements, reader=owner, names=names)
            if not asks_for_knowledge(text):
                return recounted
            left = await _check(message, partial(self.memory.recheck, context))
            if not (profile := tell_all(left.identity)):
                return recounted
            return Answer(f"{profile}\n\n{recounted.text}" if statements else profile, recounted.used)

        away = ""
        try:
            # The very text that was heard, so that its vector is at hand. The context alone would not do: what was
            # said lately is part of it whether it answers the question or not.
            channel = linked_channel_of(message.channel)
            found = await self.memory.search(owner, text, limit=_SEARCHED, audience=place, channel_id=channel)
            memories = found.memories
        except StoreError:
            memories = []
            away = "\n-# I can't reach my long-term memory right now; I only know what was said lately."
        seen = {memory.id for memory in memories}
        lately = [*context.working, *(context.project.recent if context.project else [])]
        unseen = [memory for memory in lately if memory.id not in seen]  # still on their way to the search
        near = responder.near(responder.statements_among(memories, but=question))
        shared_words = responder.sharing_words(text, responder.statements_among(unseen, but=question))
        best, names = await self._may_tell(message, owner, near or shared_words)
        answer = responder.answer(best, reader=owner, names=names)
        return Answer(answer.text + away, answer.used)

    async def _answer_by_heart(self, message: discord.Message, text: str, context: MemoryContext) -> Answer | None:
        """Answer from what is known of the person, with what it rests on; None if that isn't what is asked for."""
        attribute = attribute_asked(text)
        if attribute is None or attribute not in context.identity:
            return None
        left = await _check(message, partial(self.memory.recheck, context))
        if attribute not in left.identity:
            return None
        owner, said = context.user_id, tell(attribute, left.identity[attribute])
        try:
            lines = [line for line in await self.memory.get_profile(owner) if line.fact.attribute == attribute]
        except StoreError:
            lines = []
        evidence = [m for line in lines for m in line.evidence if m.memory_type is not MemoryType.IDENTITY]
        newest = sorted(evidence, key=lambda memory: memory.created_at, reverse=True)
        told, names = await self._may_tell(message, owner, newest)
        if not told:
            return Answer(said)
        cited = responder.recount(told[:1], reader=owner, names=names)
        return Answer(f"{said}\n{cited.text}", cited.used)

    async def _acknowledge(self, message: discord.Message, text: str, context: MemoryContext) -> str:
        """Promise to remember what will be, and nothing else."""
        if {Degradation.HOT_LAYER, Degradation.LONG_TERM} <= set(context.degraded):
            return responder.FORGETFUL
        unwanted = (await self.memory.get_preferences(context.user_id)).why_not_stored(utc_now())
        if unwanted or not await self._is_captured(message):
            return responder.UNKEPT
        return responder.acknowledge(text, message.id)

    async def _is_captured(self, message: discord.Message) -> bool:
        try:
            return (await self.memory.channel_links.get_settings(linked_channel_of(message.channel))).is_captured
        except StoreError:
            return True

    async def _may_tell(
        self, message: discord.Message, owner: str, memories: Sequence[Memory]
    ) -> tuple[list[Memory], dict[str, str]]:
        """Return those of the memories that may be told at this moment, and what their speakers are called."""
        kept = await _check(message, partial(self.memory.still_heard, owner, memories))
        told = with_todays_names(self.bot, message.guild, kept)
        return told, names_of_speakers(self.bot, message.guild, told)

    # Replies

    async def _reply(self, message: discord.Message, answer: str) -> discord.Message:
        """Send it without previews of links, which somebody else may have said."""
        text = answer if len(answer) <= MAX_MESSAGE_CHARS else f"{answer[: MAX_MESSAGE_CHARS - 1]}…"
        if message.guild is None or message.channel.permissions_for(message.guild.me).read_message_history:
            reference = message.to_reference(fail_if_not_exists=False)
            return await message.channel.send(
                text, reference=reference, mention_author=False, suppress_embeds=True, allowed_mentions=NO_MENTIONS
            )
        return await message.channel.send(text, suppress_embeds=True, allowed_mentions=NO_MENTIONS)

    async def _note(self, owner: str, reply: discord.Message, used: Sequence[Memory]) -> None:
        try:
            await self.memory.note_reply(owner, source_id_of(reply.id), used)
        except StoreError as error:
            log.info("Reply %d can't be explained later: %s", reply.id, error)


async def _check(message: discord.Message, limit: Callable[..., Awaitable[T]]) -> T:
    """Return what is left of something where a message was said, asking again if permissions changed meanwhile."""
    place = message.channel
    while True:
        audience = audience_of(place)
        left = await limit(audience=audience, channel_id=linked_channel_of(place))
        if audience_of(place).heard() == audience.heard():
            return left


def _may_answer(message: discord.Message) -> bool:
    if message.guild is None:
        return True
    permissions = message.channel.permissions_for(message.guild.me)
    if isinstance(message.channel, discord.Thread):
        return permissions.send_messages_in_threads
    return permissions.send_messages


async def setup(bot: commands.Bot) -> None:
    """Add the cog."""
    await bot.add_cog(ClaraCog(bot, await acquire_memory(bot, __name__)))


async def teardown(bot: commands.Bot) -> None:
    """Give the memory back."""
    await release_memory(bot, __name__)
