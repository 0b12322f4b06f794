"""Clara answers what somebody asks about themselves from what she knows of them, and only where it may be heard."""

import pytest

from cogs._knowing import attribute_asked, tell_all
from tests.cogs.conftest import World


@pytest.mark.parametrize(
    ("question", "attribute"),
    [
        ("where do I live now?", "location"),
        ("Clara, what's my name?", "name"),
        ("what’s my job", "job"),
        ("how many kids do I have?", "number of children"),
        ("what are my kids called?", "children"),
        ("what are my pets' names?", "pets"),
        ("what do I like?", "likes"),
        ("what do I like about Lisbon?", None),
        ("where does Robin live?", None),
        ("what is your name?", None),
    ],
)
def test_tells_which_attribute_is_asked_for(question: str, attribute: str | None):
    assert attribute_asked(question) == attribute


def test_tells_all_of_an_identity_without_a_ping_or_markup():
    told = tell_all({"name": "@everyone *Sam*", "likes": ["tea", "hiking"]})

    assert "@everyone" not in told
    assert "*Sam*" not in told.replace("**", "")
    assert "tea, hiking" in told
    assert tell_all({}) == ""


async def test_what_was_said_last_counts(world: World):
    await world.sam.send(world.general, "I live in Utrecht.")
    await world.flush()
    await world.sam.send(world.general, "I moved to Rotterdam!")

    answer = await world.ask(world.sam, "Clara, where do I live now?")

    assert answer.startswith("**Location**: Rotterdam")
    assert "> I moved to Rotterdam!" in answer
    assert "Utrecht" not in answer


async def test_what_was_said_in_private_is_not_told_in_public(world: World):
    await world.sam.send_dm("I live in Utrecht.")

    assert "Utrecht" not in await world.ask(world.sam, "Clara, where do I live?")
    await world.sam.send_dm("Where do I live?")
    assert "**Location**: Utrecht" in world.sam.user.dm_channel.last_message.content


async def test_asked_for_everything_tells_the_profile_first(world: World):
    await world.sam.send(world.general, "My name is Sam and I live in Utrecht.")

    answer = await world.ask(world.sam, "Clara, what do you know about me?")

    assert "**Name**: Sam" in answer
    assert "**Location**: Utrecht" in answer
