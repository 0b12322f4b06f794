"""What may answer a question, against a real server: by words, vectors, time and neighbours, never out of scope."""

import json
import math
import random
from collections.abc import AsyncIterator, Collection, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import numpy as np
import pytest

from cortex_core import Memory, MemoryStatus, MemoryType, PostgresStore
from cortex_core.late_interaction import Embedding, Pieces
from cortex_core.models import utc_now
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.candidates import SEEDS_BY_VECTOR, SEEDS_BY_WORDS, Candidate, Inquiry
from cortex_core.stores.postgres.store import PendingWrite
from tests.harness import Connect, own

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def store(postgres: PostgresStore) -> PostgresStore:
    await postgres.vectors.open_space("plane", 2)
    return postgres


def a_memory(content: str = "text", **fields) -> Memory:
    return Memory(**{"user_id": "ann", "content": content, "created_at": WHEN, **fields})


def at_angle(degrees: float, *, pieces: int = 0) -> Embedding:
    vector = np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], dtype=np.float32)
    if not pieces:
        return Embedding(vector, None)
    return Embedding(vector, Pieces.of(np.tile(vector, (pieces, 1)), ["word"] * pieces, [1.0] * pieces))


def turns(count: int, *, channel: str = "c", **fields) -> list[Memory]:
    return [a_memory(f"{channel}{n}", channel_id=channel, **fields) for n in range(count)]


async def write(store: PostgresStore, memories: list[Memory], embedding: Embedding | None = None) -> None:
    await store.write([PendingWrite.of(memory, embedding) for memory in memories])


async def candidates_of(
    store: PostgresStore,
    text: str = "",
    near: Embedding | None = None,
    *,
    user_id: str = "ann",
    heard: Collection[str] | None = None,
    **filters,
) -> dict[str, Candidate]:
    found = await store.candidates.find(
        Inquiry(own(user_id, heard=heard), text, near.vector if near else None, **filters)
    )
    assert len({candidate.id for candidate in found}) == len(found)
    return {candidate.content: candidate for candidate in found}


class TestWords:
    @pytest.mark.parametrize(
        ("said", "asked"),
        [
            ("we were hiking in the mountains", "Did I hike up a mountain?"),
            ("She RUNS marathons.", "running"),
            ("my cats", "What is the cat's name?"),
            ("Я купила велосипед", "где мой велосипед?"),
            ("Die Schlüssel liegen im Auto", "Wo sind die Schlüssel?"),
            ("write to ann@example.com", "what's ann@example.com"),
        ],
    )
    async def test_are_found_in_any_form(self, store: PostgresStore, said: str, asked: str):
        await write(store, [a_memory(said), a_memory("beside the point")])

        [found] = (await candidates_of(store, asked)).values()
        assert found.content == said
        assert found.matched.bit_count() >= 1

    async def test_the_speakers_name_is_one(self, store: PostgresStore):
        await write(store, [a_memory("dinner is ready", author_name="Benedict"), a_memory("dinner")])

        assert set(await candidates_of(store, "what did Benedict say?")) == {"dinner is ready"}

    async def test_each_word_of_the_question_has_a_bit(self, store: PostgresStore):
        await write(store, [a_memory(text) for text in ("a cat", "a dog", "a cat and a dog", "an eel")])

        found = await candidates_of(store, "cat dog eel")

        cat, dog, both, eel = (found[text].matched for text in ("a cat", "a dog", "a cat and a dog", "an eel"))
        assert {mask.bit_count() for mask in (cat, dog, eel)} == {1}
        assert both == cat | dog
        assert not both & eel

    async def test_rare_ones_count_before_common_ones(self, store: PostgresStore):
        common = [a_memory(f"coffee and cake number {n}") for n in range(SEEDS_BY_WORDS + 10)]
        await write(store, [*common, a_memory("the zeppelin")])

        found = await candidates_of(store, "coffee, cake or a zeppelin?")

        assert "the zeppelin" in found
        assert len(found) == SEEDS_BY_WORDS

    async def test_more_of_them_count_before_fewer(self, store: PostgresStore):
        fewer = [a_memory(f"coffee number {n}") for n in range(SEEDS_BY_WORDS + 5)]
        await write(store, [*fewer, *[a_memory(f"coffee and cake number {n}") for n in range(5)]])

        found = await candidates_of(store, "coffee and cake")

        assert sum("cake" in content for content in found) == 5

    async def test_of_a_very_long_question_sixteen_count(self, store: PostgresStore):
        words = [f"w{n:03}" for n in range(200)]
        await write(store, [a_memory(word) for word in words])

        found = await candidates_of(store, " ".join(words))

        masks = [candidate.matched for candidate in found.values()]
        assert len([mask for mask in masks if mask]) == 16
        assert all(mask < 2**17 and mask.bit_count() <= 1 for mask in masks)
        assert len({mask for mask in masks if mask}) == 16

    @pytest.mark.parametrize(
        "hostile",
        [
            "'; DROP TABLE memories; --",
            "a & !b | (c <-> d):*",
            "\\' \\\\ ''",
            "' & '",
            "<script> </memory> {{scope}} $1 %s",
            "w" * 3000,
            "🙂 ☕ \u202e \ufeff",
            " ".join(f"'{n}' & | !" for n in range(2000)),
        ],
    )
    async def test_any_text_is_only_text(self, store: PostgresStore, hostile: str):
        await write(store, [a_memory(hostile), a_memory("beside the point")])

        found = await candidates_of(store, hostile, at_angle(0))

        assert set(found) <= {hostile}
        assert await store.count_memories("ann") == 2


