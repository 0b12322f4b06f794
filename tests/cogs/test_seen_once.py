"""What clashes is put to people once, without a language model: as a question or as a contradiction, never as both."""

from datetime import timedelta

import pytest
import simcord

from cortex_core import MemoryManager
from cortex_core.models import utc_now
from tests.cogs.conftest import World
from tests.cogs.test_contradictions import use


@pytest.fixture(autouse=True)
def no_model(memory: MemoryManager) -> None:
    assert memory._open_parts.llm is None


async def consolidate(world: World) -> None:
    """Let everything be read and looked through, twice."""
    await world.flush()
    for _ in range(2):
        run = await world.memory.consolidation.run_for_user(world.owner(world.sam))
        assert run is not None
        assert run.error is None


async def waiting(world: World) -> tuple[int, int]:
    """How many questions and how many contradictions wait for Sam."""
    owner = world.owner(world.sam)
    return len(await world.memory.list_corrections(owner)), len(await world.memory.reviews.list_open(owner))


async def listed(world: World) -> str:
    answer = await use(world, "list")
    return "\n".join([answer.content, *(f"{embed.title}\n{embed.description}" for embed in answer.embeds)])


async def remember(world: World, text: str, *, days_ago: int = 0) -> None:
    """Let Sam ask to remember something, as `/memory remember` does."""
    person: simcord.MemberActor = world.sam
    await world.memory.store(
        world.owner(person), text, memory_type="semantic", source="remember",
        created_at=utc_now() - timedelta(days=days_ago),
    )  # fmt: skip
    await world.flush()


async def test_two_messages_about_what_doesn_t_change(world: World) -> None:
    await world.sam.send(world.general, "I have two kids.")
    await world.flush()
    await world.sam.send(world.general, "I have three kids.")
    await consolidate(world)

    assert await waiting(world) == (1, 0)
    text = await listed(world)
    assert "1 case" in text
    assert "number of children **2**" in text
    review = await use(world, "review")
    assert review.content.startswith("I thought this of you: number of children **2**. You now said **3**")

    await world.sam.send(world.general, "As I said, I have three kids.")
    await consolidate(world)
    assert await waiting(world) == (1, 0)

    await world.sam.click(review, label="Keep")
    await consolidate(world)
    assert await waiting(world) == (0, 0)


async def test_a_message_about_what_was_asked_to_be_remembered(world: World) -> None:
    await remember(world, "I live in Oslo.", days_ago=1)
    await world.sam.send(world.general, "I live in Bergen.")
    await consolidate(world)

    assert await waiting(world) == (1, 0)
    assert "location **Oslo**" in await listed(world)


async def test_a_message_about_what_was_set_by_hand(world: World) -> None:
    await world.memory.update_identity(world.owner(world.sam), "birthday", "--05-03")
    await world.env.advance_time(1)  # the simulator's clock stands still meanwhile
    await world.sam.send(world.general, "My birthday is on June 4th.")
    await consolidate(world)

    assert await waiting(world) == (1, 0)
    assert "birthday" in await listed(world)


async def test_two_things_that_were_asked_to_be_remembered(world: World) -> None:
    await remember(world, "I live in Oslo.", days_ago=1)
    await remember(world, "I live in Bergen.")
    await consolidate(world)

    assert await waiting(world) == (0, 1)
    text = await listed(world)
    assert "1 case" in text
    assert "The location can" in text


async def test_news_of_what_changes_is_no_question(world: World) -> None:
    await world.sam.send(world.general, "I live in Oslo.")
    await world.flush()
    await world.sam.send(world.general, "I live in Bergen now.")
    await consolidate(world)

    assert await waiting(world) == (0, 0)
    assert (await world.memory.get_identity(world.owner(world.sam)))["location"] == "Bergen"


async def test_what_is_remembered_on_purpose_after_it_was_said_otherwise_counts(world: World) -> None:
    await world.sam.send(world.general, "I have two kids.")
    await world.flush()
    await remember(world, "I have three kids.")
    await consolidate(world)

    assert await waiting(world) == (0, 0)
    assert str((await world.memory.get_identity(world.owner(world.sam)))["number of children"]) == "3"
