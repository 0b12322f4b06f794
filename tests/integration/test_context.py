"""What Clara gets for a turn: in two round trips, nothing twice, nothing that may not be heard."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch
from uuid import UUID

import asyncpg
import pytest
import redis.asyncio as redis
import uuid_utils.compat as uuid7

from cortex_core import (
    Audience,
    Degradation,
    InvalidInputError,
    MemoryConfig,
    MemoryContext,
    MemoryManager,
    MemoryType,
    NewMemory,
)
from cortex_core.errors import ProviderUnavailableError
from cortex_core.ingestion.intake import IncomingMessage
from cortex_core.models import utc_now
from cortex_core.stores.keys import UserKeys
from tests.harness import ScriptedEmbedder


@pytest.fixture
async def calm(memory_config: MemoryConfig, embedder) -> AsyncIterator[MemoryManager]:
    """A memory from whose working memory everything fades within a second or so."""
    fading = memory_config.ingestion.model_copy(update={"base_ttl_seconds": 1})
    config = memory_config.model_copy(update={"ingestion": fading})
    async with MemoryManager(config, embedder=embedder) as memory:
        yield memory


@pytest.fixture(scope="module")
async def shared(shared_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    """One memory for all questions that leave nothing behind."""
    async with MemoryManager(shared_config, embedder=ScriptedEmbedder()) as memory:
        yield memory


@contextmanager
def counted_round_trips(memory: MemoryManager) -> Iterator[Counter[str]]:
    """Count what goes to Redis through the store's pool, and every statement to Postgres."""
    trips: Counter[str] = Counter()
    pool = memory.redis.client.connection_pool
    get_connection, execute = pool.get_connection, asyncpg.Connection._execute

    async def count_redis(*args, **kwargs):
        trips["redis"] += 1
        return await get_connection(*args, **kwargs)

    async def count_postgres(self, *args, **kwargs):
        trips["postgres"] += 1
        return await execute(self, *args, **kwargs)

    with (
        patch.object(pool, "get_connection", count_redis),
        patch.object(asyncpg.Connection, "_execute", count_postgres),
    ):
        yield trips


async def test_a_turn_asks_each_server_once(memory: MemoryManager):
    await memory.store("ann", "My cat is called Miso.")
    await memory.update_identity("ann", "name", "Ann")
    await memory.start_session("ann")
    await memory.flush()
    await memory.get_context("ann", "what is my cat called?")
    await memory._parts.accesses._loop.close()  # it writes every second
    await memory.flush()

    with counted_round_trips(memory) as trips:
        context = await memory.get_context("ann", "what is my cat called?")

    assert context.identity["name"] == "Ann"
    assert trips == {"redis": 1, "postgres": 2}, "one statement, after the one that says for whom it is"


async def test_without_a_query_postgres_is_not_asked(memory: MemoryManager):
    await memory.get_context("ann")
    with counted_round_trips(memory) as trips:
        await memory.get_context("ann")

    assert trips == {"redis": 1}


async def test_storing_asks_what_its_owner_wishes_and_then_costs_one_round_trip(memory: MemoryManager):
    await memory.store("ann", "the script is loaded now")
    await memory.flush()
    with counted_round_trips(memory) as trips:
        await memory.store("ann", "one more")

    assert trips["redis"] == 2


async def test_a_message_is_embedded_once_on_its_way(memory_config: MemoryConfig):
    scripted = ScriptedEmbedder()
    async with MemoryManager(memory_config, embedder=scripted) as memory:
        message = IncomingMessage(
            user_id="ann",
            text="My cat is called Miso.",
            source_id="1",
            channel_id="c",
            created_at=utc_now(),
            author_name="Ann",
        )
        contexts = []
        await memory.hear(message, contexts.append)
        await memory.flush()

        assert scripted.texts == ["My cat is called Miso."]
        assert contexts[0].retrieved == contexts[0].working == []
        [kept] = await memory.list_memories("ann")
        assert (kept.author_name, kept.channel_id, kept.source_id, kept.position) == ("Ann", "c", "1", 0)


async def test_what_was_just_stored_is_there_at_once_and_never_twice(memory: MemoryManager):
    for n in range(12):
        await memory.store("ann", f"My cat Miso did thing number {n}.")
        context = await memory.get_context("ann", "what did my cat Miso do?")
        shown = [m.content for m in (*context.working, *context.retrieved)]
        assert f"My cat Miso did thing number {n}." in shown
        assert len(shown) == len(set(shown)) == n + 1

    await memory.flush()
    block = (await memory.get_context("ann", "what did my cat Miso do?")).to_prompt_string()
    assert block.count("thing number 3.") == 1