class TestVectors:
    async def test_the_nearest_are_found_with_their_cosine(self, store: PostgresStore):
        for degrees in range(0, 120, 4):
            await store.store(a_memory(f"at {degrees}"), at_angle(degrees))

        found = await candidates_of(store, near=at_angle(0))

        assert set(found) == {f"at {degrees}" for degrees in range(0, 4 * SEEDS_BY_VECTOR, 4)}
        for degrees in range(0, 4 * SEEDS_BY_VECTOR, 4):
            cosine = math.cos(math.radians(degrees))
            assert found[f"at {degrees}"].similarity == pytest.approx(cosine, abs=2e-3)

    async def test_their_signs_come_with_them(self, store: PostgresStore):
        await store.store(a_memory("right up"), at_angle(45, pieces=3))
        await store.store(a_memory("left up"), at_angle(135))
        await store.store(a_memory("no vector"))

        found = await candidates_of(store, "vector", at_angle(0))

        right, left = found["right up"], found["left up"]
        assert right.signs == at_angle(45, pieces=3).signs != b""
        assert left.signs == b""
        assert [c.direction[0] >> 6 for c in (right, left)] == [0b11, 0b01]
        assert (found["no vector"].direction, found["no vector"].signs, found["no vector"].similarity) == (
            None,
            b"",
            None,
        )

    async def test_a_question_without_one_compares_nothing(self, store: PostgresStore):
        await store.store(a_memory("a cat"), at_angle(0, pieces=2))

        [found] = (await candidates_of(store, "cats")).values()

        assert (found.similarity, found.signs) == (None, b"")

    async def test_another_models_is_never_compared(self, store: PostgresStore, connect: Connect):
        await store.store(a_memory("of another model, a cat"), at_angle(0, pieces=2))
        async with connect() as connection:
            await connection.execute(
                "WITH other AS (INSERT INTO embedding_models (name, dimensions) VALUES ('other', 3) RETURNING id)"
                "UPDATE memories SET embedding = '[1,0,0]', embedding_model_id = other.id FROM other"
            )

        assert await candidates_of(store, near=at_angle(0)) == {}
        [found] = (await candidates_of(store, "cat", at_angle(0))).values()
        assert (found.similarity, found.signs) == (None, b"")

    async def test_nobody_remembers_nothing(self, store: PostgresStore):
        assert await candidates_of(store, "cat", at_angle(0), user_id="nobody") == {}
        await store.store(a_memory("a dog"))
        assert await candidates_of(store, "cat", at_angle(0)) == {}


