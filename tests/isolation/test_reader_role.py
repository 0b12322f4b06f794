"""What the role that reads for people can see: nothing without a person, and nothing of anybody else's by any way."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from cortex_core import MemoryConfig, MemoryManager, StoreDataError, StoreUnavailableError
from tests.harness import Connect
from tests.isolation.walls import ScatteringEmbedder

BY_WORDS = "SELECT * FROM find_by_words('{}', hash_words('{}', ARRAY['rocket', 'secret']), 100)"
BY_SHARED_WORDS = "SELECT * FROM find_shared_by_words('{}', ARRAY['apollo', 'eves'], ARRAY['rocket', 'secret'], 100)"
GUARDED = ["memories", "memory_pieces", "identity_facts", "evidence", "sessions", "owners", "common_words"]
GUARDED += ["projects", "project_members", "project_invitations", "channels"]


@pytest.fixture
async def memory(memory_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    """Sam's project with Ada, and secrets of Sam's and Eve's."""
    async with MemoryManager(memory_config, embedder=ScatteringEmbedder()) as memory:
        await memory.project_memory.create_project("apollo", "Apollo", "sam", ["ada"])
        await memory.project_memory.create_project("eves", "Eve's", "eve")
        await memory.channel_links.link_channel("hangar", "apollo")
        await memory.project_memory.store_project_memory("apollo", "The rocket is secret", "sam")
        for person in ("sam", "eve"):
            await memory.store(person, f"The secret rocket of {person}")
            await memory.update_identity(person, "rocket", "secret")
            await memory.start_session(person, {"rocket": "secret"})
        await memory.flush()
        yield memory


async def as_reader(connection: asyncpg.Connection, statement: str, actor: str | None) -> list[asyncpg.Record]:
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL ROLE cortex_reader")
        if actor is not None:
            await connection.execute("SELECT set_config('cortex.actor', $1, true)", actor)
        return await connection.fetch(statement)


@pytest.mark.usefixtures("memory")
async def test_sees_nothing_without_a_person(connect: Connect):
    async with connect() as connection:
        await sees_nothing(connection, None)
        assert await as_reader(connection, "SELECT * FROM memories", "sam")
        for actor in (None, "", "nobody", "%", "*", "sam'"):  # unset now reads as empty
            await sees_nothing(connection, actor)


async def sees_nothing(connection: asyncpg.Connection, actor: str | None) -> None:
    for table in GUARDED:
        assert await as_reader(connection, f"TABLE {table}", actor) == [], table
    for other in ("sam", "eve", "", "nobody"):
        assert await as_reader(connection, BY_WORDS.format(other, other), actor) == []
        assert await as_reader(connection, BY_SHARED_WORDS.format(other), actor) == []
    assert await as_reader(connection, "SELECT projects_of_actor() AS projects", actor) == [([],)]


@pytest.mark.usefixtures("memory")
async def test_finds_by_no_function_what_is_anothers(connect: Connect):
    async with connect() as connection:
        assert len(await as_reader(connection, BY_WORDS.format("sam", "sam"), "sam")) == 3
        assert await as_reader(connection, BY_WORDS.format("sam", "sam"), "ada") == []
        assert await as_reader(connection, BY_WORDS.format("eve", "eve"), "sam") == []
        assert len(await as_reader(connection, BY_SHARED_WORDS.format("ada"), "ada")) == 1
        assert await as_reader(connection, BY_SHARED_WORDS.format("ada"), "eve") == []
        assert await as_reader(connection, BY_SHARED_WORDS.format("eve"), "eve") == []
        [ada] = await as_reader(connection, "SELECT projects_of_actor() AS projects", "ada")
        assert ada["projects"] == ["apollo"]


async def test_may_do_nothing_but_look(memory: MemoryManager):
    for statement in (
        "DELETE FROM memories",
        "UPDATE memories SET user_id = 'ada'",
        "INSERT INTO project_members (project_id, user_id, role) VALUES ('apollo', 'ada', 'admin')",
        "SELECT * FROM secrets",
        "SELECT * FROM tombstones",
        "SELECT * FROM forgotten_contents",
        "SELECT * FROM dead_letters",
        "SELECT * FROM departures",
        "SELECT digest_of('sam', 'text')",
        "CREATE TABLE mine ()",
    ):
        with pytest.raises(StoreDataError) as refused:
            async with memory.postgres.pool.reading_as("ada") as connection:
                await connection.execute(statement)
        assert refused.value.sqlstate in {"42501", "25006"}, statement  # no privilege, a transaction that only reads


class TestThePersonIsForgottenWithTheTransaction:
    @pytest.fixture
    def memory_config(self, memory_config: MemoryConfig) -> MemoryConfig:
        """One connection, so that whatever it carries is carried to the next."""
        postgres = memory_config.postgres.model_copy(
            update={"min_connections": 1, "max_connections": 1, "statement_timeout_seconds": 1.0}
        )
        return memory_config.model_copy(update={"postgres": postgres})

    @pytest.fixture
    async def idle(self, memory_config: MemoryConfig, memory: MemoryManager) -> AsyncIterator[MemoryManager]:
        """Another memory over the same database, so that nobody else uses its connection."""
        await memory.close()
        async with MemoryManager(memory_config, embedder=ScatteringEmbedder()) as idle:
            yield idle

    async def check(self, idle: MemoryManager) -> None:
        async with idle.postgres.pool.connection() as connection:
            carried = await connection.fetchrow("SELECT current_user, current_setting('cortex.actor', true) AS actor")
            assert carried["current_user"] != "cortex_reader"
            assert carried["actor"] in (None, "")
            assert not connection.is_in_transaction()
        assert {m.user_id for m in await idle.list_memories("eve")} == {"eve"}

    async def test_after_it_ended_well(self, idle: MemoryManager):
        assert await idle.list_memories("sam")
        await self.check(idle)

    async def test_after_an_error(self, idle: MemoryManager):
        with pytest.raises(StoreDataError):
            async with idle.postgres.pool.reading_as("sam") as connection:
                await connection.execute("SELECT 1 / 0")
        await self.check(idle)

    async def test_after_an_error_of_the_callers(self, idle: MemoryManager):
        with pytest.raises(KeyError):
            async with idle.postgres.pool.reading_as("sam"):
                raise KeyError
        await self.check(idle)

    async def test_after_a_timeout(self, idle: MemoryManager):
        with pytest.raises(StoreUnavailableError):
            async with idle.postgres.pool.reading_as("sam") as connection:
                await connection.execute("SELECT pg_sleep(30)")
        await self.check(idle)

    async def test_after_its_connection_was_cut(self, idle: MemoryManager, connect: Connect):
        async def read() -> None:
            async with idle.postgres.pool.reading_as("sam") as connection, connect() as other:
                await other.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
                await connection.fetch("SELECT content FROM memories")

        with pytest.raises(StoreUnavailableError):
            await read()
        await self.check(idle)

    @pytest.mark.parametrize("times", [1, 2, 3])
    async def test_after_cancellations(self, idle: MemoryManager, times: int):
        for delay in (0.0, 0.0002, 0.0005, 0.001, 0.002, 0.005):
            task = asyncio.create_task(self.read_slowly(idle))
            for _ in range(times):
                await asyncio.sleep(delay)
                task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await self.check(idle)

    @staticmethod
    async def read_slowly(memory: MemoryManager) -> None:
        async with memory.postgres.pool.reading_as("sam") as connection:
            for _ in range(1_000):
                await connection.fetch("SELECT content FROM memories")