async def test_long_term_memories_answer_when_working_memory_has_faded(calm: MemoryManager):
    await calm.store("ann", "The meeting is at three.")
    await calm.store("ann", "The cat is called Miso.")
    await calm.flush()
    await asyncio.sleep(1.1)

    context = await calm.get_context("ann", "what is the name of the cat?")

    assert context.working == []
    assert context.retrieved[0].content == "The cat is called Miso."
    assert context.retrieved[0].score is not None


async def test_nothing_relevant_is_a_valid_answer(calm: MemoryManager):
    await calm.store("ann", "The cat is called Miso.")
    await calm.flush()
    await asyncio.sleep(1.1)

    assert (await calm.get_context("ann", "quarterly tax declaration deadline")).retrieved == []


async def test_limits(memory: MemoryManager):
    for n in range(5):
        await memory.store("ann", f"cat fact {n}")
    await memory.flush()

    context = await memory.get_context("ann", "cat fact", include_working=False, max_retrieved=2)
    assert (len(context.working), len(context.retrieved)) == (0, 2)
    assert len((await memory.search("ann", "cat fact", limit=3)).memories) == 3


async def test_the_audience_is_respected_in_every_part(memory: MemoryManager):
    places = {
        "owner": Audience.owner(),
        "staff": Audience.channel(1, 10),
        "guild": Audience.guild(1),
        "elsewhere": Audience.guild(2),
    }
    for name, place in places.items():
        await memory.store("ann", f"a cat secret of {name}", audience=place)
        await memory.update_identity("ann", name, "x", audience=place)
    await memory.start_session("ann", {"secret": "owner"})
    await memory.flush()

    heard = {"owner": {*places}, "staff": {"staff", "guild"}, "guild": {"guild"}, "elsewhere": {"elsewhere"}}
    for name, place in places.items():
        for include_working in (True, False):
            context = await memory.get_context("ann", "a cat secret", audience=place, include_working=include_working)
            stories = [*context.working, *context.retrieved]
            said = {m.content.split()[-1] for m in stories if m.memory_type is not MemoryType.IDENTITY}
            assert said == heard[name]
            assert set(context.identity) == heard[name]
            assert bool(context.session) is (name == "owner")
        listed = await memory.list_memories("ann", audience=place, memory_types=[MemoryType.EPISODIC])
        assert {m.content.split()[-1] for m in listed} == heard[name]
        assert await memory.count_memories("ann", audience=place, memory_types=[MemoryType.EPISODIC]) == len(listed)


async def test_accesses_are_counted_off_the_hot_path(memory: MemoryManager):
    result = await memory.store("ann", "My cat is called Miso.")
    await memory.flush()
    for _ in range(3):
        await memory.get_context("ann", "cat", include_working=False)
    await memory.flush()

    [kept] = await memory.list_memories("ann")
    assert (str(kept.id), kept.access_count) == (result.memory_id, 3)


async def test_an_embedder_that_fails_is_named_and_words_answer(memory_config: MemoryConfig):
    def fail(_: object) -> None:
        raise ProviderUnavailableError("away")

    scripted = ScriptedEmbedder()
    async with MemoryManager(memory_config, embedder=scripted) as memory:
        await memory.store("ann", "My cat is called Miso.")
        await memory.flush()
        scripted.before = fail

        context = await memory.get_context("ann", "what are cats called?", include_working=False)

        assert context.degraded == (Degradation.VECTORS,)
        assert [m.content for m in context.retrieved] == ["My cat is called Miso."]
        assert "found by words" in context.to_prompt_string()


async def test_a_remote_embedder_that_is_late_is_not_waited_for(memory_config: MemoryConfig):
    scripted = ScriptedEmbedder(lambda _: asyncio.sleep(60))
    scripted.is_remote = True
    async with MemoryManager(memory_config, embedder=scripted) as memory:
        context = await asyncio.wait_for(memory.get_context("ann", "a question"), 20)

        assert context.degraded == (Degradation.VECTORS,)


@pytest.mark.parametrize("query", ["   ", "\0", "\n\t", "\u2028"])
async def test_a_query_without_anything_in_it_is_refused(shared: MemoryManager, query: str):
    with pytest.raises(InvalidInputError, match="search for"):
        await shared.get_context("ann", query)
    with pytest.raises(InvalidInputError, match="search for"):
        await shared.search("ann", query)


@pytest.mark.parametrize(
    "query", ["\x01", "\ud800", "\u200b", "\u202e", "🙂", "x" * 100_000, "a\0b", "' OR 1=1 --", "@everyone"]
)
async def test_any_other_query_is_answered(shared: MemoryManager, query: str):
    assert (await shared.get_context("ann", query)).retrieved == []
    assert (await shared.search("ann", query)).memories == []


