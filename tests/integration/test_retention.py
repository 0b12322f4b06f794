"""Leaving a server: the clock, what goes when it has run out, and what stays."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from cortex_core import Audience, InvalidInputError, MemoryConfig, MemoryManager
from cortex_core.config import ForgettingConfig
from cortex_core.forgetting import retention as module
from cortex_core.forgetting.retention import Retention
from cortex_core.models import utc_now
from cortex_core.sql import load_queries
from tests.harness import Connect, Gate, ScriptedEmbedder, eventually

HERE, ELSEWHERE = 7, 77
CHANNEL, OTHER_CHANNEL = Audience.channel(HERE, 1), Audience.channel(HERE, 2)
LEFT = datetime(2099, 3, 1, tzinfo=UTC)
TIME_IS_UP = LEFT + timedelta(days=30)
MONTH = ForgettingConfig()
AT_ONCE = ForgettingConfig(retention_days=0)


@pytest.fixture
async def memory(memory_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        yield memory


@pytest.fixture
def retention(memory: MemoryManager) -> Retention:
    """One that looks when it is told to; the one of `memory` has looked already and sleeps for ten minutes."""
    return another(memory)


def another(memory: MemoryManager, config: ForgettingConfig = MONTH) -> Retention:
    parts = memory._open_parts
    return Retention(config, parts.postgres, parts.forgetter, settle=parts.writer.drain)


async def talk(memory: MemoryManager, *people: str) -> None:
    for person in people:
        await memory.store(person, f"{person} in a channel", audience=CHANNEL)
        await memory.store(person, f"{person} in another", audience=OTHER_CHANNEL)
        await memory.store(person, f"{person} all over the server", audience=Audience.guild(HERE))
        await memory.store(person, f"{person} elsewhere", audience=Audience.channel(ELSEWHERE, 1))
        await memory.store(person, f"{person} in private")
        await memory.store(person, f"{person} anywhere", audience=Audience.everywhere())
    await memory.flush()


async def known_of(memory: MemoryManager, person: str) -> set[str]:
    hot = {m.content for m in (await memory.get_context(person)).working}
    rows = {m.content for m in await memory.list_memories(person)}
    assert hot == rows
    return {content.removeprefix(person).strip() for content in rows}


ELSEWHERE_ONLY = {"elsewhere", "in private", "anywhere"}
EVERYTHING = ELSEWHERE_ONLY | {"in a channel", "in another", "all over the server"}


async def clocks(connect: Connect) -> set[tuple[int, str | None, datetime]]:
    async with connect() as connection:
        return {tuple(row) for row in await connection.fetch("SELECT guild_id, user_id, erase_at FROM departures")}


class TestTheClock:
    async def test_it_runs_for_the_days_of_the_settings(self, memory: MemoryManager, retention: Retention):
        await talk(memory, "ann")
        assert await retention.leave(HERE, "ann", now=LEFT) == TIME_IS_UP

        await retention.look(now=TIME_IS_UP - timedelta(seconds=1))
        assert await known_of(memory, "ann") == EVERYTHING

        await retention.look(now=TIME_IS_UP)
        assert await known_of(memory, "ann") == ELSEWHERE_ONLY

    async def test_one_that_runs_goes_on(self, retention: Retention, connect: Connect):
        await retention.leave(HERE, "ann", now=LEFT)

        assert await retention.leave(HERE, "ann", now=LEFT + timedelta(days=3)) == TIME_IS_UP
        assert await clocks(connect) == {(HERE, "ann", TIME_IS_UP)}

    async def test_coming_back_in_time_stops_it(self, memory: MemoryManager, retention: Retention):
        await talk(memory, "ann")
        await retention.leave(HERE, "ann", now=LEFT)

        assert await retention.come_back(HERE, "ann")
        assert not await retention.come_back(HERE, "ann")

        await retention.look(now=TIME_IS_UP)
        assert await known_of(memory, "ann") == EVERYTHING

    async def test_the_bots_coming_back_leaves_those_of_people_alone(self, retention: Retention, connect: Connect):
        await retention.leave(HERE, now=LEFT)
        await retention.leave(HERE, "ann", now=LEFT)
        await retention.leave(ELSEWHERE, now=LEFT)

        assert await retention.come_back(HERE)

        assert await clocks(connect) == {(HERE, "ann", TIME_IS_UP), (ELSEWHERE, None, TIME_IS_UP)}

    @pytest.mark.parametrize("who", ["ann", None])
    async def test_being_heard_there_again_stops_it(
        self, memory: MemoryManager, retention: Retention, connect: Connect, who: str | None
    ):
        left = utc_now() - timedelta(days=40)
        await talk(memory, "ann")
        await retention.leave(HERE, who, now=left)

        await retention.look(now=utc_now())

        assert await known_of(memory, "ann") == EVERYTHING
        assert await clocks(connect) == set()

    async def test_what_was_kept_private_there_goes_too(self, memory: MemoryManager, retention: Retention):
        await memory.change_preferences("ann", keeps_private=True)
        await talk(memory, "ann")
        await retention.leave(HERE, "ann", now=LEFT)

        await retention.look(now=TIME_IS_UP)

        assert await known_of(memory, "ann") == ELSEWHERE_ONLY

    @pytest.mark.parametrize(("guild_id", "user_id"), [(-1, None), (2**63, None), (HERE, ""), (HERE, "a\0b")])
    async def test_ids_that_are_none_are_refused(self, memory: MemoryManager, guild_id: int, user_id: str | None):
        with pytest.raises(InvalidInputError):
            await memory.leave_guild(guild_id, user_id)
        with pytest.raises(InvalidInputError):
            await memory.return_to_guild(guild_id, user_id)

    async def test_hosts_have_it(self, memory: MemoryManager, connect: Connect):
        assert await memory.leave_guild(HERE, "ann", now=LEFT) == TIME_IS_UP
        assert await memory.return_to_guild(HERE, "ann")
        assert await clocks(connect) == set()


class TestWhatGoes:
    async def test_what_that_person_said_there(self, memory: MemoryManager, retention: Retention, connect: Connect):
        await talk(memory, "ann", "ben")
        await retention.leave(HERE, "ann", now=LEFT)

        await retention.look(now=TIME_IS_UP)

        assert await known_of(memory, "ann") == ELSEWHERE_ONLY
        assert await known_of(memory, "ben") == EVERYTHING
        assert await clocks(connect) == set()

    async def test_what_anybody_said_there_when_the_bot_left(self, memory: MemoryManager, retention: Retention):
        people = ["ann", "ben", "*", "{}", "7"]
        await talk(memory, *people)
        await retention.leave(HERE, now=LEFT)

        await retention.look(now=TIME_IS_UP)

        assert all([await known_of(memory, person) == ELSEWHERE_ONLY for person in people])

    async def test_a_server_whose_number_begins_alike_is_another(self, memory: MemoryManager, retention: Retention):
        await memory.store("ann", "kept", audience=Audience.channel(ELSEWHERE, HERE))
        await memory.flush()
        await retention.leave(HERE, now=LEFT)

        await retention.look(now=TIME_IS_UP)

        assert await known_of(memory, "ann") == {"kept"}

    async def test_identity_that_was_for_there(self, memory: MemoryManager, retention: Retention, connect: Connect):
        await memory.update_identity("ann", "team", "blue", audience=Audience.guild(HERE))
        await memory.update_identity("ann", "name", "Ann")
        fact = await memory.update_identity("ann", "nick", "Annie")
        async with connect() as connection:  # its evidence isn't from there
            await connection.execute("UPDATE identity_facts SET audience = $1 WHERE id = $2", str(CHANNEL), fact.id)
        await retention.leave(HERE, "ann", now=LEFT)

        await retention.look(now=TIME_IS_UP)

        assert await memory.get_identity("ann") == {"name": "Ann"}
        assert {m.content for m in await memory.list_memories("ann")} == {"name: Ann", "nick: Annie"}

    async def test_more_than_one_batch(
        self, memory: MemoryManager, retention: Retention, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(module, "_AT_ONCE", 4)
        await talk(memory, "ann", "ben", "cleo")
        await retention.leave(HERE, now=LEFT)

        await retention.look(now=TIME_IS_UP)

        assert all([await known_of(memory, person) == ELSEWHERE_ONLY for person in ("ann", "ben", "cleo")])

    async def test_it_is_not_learned_again(self, memory: MemoryManager, retention: Retention):
        said_at = LEFT - timedelta(days=1)
        await memory.store("ann", "I hate Mondays", audience=CHANNEL, source_id="m1", created_at=said_at)
        await memory.flush()
        await retention.leave(HERE, "ann", now=LEFT)
        await retention.look(now=TIME_IS_UP)

        await memory.store("ann", "I hate Mondays", audience=CHANNEL, source_id="m1", created_at=said_at)
        await memory.store("ann", "I hate Mondays!", source="import", created_at=said_at)
        await memory.flush()

        assert await memory.list_memories("ann") == []

    async def test_the_log_has_ids_and_counts(
        self, memory: MemoryManager, retention: Retention, caplog: pytest.LogCaptureFixture
    ):
        await talk(memory, "ann")
        await retention.leave(HERE, "ann", now=LEFT)

        with caplog.at_level(logging.INFO, "cortex"):
            await retention.look(now=TIME_IS_UP)

        [record] = [r for r in caplog.records if r.name == "cortex.retention"]
        assert (
            record.getMessage()
            == "Of what ann said in server 7 before ann left, 3 memories and 0 facts were forgotten."
        )


class TestSeveralProcesses:
    async def test_they_look_at_once(self, memory: MemoryManager, retention: Retention, connect: Connect):
        await talk(memory, "ann", "ben")
        await retention.leave(HERE, now=LEFT)

        await asyncio.gather(*(another(memory).look(now=TIME_IS_UP) for _ in range(4)))

        assert await known_of(memory, "ann") == await known_of(memory, "ben") == ELSEWHERE_ONLY
        assert await clocks(connect) == set()

    async def test_one_that_died_half_way_is_followed_by_the_next(
        self, memory: MemoryManager, retention: Retention, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(module, "_AT_ONCE", 2)
        await talk(memory, "ann", "ben")
        await retention.leave(HERE, now=LEFT)
        forgetter = memory._open_parts.forgetter
        with monkeypatch.context() as patch:
            patch.setattr(forgetter, "forget", gate := Gate(forgetter.forget, holds_answer=True))
            dying = asyncio.create_task(retention.look(now=TIME_IS_UP))
            await gate.wait_until_reached()
            dying.cancel()
            await asyncio.wait([dying])
        assert await known_of(memory, "ben") == EVERYTHING

        await another(memory).look(now=TIME_IS_UP)

        assert await known_of(memory, "ann") == await known_of(memory, "ben") == ELSEWHERE_ONLY

    async def test_coming_back_meanwhile_saves_the_rest(
        self, memory: MemoryManager, retention: Retention, monkeypatch: pytest.MonkeyPatch, connect: Connect
    ):
        monkeypatch.setattr(module, "_AT_ONCE", 1)
        await talk(memory, "ann")
        await retention.leave(HERE, "ann", now=LEFT)
        forgetter = memory._open_parts.forgetter
        monkeypatch.setattr(forgetter, "forget", gate := Gate(forgetter.forget, holds_answer=True))
        looking = asyncio.create_task(retention.look(now=TIME_IS_UP))
        await gate.wait_until_reached()

        await retention.come_back(HERE, "ann")
        await retention.leave(HERE, "ann", now=TIME_IS_UP)
        gate.open()
        await looking

        assert len(await known_of(memory, "ann")) == len(EVERYTHING) - 1
        assert await clocks(connect) == {(HERE, "ann", TIME_IS_UP + timedelta(days=30))}


class TestTheLoop:
    @pytest.fixture
    def at_once(self, memory_config: MemoryConfig) -> MemoryConfig:
        return memory_config.model_copy(update={"forgetting": AT_ONCE})

    async def test_it_looks_at_the_start(self, at_once: MemoryConfig, connect: Connect):
        async with MemoryManager(at_once, embedder=ScriptedEmbedder()) as memory:
            await talk(memory, "ann")
            assert await memory.leave_guild(HERE, "ann") <= utc_now()

        async with MemoryManager(at_once, embedder=ScriptedEmbedder()) as memory:
            await eventually(lambda: is_over(connect))
            assert await known_of(memory, "ann") == ELSEWHERE_ONLY

    async def test_and_again_and_again(self, at_once: MemoryConfig, connect: Connect, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.05)
        async with MemoryManager(at_once, embedder=ScriptedEmbedder()) as memory:
            for person in ("ann", "ben"):
                await talk(memory, person)
                await memory.leave_guild(HERE, person)
                await eventually(lambda: is_over(connect))
                assert await known_of(memory, person) == ELSEWHERE_ONLY

    async def test_what_is_still_on_its_way_goes_too(
        self, at_once: MemoryConfig, connect: Connect, monkeypatch: pytest.MonkeyPatch
    ):
        """Nobody reads the journal at first; the clock is kept until what it holds has arrived and gone."""
        monkeypatch.setattr(module, "_ARRIVAL_SECONDS", 0.1)
        idle = at_once.model_copy(update={"ingestion": at_once.ingestion.model_copy(update={"consumers": 0})})
        async with MemoryManager(idle, embedder=ScriptedEmbedder()) as memory:
            await memory.store("ann", "ann in a channel", audience=CHANNEL)
            retention, left = another(memory, AT_ONCE), utc_now()
            await retention.leave(HERE, "ann", now=left)
            await retention.look(now=left)
        assert await clocks(connect) == {(HERE, "ann", left)}

        monkeypatch.setattr(module, "_ARRIVAL_SECONDS", 20)
        async with MemoryManager(at_once, embedder=ScriptedEmbedder()) as memory:
            await eventually(lambda: is_over(connect))
            assert await known_of(memory, "ann") == set()


async def is_over(connect: Connect) -> bool:
    return not await clocks(connect)


async def test_a_large_server_is_searched_by_its_index(connect: Connect):
    queries = load_queries("retention")
    async with connect() as connection:
        await connection.execute(
            "INSERT INTO memories (user_id, id, audience, said_in, memory_type, content, content_hash, "
            "emotional_score, importance, confidence, created_at, valid_from, source) "
            "SELECT 'user-' || n % 50, gen_random_uuid(), 'owner', 'channel:' || n % 20 || ':1', 'episodic', 'x', '', "
            "0, 0, 1, now(), now(), 'test' FROM generate_series(1, 20000) AS n"
        )
        await connection.execute("ANALYZE memories")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for name in ("list_memories_of_all", "list_memories_of_one"):
            await connection.execute(f"PREPARE p_{name} AS {queries[name]}")
            plan = await connection.fetch(f"EXPLAIN EXECUTE p_{name}(7, 'user-7', now(), 200)")
            assert any("memories_by_guild" in row[0] for row in plan), plan
