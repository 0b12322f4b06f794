"""Putting right what is remembered: what its owner decided outlives edits, replays and outages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import pytest

from cortex_core import Audience, IncomingMessage, MemoryManager, MemoryStatus, StoreUnavailableError
from cortex_core.models import utc_now
from cortex_core.stores.postgres import candidates
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.scope import Scope

HERE = Audience.channel(1, 10)


def said(text: str, *, user_id: str = "ann", source_id: str = "m1", audience: Audience = HERE) -> IncomingMessage:
    return IncomingMessage(
        user_id=user_id,
        text=text,
        source_id=source_id,
        channel_id="hangar",
        created_at=utc_now(),
        author_name=user_id.title(),
        audience=audience,
    )


async def told(memory: MemoryManager, message: IncomingMessage) -> UUID:
    result = await memory.remember(message)
    await memory.flush()
    assert result.success
    return UUID(result.memory_id)


async def heard_here(memory: MemoryManager, query: str) -> set[str]:
    context = await memory.get_context("ann", query, audience=HERE, channel_id="hangar")
    checked = await memory.recheck(context, audience=HERE, channel_id="hangar")
    assert {m.id for m in checked.memories} == {m.id for m in context.memories}
    return {m.content for m in context.memories}


class TestNotHere:
    SALARY, QUESTION = "My salary is 91,500 crowns.", "What is my salary?"

    @pytest.mark.parametrize("again", ["replayed", "edited", "edited before it was written"])
    async def test_stays_so_when_the_message_comes_again(self, memory: MemoryManager, again: str):
        message = said(self.SALARY)
        memory_id = await told(memory, message)
        assert await heard_here(memory, self.QUESTION) == {self.SALARY}
        await memory.set_audience("ann", memory_id, Audience.owner())

        edited_at = None if again == "replayed" else message.created_at + timedelta(minutes=1)
        text = self.SALARY if again == "replayed" else "My salary is 91,500 crowns, I said."
        await memory.remember(message.model_copy(update={"text": text}), edited_at=edited_at)
        if again != "edited before it was written":
            await memory.flush()

        assert await heard_here(memory, self.QUESTION) == set()
        assert {m.content for m in (await memory.get_context("ann", self.QUESTION)).memories} <= {text, self.SALARY}
        await memory.flush()
        assert [m.content for m in (await memory.search("ann", self.QUESTION)).memories] == [text]

    async def test_takes_it_back_from_a_project_too(self, memory: MemoryManager):
        await memory.project_memory.create_project("p", "P", "ann", ["ben"])
        await memory.channel_links.link_channel("hangar", "p")
        memory_id = await told(memory, said(self.SALARY))
        assert (await memory.project_memory.search("p", "salary", user_id="ben")).memories

        await memory.set_audience("ann", memory_id, Audience.owner())

        assert (await memory.project_memory.search("p", "salary", user_id="ben")).memories == []


class TestRetired:
    async def test_it_does_not_come_back_by_a_replay(self, memory: MemoryManager):
        message = said("My cat is called Miso.")
        await memory.retire("ann", await told(memory, message))
        await memory.remember(message)

        assert await heard_here(memory, "What is my cat called?") == set()

    async def test_a_corrected_wording_is_a_new_statement(self, memory: MemoryManager):
        message = said("My cat is called Misu.")
        memory_id = await told(memory, message)
        await memory.retire("ann", memory_id)

        await memory.remember(
            message.model_copy(update={"text": "My cat is called Miso."}), edited_at=utc_now() + timedelta(seconds=1)
        )
        await memory.flush()

        kept = await memory.get("ann", memory_id)
        assert (kept.status, kept.valid_to, kept.content) == (MemoryStatus.ACTIVE, None, "My cat is called Miso.")
        assert await heard_here(memory, "What is my cat called?") == {"My cat is called Miso."}


class TestProjects:
    async def test_an_edit_after_unlinking_leaves_a_memory_with_its_project(self, memory: MemoryManager):
        await memory.project_memory.create_project("p", "P", "ann", ["ben"])
        await memory.channel_links.link_channel("hangar", "p")
        message = said("The launch is on Fryday.")
        await told(memory, message)
        await memory.channel_links.unlink_channel("hangar")

        await memory.remember(
            message.model_copy(update={"text": "The launch is on Friday."}), edited_at=utc_now() + timedelta(seconds=1)
        )
        await memory.flush()

        [found] = (await memory.project_memory.search("p", "When is the launch?", user_id="ben")).memories
        assert found.content == "The launch is on Friday."

    async def test_a_larger_project_of_the_same_person_hides_nothing(
        self, memory: MemoryManager, monkeypatch: pytest.MonkeyPatch
    ):
        for project_id, count in (("large", 2_100), ("small", 30)):
            await memory.project_memory.create_project(project_id, project_id, "ann", ["ben"])
            async with memory.postgres.pool.connection() as connection:
                await connection.execute(
                    "INSERT INTO memories (user_id, id, project_id, audience, memory_type, content, content_hash, "
                    "emotional_score, importance, confidence, created_at, valid_from, source) "
                    "SELECT 'ann', gen_random_uuid(), $1, 'owner', 'episodic', 'concrete of ' || $1, '', 0, 0, 1, "
                    "now(), now(), 'test' FROM generate_series(1, $2::int)",
                    project_id,
                    count,
                )
        monkeypatch.setattr(candidates, "MANY", 10)

        found = await memory.project_memory.search("small", "concrete", user_id="ben")

        assert {m.project_id for m in found.memories} == {"small"}

    async def test_who_opted_out_hears_no_project(self, memory: MemoryManager):
        await memory.project_memory.create_project("p", "P", "ann", ["ben"])
        await memory.project_memory.store_project_memory("p", "The launch is on Friday.", "ann")
        await memory.flush()
        await memory.change_preferences("ben", opted_out=True)

        assert (await memory.search("ben", "When is the launch?", "p")).memories == []
        assert await memory.postgres.list_open_projects(Scope.shared("ben", Audience.owner())) == []


class TestOutages:
    @pytest.fixture
    def postgres_away(self, monkeypatch: pytest.MonkeyPatch):
        @asynccontextmanager
        async def refuse(_self: Pool) -> AsyncIterator[Connection]:
            raise StoreUnavailableError("PostgreSQL is away.")
            yield

        return lambda: monkeypatch.setattr(Pool, "connection", refuse)

    async def test_a_channel_that_can_not_be_asked_about_is_not_listened_to(
        self, memory: MemoryManager, postgres_away, monkeypatch: pytest.MonkeyPatch
    ):
        postgres_away()
        result = await memory.remember(said("The door code is 4711."))
        in_private = await memory.remember(said("My cat is called Miso.", source_id="m2", audience=Audience.owner()))
        working = (await memory.get_context("ann")).working
        monkeypatch.undo()

        assert (result.success, result.is_unwanted) == (False, False)
        assert "try again later" in result.error
        assert in_private.success
        assert [m.content for m in working] == ["My cat is called Miso."]

    async def test_wishes_and_silence_are_heeded_while_postgres_is_away(
        self, memory: MemoryManager, postgres_away, monkeypatch: pytest.MonkeyPatch
    ):
        await memory.change_preferences("ann", opted_out=True)
        await memory.channel_links.set_capture("hangar", is_captured=False)
        postgres_away()

        assert (await memory.remember(said("My secret."))).is_unwanted
        assert (await memory.store("ann", "My secret.")).is_unwanted
        assert (await memory.remember(said("His secret.", user_id="ben"))).is_unwanted
        monkeypatch.undo()
