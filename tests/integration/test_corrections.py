"""When people are asked about what they contradicted: each once, seldom, at their day, and until they answer or not."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_core import Correction, CorrectionAnswer, Memory, MemoryManager, NotFoundError
from cortex_core.config import CorrectionsConfig
from cortex_core.consolidation.corrections import Card, is_quiet, pause_after
from cortex_core.knowledge.learning import ProvenClaim
from cortex_core.providers.analysis import Claim
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PAUSE = 20 * HOUR
CONFIG = CorrectionsConfig()


@pytest.fixture
def memory(silent: MemoryManager) -> MemoryManager:
    return silent


async def learn(memory: MemoryManager, owner: str, attribute: str, value: object, at: datetime) -> None:
    said = Memory(id=uuid4(), user_id=owner, author_id=owner, content=f"{attribute} {value}", created_at=at)
    assert await memory.postgres.write([PendingWrite(said)]) == [WriteOutcome.WRITTEN]
    claim = Claim(attribute=attribute, value=value, confidence=0.9, evidence=(1,))
    await memory._open_parts.facts.learn(owner, [ProvenClaim(claim, (said.id,))], learned_by="rules")


async def contradict(memory: MemoryManager, owner: str = "ann", *attributes: str) -> None:
    """Let somebody have said two values of what doesn't change."""
    for attribute in attributes or ("birthday",):
        for number, value in enumerate(("first", "second")):
            await learn(memory, owner, attribute, value, NOON - DAY + number * HOUR)


async def due(memory: MemoryManager, now: datetime = NOON) -> list[Card]:
    """Return the cards of a round, as whoever could not send them sees them."""
    return [card async for card in memory.corrections.claim_due(now=now)]


async def send(memory: MemoryManager, now: datetime = NOON) -> list[Card]:
    """Send the cards of a round."""
    cards = await due(memory, now)
    for card in cards:
        await memory.corrections.note_sent(card, now=now)
    return cards


async def asked(memory: MemoryManager, now: datetime = NOON) -> list[str]:
    return [card.user_id for card in await send(memory, now)]


async def answer(memory: MemoryManager, question: Correction, now: datetime) -> None:
    await memory.corrections.answer(question.user_id, question.id, CorrectionAnswer.KEPT, now=now)


