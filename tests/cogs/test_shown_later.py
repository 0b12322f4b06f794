"""Lists that stand there while people leave projects and forget: what a page or a choice shows is checked anew."""

import simcord

from cortex_core import Project
from tests.cogs.conftest import World
from tests.cogs.test_memory_commands import tell, text_of, use

FORWARD = "cortex:v1:pages:forward"
MENU = "cortex:v1:chooser:menu"


async def share(world: World) -> Project:
    """Link #general with a project of Robin's to which Sam belongs."""
    project = await world.memory.project_memory.create_project(
        None, "Garden", world.owner(world.robin), [world.owner(world.sam)]
    )
    channel = f"discord-channel-{world.general.id}"
    await world.memory.channel_links.link_channel(channel, project.id, guild_id=world.guild.id)
    return project


async def remove_sam(world: World, project: Project) -> None:
    await world.memory.project_memory.remove_member(project.id, world.owner(world.sam), by=world.owner(world.robin))


async def search_project(world: World) -> tuple[Project, simcord.ResponseMessage]:
    project = await share(world)
    for number in range(12):
        await world.memory.project_memory.store_project_memory(
            project.id, f"The concrete delivery number {number} costs {number}000 euros.", world.owner(world.robin)
        )
    await world.flush()
    query = "What does the concrete delivery cost?"
    result = await world.sam.slash(world.general, "project search", query=query, project=project.id)
    assert result.response is not None
    assert text_of(result.response).count("concrete") == 5
    return project, result.response


class TestPages:
    async def test_of_a_project_show_nothing_more_to_who_was_removed(self, world: World) -> None:
        project, answer = await search_project(world)
        await remove_sam(world, project)

        await world.sam.click(answer, custom_id=FORWARD)

        assert text_of(answer) == "\n*5 are gone since, or out of reach for now.*"

    async def test_of_a_search_leave_out_what_was_forgotten(self, world: World) -> None:
        await tell(world, *(f"The concrete delivery number {number} was late." for number in range(7)))
        answer = await use(world, "search", query="Which concrete delivery was late?")
        last = [m for m in await world.memories(world.sam) if m.content not in text_of(answer).replace("\\", "")]
        assert len(last) == 2
        await world.memory.forget(world.owner(world.sam), [last[0].id])

        await world.sam.click(answer, custom_id=FORWARD)

        assert last[0].content not in text_of(answer)
        assert last[1].content in text_of(answer)
        assert text_of(answer).endswith("\n\n*1 is gone since, or out of reach for now.*")

    async def test_of_a_list_tell_of_what_was_forgotten(self, world: World) -> None:
        await tell(world, *(f"Thing number {number}" for number in range(7)))
        answer = await use(world, "list")
        oldest = (await world.memories(world.sam))[-1]
        await world.memory.forget(world.owner(world.sam), [oldest.id])

        await world.sam.click(answer, custom_id=FORWARD)

        assert "Thing number 1" in text_of(answer)
        assert text_of(answer).endswith("\n\n*1 is gone since, or out of reach for now.*")


class TestReasons:
    async def test_of_a_reply_are_not_shown_to_who_was_removed(self, world: World) -> None:
        project = await share(world)
        await world.robin.send(world.general, "The concrete for the bridge arrives on Tuesday.")
        assert "Tuesday" in await world.ask(world.sam, "Clara, when does the concrete for the bridge arrive?")
        answer = await use(world, "why")
        await remove_sam(world, project)

        await world.sam.select(answer, ["0"], custom_id=MENU)

        assert "Tuesday" not in text_of(answer)
        assert answer.content.startswith("That is gone since: forgotten, or not shared with you any more.")

    async def test_on_later_pages_are_not_either(self, world: World) -> None:
        project = await share(world)
        for number in range(7):
            await world.memory.project_memory.store_project_memory(
                project.id, f"The concrete delivery number {number} was late.", world.owner(world.robin)
            )
        await tell(world, "I ordered the concrete.")
        owner = world.owner(world.sam)
        found = await world.memory.search(owner, "concrete", project.id)
        own = [memory for memory in found.memories if memory.user_id == owner]
        others = [memory for memory in found.memories if memory.user_id != owner]
        await world.memory.note_reply(owner, "discord-message-1", [*others, *own])
        answer = await use(world, "why")
        await remove_sam(world, project)

        await world.sam.click(answer, custom_id="cortex:v1:pages:forward")
        assert "late" not in text_of(answer)
        assert "I ordered the concrete." in text_of(answer)
        assert "*2 are gone since, or out of reach for now.*" in text_of(answer)
        await world.sam.click(answer, custom_id="cortex:v1:pages:back")

        assert "*5 are gone since, or out of reach for now.*" in text_of(answer)
        assert all(c["custom_id"] != MENU for row in answer.components for c in row["components"])
