"""What projects share: found by every member, whoever said it and however much there is, and by nobody else."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from cortex_core import Audience, Memory, MemoryConfig, MemoryManager, NotFoundError
from cortex_core.stores.postgres import candidates
from cortex_core.stores.postgres.candidates import Inquiry
from cortex_core.stores.postgres.scope import Scope
from cortex_core.stores.postgres.store import PendingWrite

HERE = Audience.channel(1, 10)
WHEN = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = {
    "sam": "The launch of the rocket is on Friday at the harbour.",
    "ada": "Our budget for the rocket is nine thousand crowns.",
}


@pytest.fixture
async def project(memory: MemoryManager) -> str:
    """Sam's project with Ada and Robin, fed by a channel."""
    await memory.project_memory.create_project("apollo", "Apollo", "sam", ["ada", "robin"])
    await memory.channel_links.link_channel("hangar", "apollo")
    for author, fact in FACTS.items():
        result = await memory.project_memory.store_project_memory("apollo", fact, author, author_name=author.title())
        assert result.success
    await memory.flush()
    return "apollo"


async def asked(memory: MemoryManager, person: str, **place: object) -> set[str]:
    context = await memory.get_context(person, "When is the launch of the rocket?", **place)
    return {m.content for m in context.memories}


async def test_every_member_finds_what_any_other_said_attributed_to_its_author(memory: MemoryManager, project: str):
    for person in ("sam", "ada", "robin"):
        context = await memory.project_memory.get_project_context(project, "When is the launch?", user_id=person)
        assert (context.project_id, context.name) == ("apollo", "Apollo")
        [launch] = [m for m in context.retrieved if "launch" in m.content]
        assert (launch.user_id, launch.author_id, launch.author_name) == ("sam", "sam", "Sam")
        found = await memory.project_memory.search(project, "rocket budget", user_id=person)
        assert found.memories[0].content == FACTS["ada"]
    block = (await memory.get_context("robin", "When is the launch?", project)).to_prompt_string()
    assert '"Sam": "The launch' in block


async def test_a_project_speaks_in_its_channels_and_to_its_members_alone(memory: MemoryManager, project: str):
    everything = set(FACTS.values())
    assert await asked(memory, "robin", channel_id="hangar", audience=HERE) == everything
    assert await asked(memory, "robin", channel_id="dm") == everything, "in private all of one's projects speak"
    assert await asked(memory, "robin", project_id=project) == everything
    assert await asked(memory, "robin", channel_id="elsewhere", audience=HERE) == set()
    assert await asked(memory, "robin", project_id=project, audience=HERE) == set(), "no channel, no link"
    assert await asked(memory, "robin", channel_id="hangar", audience=HERE, project_id="other") == set()
    assert await asked(memory, "eve", channel_id="hangar", audience=HERE) == set()
    assert await asked(memory, "eve", project_id=project) == set()
    assert await asked(memory, "robin") == set(), "unless somebody names a project or a channel"


@pytest.mark.parametrize("call", ["get_project_context", "search"])
async def test_who_does_not_belong_is_told_what_everybody_is_told_of_what_does_not_exist(
    memory: MemoryManager, project: str, call: str
):
    sentences = set()
    for project_id in (project, "nothing", "*", "%", "{}", "[a]", "a\nb"):
        with pytest.raises(NotFoundError) as refused:
            await getattr(memory.project_memory, call)(project_id, "launch", user_id="eve")
        sentences.add(str(refused.value))
    assert len(sentences) == 1


@pytest.mark.parametrize("end", ["remove", "leave", "archive", "unlink", "opt out"])
async def test_what_ends_sharing_ends_it_with_its_commit(memory: MemoryManager, project: str, end: str):
    place = {"channel_id": "hangar", "audience": HERE}
    assert FACTS["sam"] in await asked(memory, "robin", **place)
    match end:
        case "remove":
            await memory.project_memory.remove_member(project, "robin", by="sam")
        case "leave":
            await memory.project_memory.leave(project, "robin")
        case "archive":
            await memory.project_memory.archive(project, by="sam")
        case "unlink":
            await memory.channel_links.unlink_channel("hangar")
        case "opt out":
            await memory.change_preferences("sam", opted_out=True)

    assert FACTS["sam"] not in await asked(memory, "robin", **place)


async def test_one_memory_not_two(memory: MemoryManager, project: str):
    [own] = await memory.list_memories("sam")
    assert own.project_id == project
    context = await memory.get_context("sam", "When is the launch of the rocket?", project)
    assert [m.content for m in context.memories].count(FACTS["sam"]) == 1

    await memory.forget("sam", [own.id])
    assert FACTS["sam"] not in await asked(memory, "robin", channel_id="hangar", audience=HERE)


async def test_no_author_fills_more_than_half_of_the_block(memory: MemoryManager, project: str):
    for number in range(40):
        await memory.project_memory.store_project_memory(project, f"The rocket needs bolt number {number}.", "ada")
    await memory.flush()

    context = await memory.project_memory.get_project_context(project, "What about the rocket?", user_id="robin")

    for block, places in ((context.retrieved, 15), (context.recent, 20)):
        assert len([m for m in block if m.author_id == "ada"]) <= places // 2
    assert FACTS["sam"] in {m.content for m in [*context.retrieved, *context.recent]}


