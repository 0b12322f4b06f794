"""`/memory profile`: what is taken to be true of a person, and what they can do about it."""

import pytest
import simcord

from cortex_core import Audience
from tests.cogs.conftest import World
from tests.cogs.test_memory_commands import AWAY, EVIL, buttons_of, take_away, text_of, use

MENU = "cortex:v1:chooser:menu"
WHERE = "cortex:v1:profile:where"
VALUE = "cortex:v1:profile:value"
NAME = "cortex:v1:profile:name"


async def know(world: World, attribute: str = "city", value: object = "Lisbon", **fields: object) -> None:
    await world.memory.update_identity(world.owner(world.sam), attribute, value, **fields)


async def open_line(world: World, number: int = 0) -> simcord.ResponseMessage:
    answer = await use(world, "profile")
    await world.sam.select(answer, [str(number)], custom_id=MENU)
    return answer


async def identity(world: World) -> dict[str, object]:
    return await world.memory.get_identity(world.owner(world.sam))


async def test_says_so_when_nothing_is_known(world: World) -> None:
    answer = await use(world, "profile")

    assert text_of(answer).strip().startswith("I don't know anything lasting about you yet.")
    assert set(buttons_of(answer)) == {"cortex:v1:profile:add"}


async def test_lists_each_line_with_where_it_may_come_up(world: World) -> None:
    await know(world)
    await know(world, "pets", ["Miso", "Rex"], audience=Audience.everywhere())

    listed = text_of(await use(world, "profile"))

    assert "**city**\n> Lisbon\nmay come up only in direct messages with me" in listed
    assert "**pets**\n> Miso\nmay come up everywhere" in listed
    assert "**pets**\n> Rex\nmay come up everywhere" in listed


async def test_shows_what_a_line_rests_on(world: World) -> None:
    await know(world)

    answer = await open_line(world)

    assert "**Why I think so**\n\n> city: Lisbon" in text_of(answer)


async def test_many_lines_come_in_pages(world: World) -> None:
    for number in range(12):
        await know(world, f"line {number:02}", "x")
    answer = await use(world, "profile")
    assert "line 04" in text_of(answer)
    assert "line 05" not in text_of(answer)
    assert buttons_of(answer)["cortex:v1:pages:back"]["disabled"]

    await world.sam.click(answer, custom_id="cortex:v1:pages:forward")
    await world.sam.click(answer, custom_id="cortex:v1:pages:forward")
    assert "line 11" in text_of(answer)
    assert buttons_of(answer)["cortex:v1:pages:forward"]["disabled"]
    await world.sam.select(answer, ["11"], custom_id=MENU)
    assert "**line 11**" in text_of(answer)
    await world.sam.click(answer, label="Back")

    assert "line 00" in text_of(answer)


async def test_a_line_is_corrected_and_keeps_its_audience(world: World) -> None:
    await know(world, audience=Audience.everywhere())
    answer = await open_line(world)

    form = await world.sam.click(answer, label="Correct")
    await world.sam.submit_modal(form, {VALUE: "Porto"})

    assert text_of(answer).strip().startswith("Thanks, I know better now.")
    assert "> Porto\nmay come up everywhere" in text_of(answer)
    everywhere = await world.memory.get_identity(world.owner(world.sam), audience=Audience.channel(1, 2))
    assert everywhere == {"city": "Porto"}


@pytest.mark.parametrize(("typed", "value"), [("[1, 2]", [1, 2]), ("none", "none")])
async def test_what_is_no_text_is_corrected_in_its_own_notation(world: World, typed: str, value: object) -> None:
    await know(world, "numbers", [1])
    answer = await open_line(world)

    form = await world.sam.click(answer, label="Correct")
    await world.sam.submit_modal(form, {VALUE: typed})

    assert await identity(world) == {"numbers": value}


