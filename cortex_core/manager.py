"""MemoryManager: what hosts hold (TDD 4.3). It delegates; the rooms below do the work."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue, ValidationError

from cortex_core.audience import Audience
from cortex_core.cleaning import clean_text
from cortex_core.forgetting.export import Export
from cortex_core.ingestion.intake import IncomingMessage, NewMemory, memory_id_of, refusal, version_of
from cortex_core.knowledge.identity import ProfileEntry, key_of
from cortex_core.models import (
    MAX_VERSION,
    Deletion,
    Fact,
    Memory,
    MemoryType,
    Preferences,
    Receipt,
    SearchResult,
    StoreResult,
)
from cortex_core.opening import OpenParts
from cortex_core.recall.context import MemoryContext
from cortex_core.recall.replies import Explanation
from cortex_core.stores.keys import check_user_id
from cortex_core.stores.postgres.corrections import Correction, CorrectionAnswer


class MemoryManager(OpenParts):
    """Long-term memory for a bot.

    Open it outside the bot and hand it in, or let an extension open one::

        async with MemoryManager(load_config()) as memory:
            await memory.store("discord-1", "My cat is called Miso.")
            context = await memory.get_context("discord-1", "What is my cat called?")
            prompt = context.to_prompt_string()

    Every call names the owner. `audience` is the place: where something was said when storing, where the answer will
    be heard when recalling. Without one it is the owner alone: stored most privately, recalled as in a direct message.

    Args:
        config: All settings.
        embedder: One of the host's own, instead of the one that the settings name; it stays open.
    """

    # Storing

    async def store(
        self,
        user_id: str,
        content: str,
        *,
        memory_type: MemoryType = MemoryType.EPISODIC,
        project_id: str | None = None,
        emotional_score: float | None = None,
        metadata: dict[str, JsonValue] | None = None,
        created_at: datetime | None = None,
        source_id: str | None = None,
        channel_id: str | None = None,
        author_id: str | None = None,
        author_name: str | None = None,
        audience: Audience | None = None,
        source: str = "conversation",
        tags: Sequence[str] = (),
        edited_at: datetime | None = None,
    ) -> StoreResult:
        """Store a memory and return as soon as it is safe; Postgres and the vector follow.

        Args:
            user_id: The owner.
            content: What was said. Over-long content is cut or refused (`ingestion.over_long`).
            memory_type: What kind of thing it is.
            project_id: The project it belongs to; it stays the owner's alone if that isn't one of the owner's.
            emotional_score: 0 to 1; by lexicon when absent.
            metadata: JSON of the caller's own, given back unchanged.
            created_at: When it was said, with a time zone; now when absent.
            source_id: What it was made from; the same source of the same owner is the same memory.
            channel_id: Where in the conversation it belongs.
            author_id: Who said it; the owner when absent.
            author_name: That person's name at the time.
            audience: Where it was said.
            source: How it entered, `conversation` unless told otherwise.
            tags: Labels; `pinned` protects it against decay.
            edited_at: The time of an edit; the content then replaces what the source held before.

        Returns:
            A result whose `success` is false, with a sentence in `error`, if it could not be made safe.
        """
        try:
            new = NewMemory(
                content=content,
                memory_type=memory_type,
                project_id=project_id,
                emotional_score=emotional_score,
                metadata=metadata,
                created_at=created_at,
                source_id=source_id,
                channel_id=channel_id,
                author_id=author_id,
                author_name=author_name,
                audience=audience or Audience.owner(),
                source=source,
                tags=tuple(tags),
                edited_at=edited_at,
            )
        except ValidationError as error:
            return StoreResult(success=False, error=str(refusal(error)))
        return await self._open_parts.recorder.store(user_id, new)

    async def store_many(self, user_id: str, memories: Sequence[NewMemory]) -> list[StoreResult]:
        """Store memories in their order and answer for each, as `store` does."""
        return await self._open_parts.recorder.store_many(user_id, memories)

    async def flush(self) -> None:
        """Wait until everything stored so far is in Postgres with its vector, and was read for facts by the rules.

        Raises:
            StoreUnavailableError: A store has been away for ten seconds.
            ProviderUnavailableError: The embedder has.
        """
        await self._open_parts.writer.drain()
        await self._open_parts.vectorizer.drain()
        await self._open_parts.analysis.drain()
        await self._open_parts.accesses.flush()

    # Recalling

    async def hear(
        self, message: IncomingMessage, on_context: Callable[[MemoryContext], None] | None = None
    ) -> StoreResult:
        """Take part in a conversation: recall what answers a message, hand that out, then remember the message.

        Args:
            message: As it was said.
            on_context: Gets the context before the message itself is stored, so that it is never its own memory.
        """
        return await self._open_parts.group.hear(message, on_context)

    async def remember(self, message: IncomingMessage, *, edited_at: datetime | None = None) -> StoreResult:
        """Remember a message as `hear` does, without recalling anything for it, or its wording after an edit."""
        return await self._open_parts.group.remember(message, edited_at=edited_at)

    async def get_group_context(
        self,
        message: str,
        author_id: str,
        channel_id: str,
        *,
        mentioned: bool = False,
        audience: Audience | None = None,
        asked_at: datetime | None = None,
    ) -> MemoryContext | None:
        """Return what is known for a message of a group (TDD 9.2): its author's memories and its channel's project.

        Name the `audience` if anybody but the author can hear the answer: without it, it is as in a direct message.

        Args:
            message: What was said.
            author_id: By whom.
            channel_id: In which channel.
            mentioned: Whether the bot was; if not, None is the answer to what needs no memory.
            audience: Who can hear the answer.
            asked_at: When it was said, with its time zone.

        Raises:
            InvalidInputError: The author's id or the message can't be one.
        """
        return await self._open_parts.group.get_context_for_message(
            message, author_id, channel_id, mentioned=mentioned, audience=audience, asked_at=asked_at
        )

    async def get_context(
        self,
        user_id: str,
        query: str | None = None,
        project_id: str | None = None,
        *,
        channel_id: str | None = None,
        skip_retrieval: bool = False,
        include_working: bool = True,
        max_retrieved: int | None = None,
        audience: Audience | None = None,
        asked_at: datetime | None = None,
    ) -> MemoryContext:
        """Return what is known for a turn: identity, session, working memory and, given a query, what answers it.

        It always answers; `degraded` tells what it had to go without. What it retrieved counts as used.

        Args:
            user_id: The one who speaks.
            query: What they say.
            project_id: Let this project share, if they belong to it.
            channel_id: Where they say it: the project that it is linked with shares, in private all of theirs.
            skip_retrieval: Look for nothing.
            include_working: Whether recent memories belong to it.
            max_retrieved: The most to retrieve; `retrieval.max_retrieved` when absent.
            audience: Who can hear the answer.
            asked_at: "This morning" in a query counts from then, in its time zone; from now in UTC when absent.

        Raises:
            InvalidInputError: The user id or the query can't be one.
        """
        context = await self._open_parts.contexts.build(
            user_id,
            None if skip_retrieval else query,
            audience=audience or Audience.owner(),
            channel_id=channel_id,
            project_id=project_id,
            include_working=include_working,
            max_retrieved=max_retrieved,
            asked_at=asked_at,
        )
        self.count_use(context.retrieved)
        return context

    async def recheck(
        self, context: MemoryContext, *, audience: Audience | None = None, channel_id: str | None = None
    ) -> MemoryContext:
        """Return a context without what may not be heard in a place any more.

        Ask right before you say what a language model made of it: meanwhile permissions and members may have changed,
        and memories may have been forgotten.
        """
        return await self._open_parts.recheck.limit_context(
            context, audience=audience or Audience.owner(), channel_id=channel_id
        )

    async def still_heard(
        self,
        user_id: str,
        memories: Sequence[Memory],
        *,
        audience: Audience | None = None,
        channel_id: str | None = None,
    ) -> list[Memory]:
        """Return those of the memories that a user may hear in a place at this moment, in their order."""
        return await self._open_parts.recheck.limit(
            user_id, memories, audience=audience or Audience.owner(), channel_id=channel_id
        )

    def count_use(self, memories: Iterable[Memory]) -> None:
        """Note that an answer drew on these memories, which makes them easier to recall; it is written later."""
        self._open_parts.accesses.count(memories)

    async def search(
        self,
        user_id: str,
        query: str,
        project_id: str | None = None,
        *,
        channel_id: str | None = None,
        memory_types: Sequence[MemoryType] | None = None,
        limit: int = 20,
        audience: Audience | None = None,
        asked_at: datetime | None = None,
        explain: bool = False,
    ) -> SearchResult:
        """Return the memories that answer the query best.

        Args:
            user_id: The owner.
            query: A question or keywords; what it asks about time ("now", "last week", "in May") aims the search.
            project_id: The project whose memories count beside the personal ones, if they belong to it.
            channel_id: The channel whose project's memories count likewise; in private those of all their projects.
            memory_types: Only these.
            limit: The most to return.
            audience: Where the answer will be heard.
            asked_at: When, with the asker's time zone; now (UTC) when absent.
            explain: Give each memory the parts of its score.

        Raises:
            InvalidInputError: The user id or the query can't be one.
            StoreUnavailableError: Postgres is away.
        """
        if (await self.get_preferences(user_id)).opted_out:
            return SearchResult(memories=[], total_count=0, search_time_ms=0)
        return await self._open_parts.searcher.search(
            user_id,
            query,
            audience=audience or Audience.owner(),
            channel_id=channel_id,
            project_id=project_id,
            memory_types=memory_types,
            limit=limit,
            asked_at=asked_at,
            explain=explain,
        )

    async def get(self, user_id: str, memory_id: UUID) -> Memory | None:
        """Return the owner's memory of that id; None for what is unknown and for what is another's."""
        return await self._open_parts.postgres.get(check_user_id(user_id), memory_id)

    async def get_by_source(self, user_id: str, source_id: str) -> Memory | None:
        """Return the owner's memory that was made from a source, also if that was said a moment ago."""
        await self._open_parts.writer.drain()
        return await self._open_parts.postgres.get_by_source(check_user_id(user_id), clean_text(source_id))

    async def list_memories(
        self,
        user_id: str,
        *,
        memory_types: Sequence[MemoryType] | None = None,
        since: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
        audience: Audience | None = None,
    ) -> list[Memory]:
        """Return the owner's memories, newest first."""
        return await self._open_parts.postgres.get_memories(
            check_user_id(user_id),
            audience=audience,
            memory_types=memory_types,
            since=since,
            limit=limit,
            offset=offset,
        )

    async def count_memories(
        self,
        user_id: str,
        *,
        memory_types: Sequence[MemoryType] | None = None,
        since: datetime | None = None,
        audience: Audience | None = None,
    ) -> int:
        """Return how many `list_memories` would list without a limit."""
        return await self._open_parts.postgres.count_memories(
            check_user_id(user_id), audience=audience, memory_types=memory_types, since=since
        )

    # Sessions and identity

    async def start_session(
        self, user_id: str, initial_context: Mapping[str, JsonValue] | None = None
    ) -> dict[str, JsonValue]:
        """Start a conversation afresh and return its state (TDD 4.4)."""
        return await self._open_parts.sessions.start(user_id, initial_context)

    async def update_session(self, user_id: str, updates: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
        """Change some of the session's fields and return its state."""
        return await self._open_parts.sessions.update(user_id, updates)

    async def end_session(self, user_id: str) -> int:
        """End the session; fleeting memories of strong emotion stay as episodes. Returns how many those are."""
        return await self._open_parts.sessions.end(user_id)

    async def update_identity(
        self,
        user_id: str,
        key: str,
        value: JsonValue,
        *,
        audience: Audience | None = None,
        source: str = "identity_update",
        confidence: float = 1.0,
        replaces: JsonValue = None,
        is_beside: bool = False,
    ) -> Fact:
        """Let an attribute have this value from now on; the value before it stays in the history (TDD 4.5).

        Of an attribute that is declared to hold many, a list gives them all; one value takes the place of all, of the
        one that it `replaces`, or of none if it holds beside them. Returns the last fact.
        """
        return await self._open_parts.identity.update(
            user_id,
            key,
            value,
            audience=audience or Audience.owner(),
            source=source,
            confidence=confidence,
            replaces=replaces,
            is_beside=is_beside,
        )

    async def get_identity(self, user_id: str, *, audience: Audience | None = None) -> dict[str, JsonValue]:
        """Return what is durably true of a user: attribute → value, or the list of values where there are many."""
        identity = await self._open_parts.identity.get(user_id)
        return identity.heard_by(audience or Audience.owner())

    async def get_identity_as_of(
        self, user_id: str, at: datetime, *, audience: Audience | None = None
    ) -> dict[str, JsonValue]:
        """Return what was taken to be true of a user at a time, as `get_identity` does."""
        identity = await self._open_parts.identity.as_of(user_id, at)
        return identity.heard_by(audience or Audience.owner())

    async def count_memories_as_of(self, user_id: str, at: datetime) -> int:
        """Return how many memories somebody had told by a time, whatever became of them since but being forgotten."""
        return await self._open_parts.postgres.count_told(check_user_id(user_id), at)

    async def get_profile(self, user_id: str) -> list[ProfileEntry]:
        """Return what is durably true of a user, each with the memories that it rests on."""
        return await self._open_parts.identity.get_profile(user_id)

    async def set_identity_audience(
        self, user_id: str, key: str, audience: Audience, *, value: JsonValue = None
    ) -> None:
        """Let an attribute, or the named one of its values, surface there from now on, more or less widely than before.

        Raises:
            NotFoundError: Nothing is known under that name.
            StoreUnavailableError: A store is away.
        """
        await self._open_parts.identity.set_audience(user_id, key, audience, value=value)

    async def get_identity_history(self, user_id: str, key: str | None = None) -> list[Fact]:
        """Return every value that ever held, oldest first."""
        return await self._open_parts.identity.history(user_id, key)

    # Putting right

    async def list_corrections(self, user_id: str) -> list[Correction]:
        """Return the questions to somebody about facts that they seem to have contradicted, oldest first."""
        return await self._open_parts.facts.list_corrections(user_id)

    async def answer_correction(
        self, user_id: str, correction_id: UUID, answer: CorrectionAnswer, *, changed_on: datetime | None = None
    ) -> Correction:
        """Do what somebody answers to such a question; raises as `FactKeeper.answer` tells."""
        return await self._open_parts.corrections.answer(user_id, correction_id, answer, changed_on=changed_on)

    async def note_reply(self, user_id: str, reply_id: str, memories: Sequence[Memory]) -> None:
        """Note that a reply to somebody drew on these memories, so that `explain_reply` can tell.

        What a search found counts as used by that.

        Raises:
            StoreUnavailableError: Redis is away; the reply can't be explained later.
        """
        self.count_use(memory for memory in memories if memory.score is not None)
        await self._open_parts.replies.add(user_id, reply_id, memories)

    async def explain_reply(self, user_id: str, reply_id: str | None = None) -> Explanation | None:
        """Return what a reply to somebody, the last one unless told otherwise, drew on; None if that isn't known."""
        return await self._open_parts.replies.explain(user_id, reply_id)

    async def pin(self, user_id: str, memory_id: UUID) -> None:
        """Protect a memory against decay; raises as `retire` does."""
        await self._open_parts.writer.drain()
        await self._open_parts.curator.pin(user_id, memory_id)

    async def retire(self, user_id: str, memory_id: UUID, *, was_wrong: bool = False) -> None:
        """Let a memory that is outdated be recalled no more; it stays in the history.

        Args:
            user_id: Its owner.
            memory_id: Which.
            was_wrong: It never held: what was known before it holds again.

        Raises:
            NotFoundError: There is no such memory of theirs.
            StoreUnavailableError: A store is away; repeat it later.
        """
        await self._open_parts.writer.drain()  # it may still be on its way
        await self._open_parts.curator.retire(user_id, memory_id, was_wrong=was_wrong)

    async def set_audience(self, user_id: str, memory_id: UUID, audience: Audience) -> None:
        """Let a memory surface there from now on; raises as `retire` does."""
        await self._open_parts.writer.drain()
        await self._open_parts.curator.set_audience(user_id, memory_id, audience)

    # Wishes

    async def get_preferences(self, user_id: str) -> Preferences:
        """Return what somebody wishes for all that they say."""
        return await self._open_parts.preferences.get(user_id)

    async def change_preferences(self, user_id: str, **changes: bool | datetime | None) -> Preferences:
        """Change some of `Preferences`' fields and return all of them; in force when it returns.

        Raises:
            InvalidInputError, StoreUnavailableError, NotSpreadError: As `PreferenceKeeper.change` tells.
        """
        return await self._open_parts.preferences.change(user_id, changes)

    # Forgetting

    async def forget(self, user_id: str, memory_ids: Sequence[UUID]) -> Receipt:
        """Erase memories for good, everywhere, with what was learned from them alone.

        Raises:
            StoreUnavailableError: A store is away; repeat it later.
        """
        return await self._open_parts.forgetter.forget(user_id, memory_ids)

    async def forget_identity(self, user_id: str, key: str, *, value: JsonValue = None) -> Receipt:
        """Erase an attribute, or one of its values, with its history and the memories that state it, as `forget`."""
        of_value = None if value is None else key_of(value)
        return await self._open_parts.forgetter.forget_attribute(user_id, key, value_key=of_value)

    async def forget_everything(self, user_id: str) -> Receipt:
        """Erase all that is known of an owner; raises as `forget` does."""
        return await self._open_parts.forgetter.forget_everything(user_id)

    async def forget_source(
        self, source_id: str, *, owner: str | None = None, edited_at: datetime | None = None
    ) -> list[Receipt]:
        """Erase what was made from a source that was deleted, for everybody who owns such a memory.

        With a server away it is done as soon as that is back, and there are no receipts.

        Args:
            source_id: As it was given to `store`.
            owner: Who is known to own one; without it a memory that is still on its way fades from working memory.
            edited_at: The time of an edit that left nothing to remember; a later edit may be stored again.
        """
        version = version_of(edited_at) if edited_at else MAX_VERSION
        source_id = clean_text(source_id)  # as it was stored
        deletion = Deletion(
            source_id=source_id,
            memory_id=memory_id_of(source_id),
            owner=check_user_id(owner) if owner else None,
            up_to_version=version,
        )
        return await self._open_parts.forgetter.forget_source(deletion)

    async def leave_guild(self, guild_id: int, user_id: str | None = None, *, now: datetime | None = None) -> datetime:
        """Let what was said in a server be forgotten some time after somebody, or the bot (None), left; return when.

        That is `forgetting.retention_days` from the first call on. Being heard there again takes it back by itself.

        Raises:
            InvalidInputError, StoreUnavailableError: An id can't be one; Postgres is away.
        """
        return await self._open_parts.retention.leave(guild_id, user_id, now=now)

    async def return_to_guild(self, guild_id: int, user_id: str | None = None) -> bool:
        """Take `leave_guild` back, and tell whether there was anything to take back; raises as that does."""
        return await self._open_parts.retention.come_back(guild_id, user_id)

    # Export

    async def export(self, user_id: str) -> Export:
        """Return everything that is kept about somebody, what is still on its way included; raises as `forget` does."""
        await self._open_parts.writer.drain()
        return await self._open_parts.exporter.export(user_id)
