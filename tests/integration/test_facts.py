"""Facts: learned with evidence, believed for a time, asked about, and taken back with what they rest on."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex_core import (
    Audience,
    InvalidInputError,
    Memory,
    MemoryManager,
    MemoryStatus,
    NotFoundError,
    StoreUnavailableError,
)
from cortex_core.knowledge.decisions import Outcome
from cortex_core.knowledge.learning import Learned, ProvenClaim, Reading
from cortex_core.models import utc_now
from cortex_core.providers.analysis import Claim, ClaimKind
from cortex_core.stores.postgres.corrections import Correction, CorrectionAnswer
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from tests.harness import Connect

START = datetime(2026, 3, 1, tzinfo=UTC)
GUILD, CHANNEL, OTHER_CHANNEL = Audience.guild(1), Audience.channel(1, 10), Audience.channel(1, 11)
READS_CHANNEL = Audience.channel(1, 12, also_readable=[10])
PLACES = [Audience.owner(), CHANNEL, OTHER_CHANNEL, READS_CHANNEL, GUILD, Audience.guild(2), Audience.everywhere()]
PEOPLE = count()


@pytest.fixture
def memory(silent: MemoryManager) -> MemoryManager:
    return silent


def day(number: float) -> datetime:
    return START + timedelta(days=number)


async def tell(
    memory: MemoryManager,
    content: str,
    at: float = 0,
    *,
    audience: Audience | None = None,
    source: str = "conversation",
    version: int = 0,
    memory_id: UUID | None = None,
    owner: str = "ann",
) -> UUID:
    said = Memory(
        id=memory_id or uuid4(), user_id=owner, author_id=owner, content=content, created_at=day(at),
        audience=str(audience or Audience.owner()), source=source, version=version,
    )  # fmt: skip
    assert await memory.postgres.write([PendingWrite(said)]) == [WriteOutcome.WRITTEN]
    return said.id


async def learn(
    memory: MemoryManager, attribute: str, value: object, *evidence: UUID, owner: str = "ann", **fields: object
) -> Learned:
    claim = Claim(attribute=attribute, value=value, **{"confidence": 0.9, "evidence": (1,), **fields})
    return await memory._open_parts.facts.learn(owner, [ProvenClaim(claim, evidence)], learned_by="rules")


async def say(
    memory: MemoryManager,
    attribute: str,
    value: object,
    at: float = 0,
    *,
    audience: Audience | None = None,
    owner: str = "ann",
    **fields,
) -> UUID:
    """Say something and learn it."""
    memory_id = await tell(memory, f"{attribute} {value} {at}", at, audience=audience, owner=owner)
    await learn(memory, attribute, value, memory_id, owner=owner, **fields)
    return memory_id


async def the_question(memory: MemoryManager) -> Correction:
    [question] = await memory.list_corrections("ann")
    return question


class TestLearning:
    async def test_one_value_takes_the_place_of_another_and_many_stand_beside_each_other(self, memory: MemoryManager):
        for at, city in enumerate(["Oslo", "Rome"]):
            await say(memory, "location", city, at)
        for pet in ["Miso", "Rex"]:
            await say(memory, "pets", pet)

        assert await memory.get_identity("ann") == {"location": "Rome", "pets": ["Miso", "Rex"]}
        oslo, rome = await memory.get_identity_history("ann", "location")
        assert (oslo.valid_to, rome.valid_from, rome.supersedes) == (day(1), day(1), oslo.id)
        assert (rome.source, rome.recorded_at.date()) == ("rules", utc_now().date())

    async def test_what_was_said_before_goes_into_the_history(self, memory: MemoryManager):
        await say(memory, "location", "Rome", 5)
        await say(memory, "location", "Oslo", 1)

        assert await memory.get_identity("ann") == {"location": "Rome"}
        oslo, _ = await memory.get_identity_history("ann", "location")
        assert (oslo.value, oslo.valid_from, oslo.valid_to) == ("Oslo", day(1), day(5))
        assert oslo.ended_at == oslo.recorded_at

    async def test_repeating_reinforces_once_a_memory(self, memory: MemoryManager):
        first = await say(memory, "location", "Oslo")
        for _ in range(3):
            await learn(memory, "location", "oslo!", first, confidence=0.8)
        [fact] = await memory.postgres.identity.list_current("ann")
        assert fact.confidence == pytest.approx(0.9)

        await say(memory, "location", "Oslo", 3, confidence=0.5 + 0.2)

        [fact] = await memory.postgres.identity.list_current("ann")
        assert fact.confidence == pytest.approx(0.97)
        [line] = await memory.get_profile("ann")
        assert len(line.evidence) == 2

    async def test_what_others_are_said_to_be_is_no_identity(self, memory: MemoryManager):
        await say(memory, "location", "Oslo", subject=" My  Sister")
        await say(memory, "location", "Rome")

        assert await memory.get_identity("ann") == {"location": "Rome"}
        assert [line.fact.value for line in await memory.get_profile("ann")] == ["Rome"]
        export = (await memory.export("ann")).jsonl.decode()
        assert '"subject":"my sister"' in export

    async def test_an_end_leaves_nothing_in_its_place(self, memory: MemoryManager):
        await say(memory, "pets", "Rex (dog)")
        await say(memory, "pets", "Miso")
        await say(memory, "pets", "Rex", 4, kind=ClaimKind.ENDS)

        assert await memory.get_identity("ann") == {"pets": ["Miso"]}
        ended = next(fact for fact in await memory.get_identity_history("ann") if fact.value == "Rex (dog)")
        assert ended.valid_to == day(4)

    @pytest.mark.parametrize(
        ("attribute", "value", "fields"),
        [
            ("", "x", {}),
            ("audiences", "x", {}),
            ("x" * 101, "x", {}),
            ("job", " ", {}),
            ("job", "x" * 201, {}),
            ("job", "nurse", {"confidence": 0.5}),
            ("job", "nurse", {"kind": ClaimKind.ENDS}),
        ],
    )
    async def test_what_can_not_be_kept_is_not(self, memory: MemoryManager, attribute: str, value: str, fields: dict):
        learned = await learn(memory, attribute, value, await tell(memory, "x"), **fields)

        assert set(learned.outcomes) <= {Outcome.IGNORED}
        assert await memory.get_identity_history("ann") == []

    async def test_nothing_is_learned_without_evidence_or_from_others(self, memory: MemoryManager):
        theirs = Memory(user_id="ben", author_id="ben", content="x")
        await memory.postgres.write([PendingWrite(theirs)])

        for evidence in [(), (uuid4(),), (theirs.id,)]:
            assert (await learn(memory, "job", "nurse", *evidence)).outcomes == {}

    async def test_nothing_is_learned_of_who_opted_out(self, memory: MemoryManager):
        told = await tell(memory, "x")
        await memory.change_preferences("ann", opted_out=True)

        assert (await learn(memory, "job", "nurse", told)).outcomes == {}
        assert await memory.get_identity_history("ann") == []

    async def test_at_once_from_several_places_one_holds(self, memory: MemoryManager):
        told = [await tell(memory, f"m{n}", n) for n in range(8)]

        await asyncio.gather(*(learn(memory, "location", f"city {n}", told[n]) for n in (3, 7, 0, 5, 1, 6, 2, 4)))

        assert await memory.get_identity("ann") == {"location": "city 7"}
        assert len(await memory.get_identity_history("ann")) == 8

    async def test_half_of_a_batch_is_never_learned(self, memory: MemoryManager, connect: Connect):
        told = await tell(memory, "x")
        async with connect() as connection:
            await connection.execute("ALTER TABLE identity_facts ADD CHECK (value <> '\"poison\"'::jsonb)")
        claims = [
            ProvenClaim(Claim(attribute="pets", value=value, confidence=1.0, evidence=(1,)), (told,))
            for value in ("Miso", "poison")
        ]

        with pytest.raises(Exception, match="refused"):
            await memory._open_parts.facts.learn("ann", claims, learned_by="rules")

        assert await memory.get_identity_history("ann") == []


class TestCrashes:
    @pytest.fixture
    def dying(self, monkeypatch: pytest.MonkeyPatch):
        """Lets this task's connection to Postgres break at the nth statement."""
        execute = asyncpg.Connection._execute

        @contextmanager
        def dying(number: int) -> Iterator[None]:
            left, task = iter(range(number)), asyncio.current_task()

            async def count(connection: asyncpg.Connection, *args: object, **kwargs: object) -> object:
                if asyncio.current_task() is task and next(left, None) is None:
                    connection.terminate()
                    raise ConnectionResetError
                return await execute(connection, *args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(asyncpg.Connection, "_execute", count)
                yield

        return dying

    @pytest.mark.parametrize("attribute", ["location", "pets", "number of children"])
    async def test_whatever_statement_it_dies_at_nothing_is_half_done(
        self, memory: MemoryManager, connect: Connect, dying, attribute: str
    ):
        await memory.update_identity("ann", attribute, "Oslo")
        claims = [
            ProvenClaim(
                Claim(attribute=attribute, value=value, kind=kind, replaces="Oslo", confidence=1.0, evidence=(1,)),
                (await tell(memory, value, 10_000 + at),),
            )
            for at, (value, kind) in enumerate([("Rome", ClaimKind.CORRECTS), ("Rome", "states"), ("Lima", "states")])
        ]
        told = await memory.postgres.get_memories("ann", status=None)
        reading = Reading("learned", told)
        before = await _dump(connect)

        for step in count(1):
            try:
                with dying(step):
                    await memory._open_parts.facts.learn("ann", claims, learned_by="rules", reading=reading)
                break
            except StoreUnavailableError:
                assert await _dump(connect) == before

        assert step > 10
        assert await _dump(connect) != before
        assert (await memory._open_parts.facts.learn("ann", claims, learned_by="rules", reading=reading)).read == set()


async def _dump(connect: Connect) -> list[str]:
    async with connect() as connection:
        return [
            str(row)
            for table in ("identity_facts", "evidence", "memories", "corrections", "consolidation_runs", "changes")
            for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY {table}::text")  # noqa: S608
        ]


class TestRuns:
    async def test_what_was_learned_can_be_taken_back(self, memory: MemoryManager):
        await say(memory, "location", "Oslo")
        learned = await learn(memory, "location", "Rome", told := await tell(memory, "Rome", 2))

        await memory.postgres.runs.undo("ann", learned.run_id)
        await memory.redis.clear_identity("ann")

        assert await memory.get_identity("ann") == {"location": "Oslo"}
        again = await learn(memory, "location", "Rome", told)
        assert again.outcomes == {Outcome.SAME: 1}
        assert await memory.get_identity("ann") == {"location": "Oslo"}

    @pytest.mark.parametrize("how", ["undone", "taken back", "wrong"])
    async def test_what_was_taken_back_is_not_brought_back_by_what_was_said_before(
        self, memory: MemoryManager, how: str
    ):
        learned = await learn(memory, "location", "Paris", told := await tell(memory, "I live in Paris lol"))
        read_late = await tell(memory, "Paris life", 2)
        [fact] = await memory.postgres.identity.list_current("ann")
        match how:
            case "undone":
                await memory.consolidation.undo("ann", learned.run_id)
            case "taken back":
                await memory.digests.take_back("ann", fact.id, has_ended=False)
            case _:
                await memory.retire("ann", told, was_wrong=True)

        await learn(memory, "location", "Paris", read_late)
        assert await memory.get_identity("ann") == {}
        await learn(memory, "location", "Oslo", await tell(memory, "Oslo, more likely", 1))
        assert await memory.get_identity("ann") == {"location": "Oslo"}
        again = await tell(memory, "I did move to Paris", (utc_now() - START) / timedelta(days=1))
        await learn(memory, "location", "Paris", again)
        assert await memory.get_identity("ann") == {"location": "Paris"}

    async def test_what_was_corrected_by_what_was_said_goes_by_the_time_of_that(self, memory: MemoryManager):
        await say(memory, "location", "Oslo")
        corrected = await tell(memory, "no, Rome", 1)
        await learn(memory, "location", "Rome", corrected, kind=ClaimKind.CORRECTS, replaces="Oslo")

        await learn(memory, "location", "Oslo", await tell(memory, "I moved to Oslo", 2))

        assert await memory.get_identity("ann") == {"location": "Oslo"}

    async def test_what_changed_nothing_is_no_run(self, memory: MemoryManager):
        told = await say(memory, "location", "Oslo")

        assert (await learn(memory, "location", "Oslo", told)).run_id is None
        assert len(await memory.postgres.runs.list_runs(user_id="ann")) == 1


class TestAudience:
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(st.sampled_from(PLACES), st.booleans()), min_size=1, max_size=4))
    async def test_it_may_come_up_wherever_one_of_its_evidence_may(
        self, memory: MemoryManager, said: list[tuple[Audience, bool]]
    ):
        owner = f"person {next(PEOPLE)}"
        told = [
            (await say(memory, "location", "Oslo", at, audience=place, owner=owner), place, is_kept)
            for at, (place, is_kept) in enumerate(said)
        ]
        await memory.get_identity(owner)  # so that it is cached
        await memory.forget(owner, [memory_id for memory_id, _, is_kept in told if not is_kept])

        kept = [str(place) for _, place, is_kept in told if is_kept]
        for here in PLACES:
            is_heard = bool(kept) and here.may_hear_any(kept)
            assert await memory.get_identity(owner, audience=here) == ({"location": "Oslo"} if is_heard else {})

    async def test_what_is_told_in_private_as_well_stays_known_in_public(self, memory: MemoryManager):
        await say(memory, "location", "Oslo", audience=CHANNEL)
        await say(memory, "location", "Oslo", 1, audience=OTHER_CHANNEL)
        await say(memory, "location", "Oslo", 2)

        for here in (CHANNEL, OTHER_CHANNEL):
            assert await memory.get_identity("ann", audience=here) == {"location": "Oslo"}

    async def test_saying_it_again_where_it_is_heard_already_leaves_what_is_cached(self, memory: MemoryManager):
        await say(memory, "location", "Oslo", audience=CHANNEL)
        token = await memory.redis.get_identity_token("ann")

        await say(memory, "location", "Oslo", 1, audience=CHANNEL)
        assert await memory.redis.get_identity_token("ann") == token

        await say(memory, "location", "Oslo", 2, audience=OTHER_CHANNEL)
        assert await memory.redis.get_identity_token("ann") != token

    async def test_what_holds_now_is_heard_where_each_fact_is(self, memory: MemoryManager, connect: Connect):
        wrong = await say(memory, "location", "Oslo", audience=CHANNEL)
        for at, place in enumerate(PLACES, 1):
            await say(memory, "location", "Oslo", at, audience=place)
            await say(memory, "pets", f"Pet {at}", at, audience=place)
        await say(memory, "name", "Ann", audience=GUILD)
        await memory.set_identity_audience("ann", "name", Audience.owner())
        await memory.retire("ann", wrong, was_wrong=True)

        async with connect() as connection:
            facts = await connection.fetch(
                "SELECT (fact).attribute, audiences, heard_in(fact) AS alone FROM current_facts('ann')"
            )
        assert len(facts) == len(PLACES) + 2
        assert all(fact["audiences"] == fact["alone"] for fact in facts)

    async def test_evidence_that_its_owner_narrows_takes_the_fact_along(self, memory: MemoryManager):
        narrowed = await say(memory, "location", "Oslo", audience=CHANNEL)
        await say(memory, "location", "Oslo", 1, audience=OTHER_CHANNEL)

        await memory.set_audience("ann", narrowed, Audience.owner())

        for here in (CHANNEL, OTHER_CHANNEL):
            assert await memory.get_identity("ann", audience=here) == {}

    async def test_evidence_that_was_wrong_lets_it_come_up_nowhere(self, memory: MemoryManager):
        wrong = await say(memory, "location", "Oslo", audience=CHANNEL)
        await say(memory, "location", "Oslo", 1)

        await memory.retire("ann", wrong)

        assert await memory.get_identity("ann", audience=CHANNEL) == {}
        assert await memory.get_identity("ann") == {"location": "Oslo"}

    async def test_each_of_many_has_its_own(self, memory: MemoryManager):
        await say(memory, "pets", "Miso", audience=GUILD)
        await say(memory, "pets", "Rex")

        for _ in range(2):  # from the cache and from Postgres
            assert await memory.get_identity("ann", audience=GUILD) == {"pets": ["Miso"]}
            assert await memory.get_identity("ann") == {"pets": ["Miso", "Rex"]}
            assert await memory.get_identity("ann", audience=Audience.guild(2)) == {}
            await memory.redis.clear_identity("ann")

    @pytest.mark.parametrize("value", ["Oslo", "Oslo, Norway", "Rome"])
    async def test_what_its_owner_narrowed_stays_narrow(self, memory: MemoryManager, value: str):
        await say(memory, "location", "Oslo", audience=GUILD)
        await memory.set_identity_audience("ann", "location", Audience.owner())

        await say(memory, "location", value, 2, audience=GUILD)

        assert await memory.get_identity("ann", audience=GUILD) == {}
        assert await memory.get_identity("ann") == {"location": value}

    async def test_what_its_owner_widened_stays_wide(self, memory: MemoryManager):
        await say(memory, "location", "Oslo", audience=CHANNEL)
        await memory.set_identity_audience("ann", "location", Audience.everywhere())

        await say(memory, "location", "Oslo", 2, audience=OTHER_CHANNEL)

        assert await memory.get_identity("ann", audience=GUILD) == {"location": "Oslo"}

    async def test_one_of_many_is_narrowed_alone(self, memory: MemoryManager):
        for pet in ("Miso", "Rex"):
            await say(memory, "pets", pet, audience=GUILD)

        await memory.set_identity_audience("ann", "pets", Audience.owner(), value="miso")

        assert await memory.get_identity("ann", audience=GUILD) == {"pets": ["Rex"]}
        with pytest.raises(NotFoundError):
            await memory.set_identity_audience("ann", "pets", GUILD, value="Tom")


