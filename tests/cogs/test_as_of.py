"""`/memory as-of`: what was believed of a person at a time, and how dates may be written."""

from datetime import UTC, date, datetime, timedelta

import pytest
from cortex_cogs._dates import read_day, suggest_days

from cortex_core import InvalidInputError
from tests.cogs.conftest import World
from tests.cogs.test_memory_commands import EVIL, buttons_of, tell, text_of, use
from tests.harness import Connect

NOW = datetime(2026, 11, 23, 16, tzinfo=UTC)
UNREADABLE = "I can't read that date. Please write it like one of these: 2024-05-17, May 2024, yesterday, 2 years ago."
AHEAD = "That date lies ahead; please choose one in the past."


async def know_since(world: World, connect: Connect, days: int, **facts: object) -> None:
    """Let this be known of Sam for so many days."""
    for name, value in facts.items():
        await world.memory.update_identity(world.owner(world.sam), name, value)
    async with connect() as connection:
        await connection.execute(
            "UPDATE identity_facts SET recorded_at = now() - $1::interval, valid_from = now() - $1::interval "
            "WHERE valid_to IS NULL AND attribute = ANY($2)",
            timedelta(days=days),
            list(facts),
        )
        await connection.execute("UPDATE memories SET created_at = now() - $1::interval", timedelta(days=days))


class TestAsOf:
    async def test_shows_what_was_believed_then(self, world: World, connect: Connect) -> None:
        await know_since(world, connect, 10, city="Porto", likes=["tea", "rain"])
        await world.memory.update_identity(world.owner(world.sam), "city", "Lisbon")

        then, now = (
            text_of(await use(world, "as-of", date="a week ago")),
            text_of(await use(world, "as-of", date="today")),
        )

        assert "I had 3 memories of what you had told me." in then
        assert "**city**\n> Porto" in then
        assert "**likes**\n> tea, rain" in then
        assert "> Lisbon" in now
        assert "Porto" not in now

    async def test_says_so_when_there_was_nothing(self, world: World) -> None:
        await tell(world, "My cat is called Miso.")

        answer = await use(world, "as-of", date="2024-05-17")

        assert answer.content == "On 17 May 2024 I knew nothing of you, or nothing that you let me keep since."

    async def test_memories_without_facts(self, world: World) -> None:
        await tell(world, "The weather is fine today.")

        answer = await use(world, "as-of", date="today")

        assert "I had 1 memory of what you had told me, and knew nothing lasting about you." in text_of(answer)

    async def test_is_each_persons_own(self, world: World) -> None:
        await world.memory.update_identity(world.owner(world.robin), "city", "Porto")

        assert (await use(world, "as-of", date="today")).content.startswith("On ")

    @pytest.mark.parametrize(("typed", "sentence"), [("soon", UNREADABLE), ("2999", AHEAD), ("31.6.2024", UNREADABLE)])
    async def test_a_date_has_to_be_one(self, world: World, typed: str, sentence: str) -> None:
        assert (await use(world, "as-of", date=typed)).content == sentence

    async def test_has_pages_and_nothing_in_it_works(self, world: World) -> None:
        for number in range(9):
            await world.memory.update_identity(world.owner(world.sam), f"line {number}", EVIL + "*" * 1000)
        answer = await use(world, "as-of", date="today")
        assert not answer.message.mention_everyone
        assert "@\u200beveryone" in text_of(answer)
        assert "[click](" not in text_of(answer)
        assert "cortex:v1:pages:last" in buttons_of(answer)

        await world.sam.click(answer, custom_id="cortex:v1:pages:last")

        assert "line 8" in text_of(answer)
        assert "line 7" not in text_of(answer)

    async def test_works_in_a_direct_message(self, world: World) -> None:
        await world.memory.update_identity(world.owner(world.sam), "city", "Porto")

        result = await world.sam.user.slash("memory as-of", date="today")

        assert result.response is not None
        assert "Porto" in text_of(result.response)

    async def test_suggests_days(self, world: World) -> None:
        offered = await suggested(world, "")
        assert [choice["value"] for choice in offered] == sorted((choice["value"] for choice in offered), reverse=True)
        assert 3 <= len(offered) <= 25

        [typed] = await suggested(world, "2024-05-17")

        assert (typed["name"], typed["value"]) == ("2024-05-17 (17 May 2024)", "2024-05-17")
        assert await suggested(world, "no day at all " * 20) == []


async def suggested(world: World, typed: str) -> list[dict[str, str]]:
    return await world.sam.autocomplete(world.general, "memory as-of", "date", typed)


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("2024-05-17", date(2024, 5, 17)),
        (" 17.5.2024 ", date(2024, 5, 17)),
        ("17. 5. 2024", date(2024, 5, 17)),
        ("17 May 2024", date(2024, 5, 17)),
        ("2024-05", date(2024, 5, 1)),
        ("2024/5", date(2024, 5, 1)),
        ("May 2024", date(2024, 5, 1)),
        ("in May", date(2026, 5, 1)),
        ("2024", date(2024, 1, 1)),
        ("today", date(2026, 11, 23)),
        ("yesterday", date(2026, 11, 22)),
        ("3 days ago", date(2026, 11, 20)),
        ("two weeks ago", date(2026, 11, 9)),
        ("A month ago", date(2026, 10, 23)),
        ("9 months ago", date(2026, 2, 23)),
        ("2 years ago", date(2024, 11, 23)),
        ("last year", date(2025, 1, 1)),
        ("spring 2023", date(2023, 3, 1)),
    ],
)
def test_reads(typed: str, day: date) -> None:
    assert read_day(typed, NOW) == day


@pytest.mark.parametrize(
    "typed", ["", "soon", "31 June 2024", "31.6.2024", "9999 years ago", "1850", "2024-99", "\0", "٢٠٢٤"]
)
def test_reads_nothing_into(typed: str) -> None:
    with pytest.raises(InvalidInputError, match="can't read that date"):
        read_day(typed, NOW)


def test_the_last_of_a_short_month() -> None:
    assert read_day("a month ago", datetime(2026, 3, 31, tzinfo=UTC)) == date(2026, 2, 28)


def test_suggestions_fit() -> None:
    assert all(len(choice.name) <= 100 and len(choice.value) <= 100 for choice in suggest_days("yesterday " * 9, NOW))
