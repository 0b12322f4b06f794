"""Replaying logs into the real stores."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from cortex_core import Audience, IncomingMessage, InvalidInputError, MemoryManager, StoreUnavailableError
from cortex_core.ingestion.intake import memory_id_of
from cortex_core.replay.replaying import replay
from tests.harness import Connect


def line(number: int, **changes: Any) -> bytes:
    message = {
        "time": f"2023-05-08T13:{number // 60:02}:{number % 60:02}Z",
        "author_id": "ana",
        "author_name": "Ana",
        "channel": "general",
        "text": f"Sentence number {number} is about tea.",
    }
    return json.dumps({**message, **changes}).encode() + b"\n"


async def test_a_replayed_message_is_a_heard_one_at_its_time(memory: MemoryManager):
    report = await replay(memory, [line(1, id="m1")])
    assert (report.lines, report.stored, report.known, report.refused) == (1, 1, 0, [])
    assert report.ms_per_memory
    stored = await memory.get("ana", memory_id_of("m1"))
    assert stored is not None
    assert stored.content == "Sentence number 1 is about tea."
    assert stored.created_at.isoformat() == "2023-05-08T13:00:01+00:00"
    assert (stored.author_id, stored.author_name, stored.channel_id) == ("ana", "Ana", "general")
    assert stored.source_id == "m1"
    assert stored.audience == "owner"
    [found] = (await memory.search("ana", "tea")).memories
    assert found.id == stored.id
    assert found.similarity is not None


async def test_everybody_owns_what_they_said_or_one_owner_all(memory: MemoryManager):
    log = [line(1), line(2, author_id="ben", author_name="Ben")]
    await replay(memory, log)
    assert [m.author_id for m in await memory.list_memories("ana")] == ["ana"]
    assert [m.author_id for m in await memory.list_memories("ben")] == ["ben"]
    await replay(memory, log, owner="clara")
    assert [(m.author_id, m.author_name) for m in await memory.list_memories("clara")] == [
        ("ben", "Ben"),
        ("ana", "Ana"),
    ]


async def test_the_order_of_each_channel_is_kept(memory: MemoryManager):
    log = [line(n, channel="ab"[n % 2]) for n in range(60)]
    await replay(memory, log, owner="clara")
    memories = await memory.list_memories("clara")
    assert [m.content for m in memories] == [f"Sentence number {n} is about tea." for n in reversed(range(60))]
    assert {m.channel_id: m.position for m in memories[:2]} == {"a": 29, "b": 29}


async def test_replaying_again_changes_nothing_and_tells_so(memory: MemoryManager, connect: Connect):
    log = [line(1), line(2), line(2)]
    await replay(memory, log)
    before = await _rows(connect)
    report = await replay(memory, log)
    assert (report.lines, report.stored, report.known, report.refused) == (3, 0, 3, [])
    assert report.ms_per_memory is None
    assert await _rows(connect) == before


async def test_a_broken_off_replay_goes_on(memory: MemoryManager):
    def lines() -> Iterator[bytes]:
        yield from (line(1), line(2))
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await replay(memory, lines())
    report = await replay(memory, [line(1), line(2), line(3)])
    assert (report.stored, report.known) == (1, 2)


async def test_bad_lines_are_named_and_the_others_stored(memory: MemoryManager):
    log = [
        line(1, id="m1"),
        b"\n",
        b"Secret\n",
        line(2, id="m1"),
        line(3, text=" \0 "),
        line(4, author_id="\ufeff" * 200),
        line(5, text="a" * 100_000),
        line(6, text="<@1> @everyone '; DROP TABLE memories; -- \u202e 猫 🐈 \0"),
    ]
    report = await replay(memory, log)
    assert (report.lines, report.stored) == (7, 4)
    assert [refusal.line for refusal in report.refused] == [3, 4, 5]
    assert "Secret" not in repr(report)
    assert await memory.count_memories("ana") == 3


async def test_an_id_that_stands_for_another_text_is_refused_without_a_dead_letter(memory: MemoryManager):
    await replay(memory, [line(1, id="m1")])
    report = await replay(memory, [line(1, id="m1", text="Something else.")])
    assert [refusal.reason for refusal in report.refused] == ["Its id was stored before with another text."]
    assert await memory.postgres.dead_letters.count() == 0


async def test_a_long_text_that_was_cut_is_known_again(memory: MemoryManager):
    log = [line(1, text="tea " * 10_000)]
    await replay(memory, log)
    assert (await replay(memory, log)).known == 1


async def test_what_was_forgotten_stays_forgotten(memory: MemoryManager):
    await replay(memory, [line(1, id="m1"), line(2)])
    await memory.forget("ana", [memory_id_of("m1")])
    report = await replay(memory, [line(1, id="m1"), line(2)])
    assert (report.stored, report.known) == (0, 1)
    [refusal] = report.refused
    assert refusal.line == 1
    assert "forgotten" in refusal.reason


async def test_a_message_that_was_heard_live_is_known(memory: MemoryManager):
    await memory.hear(
        IncomingMessage(
            user_id="ana",
            text="Sentence number 1 is about tea.",
            source_id="m1",
            channel_id="general",
            created_at="2023-05-08T13:00:01Z",  # type: ignore[arg-type]
            author_name="Ana",
        )
    )
    assert (await replay(memory, [line(1, id="m1")])).known == 1


async def test_the_audience_is_the_one_named(memory: MemoryManager):
    await replay(memory, [line(1)], audience=Audience.guild(7))
    assert await memory.count_memories("ana", audience=Audience.channel(7, 8)) == 1
    assert await memory.count_memories("ana", audience=Audience.guild(9)) == 0


async def test_an_owner_that_can_not_be_one_is_refused_at_once(memory: MemoryManager):
    with pytest.raises(InvalidInputError, match="user id"):
        await replay(memory, [line(1)], owner="")


async def test_it_stops_when_postgres_is_away(memory: MemoryManager):
    await memory.postgres.close()
    with pytest.raises(StoreUnavailableError):
        await replay(memory, [line(1)])


async def _rows(connect: Connect) -> list[tuple[Any, ...]]:
    async with connect() as connection:
        rows = await connection.fetch("SELECT id, content, position, version, updated_at FROM memories ORDER BY id")
    return [tuple(row) for row in rows]
