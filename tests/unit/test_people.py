"""Who is who today in what memories say."""

from cortex_core import Audience, Memory
from cortex_core.recall.people import people_in, rename

HERE, ELSEWHERE = 1, 2


def said(content: str, audience: Audience | None = None, **mentions: str) -> Memory:
    return Memory(
        user_id="ann",
        author_name="Nick of Ann",
        content=content,
        audience=str(audience or Audience.channel(HERE, 10)),
        metadata={"mentions": dict(mentions), "reply_to": "cleo"},
    )


def test_the_author_those_mentioned_and_who_is_replied_to_are_in_it():
    assert people_in(said("Ask @Bo.", Bo="bo")) == {"ann", "bo", "cleo"}


def test_names_of_today_take_the_place_of_those_of_then():
    memory = rename(said("Ask @Bo, not @Bobby.", Bo="bo"), {"ann": "Ann", "bo": "Robert"}, guild_id=ELSEWHERE)

    assert memory.content == "Ask @Robert, not @Bobby."
    assert memory.author_name == "Ann"


def test_who_is_not_known_keeps_a_name_where_it_was_given():
    memory = rename(said("Ask @Bo.", Bo="bo"), {}, guild_id=HERE)

    assert (memory.content, memory.author_name) == ("Ask @Bo.", "Nick of Ann")


def test_who_is_not_known_is_somebody_elsewhere():
    memory = said("Ask @Bo or @Secret Nick.", **{"Bo": "bo", "Secret Nick": "cleo"})

    for place in (ELSEWHERE, None):
        assert rename(memory, {"bo": "Bo"}, guild_id=place).content == "Ask @Bo or @somebody."
        assert rename(memory, {}, guild_id=place).author_name is None
    private = memory.model_copy(update={"audience": str(Audience.owner())})
    assert rename(private, {"bo": "Bo"}, guild_id=HERE).content == "Ask @Bo or @somebody."


def test_a_name_is_not_taken_for_that_of_another_the_second_time():
    names = {"ann": "Ann", "bo": "Ann", "cleo": "Bo"}
    once = rename(said("@Bo knows @Cleo.", Bo="bo", Cleo="cleo"), names, guild_id=None)

    assert once.content == "@Ann knows @Bo."
    assert rename(once, names, guild_id=None) == once