class TestWhatIsToBeAsked:
    @pytest.mark.parametrize("order", [*permutations(range(3))])
    async def test_is_what_was_said_last(self, memory: MemoryManager, order: tuple[int, ...]):
        await say(memory, "number of children", 2)
        told = [await tell(memory, f"{value} kids", 1 + at) for at, value in enumerate((3, 4, 5))]
        for number in order:  # in which they are read
            await learn(memory, "number of children", 3 + number, told[number])

        assert (await the_question(memory)).said == 5

    async def test_is_asked_once_however_often_it_is_said(self, memory: MemoryManager):
        await say(memory, "number of children", 2)
        await say(memory, "number of children", 3, 1)
        first = await the_question(memory)
        await say(memory, "number of children", 3, 2)

        assert (await the_question(memory)).id == first.id

    async def test_is_nothing_after_all_if_the_person_says_the_known_again(self, memory: MemoryManager):
        await say(memory, "number of children", 2)
        await say(memory, "number of children", 3, 2)
        await say(memory, "number of children", 2, 1)  # read late
        assert (await the_question(memory)).said == 3
        await say(memory, "number of children", 2, 3, kind=ClaimKind.CORRECTS, replaces=3)

        assert await memory.list_corrections("ann") == []
        assert await memory.get_identity("ann") == {"number of children": 2}


