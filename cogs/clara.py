"""ClaraCog: the reference bot's voice. It answers those who speak to it, from the context that MemoryCog hands out."""

import logging
import re

import discord
from discord.ext import commands

from cortex_core import (
    ChatMessage,
    ChatModel,
    Degradation,
    MemoryContext,
    MemoryManager,
    ProviderError,
    StoreError,
    StoreResult,
)
from cortex_core.prompts import build_reply_prompt

from . import _responder as responder
from ._audience import audience_of
from ._errors import NO_MENTIONS
from ._lifecycle import acquire_memory, release_memory
from ._messages import called_name, source_id_of, spoken_text
from ._responder import Answer
from ._wording import MAX_MESSAGE_CHARS

log = logging.getLogger("cortex.discord")

_SEARCHED = 50
_LISTED = 200


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

    @commands.Cog.listener()
    async def on_cortex_context(self, message: discord.Message, context: MemoryContext) -> None:
        """Answer if the message is for Clara and she may write there."""
        if not (self._is_addressed(message) and _may_answer(message)):
            return
        try:
            answer = await self._word_answer(message, context)
            await self._reply(message, answer.text)
            self.memory.count_use(answer.used)
        except Exception:
            log.exception("Message %d was not answered.", message.id)

    @commands.Cog.listener()
    async def on_cortex_refused(self, message: discord.Message, result: StoreResult) -> None:
        """Own up that a message for Clara could not be remembered."""
        if not (self._is_addressed(message) and _may_answer(message)):
            return
        try:
            await self._reply(message, f"I could not keep that: {result.error}")
        except Exception:
            log.exception("The author of message %d was not told that it could not be remembered.", message.id)

    def _is_addressed(self, message: discord.Message) -> bool:
        me = self.bot.user
        replied_to = message.reference.resolved if message.reference else None
        return (
            isinstance(message.channel, discord.DMChannel)
            or me in message.mentions
            or (isinstance(replied_to, discord.Message) and replied_to.author == me)
            or (self._called is not None and self._name.search(message.content) is not None)
        )

    async def _word_answer(self, message: discord.Message, context: MemoryContext) -> Answer:
        llm = self.memory.llm
        if llm is None:
            return await self._answer_from_memory(message, context)
        try:
            async with message.channel.typing():
                return Answer(await self._ask(llm, message, context), context.retrieved)
        except ProviderError as error:
            log.warning("Message %d is answered without the language model: %s", message.id, error)
            answer = await self._answer_from_memory(message, context)
            note = "\n-# My language model isn't available right now; this comes straight from my memory."
            return Answer(answer.text + note, answer.used)

    async def _ask(self, llm: ChatModel, message: discord.Message, context: MemoryContext) -> str:
        prompt = build_reply_prompt(
            name=self.name,
            memories=context.to_prompt_string(self.memory.config.retrieval.max_prompt_tokens),
            speaker=message.author.display_name,
            text=spoken_text(message, self._called),
        )
        conversation = [ChatMessage("system", prompt.system), ChatMessage("user", prompt.user)]
        return await llm.complete(conversation, max_tokens=self.memory.config.llm.max_reply_tokens)

    async def _answer_from_memory(self, message: discord.Message, context: MemoryContext) -> Answer:
        text = spoken_text(message, self._called)
        if not text:
            return Answer(responder.GREETING)
        if reason := self.memory.rejection.why_reject(self._name.sub("", text)):
            return Answer(responder.small_talk(reason))
        if responder.asks_who_she_is(text):
            return Answer(responder.introduce(self.name))
        if not responder.is_question(text):
            lost = {Degradation.HOT_LAYER, Degradation.LONG_TERM} <= set(context.degraded)
            return Answer(responder.FORGETFUL if lost else responder.acknowledge(text, message.id))

        owner, place = context.user_id, audience_of(message.channel)
        question = source_id_of(message.id)  # it may be among the memories by now
        try:
            if responder.asks_for_anything(text):
                recent = await self.memory.list_memories(owner, limit=_LISTED, audience=place)
                return responder.recount(responder.statements_among(recent, but=question))
            # The very text that was heard, so that its vector is at hand. The context alone would not do: what was
            # said lately is part of it whether it answers the question or not.
            found = (await self.memory.search(owner, text, limit=_SEARCHED, audience=place)).memories
            away = ""
        except StoreError:
            found = []
            away = "\n-# I can't reach my long-term memory right now; I only know what was said lately."
        seen = {memory.id for memory in found}
        unseen = [memory for memory in context.working if memory.id not in seen]  # still on their way to the search
        near = responder.near(responder.statements_among(found, but=question))
        lately = responder.sharing_words(text, responder.statements_among(unseen, but=question))
        answer = responder.answer(near or lately)
        return Answer(answer.text + away, answer.used)

    async def _reply(self, message: discord.Message, answer: str) -> None:
        text = answer if len(answer) <= MAX_MESSAGE_CHARS else f"{answer[: MAX_MESSAGE_CHARS - 1]}…"
        if message.guild is None or message.channel.permissions_for(message.guild.me).read_message_history:
            reference = message.to_reference(fail_if_not_exists=False)
            await message.channel.send(text, reference=reference, mention_author=False, allowed_mentions=NO_MENTIONS)
        else:
            await message.channel.send(text, allowed_mentions=NO_MENTIONS)


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