async def test_a_line_is_added_for_its_owner_alone(world: World) -> None:
    answer = await use(world, "profile")

    form = await world.sam.click(answer, label="Add")
    await world.sam.submit_modal(form, {NAME: "city", VALUE: "Lisbon"})

    assert "> Lisbon\nmay come up only in direct messages with me" in text_of(answer)
    assert await identity(world) == {"city": "Lisbon"}


@pytest.mark.parametrize(
    ("name", "sentence"), [("updated_at", "An attribute is a name of 1 to 100"), ("\u0007", "An attribute is a name")]
)
async def test_a_name_that_is_none_is_refused_in_a_sentence(world: World, name: str, sentence: str) -> None:
    answer = await use(world, "profile")

    form = await world.sam.click(answer, label="Add")
    refused = await world.sam.submit_modal(form, {NAME: name, VALUE: "x"})

    assert refused.followups[0].content.startswith(sentence)
    assert await identity(world) == {}
    assert world.env.errors


async def test_an_empty_value_is_refused_in_a_sentence(world: World) -> None:
    answer = await use(world, "profile")

    form = await world.sam.click(answer, label="Add")
    refused = await world.sam.submit_modal(form, {NAME: "city", VALUE: "  "})

    assert refused.response is not None
    assert refused.response.content == "There is nothing to remember in an empty text."
    assert world.env.errors


async def test_its_owner_says_where_it_may_come_up(world: World) -> None:
    await know(world)
    answer = await open_line(world)
    labels = {option["label"]: option["value"] for option in buttons_of(answer)[WHERE]["options"]}
    assert labels == {"Only in direct messages with me": "owner", "Everywhere": "everywhere"}

    await world.sam.select(answer, ["everywhere"], custom_id=WHERE)
    assert "It may come up everywhere now." in text_of(answer)
    here = Audience.channel(world.guild.id, world.general.id)
    assert await world.memory.get_identity(world.owner(world.sam), audience=here) == {"city": "Lisbon"}
    await world.sam.select(answer, ["owner"], custom_id=WHERE)

    assert await world.memory.get_identity(world.owner(world.sam), audience=here) == {}


async def test_a_line_that_may_come_up_in_a_channel_names_it(world: World) -> None:
    await know(world, audience=Audience.channel(world.guild.id, world.general.id))

    answer = await open_line(world)

    assert f"where all readers can read <#{world.general.id}> too" in text_of(answer)
    labels = [option["label"] for option in buttons_of(answer)[WHERE]["options"]]
    assert labels[1] == "Where all readers can read #general too"


async def test_a_line_is_forgotten_after_a_confirmation(world: World) -> None:
    await know(world)
    await know(world, "pets", "Miso")
    answer = await open_line(world)
    await world.sam.click(answer, label="Forget")
    assert "Forget this for good?" in (answer.embeds[0].title or "")
    assert await identity(world) == {"city": "Lisbon", "pets": ["Miso"]}

    await world.sam.click(answer, label="Forget it")

    assert answer.content.startswith("Forgotten for good:")
    assert await identity(world) == {"pets": ["Miso"]}


async def test_each_of_many_values_is_a_line_of_its_own(world: World) -> None:
    await know(world, "pets", ["Miso", "Rex", "Tom"])
    answer = await open_line(world, 1)
    assert "> Rex" in text_of(answer)

    await world.sam.select(answer, ["everywhere"], custom_id=WHERE)
    here = Audience.channel(world.guild.id, world.general.id)
    assert await world.memory.get_identity(world.owner(world.sam), audience=here) == {"pets": ["Rex"]}
    form = await world.sam.click(answer, label="Correct")
    await world.sam.submit_modal(form, {VALUE: "Rexy"})
    assert await identity(world) == {"pets": ["Miso", "Tom", "Rexy"]}
    await world.sam.click(answer, label="Forget")
    await world.sam.click(answer, label="Forget it")

    assert await identity(world) == {"pets": ["Miso", "Tom"]}


