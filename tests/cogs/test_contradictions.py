"""`/contradictions …` as people use it: what can't both be true, one reviewer at a time, decided once, taken back."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import simcord

from bot import Clara
from cortex_core import Audience, Memory, MemoryStatus, MemoryType, ProjectRole, StoreUnavailableError
from cortex_core.stores.postgres.contradictions import Contradiction
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from tests.cogs.conftest import World
from tests.cogs.test_project_commands import make, make_admin, press
from tests.harness import Connect

EVIL = "@everyone <@&1> **bold** [click](https://evil.example)\n# heading <t:0:R> ```code``` \u202egnihton"
NOTHING = "Nothing that I know of you contradicts itself."
A, B, BOTH = "Keep A", "Keep B", "Both are true"
MERGE, CHANGED, SKIP, UNDO = "Merge …", "It changed on …", "Skip", "Undo"
DAY, CONTENT = "cortex:v1:date:day", "cortex:v1:review:content"


async def know(world: World, person: simcord.MemberActor, content: str, days_ago: float = 0, **fields: Any) -> Memory:
    memory = Memory(
        **{
            "user_id": world.owner(person),
            "author_id": world.owner(person),
            "content": content,
            "memory_type": MemoryType.SEMANTIC,
            "created_at": datetime.now(UTC) - timedelta(days=days_ago),
            **fields,
        }
    )
    assert await world.memory.postgres.write([PendingWrite(memory)]) == [WriteOutcome.WRITTEN]
    return memory


async def clash(
    world: World, one: Memory, other: Memory, why: str = "It can't be both.", *, project_id: str | None = None
) -> UUID:
    """Note that two memories can't both be true."""
    contradictions = world.memory.postgres.contradictions
    async with world.memory.postgres.pool.transaction() as connection:
        assert await contradictions.flag(connection, one, other, why, found_by="rules", project_id=project_id)
    found = await contradictions.list_pending(limit=1000)
    return next(c.id for c in found if {c.memory_a, c.memory_b} == {one.id, other.id})


async def cities(world: World, number: int = 1) -> list[tuple[Memory, Memory]]:
    """Let Sam have said where Sam lives, differently, so often."""
    pairs = []
    for place in range(number):
        one = await know(world, world.sam, f"I live in Porto {place}.", 20)
        other = await know(world, world.sam, f"I live in Lisbon {place}.", 10)
        await clash(world, one, other)
        pairs.append((one, other))
    return pairs


async def use(world: World, command: str, person: simcord.MemberActor | None = None) -> simcord.ResponseMessage:
    """Use a command and return its answer, which nobody else sees."""
    result = await (person or world.sam).slash(world.general, f"contradictions {command}")
    assert result.response is not None
    assert result.response.ephemeral
    assert not result.response.message.mention_everyone
    return result.response


def text_of(answer: simcord.ResponseMessage) -> str:
    return "\n".join([answer.content, *(f"{embed.title}\n{embed.description}" for embed in answer.embeds)])


def buttons_of(answer: simcord.ResponseMessage) -> list[str]:
    return [c["label"] for row in answer.components for c in row["components"] if not c.get("disabled")]


def id_of(answer: simcord.ResponseMessage, label: str) -> str:
    """Return the id of a button, pressed or not."""
    return next(c["custom_id"] for row in answer.components for c in row["components"] if c["label"] == label)


async def look_away(connect: Connect) -> None:
    """Let so much time pass that what is under review isn't kept from others any more."""
    async with connect() as connection:
        await connection.execute("UPDATE contradictions SET claimed_until = now() - interval '1 second'")


async def the_contradiction(world: World, contradiction_id: UUID, person: simcord.MemberActor) -> Contradiction:
    found, _, _ = await world.memory.postgres.contradictions.get(world.owner(person), contradiction_id)
    return found


async def status_of(world: World, memory: Memory) -> MemoryStatus:
    found = await world.memory.get(memory.user_id, memory.id)
    assert found is not None
    return found.status