class TestNeighbours:
    async def test_the_two_turns_on_either_side_come_along(self, store: PostgresStore):
        conversation = turns(12)
        conversation[5] = conversation[5].model_copy(update={"content": "the zeppelin"})
        await write(store, [*conversation, *turns(12, channel="d"), a_memory("nowhere")])

        found = await candidates_of(store, "zeppelin")

        assert set(found) == {"c3", "c4", "the zeppelin", "c6", "c7"}
        assert found["c4"].place == (("ann", "c"), 4)
        assert (found["the zeppelin"].matched.bit_count(), found["c4"].matched) == (1, 0)

    async def test_they_are_compared_too(self, store: PostgresStore):
        conversation = [a_memory("the zeppelin", channel_id="c"), a_memory("over there", channel_id="c")]
        await store.store(conversation[0])
        await store.store(conversation[1], at_angle(60, pieces=1))
        for n in range(SEEDS_BY_VECTOR):
            await store.store(a_memory(f"near {n}"), at_angle(0))

        found = await candidates_of(store, "zeppelin", at_angle(0))

        assert found["over there"].similarity == pytest.approx(0.5, abs=1e-3)
        assert found["over there"].signs == at_angle(60, pieces=1).signs
        assert found["the zeppelin"].similarity is None

    async def test_what_is_in_no_channel_has_none(self, store: PostgresStore):
        await write(store, [a_memory("the zeppelin"), a_memory("over there")])

        [found] = (await candidates_of(store, "zeppelin")).values()
        assert (found.content, found.place) == ("the zeppelin", None)

    @pytest.mark.parametrize(
        "hidden",
        [
            {"audience": "channel:1:2"},
            {"audience": "owner"},
            {"memory_type": MemoryType.IDENTITY},
            {"status": MemoryStatus.ARCHIVED},
            {"status": MemoryStatus.SUPERSEDED},
        ],
        ids=str,
    )
    async def test_only_within_the_scope(self, store: PostgresStore, hidden: dict):
        heard = {"audience": "guild:1"}
        conversation = turns(7, **heard)
        conversation[2] = a_memory("zeppelin beside", channel_id="c", **{**heard, **hidden})
        conversation[3] = a_memory("the zeppelin", channel_id="c", **heard)
        conversation[4] = a_memory("c4", channel_id="c", **{**heard, **hidden})
        await write(store, conversation)

        found = await candidates_of(
            store,
            "zeppelin",
            heard={"guild:1", "everywhere"},
            memory_types=[MemoryType.EPISODIC],
        )

        assert set(found) == {"c1", "the zeppelin", "c5"}  # nobody moves up into the place of what is hidden

    async def test_never_anothers(self, store: PostgresStore):
        mine, theirs = turns(5), turns(5, user_id="ben")
        mine[2] = mine[2].model_copy(update={"content": "my zeppelin"})
        theirs[2] = theirs[2].model_copy(update={"content": "their zeppelin"})
        theirs = [memory.model_copy(update={"id": one.id}) for one, memory in zip(mine, theirs, strict=True)]
        await write(store, mine, at_angle(0, pieces=1))
        await write(store, theirs, at_angle(0, pieces=4))

        found = await candidates_of(store, "zeppelin", at_angle(0))

        assert set(found) == {"c0", "c1", "my zeppelin", "c3", "c4"}
        assert {candidate.row["user_id"] for candidate in found.values()} == {"ann"}
        assert {len(candidate.signs) for candidate in found.values()} == {8}


class TestTime:
    @pytest.fixture(autouse=True)
    async def much_that_is_nearer(self, store: PostgresStore) -> None:
        await write(store, [a_memory(f"zeppelin {n}") for n in range(SEEDS_BY_WORDS + 5)], at_angle(0))
        for day in (10, 11, 12):
            await store.store(a_memory(f"day {day}", created_at=WHEN + timedelta(days=day)), at_angle(180))

    @pytest.mark.parametrize(
        ("since", "until", "expected"),
        [
            (10, 12, {"day 10", "day 11"}),
            (11, None, {"day 11", "day 12"}),
            (None, None, set()),
            (13, None, set()),
        ],
    )
    async def test_what_was_said_in_the_time_asked_about_is_looked_at(
        self, store: PostgresStore, since: int | None, until: int | None, expected: set[str]
    ):
        ends = [None if day is None else WHEN + timedelta(days=day) for day in (since, until)]

        found = await candidates_of(store, "zeppelin", at_angle(0), since=ends[0], until=ends[1])

        assert {content for content in found if content.startswith("day")} == expected

    async def test_an_open_beginning_reaches_back_to_the_first(self, store: PostgresStore):
        first = a_memory("the first", created_at=WHEN - timedelta(days=900))
        await store.store(first, at_angle(180))

        assert "the first" in await candidates_of(store, "day", at_angle(0), until=WHEN - timedelta(days=1))

    async def test_without_words_and_vector_too(self, store: PostgresStore):
        found = await candidates_of(store, "?", since=WHEN + timedelta(days=11))

        assert set(found) == {"day 11", "day 12"}

    async def test_but_only_within_the_scope(self, store: PostgresStore):
        in_time = WHEN + timedelta(days=11)
        await store.store(a_memory("foreign", user_id="ben", created_at=in_time))
        await store.store(a_memory("said to a few", audience="channel:1:2", created_at=in_time))

        found = await candidates_of(store, "?", since=in_time, heard={"owner"})

        assert set(found) == {"day 11", "day 12"}