class TestWhomToAsk:
    async def test_everything_at_once_and_once(self, memory: MemoryManager) -> None:
        await contradict(memory, "ann", "birthday", "hometown")
        await contradict(memory, "bob")

        cards = await send(memory)

        assert [(card.user_id, len(card.questions)) for card in cards] == [("ann", 2), ("bob", 1)]
        assert await asked(memory, NOON + 7 * DAY) == []

    async def test_by_one_of_many_processes(self, memory: MemoryManager) -> None:
        people = [f"person-{number}" for number in range(5)]
        for person in people:
            await contradict(memory, person)

        rounds = await asyncio.gather(*(due(memory) for _ in range(8)))

        assert sorted(card.user_id for cards in rounds for card in cards) == people

    async def test_what_was_handed_out_no_more_than_it_was_taken(self, memory: MemoryManager) -> None:
        for person in ("ann", "bob"):
            await contradict(memory, person)

        first = await anext(memory.corrections.claim_due(now=NOON))

        assert first.user_id == "ann"
        assert await asked(memory) == ["bob"]

    @pytest.mark.parametrize("wish", [{"opted_out": True}, {"paused_until": NOON + HOUR}])
    async def test_not_who_wishes_for_none(self, memory: MemoryManager, wish: dict[str, object]) -> None:
        await contradict(memory)
        await memory.change_preferences("ann", **wish)

        assert await asked(memory) == []

    async def test_whose_pause_is_over(self, memory: MemoryManager) -> None:
        await contradict(memory)
        await memory.change_preferences("ann", paused_until=NOON)

        assert await asked(memory, NOON) == ["ann"]

    async def test_not_about_what_ended_meanwhile(self, memory: MemoryManager) -> None:
        await contradict(memory)
        await memory.update_identity("ann", "birthday", "third")

        assert await asked(memory) == []

    async def test_not_about_what_was_forgotten(self, memory: MemoryManager) -> None:
        await contradict(memory)
        await memory.forget_everything("ann")

        assert await asked(memory) == []

    async def test_pages(self, memory: MemoryManager, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cortex_core.consolidation.corrections._PAGE", 2)
        for number in range(5):
            await contradict(memory, f"person-{number}")

        assert len(await asked(memory)) == 5


class TestWhen:
    async def test_not_again_within_the_pause(self, memory: MemoryManager) -> None:
        await contradict(memory)
        [card] = await send(memory)
        await answer(memory, card.questions[0], NOON)
        await contradict(memory, "ann", "hometown")

        assert await asked(memory, NOON + PAUSE - HOUR) == []
        assert await asked(memory, NOON + PAUSE) == ["ann"]

    async def test_less_often_the_less_is_answered(self, memory: MemoryManager) -> None:
        now, pauses = NOON, []
        for attribute in ("birthday", "hometown", "name", "number of siblings"):
            await contradict(memory, "ann", attribute)
            start = now
            while not await asked(memory, now):
                now += HOUR
            pauses.append(round((now - start) / HOUR))

        assert pauses[0] == 0
        assert pauses[1:] == sorted(pauses[1:])
        assert pauses[1] >= 40
        assert pauses[3] >= 80

    @pytest.mark.parametrize(
        ("zone", "hours"),
        [(None, [0, 20]), ("Asia/Tokyo", [0, 12]), ("Pacific/Auckland", [12, 20]), ("UTC-7", [4, 16])],
    )
    async def test_not_at_night_where_they_are(self, memory: MemoryManager, zone: str | None, hours: list[int]) -> None:
        if zone:
            await memory.update_identity("ann", "timezone", zone)
        await contradict(memory)
        found = []
        for hour in (0, 4, 12, 16, 20):
            if await due(memory, NOON + hour * HOUR):
                found.append(hour)
                async with memory.postgres.pool.connection() as connection:
                    await connection.execute("UPDATE owners SET card_claimed_at = NULL")

        assert set(hours) <= set(found)
        assert len(found) < 5

    async def test_again_later_if_it_was_not_sent(self, memory: MemoryManager) -> None:
        await contradict(memory)
        rounds = [await due(memory, NOON + hours * HOUR) for hours in (0, 19, 20, 39, 44)]

        assert [len(cards) for cards in rounds] == [1, 0, 1, 0, 1], "whoever claimed it was stopped before it was sent"
        assert await memory.corrections.expire(now=NOON + 99 * DAY) == 0
        assert [question.asked_at for question in await memory.list_corrections("ann")] == [None]

    async def test_not_less_often_for_what_was_not_sent(self, memory: MemoryManager) -> None:
        await contradict(memory)
        for days in range(5):
            assert await due(memory, NOON + days * DAY)

        assert await asked(memory, NOON + 5 * DAY) == ["ann"]
        assert await asked(memory, NOON + 9 * DAY) == []

    async def test_no_more_after_a_fortnight(self, memory: MemoryManager) -> None:
        await contradict(memory)
        await send(memory)

        assert await memory.corrections.expire(now=NOON + 14 * DAY) == 0
        assert await memory.corrections.expire(now=NOON + 14 * DAY + HOUR) == 1
        assert await memory.list_corrections("ann") == []
        assert await memory.get_identity("ann") == {"birthday": "first"}

    async def test_what_was_not_asked_waits(self, memory: MemoryManager) -> None:
        await contradict(memory)

        assert await memory.corrections.expire(now=NOON + 99 * DAY) == 0

    async def test_a_card_counts_as_answered_once(self, memory: MemoryManager) -> None:
        await contradict(memory, "ann", "birthday", "hometown")
        [card] = await send(memory)
        for question in card.questions:
            await answer(memory, question, NOON + HOUR)
        with pytest.raises(NotFoundError):
            await answer(memory, card.questions[0], NOON + HOUR)
        async with memory.postgres.pool.connection() as connection:
            counts: Sequence[int] = await connection.fetchrow("SELECT cards_asked, cards_answered FROM owners")

        assert tuple(counts) == (1, 1)


@given(asked=st.integers(0, 10_000), answered=st.integers(0, 10_000))
def test_a_pause_is_bounded_and_shrinks_with_answers(asked: int, answered: int) -> None:
    answered = min(asked, answered)
    pause = pause_after(asked, answered, HOUR)

    assert HOUR <= pause <= 32 * HOUR
    assert pause_after(asked, min(asked, answered + 1), HOUR) <= pause <= pause_after(asked + 1, answered, HOUR)


@pytest.mark.parametrize(
    ("begins", "ends", "quiet"), [(22, 8, {22, 23, *range(8)}), (1, 3, {1, 2}), (0, 0, set()), (5, 5, set())]
)
def test_quiet_hours(begins: int, ends: int, quiet: set[int]) -> None:
    config = CorrectionsConfig(quiet_from_hour=begins, quiet_until_hour=ends)
    midnight = NOON.replace(hour=0)

    assert {hour for hour in range(24) if is_quiet(midnight + hour * HOUR, UTC, config)} == quiet
