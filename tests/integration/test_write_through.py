"""The write path end to end (TDD 7.8): acknowledged at once, in Postgres soon, never twice."""

from cortex_core import Durability, MemoryManager


async def test_what_was_stored_is_in_working_memory_at_once(memory: MemoryManager):
    result = await memory.store("ann", "Test memory content")

    assert result.success
    assert result.durability is Durability.JOURNALLED
    context = await memory.get_context("ann")
    assert [m.content for m in context.working] == ["Test memory content"]


async def test_what_was_stored_is_found_in_postgres_by_its_meaning(memory: MemoryManager):
    await memory.store("ann", "I love chocolate ice cream")
    await memory.flush()

    found = await memory.search("ann", "dessert preferences")

    assert [m.content for m in found.memories] == ["I love chocolate ice cream"]