async def test_a_value_that_is_added_to_many_takes_the_place_of_none(world: World) -> None:
    await know(world, "pets", ["Miso"])
    answer = await use(world, "profile")

    form = await world.sam.click(answer, label="Add")
    await world.sam.submit_modal(form, {NAME: "pets", VALUE: "Rex"})

    assert "> Rex" in text_of(answer)
    assert await identity(world) == {"pets": ["Miso", "Rex"]}


async def test_forgetting_can_be_called_off(world: World) -> None:
    await know(world)
    answer = await open_line(world)
    await world.sam.click(answer, label="Forget")

    await world.sam.click(answer, label="Cancel")

    assert answer.content == "Nothing was forgotten."
    assert await identity(world) == {"city": "Lisbon"}


async def test_a_line_that_went_meanwhile_is_told(world: World) -> None:
    await know(world)
    answer = await use(world, "profile")
    await world.memory.forget_identity(world.owner(world.sam), "city")

    chosen = await world.sam.select(answer, ["0"], custom_id=MENU)

    assert [message.content for message in chosen.followups] == ["That isn't known of you any more."]
    assert world.env.errors


async def test_two_people_correct_at_once_each_their_own(world: World) -> None:
    await know(world)
    await world.memory.update_identity(world.owner(world.robin), "city", "Rome")
    mine = await open_line(world)
    theirs = (await world.robin.slash(world.general, "memory profile")).response
    assert theirs is not None
    await world.robin.select(theirs, ["0"], custom_id=MENU)
    forms = [await world.sam.click(mine, label="Correct"), await world.robin.click(theirs, label="Correct")]

    await world.robin.submit_modal(forms[1], {VALUE: "Milan"})
    await world.sam.submit_modal(forms[0], {VALUE: "Porto"})

    assert await identity(world) == {"city": "Porto"}
    assert await world.memory.get_identity(world.owner(world.robin)) == {"city": "Milan"}


async def test_nothing_in_it_works_or_outgrows_discord(world: World) -> None:
    for number in range(5):
        await know(world, f"{number}{EVIL[:60]}".replace("\n", " ").replace("\u202e", ""), EVIL * 40)

    answer = await use(world, "profile")
    assert len(answer.embeds[0].description or "") <= 4096
    assert "[click](https://evil" not in text_of(answer)
    await world.sam.select(answer, ["0"], custom_id=MENU)
    form = await world.sam.click(answer, label="Correct")

    assert not answer.message.mention_everyone
    assert form.modal is not None
    assert len(form.modal["title"]) <= 45


async def test_buttons_go_when_time_is_up(world: World) -> None:
    await know(world)
    answer = await open_line(world)

    await world.env.advance_time(181)

    assert answer.components == []


async def test_a_store_that_is_away_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(world, monkeypatch, "identity.list_current")

    assert (await use(world, "profile")).content == AWAY


async def test_what_somebody_else_says_of_a_person_is_not_in_their_profile(world: World) -> None:
    await world.sam.send(world.general, f"{world.robin.mention} is allergic to nuts.")
    await world.flush()

    theirs = (await world.robin.slash(world.general, "memory profile")).response

    assert theirs is not None
    assert "nuts" not in text_of(theirs)
    (claim,) = await world.memories(world.sam)
    assert claim.author_id == world.owner(world.sam)
    assert await world.memories(world.robin) == []


@pytest.mark.parametrize(
    ("typed", "kept", "shown"), [("3 May 1990", "1990-05-03", "3 May 1990"), ("5 may", "--05-05", "5 May")]
)
async def test_a_birthday_reads_and_is_typed_as_people_write_it(
    world: World, typed: str, kept: str, shown: str
) -> None:
    await know(world, "birthday", "1990-05-03")
    answer = await open_line(world)
    assert "> 3 May 1990\n" in text_of(answer)

    form = await world.sam.click(answer, label="Correct")
    await world.sam.submit_modal(form, {VALUE: typed})

    assert f"> {shown}\n" in text_of(answer)
    assert await identity(world) == {"birthday": kept}