class TestByHand:
    async def test_a_list_gives_all_values_of_what_holds_many(self, memory: MemoryManager):
        await say(memory, "pets", "Rex")
        await memory.update_identity("ann", "pets", ["Miso", "Tom", "miso"])
        assert await memory.get_identity("ann") == {"pets": ["miso", "Tom"]}

        await memory.update_identity("ann", "pets", "Ada", replaces="Tom")
        await memory.update_identity("ann", "pets", "Rex", is_beside=True)
        assert await memory.get_identity("ann") == {"pets": ["miso", "Ada", "Rex"]}
        await memory.update_identity("ann", "pets", [])

        assert await memory.get_identity("ann") == {"pets": []}
        contents = {m.content for m in await memory.postgres.get_memories("ann") if m.source == "identity_update"}
        assert contents == {"pets: []"}

    async def test_learning_does_not_overrule_it(self, memory: MemoryManager):
        await memory.update_identity("ann", "location", "Oslo")
        late = await tell(memory, "I live in Rome", 10_000)

        assert (await learn(memory, "location", "Rome", late)).outcomes == {Outcome.ASKS: 1}
        assert await memory.get_identity("ann") == {"location": "Oslo"}
        corrected = await learn(memory, "location", "Rome", late, kind=ClaimKind.CORRECTS, replaces="Oslo")

        assert corrected.outcomes == {Outcome.CORRECTS: 1}
        assert await memory.get_identity("ann") == {"location": "Rome"}
        superseded = await memory.postgres.get_memories("ann", status=MemoryStatus.SUPERSEDED)
        assert [m.content for m in superseded] == ["location: Oslo"]

    async def test_what_somebody_asked_to_remember_counts_as_much(self, memory: MemoryManager):
        told = await tell(memory, "I live in Rome", 1, source="remember")
        await learn(memory, "location", "Rome", told)

        assert (await learn(memory, "location", "Oslo", await tell(memory, "x", 2))).outcomes == {Outcome.ASKS: 1}