async def a_project(world: World, admin: simcord.MemberActor) -> tuple[Memory, Memory, UUID, str]:
    """Let Robin and Sam have told a project of Sam's what can't both be true; `admin` is one of its admins."""
    project = await make(world, members=(world.robin,))
    await make_admin(world, project, admin)
    shared = {"project_id": project.id, "audience": str(Audience.everywhere())}
    one = await know(world, world.robin, "The party is on Monday.", 2, **shared)
    other = await know(world, world.sam, "The party is on Friday.", 1, **shared)
    return one, other, await clash(world, one, other, project_id=project.id), project.id


@pytest.fixture
def ada(world: World) -> simcord.MemberActor:
    return world.guild.add_member(world.env.create_user("ada"))


class TestList:
    async def test_says_so_when_there_is_nothing(self, world: World) -> None:
        for command in ("list", "review"):
            assert (await use(world, command)).content == NOTHING

    async def test_shows_both_with_dates_and_the_reason(self, world: World) -> None:
        await cities(world)

        answer = text_of(await use(world, "list"))

        assert "What can't both be true: 1 case" in answer
        assert "**A**\n> I live in Porto 0.\n<t:" in answer
        assert "**B**\n> I live in Lisbon 0.\n<t:" in answer
        assert "It can\\'t be both\\. · found <t:" in answer

    async def test_links_to_where_it_was_said(self, world: World) -> None:
        said = await world.sam.send(world.general, "My bike is a red one, believe me.")
        await world.flush()
        (one,) = await world.memories(world.sam)
        await clash(world, one, await know(world, world.sam, "My bike is blue."))

        answer = text_of(await use(world, "review"))

        assert (
            f"[where you said it](https://discord.com/channels/{world.guild.id}/{world.general.id}/{said.id})" in answer
        )

    async def test_has_pages(self, world: World) -> None:
        await cities(world, 7)
        answer = await use(world, "list")
        assert text_of(answer).count("**A**") == 3

        await world.sam.click(answer, custom_id="cortex:v1:pages:last")

        assert text_of(answer).count("**A**") == 1
        assert "I live in Lisbon 6." in text_of(answer)

    async def test_leaves_out_what_is_gone_meanwhile(self, world: World) -> None:
        pairs = await cities(world, 4)
        answer = await use(world, "list")
        await world.memory.forget(pairs[3][0].user_id, [pairs[3][0].id])

        await world.sam.click(answer, custom_id="cortex:v1:pages:forward")

        assert "*1 is gone since, or out of reach for now.*" in text_of(answer)

    async def test_shows_nothing_of_others(self, world: World) -> None:
        await cities(world)

        assert (await use(world, "list", world.robin)).content == NOTHING

    async def test_nothing_in_it_works(self, world: World) -> None:
        one, other = await know(world, world.sam, EVIL), await know(world, world.sam, f"{EVIL} again")
        await clash(world, one, other, EVIL)

        for command in ("list", "review"):
            answer = text_of(await use(world, command))
            assert "@\u200beveryone \\<" in answer
            assert "[click](" not in answer
            assert "\n#" not in answer
            assert "\u202e" not in answer

    async def test_the_longest_fit(self, world: World) -> None:
        for number in range(3):
            one = await know(world, world.sam, f"{number}a" + "*" * 3000)
            await clash(world, one, await know(world, world.sam, f"{number}b" + "*" * 3000), "_" * 3000)

        for command in ("list", "review"):
            assert "It can" not in text_of(await use(world, command))

    async def test_is_told_when_a_store_is_away(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        async def away(*_: object, **__: object) -> None:
            raise StoreUnavailableError("PostgreSQL is away.")

        monkeypatch.setattr(type(world.memory.reviews), "list_open", away)
        for command in ("list", "review"):
            answer = await use(world, command)
            assert answer.content == "I can't reach my memory right now. Please try again later."


class TestReview:
    @pytest.mark.parametrize(("button", "loser", "said"), [(A, 1, "**A** stays"), (B, 0, "**B** stays")])
    async def test_one_wins(self, world: World, button: str, loser: int, said: str) -> None:
        [pair] = await cities(world)
        answer = await use(world, "review")
        a = next(memory for memory in pair if f"**A**\n> {memory.content}" in text_of(answer))
        pair = (a, *(memory for memory in pair if memory != a))

        await world.sam.click(answer, label=button)

        assert said in text_of(answer)
        assert "Nothing is left to decide." in text_of(answer)
        assert await status_of(world, pair[loser]) is MemoryStatus.SUPERSEDED
        assert await status_of(world, pair[1 - loser]) is MemoryStatus.ACTIVE

    async def test_both_stay(self, world: World) -> None:
        [pair] = await cities(world)
        answer = await use(world, "review")

        await world.sam.click(answer, label=BOTH)

        assert [await status_of(world, memory) for memory in pair] == [MemoryStatus.ACTIVE] * 2
        assert (await use(world, "list")).content == NOTHING

    async def test_both_become_one_in_the_persons_words(self, world: World) -> None:
        [pair] = await cities(world)
        answer = await use(world, "review")

        form = await world.sam.click(answer, label=MERGE)
        assert form.modal is not None
        await world.sam.submit_modal(form, {CONTENT: "I live in Porto and in Lisbon."})

        assert "Both became one memory" in text_of(answer)
        [left] = await world.memories(world.sam)
        assert left.content == "I live in Porto and in Lisbon."
        assert [await status_of(world, memory) for memory in pair] == [MemoryStatus.SUPERSEDED] * 2

    async def test_a_merged_memory_has_words(self, world: World) -> None:
        await cities(world)
        answer = await use(world, "review")

        form = await world.sam.click(answer, label=MERGE)
        refused = await world.sam.submit_modal(form, {CONTENT: "  "})

        assert refused.response is not None
        assert refused.response.content == "Please say in words what is true of both."
        assert "Keep A" in buttons_of(answer)
        assert world.env.errors

    async def test_it_changed(self, world: World) -> None:
        [(older, newer)] = await cities(world)
        answer = await use(world, "review")

        form = await world.sam.click(answer, label=CHANGED)
        await world.sam.submit_modal(form, {DAY: "2 weeks ago"})

        then = (datetime.now(UTC) - timedelta(days=14)).replace(hour=0, minute=0, second=0, microsecond=0)
        held, holds = [await world.memory.get(memory.user_id, memory.id) for memory in (older, newer)]
        assert held is not None
        assert holds is not None
        assert (held.status, holds.status, holds.valid_from) == (MemoryStatus.SUPERSEDED, MemoryStatus.ACTIVE, then)

    @pytest.mark.parametrize(
        ("typed", "sentence"),
        [
            ("soon", "I can't read that date. Please write it like one of these: "),
            ("2999-01-01", "That date lies ahead; please choose one in the past."),
        ],
    )
    async def test_a_date_can_be_read_and_is_past(self, world: World, typed: str, sentence: str) -> None:
        await cities(world)
        answer = await use(world, "review")

        form = await world.sam.click(answer, label=CHANGED)
        refused = await world.sam.submit_modal(form, {DAY: typed})

        assert refused.response is not None
        assert refused.response.content.startswith(sentence)
        assert "Keep A" in buttons_of(answer)
        assert world.env.errors

    async def test_goes_on_to_the_next_one(self, world: World) -> None:
        await cities(world, 3)
        answer = await use(world, "review")
        assert "Lisbon 0" in text_of(answer)
        assert answer.embeds[0].footer.text == "2 more after this one"

        await world.sam.click(answer, label=BOTH)
        assert text_of(answer).count("Lisbon 1") == 1
        await world.sam.click(answer, label=SKIP)
        assert "Lisbon 2" in text_of(answer)
        await world.sam.click(answer, label=SKIP)

        assert "Nothing is left to decide." in text_of(answer)
        assert buttons_of(answer) == ["Undo"]
        assert "Lisbon 1" in text_of(await use(world, "review"))

    async def test_the_last_decision_is_taken_back(self, world: World) -> None:
        pairs = await cities(world, 2)
        answer = await use(world, "review")
        assert "Undo" not in buttons_of(answer)
        await world.sam.click(answer, label=A)

        await world.sam.click(answer, label=UNDO)

        assert "That decision is taken back." in text_of(answer)
        assert "Lisbon 0" in text_of(answer)
        assert [await status_of(world, memory) for memory in pairs[0]] == [MemoryStatus.ACTIVE] * 2
        assert "Undo" not in buttons_of(answer)
        await world.sam.click(answer, label=BOTH)
        assert "Lisbon 1" in text_of(answer)

    async def test_taken_back_at_the_end_too(self, world: World) -> None:
        await cities(world)
        answer = await use(world, "review")
        await world.sam.click(answer, label=BOTH)

        await world.sam.click(answer, label=UNDO)

        assert "Keep A" in buttons_of(answer)

    async def test_pressed_twice_at_once_decides_once(self, world: World) -> None:
        pairs = await cities(world, 2)
        answer = await use(world, "review")

        await press(world, *((world.sam, answer, id_of(answer, label)) for label in (A, B)))

        statuses = [await status_of(world, memory) for pair in pairs for memory in pair]
        assert statuses.count(MemoryStatus.SUPERSEDED) == 1
        [left] = await world.memory.reviews.list_open(world.owner(world.sam))
        assert left.memory_a in {memory.id for memory in pairs[1]}

    async def test_what_was_forgotten_meanwhile_is_passed_over(self, world: World) -> None:
        pairs = await cities(world, 2)
        answer = await use(world, "review")
        await world.memory.forget(pairs[0][0].user_id, [pairs[0][0].id])

        await world.sam.click(answer, label=A)

        assert "There is no such contradiction for you to decide." in text_of(answer)
        assert "Lisbon 1" in text_of(answer)

    async def test_is_its_askers_alone(self, world: World) -> None:
        await cities(world)
        answer = await use(world, "review")

        [refused] = await press(world, (world.robin, answer, id_of(answer, A)))

        assert refused.response is not None
        assert refused.response.content == "This review is somebody else's."
        assert len(await world.memory.reviews.list_open(world.owner(world.sam))) == 1

    @pytest.mark.parametrize("button", [A, BOTH, MERGE, CHANGED, SKIP])
    async def test_works_after_a_restart(self, world: World, button: str) -> None:
        await cities(world, 2)
        answer = await use(world, "review")
        await world.bot.close()
        restarted = Clara(world.memory)
        await world.env.restart_bot(restarted)

        pressed = await world.sam.click(answer, label=button)
        if pressed.modal is not None:
            await world.sam.submit_modal(pressed, {CONTENT: "Both."} if button == MERGE else {DAY: "2 weeks ago"})

        assert "Lisbon 1" in text_of(answer)
        left = await world.memory.reviews.list_open(world.owner(world.sam))
        assert len(left) == (2 if button == SKIP else 1)
        if button != SKIP:
            await world.sam.click(answer, label=UNDO)
            assert "That decision is taken back." in text_of(answer)
            assert "Lisbon 0" in text_of(answer)
        await restarted.close()

    async def test_works_hours_later(self, world: World) -> None:
        await cities(world)
        answer = await use(world, "review")
        await world.env.advance_time(3600)

        await world.sam.click(answer, label=BOTH)

        assert await world.memory.reviews.list_open(world.owner(world.sam)) == []


class TestProjects:
    async def test_are_decided_by_their_admins(self, world: World, ada: simcord.MemberActor) -> None:
        *_, found, _ = await a_project(world, ada)
        answer = await use(world, "review", ada)
        assert "project **Garden**" in text_of(answer)
        assert "said by robin" in text_of(answer)
        assert "Merge …" not in buttons_of(answer), "two people's words can't be merged"

        await ada.click(answer, label=BOTH)

        assert (await the_contradiction(world, found, ada)).resolved_by == world.owner(ada)

    async def test_not_by_members(self, world: World, ada: simcord.MemberActor) -> None:
        await a_project(world, ada)

        for command in ("list", "review"):
            assert (await use(world, command, world.robin)).content == NOTHING

    async def test_nor_by_who_is_no_admin_any_more(self, world: World, ada: simcord.MemberActor) -> None:
        *_, found, project_id = await a_project(world, ada)
        answer = await use(world, "review", ada)
        await world.memory.project_memory.set_role(
            project_id, world.owner(ada), ProjectRole.MEMBER, by=world.owner(world.sam)
        )

        await ada.click(answer, label=A)

        assert "Only the owner or an admin of the project can decide that." in text_of(answer)
        assert (await the_contradiction(world, found, world.sam)).resolution is None

    async def test_one_reviewer_at_a_time(self, world: World, ada: simcord.MemberActor) -> None:
        await a_project(world, ada)
        first = await use(world, "review", ada)
        second = await use(world, "review", world.sam)
        assert f"<@{ada.id}> is deciding one of them at this moment." in text_of(second)
        assert buttons_of(second) == []

        await ada.click(first, label=SKIP)

        assert "Keep A" in buttons_of(await use(world, "review", world.sam))

    async def test_leaving_it_is_not_taken_for_a_decision(self, world: World, ada: simcord.MemberActor) -> None:
        *_, found, _ = await a_project(world, ada)

        async def look_and_leave(person: simcord.MemberActor) -> None:
            for _ in range(50):
                await world.memory.reviews.begin(world.owner(person), found)
                await world.memory.reviews.leave(world.owner(person), found)

        await asyncio.gather(*(look_and_leave(person) for person in (ada, world.sam) * 2))

        assert (await the_contradiction(world, found, ada)).resolution is None

    async def test_who_looks_away_leaves_it_to_others(
        self, world: World, ada: simcord.MemberActor, connect: Connect
    ) -> None:
        *_, found, _ = await a_project(world, ada)
        first = await use(world, "review", ada)
        await look_away(connect)
        second = await use(world, "review", world.sam)
        assert "Keep A" in buttons_of(second)

        sentence = f"<@{world.sam.id}> is deciding one of them at this moment."
        pressed = await ada.click(first, label=CHANGED)
        assert pressed.response is not None
        assert pressed.response.content == sentence
        await ada.click(first, label=A)
        assert sentence in text_of(first)
        assert (await the_contradiction(world, found, ada)).resolution is None

    async def test_another_s_decision_is_not_taken_back(self, world: World, ada: simcord.MemberActor) -> None:
        *_, found, _ = await a_project(world, ada)
        first = await use(world, "review", ada)
        await ada.click(first, label=BOTH)
        await world.memory.reviews.take_back(world.owner(ada), found)
        await world.sam.click(await use(world, "review", world.sam), label=BOTH)

        await ada.click(first, label=UNDO)

        assert "Somebody else has decided this since." in text_of(first)
        assert (await the_contradiction(world, found, ada)).resolved_by == world.owner(world.sam)

    async def test_the_second_reads_that_it_is_decided(
        self, world: World, ada: simcord.MemberActor, connect: Connect
    ) -> None:
        await a_project(world, ada)
        first = await use(world, "review", ada)
        await look_away(connect)
        second = await use(world, "review", world.sam)
        await world.sam.click(second, label=B)

        await ada.click(first, label=A)

        assert "Somebody has decided this already." in text_of(first)
        assert "holds no more" in text_of(second)


async def test_works_in_a_direct_message(world: World) -> None:
    await cities(world)

    result = await world.sam.user.slash("contradictions review")

    assert result.response is not None
    assert "Keep A" in buttons_of(result.response)


async def test_too_many_commands_have_to_wait(world: World) -> None:
    for _ in range(6):
        await use(world, "list")

    assert (await use(world, "list")).content.startswith("That was a lot at once.")


async def test_an_unloaded_extension_leaves_no_button_that_works(world: World) -> None:
    await cities(world)
    answer = await use(world, "review")

    await world.bot.unload_extension("cortex_cogs.contradictions")
    await world.sam.click(answer, label=A)

    assert len(await world.memory.reviews.list_open(world.owner(world.sam))) == 1
    await world.bot.load_extension("cortex_cogs.contradictions")
    again = await use(world, "review")
    await world.sam.click(again, label=BOTH)
    assert "Both stay." in text_of(again)