@pytest.mark.parametrize("user_id", ["", "\0", "\ud800", "x" * 201])
@pytest.mark.parametrize(
    "call",
    [
        lambda memory, user_id: memory.get_context(user_id, "text"),
        lambda memory, user_id: memory.search(user_id, "text"),
        lambda memory, user_id: memory.list_memories(user_id),
        lambda memory, user_id: memory.count_memories(user_id),
        lambda memory, user_id: memory.get(user_id, uuid7.uuid7()),
        lambda memory, user_id: memory.update_identity(user_id, "a", 1),
        lambda memory, user_id: memory.get_identity(user_id),
        lambda memory, user_id: memory.get_identity_history(user_id),
        lambda memory, user_id: memory.start_session(user_id),
        lambda memory, user_id: memory.update_session(user_id, {}),
        lambda memory, user_id: memory.end_session(user_id),
        lambda memory, user_id: memory.forget(user_id, []),
        lambda memory, user_id: memory.forget_everything(user_id),
    ],
)
async def test_an_impossible_owner_is_refused_with_a_sentence(shared: MemoryManager, call: Callable, user_id: str):
    with pytest.raises(InvalidInputError, match="user id"):
        await call(shared, user_id)


async def test_odd_projects_hold_nothing(memory: MemoryManager):
    for project_id in ("\0", "\ud800"):
        assert (await memory.get_context("ann", "text", project_id)).project is None
        assert (await memory.search("ann", "text", project_id)).memories == []


async def test_hearing_uses_nothing_until_somebody_answers_with_it(memory: MemoryManager):
    result = await memory.store("ann", "My cat is called Miso.")
    await memory.flush()
    await memory.redis.forget("ann", [UUID(result.memory_id)])  # faded
    contexts: list[MemoryContext] = []
    message = IncomingMessage(
        user_id="ann",
        text="What is my cat called?",
        source_id="m1",
        channel_id="c",
        created_at=utc_now(),
        author_name="Ann",
    )

    async def uses() -> int:
        await memory.flush()
        return (await memory.get("ann", UUID(result.memory_id))).access_count

    await memory.hear(message, contexts.append)
    [context] = contexts
    assert [str(m.id) for m in context.retrieved] == [result.memory_id]
    assert await uses() == 0
    memory.count_use(context.retrieved)
    assert await uses() == 1
    await memory.get_context("ann", "What is my cat called?")
    assert await uses() == 2


async def test_a_projects_memory_stays_in_its_project(memory: MemoryManager):
    await memory.project_memory.create_project("falcon", "Falcon", "ann")
    await memory.channel_links.link_channel("hangar", "falcon")
    place = Audience.channel(1, 2)
    await memory.store("ann", "Falcon ships on Friday.", project_id="falcon", audience=place)
    await memory.store("ann", "My cat is called Miso.", audience=place)
    await memory.flush()

    async def known(channel_id: str) -> tuple[set[str], set[str]]:
        context = await memory.get_context("ann", channel_id=channel_id, audience=place)
        return {m.content for m in context.working}, {m.content for m in context.project.recent if context.project}

    assert (await memory.get_context("ann", channel_id="other", audience=place)).project is None
    assert await known("hangar") == ({"My cat is called Miso."}, {"Falcon ships on Friday."})
    block = (await memory.get_context("ann", channel_id="hangar", audience=place)).to_prompt_string()
    assert "Falcon ships on Friday." in block


async def test_what_was_just_said_is_there_however_strong_the_rest_is(memory_config: MemoryConfig):
    ingestion = memory_config.ingestion.model_copy(update={"consumers": 0})
    config = memory_config.model_copy(update={"ingestion": ingestion})
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        await memory.store_many("ann", [NewMemory(content=f"wow {n}", emotional_score=1.0) for n in range(200)])
        await memory.store("ann", "My cat is called Miso.", emotional_score=0.0)

        working = (await memory.get_context("ann")).working

        assert len(working) == 200
        assert "My cat is called Miso." in {m.content for m in working}


async def test_what_another_version_wrote_is_left_out(
    memory: MemoryManager, raw_redis: redis.Redis, caplog: pytest.LogCaptureFixture
):
    result = await memory.store("ann", "The word is swordfish.", memory_type=MemoryType.SESSION, emotional_score=1.0)
    await memory.flush()
    key = UserKeys("ann").payloads
    payload = await raw_redis.hget(key, result.memory_id)
    await raw_redis.hset(key, result.memory_id, payload.replace(b'"user_id"', b'"of_the_future":1,"user_id"', 1))

    assert (await memory.get_context("ann", "something else")).working == []
    assert await memory.end_session("ann") == 0
    receipt = await memory.forget_everything("ann")

    assert (receipt.working, [str(memory_id) for memory_id in receipt.memory_ids]) == (1, [result.memory_id])
    assert "can't be read" in caplog.text
    assert "swordfish" not in caplog.text