class TestAsOf:
    async def test_tells_what_was_believed_then(self, memory: MemoryManager):
        times = []
        for value in ("May", "June"):
            await memory.update_identity("ann", "birthday", value)
            times.append(utc_now())
        await say(memory, "pets", "Miso")
        await memory.forget_identity("ann", "pets")

        assert await memory.get_identity_as_of("ann", times[0]) == {"birthday": "May"}
        assert await memory.get_identity_as_of("ann", times[1]) == {"birthday": "June"}
        assert await memory.get_identity_as_of("ann", times[1], audience=GUILD) == {}
        assert await memory.get_identity_as_of("ann", START) == {}
        assert await memory.get_identity_as_of("ann", utc_now()) == {"birthday": "June"}

    async def test_what_was_outdated_when_it_was_learned_was_never_believed(self, memory: MemoryManager):
        await say(memory, "location", "Rome", 5)
        await say(memory, "location", "Oslo", 1)

        assert await memory.get_identity_as_of("ann", utc_now()) == {"location": "Rome"}


class TestQuestions:
    @pytest.fixture
    async def asked(self, memory: MemoryManager) -> Correction:
        await say(memory, "number of children", 3)
        for at in (2, 3):  # asked once
            await say(memory, "number of children", 4, at)
        return await the_question(memory)

    @pytest.mark.parametrize(
        ("answer", "value", "validity"),
        [
            (CorrectionAnswer.UPDATED, 4, [(3, day(0), day(0)), (4, day(0), None)]),
            (CorrectionAnswer.CHANGED, 4, [(3, day(0), day(2)), (4, day(2), None)]),
            (CorrectionAnswer.KEPT, 3, [(3, day(0), None)]),
            (CorrectionAnswer.EXPIRED, 3, [(3, day(0), None)]),
            (CorrectionAnswer.BOTH, [3, 4], [(3, day(0), None), (4, day(2), None)]),
        ],
    )
    async def test_each_answer_is_carried_out(self, memory: MemoryManager, asked: Correction, answer, value, validity):
        assert (asked.attribute, asked.held, asked.said) == ("number of children", 3, 4)

        answered = await memory.answer_correction("ann", asked.id, answer)

        assert answered.answer is answer
        assert await memory.get_identity("ann") == {"number of children": value}
        history = await memory.get_identity_history("ann")
        assert sorted((f.value, f.valid_from, f.valid_to) for f in history) == validity
        assert await memory.list_corrections("ann") == []
        await say(memory, "number of children", 4, 9)
        assert await memory.list_corrections("ann") == []
        with pytest.raises(NotFoundError):
            await memory.answer_correction("ann", asked.id, answer)

    async def test_it_changed_on_a_date(self, memory: MemoryManager, asked: Correction):
        for wrong in (datetime(2026, 1, 1), utc_now() + timedelta(days=1)):  # noqa: DTZ001
            with pytest.raises(InvalidInputError):
                await memory.answer_correction("ann", asked.id, CorrectionAnswer.CHANGED, changed_on=wrong)

        await memory.answer_correction("ann", asked.id, CorrectionAnswer.CHANGED, changed_on=day(1))

        three, four = await memory.get_identity_history("ann")
        assert three.valid_to == four.valid_from == day(1)

    async def test_only_the_person_is_asked(self, memory: MemoryManager, asked: Correction):
        assert await memory.list_corrections("ben") == []
        with pytest.raises(NotFoundError):
            await memory.answer_correction("ben", asked.id, CorrectionAnswer.UPDATED)
        assert await memory.get_identity("ann") == {"number of children": 3}

    async def test_what_is_settled_meanwhile_is_not_asked(self, memory: MemoryManager, asked: Correction):
        await memory.update_identity("ann", "number of children", 5)

        assert await memory.list_corrections("ann") == []
        with pytest.raises(NotFoundError):
            await memory.answer_correction("ann", asked.id, CorrectionAnswer.UPDATED)
        assert await memory.get_identity("ann") == {"number of children": 5}

    @pytest.mark.parametrize("which", ["what was held", "what was said"])
    async def test_it_goes_with_either_side(self, memory: MemoryManager, asked: Correction, which: str):
        if which == "what was said":
            await memory.forget("ann", [asked.memory_id])
        else:
            await memory.forget_identity("ann", "number of children")

        assert await memory.list_corrections("ann") == []

    async def test_it_is_in_the_export(self, memory: MemoryManager, asked: Correction):
        export = await memory.export("ann")

        assert str(asked.id) in export.jsonl.decode()
        assert "Questions to the person" in export.markdown.decode()