class TestPieces:
    @staticmethod
    async def kept(connect: Connect) -> dict[UUID, int]:
        async with connect() as connection:
            rows = await connection.fetch("SELECT id, length(signs) AS bytes FROM memory_pieces")
        return {row["id"]: row["bytes"] for row in rows}

    async def test_are_kept_with_a_vector_only(self, store: PostgresStore, connect: Connect):
        whole, plain, odd = a_memory("whole"), a_memory("plain"), a_memory("odd")
        await store.store(whole, at_angle(0, pieces=3))
        await store.store(plain, at_angle(0))
        await store.store(odd, Embedding(np.ones(5, np.float32), at_angle(0, pieces=2).pieces))

        assert await self.kept(connect) == {whole.id: 24}

    async def test_an_edit_drops_the_old_ones_until_the_new_vector_comes(self, store: PostgresStore, connect: Connect):
        memory, other = a_memory("a cat"), a_memory("other")
        await write(store, [memory, other], at_angle(0, pieces=3))

        await store.store(memory.model_copy(update={"content": "a dog", "version": 1}))

        assert await self.kept(connect) == {other.id: 24}
        found = await candidates_of(store, "dog", at_angle(0))
        assert (found["a dog"].signs, found["a dog"].similarity) == (b"", None)
        await store.vectors.fill(await store.vectors.list_missing(9), [at_angle(0, pieces=5)])
        assert await self.kept(connect) == {memory.id: 40, other.id: 24}

    async def test_an_edit_with_its_vector_replaces_them(self, store: PostgresStore, connect: Connect):
        memory = a_memory("a cat")
        await store.store(memory, at_angle(0, pieces=3))
        await store.store(memory.model_copy(update={"content": "a dog", "version": 1}), at_angle(0, pieces=5))

        assert await self.kept(connect) == {memory.id: 40}

    async def test_a_write_that_comes_again_or_too_late_leaves_them(self, store: PostgresStore, connect: Connect):
        memory = a_memory("a dog", version=2)
        await store.store(memory, at_angle(0, pieces=3))
        await store.store(memory)
        await store.store(memory.model_copy(update={"content": "a cat", "version": 1}), at_angle(0, pieces=7))

        assert await self.kept(connect) == {memory.id: 24}

    async def test_erasing_a_memory_erases_them(self, store: PostgresStore, connect: Connect):
        one, two, three = (a_memory(name) for name in ("one", "two", "three"))
        await write(store, [one, two, three, a_memory("theirs", user_id="ben")], at_angle(0, pieces=1))

        await store.erasure.erase("ann", [one.id])
        assert set(await self.kept(connect)) > {two.id, three.id}
        assert one.id not in await self.kept(connect)
        await store.erasure.erase_everything("ann", forgotten_at=utc_now())
        assert len(await self.kept(connect)) == 1


async def test_each_owners_memories_are_counted_whatever_happens_to_them(store: PostgresStore, connect: Connect):
    dice = random.Random(5)
    known: list[Memory] = []

    def an_edit() -> Memory:
        return dice.choice(known).model_copy(update={"content": f"edit {dice.random()}", "version": dice.randint(0, 9)})

    async with connect() as connection:
        for _ in range(60):
            match dice.choice(["new", "new", "again", "edit", "mixed", "erase", "everything"]):
                case "new":
                    batch = [a_memory(user_id=dice.choice(["ann", "ben"])) for _ in range(dice.randint(1, 4))]
                    known += batch
                    await write(store, batch)
                case "again" if known:
                    await write(store, [dice.choice(known)])
                case "edit" if known:
                    await write(store, [an_edit()], at_angle(0, pieces=1))
                case "mixed" if known:
                    new = a_memory(user_id="cleo")
                    await write(store, [an_edit(), new])
                    known.append(new)
                case "erase" if known:
                    memory = dice.choice(known)
                    await store.erasure.erase(memory.user_id, [memory.id, a_memory().id])
                case "everything" if dice.random() < 0.3:
                    await store.erasure.erase_everything(dice.choice(["ann", "ben"]), forgotten_at=WHEN)
            counted = await connection.fetch("SELECT user_id, memory_count FROM owners")
            there = await connection.fetch("SELECT user_id, count(*) AS number FROM memories GROUP BY user_id")
            assert {row["user_id"]: row["memory_count"] for row in counted if row["memory_count"]} == {
                row["user_id"]: row["number"] for row in there
            }
        assert len(known) > 20


