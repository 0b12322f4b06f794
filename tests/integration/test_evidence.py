"""When facts, or what they rest on, are taken back: what they had taken the place of holds again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations

import pytest

from cortex_core import Memory, MemoryManager, MemoryStatus
from cortex_core.consolidation.contradictions import Contradiction, Resolution
from cortex_core.consolidation.patterns import Pattern
from cortex_core.knowledge.learning import Learned, ProvenClaim
from cortex_core.models import utc_now
from cortex_core.providers.analysis import Claim, ClaimKind
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from tests.harness import Connect, flag_contradiction

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def memory(silent: MemoryManager) -> MemoryManager:
    return silent


def day(number: float) -> datetime:
    return START + timedelta(days=number)


async def tell(memory: MemoryManager, content: str, at: float = 0, **fields: object) -> Memory:
    fields = {"user_id": "ann", "content": content, "created_at": day(at), "source": "conversation"} | fields
    said = Memory(**fields)
    assert await memory.postgres.write([PendingWrite(said)]) == [WriteOutcome.WRITTEN]
    return said


async def edit(memory: MemoryManager, said: Memory, content: str) -> None:
    await tell(memory, **{**said.model_dump(), "content": content, "version": said.version + 1})
    await memory.redis.clear_identity(said.user_id)


def claim(attribute: str, value: object, *evidence: Memory, **fields: object) -> ProvenClaim:
    claim = Claim(attribute=attribute, value=value, **{"confidence": 0.9, "evidence": (1,), **fields})
    return ProvenClaim(claim, tuple(memory.id for memory in evidence))


async def learn(memory: MemoryManager, *claims: ProvenClaim, owner: str = "ann") -> Learned:
    return await memory._open_parts.facts.learn(owner, claims, learned_by="rules")


async def say(memory: MemoryManager, value: object, at: float = 0, *, attribute: str = "location") -> Memory:
    """Say something and learn it."""
    said = await tell(memory, f"{attribute}: {value}", at)
    await learn(memory, claim(attribute, value, said))
    return said


async def move(memory: MemoryManager, *cities: str) -> list[Memory]:
    """Live in one after the other, each from another day on."""
    return [await say(memory, city, at) for at, city in enumerate(cities)]


async def known(memory: MemoryManager, owner: str = "ann") -> dict[str, object]:
    return await memory.get_identity(owner)


async def history(memory: MemoryManager) -> list[tuple[object, datetime, datetime | None]]:
    facts = await memory.get_identity_history("ann")
    return sorted(((f.value, f.valid_from, f.valid_to) for f in facts), key=str)


class TestUndo:
    @pytest.mark.parametrize("before", [(), ("Oslo",), ("Lima", "Oslo")])
    async def test_of_a_run_that_changed_an_attribute_again_and_again(
        self, memory: MemoryManager, before: Sequence[str]
    ):
        await move(memory, *before)
        was = await known(memory), await history(memory)
        later = [await tell(memory, city, 10 + at) for at, city in enumerate(("Bergen", "Rome", "Pisa"))]
        learned = await learn(memory, *(claim("location", said.content, said) for said in later))
        assert await known(memory) == {"location": "Pisa"}

        await memory.consolidation.undo("ann", learned.run_id)

        withdrawn = [(said.content, said.created_at, said.created_at) for said in later]
        assert (await known(memory), await history(memory)) == (was[0], sorted([*was[1], *withdrawn], key=str))

    async def test_brings_none_of_many_back_beside_one_that_was_set_alone(self, memory: MemoryManager):
        await say(memory, "42", attribute="shoe size")
        ended = await learn(memory, claim("shoe size", "42", await tell(memory, "not 42", 1), kind=ClaimKind.ENDS))
        await memory.update_identity("ann", "shoe size", "43")

        undone = await memory.consolidation.undo("ann", ended.run_id)

        assert undone.facts == ()
        assert await known(memory) == {"shoe size": "43"}


class TestEdits:
    async def test_all_that_one_message_said_goes_and_what_held_before_it_holds_again(self, memory: MemoryManager):
        await move(memory, "Oslo")
        was = await history(memory)
        told = await tell(memory, "I moved to Bergen, then to Rome", 1)
        await learn(memory, claim("location", "Bergen", told), claim("location", "Rome", told))

        await edit(memory, told, "Never mind")

        assert await known(memory) == {"location": "Oslo"}
        assert await history(memory) == was

    async def test_of_what_was_held_in_between_leaves_the_line_whole(self, memory: MemoryManager):
        _, bergen, rome = await move(memory, "Oslo", "Bergen", "Rome")

        await edit(memory, bergen, "Never mind")
        assert await history(memory) == [("Oslo", day(0), day(2)), ("Rome", day(2), None)]

        await edit(memory, rome, "Never mind")
        assert await history(memory) == [("Oslo", day(0), None)]


class TestRetiring:
    async def test_what_was_wrong_held_at_no_time(self, memory: MemoryManager):
        *_, rome = await move(memory, "Oslo", "Rome")

        await memory.retire("ann", rome.id, was_wrong=True)

        assert await known(memory) == {"location": "Oslo"}
        assert await history(memory) == [("Oslo", day(0), None), ("Rome", day(1), day(1))]

    async def test_what_is_outdated_held_until_now(self, memory: MemoryManager):
        *_, rome = await move(memory, "Oslo", "Rome")

        await memory.retire("ann", rome.id)

        assert await known(memory) == {}
        (_, _, oslo_ended), (_, _, rome_ended) = await history(memory)
        assert oslo_ended == day(1)
        assert rome_ended > day(1)

    @pytest.mark.parametrize("order", [(1, 2), (2, 1)])
    async def test_what_was_wrong_brings_nothing_back_that_was_wrong_too(
        self, memory: MemoryManager, order: Sequence[int]
    ):
        said = await move(memory, "Oslo", "Bergen", "Rome")

        for number in order:
            await memory.retire("ann", said[number].id, was_wrong=True)

        assert await known(memory) == {"location": "Oslo"}

    async def test_what_was_held_in_between_leaves_no_gap(self, memory: MemoryManager):
        _, bergen, _ = await move(memory, "Oslo", "Bergen", "Rome")

        await memory.retire("ann", bergen.id, was_wrong=True)

        assert await history(memory) == [
            ("Bergen", day(1), day(1)), ("Oslo", day(0), day(2)), ("Rome", day(2), None)
        ]  # fmt: skip

    async def test_what_was_set_by_hand_comes_back_with_the_memory_that_states_it(self, memory: MemoryManager):
        await memory.update_identity("ann", "location", "Oslo")
        wrong = await tell(memory, "No, Rome", 10_000)
        await learn(memory, claim("location", "Rome", wrong, kind=ClaimKind.CORRECTS, replaces="Oslo"))
        assert await known(memory) == {"location": "Rome"}

        await memory.retire("ann", wrong.id, was_wrong=True)

        assert await known(memory) == {"location": "Oslo"}
        [statement] = [m for m in await memory.postgres.get_memories("ann") if m.source == "identity_update"]
        assert (statement.content, statement.valid_to) == ("location: Oslo", None)

    @pytest.mark.parametrize("wrong", ["Oslo", "Rome"])
    async def test_a_joke_that_was_taken_back_stays_so(self, memory: MemoryManager, wrong: str):
        said = {one.content: one for one in [await say(memory, "Oslo", 0), await say(memory, "Rome", 1)]}
        await learn(memory, claim("location", "Rome", await tell(memory, "jk", 2), kind=ClaimKind.WITHDRAWS))
        assert await known(memory) == {"location": "Oslo"}

        await memory.retire("ann", said[f"location: {wrong}"].id, was_wrong=True)

        assert await known(memory) == ({"location": "Oslo"} if wrong == "Rome" else {})

    async def test_what_was_believed_meanwhile_can_be_told(self, memory: MemoryManager):
        times = [utc_now()]
        said = []
        for at, city in enumerate(("Oslo", "Bergen", "Rome")):
            said.append(await say(memory, city, at))
            times.append(utc_now())
        for wrong in reversed(said[1:]):
            await memory.retire("ann", wrong.id, was_wrong=True)
            times.append(utc_now())

        believed = [(await memory.get_identity_as_of("ann", time)).get("location") for time in times]
        assert believed == [None, "Oslo", "Bergen", "Rome", "Bergen", "Oslo"]

    async def test_what_others_prove_stays_until_they_are_wrong_too(self, memory: MemoryManager):
        first, second = await say(memory, "Rome", 1), await say(memory, "Rome", 2)

        await memory.retire("ann", first.id, was_wrong=True)
        assert await known(memory) == {"location": "Rome"}

        await memory.retire("ann", second.id, was_wrong=True)
        assert await known(memory) == {}

    async def test_in_whatever_order_what_is_left_tells_where_one_lived(self, memory: MemoryManager):
        cities = ["Oslo", "Bergen", "Rome", "Pisa"]
        for order in permutations(range(len(cities))):
            owner, left = f"person {order}", set(order)
            said = [await tell(memory, city, at, user_id=owner) for at, city in enumerate(cities)]
            for one in said:
                await learn(memory, claim("location", one.content, one), owner=owner)

            for number in order:
                await memory.retire(owner, said[number].id, was_wrong=True)

                left.remove(number)
                assert await known(memory, owner) == ({"location": cities[max(left)]} if left else {})
                held = [f for f in await memory.get_identity_history(owner) if f.valid_to != f.valid_from]
                assert [(f.value, f.valid_from) for f in held] == [(cities[at], day(at)) for at in sorted(left)]
                assert all(one.valid_to == later.valid_from for one, later in pairwise(held))


async def disagree(memory: MemoryManager, one: Memory, other: Memory) -> Contradiction:
    await flag_contradiction(memory.postgres.pool, "ann", one.id, other.id, "why")
    open_ones = await memory.reviews.list_open("ann")
    [found] = [found for found in open_ones if {found.memory_a, found.memory_b} == {one.id, other.id}]
    return found


async def decide(memory: MemoryManager, found: Contradiction, winner: Memory, *, by: str = "ann") -> None:
    """Let one of the two win."""
    wins = Resolution.A_WINS if found.memory_a == winner.id else Resolution.B_WINS
    await memory.reviews.decide(by, found.id, wins)


async def dump(connect: Connect) -> list[str]:
    """All that is known and what it rests on, except when it was written and what isn't active."""
    async with connect() as connection:
        return [
            str(row)
            for statement in (
                "SELECT id, value, valid_from, valid_to, supersedes, recorded_at, ended_at FROM identity_facts",
                "SELECT * FROM evidence",
                "SELECT id, content, status, valid_from, valid_to FROM memories WHERE status <> 'archived'",
                "SELECT * FROM derivations WHERE derived_id IN (SELECT id FROM memories WHERE status <> 'archived')",
            )
            for row in await connection.fetch(f"SELECT * FROM ({statement}) AS t ORDER BY t::text")  # noqa: S608
        ]