class TestForgetting:
    async def test_a_fact_goes_with_its_evidence(self, memory: MemoryManager):
        miso = await say(memory, "pets", "Miso")
        rex = [await say(memory, "pets", "Rex", at) for at in range(2)]

        receipt = await memory.forget("ann", [miso, rex[0]])

        assert receipt.identity_facts == 1
        assert await memory.get_identity("ann") == {"pets": ["Rex"]}

    @pytest.mark.parametrize("subject", [None, "sister"])
    async def test_what_was_forgotten_is_not_learned_from_what_was_said_before(
        self, memory: MemoryManager, subject: str | None
    ):
        told = await say(memory, "location", "Oslo", subject=subject)
        if subject is None:
            await memory.forget_identity("ann", "location")
        else:
            async with memory.postgres.pool.connection() as connection:
                facts = await connection.fetch("SELECT id FROM identity_facts")
            await memory._open_parts.forgetter.forget_facts("ann", [row["id"] for row in facts])

        assert (await learn(memory, "location", "oslo", told, subject=subject)).outcomes == {Outcome.IGNORED: 1}
        other = None if subject else "sister"
        assert (await learn(memory, "location", "oslo", told, subject=other)).outcomes == {Outcome.NEW: 1}
        anew = await tell(memory, "I live in Oslo", (utc_now() - START).days + 2)
        assert (await learn(memory, "location", "Oslo", anew, subject=subject)).outcomes[Outcome.IGNORED] == 0

    async def test_one_of_many_is_forgotten_alone(self, memory: MemoryManager):
        for pet in ("Miso", "Rex"):
            await say(memory, "pets", pet)
        await memory.update_identity("ann", "pets", "Tom", is_beside=True)

        await memory.forget_identity("ann", "pets", value="Rex")
        await memory.forget_identity("ann", "pets", value="tom")

        assert await memory.get_identity("ann") == {"pets": ["Miso"]}
        assert not any("Tom" in m.content for m in await memory.postgres.get_memories("ann", status=None))


