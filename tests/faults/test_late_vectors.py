"""An embedder that is slow, away or refuses: the memory is stored at once, its vector follows."""

import asyncio
from collections.abc import Sequence

import numpy as np

from cortex_core import Degradation, Memory, MemoryConfig, MemoryManager, ProviderError
from cortex_core.errors import InvalidInputError, ProviderUnavailableError
from cortex_core.late_interaction import Embedding
from cortex_core.models import Vector
from cortex_core.stores.redis import RedisStore
from tests.harness import ScriptedEmbedder, eventually


async def is_embedded(memory: MemoryManager) -> bool:
    return not await memory.postgres.vectors.is_any_missing(before=await memory.postgres.vectors.now())


async def count_rows(memory: MemoryManager, expected: int) -> bool:
    return await memory.count_memories("ann") == expected


async def test_rows_do_not_wait_for_a_slow_embedder(memory_config: MemoryConfig):
    may_go_on = asyncio.Event()
    scripted = ScriptedEmbedder(lambda _: may_go_on.wait())
    async with MemoryManager(memory_config, embedder=scripted) as memory:
        for n in range(40):
            assert (await memory.store("ann", f"text {n}")).success
        await eventually(lambda: count_rows(memory, 40))
        assert not await is_embedded(memory)

        may_go_on.set()
        await memory.flush()
        found = await memory.search("ann", "text 7")
        assert all(m.similarity is not None for m in found.memories)
        assert found.memories[0].content == "text 7"


async def test_an_embedder_that_is_away_is_asked_again(memory_config: MemoryConfig):
    failures = 3

    def fail(_: Sequence[str]) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise ProviderUnavailableError("away")

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder(fail)) as memory:
        await memory.store("ann", "My cat is called Miso.")
        await asyncio.wait_for(memory.flush(), 20)

        assert await is_embedded(memory)
        assert failures < 0


async def test_only_the_guilty_text_is_given_up_and_words_still_find_it(memory_config: MemoryConfig):
    def refuse(texts: Sequence[str]) -> None:
        if any("cursed" in text for text in texts):
            raise ProviderError("the model gave no usable vector")

    scripted = ScriptedEmbedder(refuse)
    async with MemoryManager(memory_config, embedder=scripted) as memory:
        for n in range(10):
            await memory.store("ann", "a cursed amulet" if n == 4 else f"text {n}")
        await asyncio.wait_for(memory.flush(), 20)

        found = await memory.search("ann", "amulet")
        assert [(m.content, m.similarity) for m in found.memories if "amulet" in m.content] == [
            ("a cursed amulet", None)
        ]
        others = await memory.search("ann", "text 2")
        assert others.memories[0].similarity is not None
        asked = scripted.texts.copy()
        await memory.store("ann", "one more")
        await memory.flush()
        assert scripted.texts == [*asked, "one more"]


async def test_a_text_that_the_embedder_finds_empty_is_given_up(memory_config: MemoryConfig):
    def refuse(_: Sequence[str]) -> None:
        raise InvalidInputError("an empty text can't be embedded")

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder(refuse)) as memory:
        await memory.store("ann", "anything")
        await asyncio.wait_for(memory.flush(), 20)

        assert await memory.count_memories("ann") == 1


async def test_what_had_no_vector_at_the_end_gets_it_at_the_next_start(memory_config: MemoryConfig):
    async with MemoryManager(memory_config, embedder=ScriptedEmbedder(lambda _: asyncio.sleep(3600))) as memory:
        await memory.store("ann", "My cat is called Miso.")
        await eventually(lambda: count_rows(memory, 1))

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        await eventually(lambda: is_embedded(memory))


async def test_an_edit_while_its_vector_is_computed_gets_the_right_one(memory_config: MemoryConfig):
    may_go_on = asyncio.Event()
    scripted = ScriptedEmbedder(lambda _: may_go_on.wait())
    async with MemoryManager(memory_config, embedder=scripted) as memory:
        result = await memory.store("ann", "before", source_id="m1")
        await eventually(lambda: count_rows(memory, 1))
        [kept] = await memory.list_memories("ann")
        await memory.store("ann", "after", source_id="m1", edited_at=kept.created_at)

        async def is_edited() -> bool:
            return (await memory.list_memories("ann"))[0].content == "after"

        await eventually(is_edited)
        may_go_on.set()
        await memory.flush()

        found = await memory.search("ann", "after")
        assert str(found.memories[0].id) == result.memory_id
        assert found.memories[0].similarity > 0.999


async def test_a_vector_of_another_model_is_computed_anew(memory_config: MemoryConfig):
    store = RedisStore(memory_config.redis)
    memory_ = Memory(user_id="ann", content="My cat is called Miso.")
    other = np.full(8, 8**-0.5, dtype=np.float32)
    await store.remember(memory_, ttl=60, max_backlog=100, embedding=Embedding(other, None), model="another")
    await store.close()

    async with MemoryManager(memory_config, embedder=ScriptedEmbedder()) as memory:
        await memory.flush()

        [found] = (await memory.search("ann", memory_.content)).memories
        assert found.similarity > 0.999


async def test_vectors_of_another_length_harm_nobody_else(memory_config: MemoryConfig):
    class Lopsided(ScriptedEmbedder):
        async def embed_batch(self, texts: Sequence[str]) -> list[Vector]:
            vectors = await super().embed_batch(texts)
            return [vector[:5] if "odd" in text else vector for text, vector in zip(texts, vectors, strict=True)]

    async with MemoryManager(memory_config, embedder=Lopsided()) as memory:
        for content in ("text 1", "an odd one", "text 2"):
            await memory.store("ann", content)
        await asyncio.wait_for(memory.flush(), 20)

        by_vector = await memory.search("ann", "text 1")
        assert by_vector.degraded == ()
        assert {m.content for m in by_vector.memories if m.similarity is not None} == {"text 1", "text 2"}
        by_words = await memory.search("ann", "what was odd?")
        assert by_words.degraded == (Degradation.VECTORS,)
        assert [m.content for m in by_words.memories] == ["an odd one"]