async def patterns(memory: MemoryManager) -> list[str]:
    known = await memory.postgres.get_memories("ann")
    return [one.content for one in known if one.source == "consolidation"]


class TestDecisions:
    async def test_who_loses_never_said_anything_that_held(self, memory: MemoryManager):
        oslo, rome = await move(memory, "Oslo", "Rome")

        await decide(memory, await disagree(memory, oslo, rome), oslo)

        assert await known(memory) == {"location": "Oslo"}
        assert await history(memory) == [("Oslo", day(0), None), ("Rome", day(1), day(1))]

    async def test_what_held_before_both_held_until_the_winner_did(self, memory: MemoryManager):
        _, oslo, rome = await move(memory, "Lima", "Oslo", "Rome")

        await decide(memory, await disagree(memory, oslo, rome), rome)

        assert await history(memory) == [
            ("Lima", day(0), day(2)), ("Oslo", day(1), day(1)), ("Rome", day(2), None)
        ]  # fmt: skip

    async def test_merging_keeps_what_both_said(self, memory: MemoryManager):
        kids, job = await say(memory, 3, attribute="number of children"), await say(memory, "nurse", attribute="job")
        found = await disagree(memory, kids, job)

        await memory.reviews.decide("ann", found.id, Resolution.MERGE, merged="A nurse with three kids.")

        assert await known(memory) == {"number of children": 3, "job": "nurse"}
        [merged] = await memory.postgres.get_memories("ann")
        await memory.retire("ann", merged.id, was_wrong=True)
        assert await known(memory) == {}

    @pytest.mark.parametrize("how", ["forgotten", "edited"])
    async def test_of_what_was_merged_each_goes_with_its_own_memory(self, memory: MemoryManager, how: str):
        kids, job = await say(memory, 3, attribute="number of children"), await say(memory, "nurse", attribute="job")
        found = await disagree(memory, kids, job)
        await memory.reviews.decide("ann", found.id, Resolution.MERGE, merged="A nurse with three kids.")

        if how == "forgotten":
            await memory.forget("ann", [kids.id])
        else:
            await edit(memory, kids, "Never mind")

        assert await known(memory) == {"job": "nurse"}
        assert [fact.attribute for fact in await memory.get_identity_history("ann")] == ["job"]

    @pytest.mark.parametrize("on", [0.5, 40])
    async def test_it_changed_on_a_date(self, memory: MemoryManager, on: float):
        oslo, rome = await move(memory, "Oslo", "Rome")
        await say(memory, "Miso", attribute="pets")
        found = await disagree(memory, oslo, rome)

        await memory.reviews.decide("ann", found.id, Resolution.CHANGED, changed_on=day(on))

        assert await known(memory) == {"location": "Rome", "pets": ["Miso"]}
        assert await history(memory) == [
            ("Miso", day(0), None), ("Oslo", day(0), day(on)), ("Rome", day(on), None)
        ]  # fmt: skip

    @pytest.mark.parametrize("resolution", Resolution)
    @pytest.mark.parametrize("pair", [(0, 1), (1, 2), (2, 3), (0, 3)])
    async def test_reopened_everything_is_as_before(
        self, memory: MemoryManager, connect: Connect, resolution: Resolution, pair: tuple[int, int]
    ):
        said = await move(memory, "Lima", "Oslo", "Bergen", "Rome")
        one, other = (said[number] for number in pair)
        await learn(memory, claim("pets", "Miso", one, other), claim("job", "nurse", one), claim("job", "baker", other))
        found = await disagree(memory, one, other)
        before = await dump(connect), await known(memory)
        for _ in range(2):
            await memory.reviews.decide("ann", found.id, resolution, merged="Both.")

            await memory.reviews.take_back("ann", found.id)

            assert (await dump(connect), await known(memory)) == before

    async def test_reopened_what_was_set_by_hand_is_as_before(self, memory: MemoryManager, connect: Connect):
        await memory.update_identity("ann", "hometown", "Cork")
        york, other = await tell(memory, "No, York", 10_000), await tell(memory, "Not York", 10_001)
        await learn(memory, claim("hometown", "York", york, kind=ClaimKind.CORRECTS, replaces="Cork"))
        found = await disagree(memory, york, other)
        before = await dump(connect)

        await decide(memory, found, other)
        assert await known(memory) == {"hometown": "Cork"}

        await memory.reviews.take_back("ann", found.id)
        assert await known(memory) == {"hometown": "York"}
        assert await dump(connect) == before

    async def test_of_a_project_leave_others_alone(self, memory: MemoryManager, connect: Connect):
        await memory.project_memory.create_project("p", "P", "ann", ["ben"])
        mine = await tell(memory, "I lead the design", project_id="p")
        theirs = await tell(memory, "I lead the design team", user_id="ben", project_id="p")
        await learn(memory, claim("job", "design lead", mine))
        await learn(memory, claim("job", "design lead", theirs), owner="ben")
        async with connect() as connection:
            await connection.execute(
                "INSERT INTO contradictions "
                "(id, owner_a, memory_a, owner_b, memory_b, project_id, explanation, found_by) "
                "VALUES (gen_random_uuid(), 'ann', $1, 'ben', $2, 'p', 'why', 'rules')",
                mine.id,
                theirs.id,
            )
        [found] = await memory.reviews.list_open("ann")

        await decide(memory, found, mine)
        assert (await memory.get("ben", theirs.id)).status is MemoryStatus.SUPERSEDED
        assert await known(memory, "ben") == {"job": "design lead"}
        await memory.reviews.take_back("ann", found.id)

        await decide(memory, found, theirs)
        assert await known(memory) == {}
        assert await known(memory, "ben") == {"job": "design lead"}

    async def test_taken_back_bring_nothing_back_that_its_owner_marked_wrong_since(self, memory: MemoryManager):
        oslo, rome = await move(memory, "Oslo", "Rome")
        found = await disagree(memory, oslo, rome)
        await decide(memory, found, oslo)
        await memory.retire("ann", rome.id, was_wrong=True)

        await memory.reviews.take_back("ann", found.id)

        assert (await memory.get("ann", rome.id)).status is MemoryStatus.SUPERSEDED
        assert await known(memory) == {"location": "Oslo"}

    @pytest.mark.parametrize("wrong", [0, 1])
    async def test_who_loses_shows_no_pattern_any_more(self, memory: MemoryManager, connect: Connect, wrong: int):
        dinners = [await tell(memory, f"Vegan dinner {number}", number) for number in range(2 + wrong)]
        steak = await tell(memory, "I eat steak daily", 3)
        pattern = Pattern(
            category="preference", fact="eats vegan", confidence=0.95, evidence=tuple(d.id for d in dinners)
        )
        await memory.consolidation.pattern_extractor.apply_patterns("ann", [pattern])
        before = await dump(connect)
        found = await disagree(memory, dinners[0], steak)

        await decide(memory, found, steak)
        assert await patterns(memory) == ["eats vegan"] * wrong
        await memory.reviews.take_back("ann", found.id)
        assert await dump(connect) == before

        await decide(memory, found, steak)
        await memory.retire("ann", dinners[1].id)
        assert await patterns(memory) == []


async def test_a_digest_takes_back_what_it_tells(memory: MemoryManager):
    await move(memory, "Oslo", "Rome")
    [rome] = await memory.postgres.identity.list_current("ann")

    await memory.digests.take_back("ann", rome.id, has_ended=False)

    assert await history(memory) == [("Oslo", day(0), None), ("Rome", day(1), day(1))]