async def test_nobody_feeds_a_project_without_belonging_to_it(memory: MemoryManager, project: str):
    assert (await memory.store("eve", "The rocket is mine now.", project_id=project)).success
    await memory.store("sam", "This is for nobody's project.", project_id="no such project")
    await memory.flush()

    assert [m.project_id for m in await memory.list_memories("eve")] == [None]
    assert "The rocket is mine now." not in await asked(memory, "robin", channel_id="hangar", audience=HERE)
    with pytest.raises(NotFoundError):
        await memory.project_memory.store_project_memory(project, "And mine.", "eve")


async def test_what_belongs_to_a_project_comes_up_elsewhere_for_its_author_alone(memory: MemoryManager, project: str):
    await memory.store("sam", "My rocket is blue.", project_id=project, audience=HERE)
    await memory.flush()
    question = "What colour is my rocket?"

    async def found(**place: object) -> bool:
        context = await memory.get_context("sam", question, **place)
        return "My rocket is blue." in {m.content for m in context.memories}

    assert await found()
    assert await found(audience=HERE, channel_id="hangar")
    assert not await found(audience=HERE, channel_id="elsewhere")


class TestLargeProjects:
    @pytest.fixture
    async def crowd(self, memory: MemoryManager) -> Scope:
        """Robin's view of a project in which two others said six hundred things."""
        await memory.project_memory.create_project("big", "Big", "sam", ["ada", "robin"])
        await memory.project_memory.create_project("foreign", "Foreign", "sam")
        dice = random.Random(3)
        words = [f"word{n}" for n in range(60)]
        texts = [" ".join(["common", *dice.choices(words, k=5)]) for _ in range(600)]
        vectors = await memory.embedder.embed_batch(texts)
        await memory.postgres.write(
            [
                PendingWrite(
                    Memory(
                        user_id=("sam", "ada")[n % 2],
                        content=text,
                        project_id="foreign" if n % 5 == 0 and n % 2 == 0 else "big",
                        created_at=WHEN + timedelta(minutes=n),
                        channel_id="c",
                    ),
                    vector,
                )
                for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
            ]
        )
        return Scope.shared("robin", Audience.owner(), channel_id="dm")

    async def test_are_searched_by_indexes_with_the_same_findings(
        self, memory: MemoryManager, crowd: Scope, monkeypatch: pytest.MonkeyPatch
    ):
        async def find(text: str) -> tuple[set, set]:
            vector = await memory.embedder.embed(text)
            found = await memory.postgres.candidates.find(Inquiry(crowd, text, vector))
            assert len({c.key for c in found}) == len(found)
            return {c.key for c in found}, {c.key for c in found if {"word7", "word9"} <= set(c.content.split())}

        few, few_best = await find("word7 and word9")
        monkeypatch.setattr(candidates, "MANY", 10)
        many, many_best = await find("word7 and word9")

        assert many_best >= few_best
        assert len(few & many) > len(few) / 2
        keys = await self.keys_of(memory, "big")
        assert (few | many) <= keys

    @staticmethod
    async def keys_of(memory: MemoryManager, project_id: str) -> set:
        listed = [await memory.list_memories(owner, limit=1000) for owner in ("sam", "ada")]
        return {(m.user_id, m.id) for mine in listed for m in mine if m.project_id == project_id}

    @pytest.mark.usefixtures("crowd")
    async def test_show_nothing_to_strangers(self, memory: MemoryManager, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(candidates, "MANY", 10)
        for scope in (
            Scope.shared("eve", Audience.owner(), channel_id="dm"),
            Scope.shared("robin", HERE, channel_id="unlinked"),
            Scope.shared("robin", HERE),
        ):
            assert await memory.postgres.candidates.find(Inquiry(scope, "common word7", None)) == []


async def test_the_second_wall_stands_when_the_first_has_a_hole(
    memory: MemoryManager, project: str, monkeypatch: pytest.MonkeyPatch
):
    """A statement without any condition shows a person what is theirs or shared with them, and nothing else."""
    await memory.store("eve", "My secret is a chocolate fountain.")
    await memory.flush()
    monkeypatch.setattr(Scope, "limit", lambda _, statement: statement.replace("<scope>", "($1, $2, $3) IS NOT NULL"))

    async def everything(person: str) -> set[str]:
        async with memory.postgres.pool.reading_as(person) as connection:
            return {row["content"] for row in await connection.fetch("SELECT content FROM memories")}

    assert await everything("eve") == {"My secret is a chocolate fountain."}
    assert await everything("robin") == set(FACTS.values())
    await memory.project_memory.remove_member(project, "robin")
    assert await everything("robin") == set()
    async with memory.postgres.pool.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM memories") == 3
        assert await connection.fetchval("SELECT nullif(current_setting('cortex.actor', true), '')") is None


async def test_a_config_without_people_still_works(memory_config: MemoryConfig):
    async with MemoryManager(memory_config) as memory:
        assert await memory.project_memory.list_projects("nobody") == []
