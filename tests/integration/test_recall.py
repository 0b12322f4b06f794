"""Recall as a host sees it, with the real model and real servers: questions find their answers, or nothing."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg
import pytest

from cortex_core import Audience, InvalidInputError, Memory, MemoryConfig, MemoryManager, NewMemory
from cortex_core.models import utc_now
from cortex_core.recall.rendering import count_tokens
from cortex_core.stores.embedded import EmbeddedServers
from cortex_core.stores.postgres.candidates import Inquiry
from tests.harness import own

LONG_AGO = datetime(2025, 3, 4, 18, 0, tzinfo=UTC)
"""Long enough for working memory to have faded; a Tuesday."""

SMALL_TALK = [
    "The weather was awful this morning.",
    "I had pasta for lunch again.",
    "Did you see the match last night?",
    "My knee hurts a little.",
    "The bus was twenty minutes late.",
    "I should really clean the kitchen.",
]


@pytest.fixture(scope="module")
async def shared(servers: EmbeddedServers, shared_config: MemoryConfig, embedder) -> AsyncIterator[MemoryManager]:
    """One memory for all tests; each has an owner of its own. Its vectors need a database of their own."""
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE DATABASE recall TEMPLATE cortex_template")
    postgres = shared_config.postgres
    postgres = postgres.model_copy(update={"url": postgres.url.replace("@/shared?", "@/recall?")})
    async with MemoryManager(shared_config.model_copy(update={"postgres": postgres}), embedder=embedder) as memory:
        yield memory
    await connection.execute("DROP DATABASE recall WITH (FORCE)")
    await connection.close()


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> str:
    return f"recall-{request.node.name}"[:200]


async def tell(
    memory: MemoryManager, owner: str, *said: str, start: datetime = LONG_AGO, minutes: float = 1, **fields
) -> None:
    """Remember turns, one every so many minutes; "Ben: hello" is said by Ben."""
    turns = []
    for n, turn in enumerate(said):
        name, spoken, content = turn.partition(": ")
        who = {"author_name": name, "author_id": name.lower()} if spoken else {}
        new = {"content": content if spoken else turn, "created_at": start + timedelta(minutes=minutes * n)}
        turns.append(NewMemory(**{**new, **who, **fields}))
    assert all(result.success for result in await memory.store_many(owner, turns))
    await memory.flush()


def contents(memories: list[Memory]) -> list[str]:
    return [memory.content for memory in memories]


async def found(memory: MemoryManager, owner: str, query: str, **options) -> list[str]:
    return contents((await memory.search(owner, query, **options)).memories)


class TestAnswers:
    async def test_a_question_finds_the_answer_in_the_turn_beside_it(self, shared: MemoryManager, owner: str):
        await tell(
            shared,
            owner,
            *[f"Ann: {line}" for line in SMALL_TALK[:4]],
            "Ben: Where are you going on your honeymoon?",
            "Ann: Lisbon, for two weeks!",
            "Ben: Nice.",
            *[f"Ann: {line}" for line in SMALL_TALK[4:]],
            channel_id="beside",
        )

        top = await found(shared, owner, "Where will Ann spend her honeymoon?")

        assert top[0] == "Lisbon, for two weeks!"

    async def test_a_paraphrase_finds_what_shares_no_word_with_it(self, shared: MemoryManager, owner: str):
        await tell(shared, owner, *SMALL_TALK, "I work as a nurse at the city hospital.", minutes=600)

        assert (await found(shared, owner, "what is my job?"))[0] == "I work as a nurse at the city hospital."

    async def test_the_speaker_who_is_asked_about_comes_first(self, shared: MemoryManager, owner: str):
        await tell(
            shared,
            owner,
            "Ann: My favourite colour is green.",
            "Ben: My favourite colour is orange.",
            *[f"Ann: {line}" for line in SMALL_TALK],
            minutes=200,
        )

        assert (await found(shared, owner, "What's Ben's favourite colour?"))[0] == "My favourite colour is orange."
        assert (await found(shared, owner, "What's ann's favourite colour?"))[0] == "My favourite colour is green."

    @pytest.mark.parametrize(
        ("said", "asked"),
        [
            ("Mein Kater heißt Miso.", "Wie heißt mein Kater?"),
            ("Ich bin gegen Erdnüsse allergisch.", "Wogegen bin ich allergisch?"),
            ("Мою кошку зовут Мисо.", "Как зовут мою кошку?"),
            ("Я живу в Казани.", "Где я живу?"),
        ],
    )
    async def test_questions_of_other_languages_find_their_memory(
        self, shared: MemoryManager, owner: str, said: str, asked: str
    ):
        await tell(
            shared,
            owner,
            said,
            "Heute war das Wetter furchtbar.",
            "Der Bus kam zwanzig Minuten zu spät.",
            "Сегодня был дождь.",
            "Автобус опоздал на двадцать минут.",
            *SMALL_TALK,
            minutes=200,
        )

        assert (await found(shared, owner, asked))[0] == said

    async def test_it_is_found_before_its_vector_is_there(self, memory_config: MemoryConfig, embedder):
        async with MemoryManager(memory_config, embedder=embedder) as memory:
            await memory._parts.vectorizer.close()  # so that what has no vector keeps none
            await memory.store("ann", "The zeppelin museum opens at nine.", created_at=LONG_AGO)
            await memory._parts.writer.drain()
            async with memory.postgres.pool.connection() as connection:
                await connection.execute("UPDATE memories SET embedding = NULL, embedding_model_id = NULL")
                await connection.execute("DELETE FROM memory_pieces")

            result = await memory.search("ann", "when does the zeppelin museum open?")

            assert contents(result.memories) == ["The zeppelin museum opens at nine."]
            assert (result.relevance, result.memories[0].relevance, result.memories[0].is_weak) == (None, None, False)


class TestTime:
    async def test_the_newest_of_two_contradicting_statements_answers_how_it_is_now(
        self, shared: MemoryManager, owner: str
    ):
        await tell(shared, owner, "I live in Hamburg.", *SMALL_TALK, "I live in Porto.", minutes=60 * 24 * 30)

        for question in ("Where do I live now?", "Where do I currently live?", "Where do I live?"):
            answers = await found(shared, owner, question)
            assert answers[0] == "I live in Porto.", question
            assert "I live in Hamburg." in answers

    async def test_yesterday_is_the_day_before_it_is_asked(self, shared: MemoryManager, owner: str):
        await tell(
            shared,
            owner,
            "I bought a green bicycle.",
            "I fixed the old radio.",
            "I baked a plum cake.",
            minutes=60 * 24,
        )
        asked_at = LONG_AGO + timedelta(days=2, hours=1)

        result = await shared.search(owner, "What did I do yesterday?", asked_at=asked_at)

        assert result.memories[0].content == "I fixed the old radio."
        again = await found(shared, owner, "What did I do yesterday?", asked_at=asked_at + timedelta(days=1))
        assert again[0] == "I baked a plum cake."

    async def test_what_was_said_in_the_time_asked_about_passes_the_gate(self, shared: MemoryManager, owner: str):
        await tell(shared, owner, "qwx zzt", start=LONG_AGO)

        asked_at = LONG_AGO + timedelta(days=1)
        assert await found(shared, owner, "Which museums did we visit?", asked_at=asked_at) == []
        assert await found(shared, owner, "Which museums did we visit yesterday?", asked_at=asked_at) == ["qwx zzt"]


class TestGate:
    async def test_nothing_relevant_is_nothing_and_tells_how_little_it_was(self, shared: MemoryManager, owner: str):
        await tell(shared, owner, "qwx zzt", "vvkq", "🎉🎉🎉")

        result = await shared.search(owner, "quarterly tax declaration deadline")

        assert (result.memories, result.total_count) == ([], 0)
        assert 0 <= result.relevance < shared.config.retrieval.nothing_below
        assert (await shared.get_context(owner, "quarterly tax declaration deadline")).retrieved == []

    async def test_good_and_weak_matches_are_told_apart(self, shared: MemoryManager, owner: str):
        await tell(shared, owner, "My cat is called Miso.", "The printer is out of toner.", minutes=200)

        result = await shared.search(owner, "What is my cat called?")

        cat, printer = result.memories
        assert (cat.content, cat.is_weak, printer.is_weak) == ("My cat is called Miso.", False, True)
        assert cat.relevance == result.relevance > shared.config.retrieval.weak_below > printer.relevance

    async def test_nobody_knows_nothing(self, shared: MemoryManager, owner: str):
        result = await shared.search(owner, "anything")

        assert (result.memories, result.total_count, result.relevance) == ([], 0, None)


class TestExplaining:
    async def test_all_parts_are_told_and_they_sum_up(self, shared: MemoryManager, owner: str):
        await tell(shared, owner, *SMALL_TALK, "Did you see my cat?", channel_id="explained")

        memories = (await shared.search(owner, "where is my cat?", explain=True)).memories

        assert memories
        for memory in memories:
            parts = memory.explanation
            four = ("similarity", "recency", "emotion", "reinforcement")
            assert sum(parts[name] for name in four) == pytest.approx(memory.score)
            signals = {name: part for name, part in parts.items() if name.startswith("relevance.")}
            assert {"relevance.pieces", "relevance.content", "relevance.words", "relevance.speaker"} <= signals.keys()
            assert sum(signals.values()) == pytest.approx(parts["relevance"], abs=1e-6)
            assert parts["similarity"] == pytest.approx(0.4 * 4 * parts["relevance"])
        assert [m.explanation for m in (await shared.search(owner, "where is my cat?")).memories] == [None] * len(
            memories
        )


class TestScope:
    async def test_a_projects_memories_answer_in_their_project_only(self, shared: MemoryManager, owner: str):
        project = (await shared.project_memory.create_project(None, "Falcon", owner)).id
        here = Audience.channel(1, 2)
        work = {"channel_id": "work", "audience": here}
        await tell(shared, owner, "The release is on Friday.", project_id=project, **work)
        await tell(shared, owner, "The release party is at my place.", **work)
        both = {"The release is on Friday.", "The release party is at my place."}
        ask = partial(found, shared, owner, "When is the release?")

        assert set(await ask()) == both, "the owner alone hears everything"
        assert set(await ask(audience=here)) == {"The release party is at my place."}
        await shared.channel_links.link_channel("work", project)
        assert set(await ask(audience=here, channel_id="work")) == both
        assert set(await ask(audience=here, channel_id="elsewhere")) == {"The release party is at my place."}
        assert set(await ask(audience=here, channel_id="work", project_id="condor")) == {
            "The release party is at my place."
        }

    async def test_a_neighbour_that_may_not_be_heard_neither_comes_along_nor_helps(
        self, shared: MemoryManager, owner: str
    ):
        await tell(shared, owner, "The code of the safe is swordfish.", channel_id="mixed")
        await tell(
            shared,
            owner,
            "qwx zzt.",
            start=LONG_AGO + timedelta(minutes=1),
            channel_id="mixed",
            audience=Audience.guild(1),
        )

        here = await shared.search(owner, "What is the code of the safe?", audience=Audience.guild(1))
        alone = await shared.search(owner, "What is the code of the safe?")

        assert here.memories == []
        assert here.relevance < shared.config.retrieval.nothing_below < alone.relevance
        assert contents(alone.memories)[0] == "The code of the safe is swordfish."

    async def test_anothers_memory_never_answers(self, shared: MemoryManager, owner: str):
        await tell(shared, owner, "The code of the safe is swordfish.", channel_id="c")

        assert await found(shared, f"{owner}-other", "What is the code of the safe?") == []


class TestContext:
    async def test_sections_never_repeat_each_other(self, shared: MemoryManager, owner: str):
        falcon = (await shared.project_memory.create_project(None, "Falcon", owner)).id
        await tell(shared, owner, "Falcon's launch is on Friday.", project_id=falcon)
        await tell(shared, owner, "Falcon's budget is too small.", project_id=falcon, start=utc_now())
        await tell(shared, owner, "Falcon keeps me awake at night.", "falcon KEEPS me awake, at night!")

        context = await shared.get_context(owner, "How is Falcon going?", falcon)

        shown = [*context.working, *context.retrieved, *context.project.recent, *context.project.retrieved]
        assert len({memory.id for memory in shown}) == len(shown)
        assert contents(context.working) == ["Falcon's budget is too small."]
        assert set(contents(context.retrieved)) >= {"Falcon's launch is on Friday."}
        assert sum("awake" in content for content in contents(shown)) == 1
        block = context.to_prompt_string()
        for content in contents(shown):
            assert block.count(content) == 1

    async def test_what_working_memory_says_is_not_retrieved_in_the_same_words(self, shared: MemoryManager, owner: str):
        await tell(shared, owner, "My cat is called Miso.")
        await tell(shared, owner, "my cat is called MISO!", start=utc_now())

        context = await shared.get_context(owner, "What is my cat called?")

        assert contents(context.working) == ["my cat is called MISO!"]
        assert context.retrieved == []

    async def test_one_thing_is_said_in_two_wordings_at_most(self, shared: MemoryManager, owner: str):
        wordings = [
            "My cat is called Miso.",
            "My cat's called Miso.",
            "my cat is named Miso",
            "My cat is called Miso!!! :)",
            "The cat of mine is called Miso.",
            "My cat, she is called Miso.",
        ]
        await tell(shared, owner, *wordings, "The dog of my neighbour is called Udon.", minutes=200)

        context = await shared.get_context(owner, "What is my cat called?")

        told = contents(context.retrieved)
        assert 1 <= sum("cat" in content for content in told) <= 2
        assert "The dog of my neighbour is called Udon." in told
        assert len(await found(shared, owner, "What is my cat called?")) == 7  # a search shows all

    async def test_weak_matches_are_marked_in_the_prompt(self, shared: MemoryManager, owner: str):
        await tell(shared, owner, "My cat is called Miso.", "The printer is out of toner.", minutes=200)

        block = (await shared.get_context(owner, "What is my cat called?")).to_prompt_string()

        [cat] = [line for line in block.splitlines() if "called Miso" in line]
        [printer] = [line for line in block.splitlines() if "toner" in line]
        assert not cat.endswith("(weak match)")
        assert printer.endswith("(weak match)")

    async def test_the_evidence_of_an_identity_is_not_told_beside_it(self, shared: MemoryManager, owner: str):
        await shared.update_identity(owner, "favourite colour", "green")
        await shared.update_identity(owner, "favourite colour", "orange")
        await shared.flush()

        context = await shared.get_context(owner, "What is my favourite colour?")

        assert context.identity == {"favourite colour": "orange"}
        assert "favourite colour: orange" not in contents(context.retrieved)
        assert context.to_prompt_string().count("orange") == 1

    async def test_a_long_working_memory_does_not_crowd_out_what_was_retrieved(self, shared: MemoryManager, owner: str):
        facts = [
            "My cat Miso is three years old, we got her from a shelter near Porto when she was only a kitten.",
            "The vet weighed my cat on Thursday and says that four kilos are plenty, so no treats until Easter.",
            "My cat hides under the sofa from the vacuum cleaner, and doesn't come out before the evening.",
        ]
        await tell(shared, owner, *facts, minutes=200)
        talk = [f"{n} {line} " + "And so on, and on, and on. " * 8 for n, line in enumerate(SMALL_TALK * 2)]
        await tell(shared, owner, *talk, start=utc_now() - timedelta(minutes=12))

        context = await shared.get_context(owner, "What do you know about my cat Miso?")
        block = context.to_prompt_string(max_tokens=800)

        assert len(context.working) >= 10
        assert all(fact in block for fact in facts)
        assert block.count("And so on, and") >= 2
        assert count_tokens(block) <= 800

    @pytest.mark.parametrize("max_tokens", [0, 30, 60, 100, 200, 500, 2000])
    async def test_the_block_is_within_its_bounds(self, shared: MemoryManager, max_tokens: int):
        owner = "recall-bounds"
        if not await shared.count_memories(owner):
            await shared.update_identity(owner, "name", "Ann")
            await shared.project_memory.create_project("bounds", "Bounds", owner)
            await tell(shared, owner, *SMALL_TALK, project_id="bounds")
            await tell(shared, owner, *[f"My cat did thing number {n}." for n in range(30)], minutes=100)
            await tell(shared, owner, *SMALL_TALK, start=utc_now())

        context = await shared.get_context(owner, "What did my cat do in the kitchen?", "bounds")
        block = context.to_prompt_string(max_tokens=max_tokens)

        assert count_tokens(block) <= max_tokens
        if max_tokens >= 100:
            assert '"Ann"' in block
        if max_tokens >= 500:
            headings = re.findall(r"^## (.*)$", block, re.MULTILINE)
            assert headings == ["User Identity", "Recent Context", "Relevant Memories", "Project"]


async def test_bad_arguments_are_refused_in_a_sentence(shared: MemoryManager, owner: str):
    with pytest.raises(InvalidInputError, match="time zone"):
        await shared.search(owner, "cat yesterday", asked_at=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidInputError, match="limit"):
        await shared.search(owner, "cat", limit=-1)


async def test_compound_words_are_matched_as_one(shared: MemoryManager, owner: str):
    await tell(shared, owner, "Their state-of-the-art oven broke.", "An art gallery opened.", "It's rock'n'roll.")

    found = await shared.postgres.candidates.find(Inquiry(own(owner), "state-of-the-art", None))

    most = max(found, key=lambda candidate: candidate.matched.bit_count())
    assert most.content == "Their state-of-the-art oven broke."
    assert most.matched.bit_count() >= 3


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("My son plays chess on Fridays.", "Who is my son?"),
        ("I bought a straw hat in Nice.", "Do I own a hat?"),
        ("Grandpa was in the war as a medic.", "What do I know about the war?"),
    ],
)
async def test_english_words_that_are_stop_words_elsewhere_are_content(
    shared: MemoryManager, owner: str, told: str, asked: str
):
    await tell(shared, owner, "The weather is fine.", told, "Pizza was good today.")

    found = await shared.search(owner, asked)

    assert found.memories[0].content == told
    assert not found.memories[0].is_weak


async def test_an_emoji_finds_no_other_emoji(shared: MemoryManager, owner: str):
    await tell(shared, owner, "😀", "🎉🎉", "猫が好きです", "ok ok")

    assert (await shared.search(owner, "🍕")).memories == []


async def test_without_a_vector_only_what_holds_a_word_is_found(shared: MemoryManager, owner: str):
    await tell(shared, owner, "ok", "My dog is called Rex.", "The weather is fine.", "brb")

    ranking = await shared._parts.searcher.find([own(owner)], "how is the weather?", None, limit=10)

    assert [memory.content for memory in ranking.memories] == ["The weather is fine."]


async def test_what_left_the_newest_ten_of_working_memory_is_recalled(shared: MemoryManager, owner: str):
    await tell(
        shared, owner, "My cat is called Miso.", *[f"Small talk number {n}." for n in range(20)], start=utc_now()
    )

    context = await shared.get_context(owner, "What is my cat called?")

    assert "Miso" in context.to_prompt_string()
    assert len({m.id for m in (*context.working, *context.retrieved)}) == len(context.working) + len(context.retrieved)


async def test_many_are_stored_in_their_order(shared: MemoryManager, owner: str):
    results = await shared.store_many(
        owner, [NewMemory(content=f"line {n}", channel_id="c") for n in range(200)] + [NewMemory(content=" ")]
    )
    await shared.flush()

    assert [result.success for result in results] == [True] * 200 + [False]
    stored = {str(m.id): m for m in await shared.list_memories(owner, limit=300)}
    assert [stored[result.memory_id].position for result in results[:-1]] == list(range(200))


async def test_a_replayed_yesterday_is_the_day_before_the_message(shared: MemoryManager, owner: str):
    then = datetime(2026, 3, 10, 12, tzinfo=UTC)
    await tell(shared, owner, "Went swimming.", start=then - timedelta(days=1))
    await tell(shared, owner, "Went climbing.", start=then + timedelta(days=3))

    context = await shared.get_context(owner, "what did I do yesterday?", asked_at=then)

    assert context.retrieved[0].content == "Went swimming."


async def test_a_question_asked_before_answers_nothing_and_lifts_nothing(shared: MemoryManager, owner: str):
    question = "Clara, where do I live now?"
    await tell(
        shared, owner, "I live in Utrecht.", "I moved to Rotterdam last week, new flat!", "ok good night everyone",
        question, "bananas are yellow", question,
    )  # fmt: skip

    found = await shared.search(owner, question)

    assert question not in contents(found.memories)
    assert {m.content for m in found.memories[:2]} == {
        "I live in Utrecht.",
        "I moved to Rotterdam last week, new flat!",
    }
    beside = {m.content: m for m in found.memories}
    assert beside["ok good night everyone"].is_weak
    assert beside["bananas are yellow"].is_weak