class TestEdits:
    async def test_other_words_take_back_what_the_old_ones_said_alone(self, memory: MemoryManager):
        await say(memory, "location", "Oslo")
        told = await tell(memory, "I live in Rmoe", 1)
        await learn(memory, "location", "Rmoe", told)
        await learn(memory, "pets", "Rex", told, await tell(memory, "My dog Rex", 2))
        await learn(memory, "number of children", 3, await tell(memory, "three", 2))
        await learn(memory, "number of children", 4, told)
        assert len(await memory.list_corrections("ann")) == 1

        await tell(memory, "I love Rome", 1, memory_id=told, version=1)
        await memory.redis.clear_identity("ann")

        known = await memory.get_identity("ann")
        assert known == {"location": "Oslo", "number of children": 3, "pets": ["Rex"]}
        assert [fact.value for fact in await memory.get_identity_history("ann", "location")] == ["Oslo"]
        assert await memory.list_corrections("ann") == []

    async def test_the_same_words_take_nothing_back(self, memory: MemoryManager, connect: Connect):
        told = await say(memory, "location", "Rome", 1)
        async with connect() as connection:
            await connection.execute("UPDATE memories SET learned_at = now()")

        await tell(memory, "location Rome 1", 1, memory_id=told, version=1)
        await memory.redis.clear_identity("ann")

        assert await memory.get_identity("ann") == {"location": "Rome"}