class TestPlan:
    """What PostgreSQL does for an owner of few memories, however many others there are."""

    OWNERS, EACH = 40, 100

    @pytest.fixture
    async def connection(self, store: PostgresStore, connect: Connect) -> AsyncIterator[asyncpg.Connection]:
        """A connection as the pool's, to a database of a few thousand memories."""
        async with connect() as connection:
            await connection.execute(
                """
                INSERT INTO memories (
                    user_id, id, audience, memory_type, content, content_hash, emotional_score, importance, confidence,
                    created_at, valid_from, source, channel_id, position, embedding, embedding_model_id
                )
                SELECT
                    'user' || owner, gen_random_uuid(), 'owner', 'episodic', 'common words and number ' || turn, '',
                    0, 0, 1, now(), now(), 'import', 'c', turn, ARRAY[cos(turn), sin(turn)]::real[]::halfvec(2), $3
                FROM generate_series(1, $1) AS owner, generate_series(1, $2) AS turn
                """,
                self.OWNERS,
                self.EACH,
                store.vectors.model_id,
            )
            await connection.execute(
                "INSERT INTO memory_pieces SELECT user_id, id, decode(repeat('00', 480), 'hex') FROM memories"
            )
            await connection.execute("ANALYZE memories, memory_pieces")
            await connection.execute("SET plan_cache_mode = force_generic_plan")
            await connection.execute("SET ROLE cortex_reader; SET cortex.actor = 'user7'")
            await connection.execute("PREPARE few AS " + own().limit(load_queries("recall")["few"]))
            yield connection

    @staticmethod
    async def nodes_of(connection: asyncpg.Connection) -> list[dict]:
        """Every step of the plan as it was run."""
        explained = await connection.fetchval(
            "EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE few("
            "'user7', NULL, NULL, NULL, '[1,0]', 1, 'common words and number 42', NULL, NULL, 30, 20)"
        )

        def below(node: dict) -> Iterator[dict]:
            yield node
            for child in node.get("Plans", []):
                yield from below(child)

        [plan] = json.loads(explained)
        return list(below(plan["Plan"]))

    async def test_it_reads_the_owners_rows_once(self, connection: asyncpg.Connection):
        nodes = await self.nodes_of(connection)

        reads = [node for node in nodes if node.get("Relation Name") == "memories"]
        owned = [node for node in reads if node["Actual Rows"] > 1]
        assert [(node["Actual Rows"], node["Actual Loops"]) for node in owned] == [(self.EACH, 1)]
        assert not [node for node in nodes if node["Node Type"] == "Seq Scan"]

    async def test_it_leaves_the_words_of_all_owners_alone(self, connection: asyncpg.Connection):
        indexes = {node["Index Name"] for node in await self.nodes_of(connection) if "Index Name" in node}

        assert "memories_by_word" not in indexes
        assert indexes

    async def test_it_looks_rows_and_pieces_up_one_by_one(self, connection: asyncpg.Connection):
        nodes = await self.nodes_of(connection)

        pieces = [node for node in nodes if node.get("Relation Name") == "memory_pieces"]
        assert [node["Index Name"] for node in pieces] == ["memory_pieces_pkey"]
        rows = [node for node in nodes if node.get("Index Name") == "memories_pkey"]
        lookups = {
            (node["Actual Rows"], node["Actual Loops"])
            for node in (*pieces, *rows)
            if node["Actual Loops"] and node["Actual Rows"] <= 1
        }
        [(each, candidates)] = lookups
        assert each == 1
        assert SEEDS_BY_VECTOR < candidates <= self.EACH
