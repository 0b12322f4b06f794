"""`/channel …` as people use it: links, listening, the notices that everybody sees, and what goes away by itself."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest
import simcord
from discord.ext import commands
from simcord.backend.errors import SetupError

from cortex_core import MemoryManager, Project, ProjectRole, StoreUnavailableError
from tests.cogs.conftest import World, make_world, simulate

EVIL = "@everyone **bold** [click](https://evil.example)"
SHARED = (
    "What members of its project say here is remembered for all of them, what others say for each of them alone. "
    "What the members told the project may come up here, before everybody who can read this channel."
)
ALONE = "What people say here is remembered, for each of them alone."
NOTHING = "Nothing that is said here is remembered."
UNSEEN = "I can't see everybody who can read it; they may be no members of the project."


@pytest.fixture
def keeper(world: World) -> simcord.MemberActor:
    """Manages channels."""
    return add_keeper(world)


@pytest.fixture
async def seeing(memory: MemoryManager) -> AsyncIterator[World]:
    """A world whose bot may list the members of a server."""
    bot = commands.Bot(command_prefix="!", intents=discord.Intents.all())
    bot.cortex = memory
    await bot.load_extension("cortex_cogs.channels")
    async with simulate(bot) as env:
        yield make_world(env, memory)


def add_keeper(world: World) -> simcord.MemberActor:
    role = world.guild.create_role("Keepers", permissions=discord.Permissions(manage_channels=True))
    return world.guild.add_member(world.env.create_user("ada"), roles=[role, world.guild.roles["Members"]])


async def use(
    world: World, person: simcord.MemberActor, command: str, place: simcord.ChannelHandle | None = None, **options: Any
) -> simcord.ResponseMessage:
    """Use a command and return its answer, which nobody else sees."""
    result = await person.slash(place or world.general, f"channel {command}", **options)
    assert result.response is not None
    assert result.response.ephemeral
    assert len(result.response.content) <= 2000
    return result.response


async def make(
    world: World, owner: simcord.MemberActor, name: str = "Garden", *members: simcord.MemberActor
) -> Project:
    people = [world.owner(person) for person in members]
    return await world.memory.project_memory.create_project(None, name, world.owner(owner), people)


async def linked(world: World, place: simcord.ChannelHandle | None = None) -> str | None:
    return await world.memory.channel_links.get_project_for_channel(channel_of(place or world.general))


def channel_of(place: simcord.ChannelHandle) -> str:
    return f"discord-channel-{place.id}"


def notices_in(place: simcord.ChannelHandle) -> list[str]:
    return [message.content for message in place.history()]


async def open_thread(world: World) -> simcord.ChannelHandle:
    parent = world.bot.get_channel(world.general.id)
    assert isinstance(parent, discord.TextChannel)
    await parent.create_thread(name="aside", type=discord.ChannelType.public_thread)
    await world.env.settle()
    (thread,) = world.general.threads
    return thread


class TestLink:
    async def test_asks_when_others_may_read_along_and_tells_everybody(
        self, world: World, keeper: simcord.MemberActor
    ) -> None:
        project = await make(world, keeper, EVIL)
        dialog = await use(world, keeper, "link", project=project.id)
        assert dialog.content.startswith(f"Link <#{world.general.id}> with **\\@\u200beveryone \\*\\*bold")
        assert "People who are no members of the project can read it: " in dialog.content
        assert await linked(world) is None, "nothing is linked before it is confirmed"

        await keeper.click(dialog, label="Link")

        assert await linked(world) == project.id
        assert dialog.content.endswith("I've told everybody there.")
        (notice,) = notices_in(world.general)
        assert notice.startswith(f"<@{keeper.id}> linked this channel with the project **\\@\u200beveryone")
        assert notice.endswith(f"\nFrom now on: {SHARED}")
        sent = [entry.json for entry in world.env.http_requests if entry.path.endswith(f"{world.general.id}/messages")]
        assert sent[-1]["allowed_mentions"] == {"parse": []}
        assert (await world.memory.channel_links.get_settings(channel_of(world.general))).guild_id == world.guild.id

    async def test_names_those_who_are_no_members(self, seeing: World) -> None:
        keeper = add_keeper(seeing)
        project = await make(seeing, keeper, "Garden", seeing.sam)

        dialog = await use(seeing, keeper, "link", project=project.id)

        strangers = f"<@{seeing.guild.owner.id}>, <@{seeing.robin.id}>"
        assert f"People who are no members of the project can read it: {strangers}." in dialog.content
        assert f"<@{seeing.sam.id}>" not in dialog.content
        await keeper.click(dialog, label="Cancel")
        assert (dialog.content, await linked(seeing)) == ("Nothing was changed.", None)

    async def test_says_when_it_may_see_a_part_only(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, keeper, "Garden")
        guild = world.bot.get_guild(world.guild.id)
        assert guild is not None
        guild._members.pop(world.robin.id)

        dialog = await use(world, keeper, "link", project=project.id)

        assert f"<@{world.sam.id}>, and maybe others whom I can't see. They hear" in dialog.content
        guild._members.clear()
        assert UNSEEN in (await use(world, keeper, "link", project=project.id)).content

    async def test_asks_nothing_where_members_are_among_themselves(self, seeing: World) -> None:
        keeper = add_keeper(seeing)
        project = await make(seeing, keeper, "Garden", seeing.sam, seeing.robin)
        guild_owner = seeing.guild.owner.id
        await seeing.memory.project_memory.add_member(project.id, f"discord-{guild_owner}")

        answer = await use(seeing, keeper, "link", seeing.staff, project=project.id)

        assert answer.content == f"<#{seeing.staff.id}> is linked with **Garden**. I've told everybody there."
        assert await linked(seeing, seeing.staff) == project.id

    async def test_says_that_another_project_is_replaced(self, world: World, keeper: simcord.MemberActor) -> None:
        old, new = await make(world, keeper, "Old"), await make(world, keeper, "New")
        await world.memory.channel_links.link_channel(channel_of(world.general), old.id)

        again = await use(world, keeper, "link", project=old.id)
        dialog = await use(world, keeper, "link", project=new.id)
        await keeper.click(dialog, label="Link")

        assert again.content == f"<#{world.general.id}> is linked with **Old** already."
        assert await linked(world) == new.id

    async def test_in_a_thread_means_its_channel(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, keeper)
        thread = await open_thread(world)

        dialog = await use(world, keeper, "link", thread, project=project.id)
        await keeper.click(dialog, label="Link")

        assert await linked(world) == project.id
        assert await linked(world, thread) is None
        assert any("linked this channel with" in notice for notice in notices_in(world.general))

    async def test_of_a_forum_is_told_in_the_post(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, keeper)
        forum = world.bot.get_channel(world.guild.create_forum_channel("help").id)
        assert isinstance(forum, discord.ForumChannel)
        await forum.create_thread(name="My cat", content="Who is she?")
        await world.env.settle()
        (post,) = world.guild.channels["help"].threads

        dialog = await use(world, keeper, "link", post, project=project.id)
        await keeper.click(dialog, label="Link")

        assert await world.memory.channel_links.get_project_for_channel(f"discord-channel-{forum.id}") == project.id
        assert notices_in(post)[-1].startswith(f"<@{keeper.id}> linked this channel with")

    async def test_needs_a_role_in_the_project(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, world.sam, "Garden", keeper)
        foreign = await make(world, world.sam, "Foreign")

        as_member = await use(world, keeper, "link", project=project.id)
        as_stranger = await use(world, keeper, "link", project=foreign.id)

        assert as_member.content == "Only the owner or an admin of the project can do that."
        assert as_stranger.content == "There is no such project, or you don't belong to it."
        await world.memory.project_memory.set_role(
            project.id, world.owner(keeper), ProjectRole.ADMIN, by=world.owner(world.sam)
        )
        dialog = await use(world, keeper, "link", project=project.id)
        await world.memory.project_memory.remove_member(project.id, world.owner(keeper))
        await keeper.click(dialog, label="Link")
        assert dialog.content == "There is no such project, or you don't belong to it."
        assert await linked(world) is None

    async def test_needs_the_permission_still_when_it_is_confirmed(
        self, world: World, keeper: simcord.MemberActor
    ) -> None:
        project = await make(world, keeper)
        dialog = await use(world, keeper, "link", project=project.id)
        world.env.backend.edit_member(world.guild.id, keeper.id, {"role_ids": []})

        await keeper.click(dialog, label="Link")

        assert dialog.content == f"You need the permission Manage Channels in <#{world.general.id}> for that."
        assert await linked(world) is None

    async def test_suggests_what_the_person_may_link(self, world: World, keeper: simcord.MemberActor) -> None:
        mine = await make(world, keeper, "x" * 100)
        await make(world, world.sam, "Joined", keeper)

        (choice,) = await keeper.autocomplete(world.general, "channel link", "project", "")

        assert choice["value"] == mine.id
        assert len(choice["name"]) == 100

    async def test_of_an_archived_project_is_refused(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, keeper)
        dialog = await use(world, keeper, "link", project=project.id)
        await world.memory.project_memory.archive(project.id, by=world.owner(keeper))

        await keeper.click(dialog, label="Link")

        assert dialog.content == "This project is archived; its owner can restore it."


class TestUnlink:
    async def test_is_told_everybody(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, world.sam)
        await world.memory.channel_links.link_channel(channel_of(world.general), project.id)

        answer = await use(world, keeper, "unlink")

        assert answer.content == (
            f"<#{world.general.id}> isn't linked with a project any more. I've told everybody there."
        )
        (notice,) = notices_in(world.general)
        assert notice.startswith(
            f"<@{keeper.id}> unlinked this channel from its project, which keeps what it was told."
        )
        assert notice.endswith(f"\nFrom now on: {ALONE}")
        assert await linked(world) is None
        assert (await use(world, keeper, "unlink")).content == f"<#{world.general.id}> isn't linked with a project."

    async def test_says_when_nobody_could_be_told(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, world.sam)
        await world.memory.channel_links.link_channel(channel_of(world.general), project.id)
        world.env.inject_error("POST", f"/channels/{world.general.id}/messages", status=403, code=50013)

        answer = await use(world, keeper, "unlink")

        assert answer.content.endswith(f"I can't write there, so please tell people yourself: {ALONE}")
        assert await linked(world) is None


class TestCapture:
    @pytest.mark.parametrize(("is_linked", "rule"), [(False, ALONE), (True, SHARED)])
    async def test_is_turned_off_and_on_in_sight_of_all(
        self, world: World, keeper: simcord.MemberActor, *, is_linked: bool, rule: str
    ) -> None:
        if is_linked:
            project = await make(world, world.sam)
            await world.memory.channel_links.link_channel(channel_of(world.general), project.id)

        off = await use(world, keeper, "capture", listen="off")
        settings = await world.memory.channel_links.get_settings(channel_of(world.general))
        on = await use(world, keeper, "capture", listen="on")

        assert (settings.is_captured, settings.guild_id) == (False, world.guild.id)
        assert off.content == f"Listening is off in <#{world.general.id}>. I've told everybody there."
        assert on.content == f"Listening is on in <#{world.general.id}>. I've told everybody there."
        first, second = notices_in(world.general)
        assert first.startswith(f"<@{keeper.id}> turned listening off.\nFrom now on: {NOTHING}")
        assert second == f"<@{keeper.id}> turned listening on.\nFrom now on: {rule}"

    async def test_in_a_thread_means_its_channel(self, world: World, keeper: simcord.MemberActor) -> None:
        await use(world, keeper, "capture", await open_thread(world), listen="off")

        assert not (await world.memory.channel_links.get_settings(channel_of(world.general))).is_captured


class TestStatus:
    async def test_of_a_channel_of_its_own(self, world: World, keeper: simcord.MemberActor) -> None:
        answer = await use(world, keeper, "status")

        assert answer.content == f"<#{world.general.id}> is linked with no project.\n{ALONE}"
        assert notices_in(world.general) == []

    async def test_tells_a_member_who_hears(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, world.sam, "Garden", keeper, world.robin)
        hidden = world.guild.create_text_channel(
            "hidden",
            overwrites={
                world.guild.default_role: discord.PermissionOverwrite(view_channel=False),
                world.guild.me: discord.PermissionOverwrite(view_channel=True),
                keeper: discord.PermissionOverwrite(view_channel=True),
                world.robin: discord.PermissionOverwrite(view_channel=True),
            },
        )
        await world.memory.channel_links.link_channel(channel_of(hidden), project.id)

        answer = await use(world, keeper, "status", hidden)

        first, second, third, last = answer.content.splitlines()
        assert first == f"<#{hidden.id}> is linked with **Garden**."
        assert second.startswith("Of its 3 members, 2 can read this channel: <@")
        assert f"<@{world.robin.id}>" in second
        assert f"<@{world.sam.id}>" not in second
        assert third.startswith(UNSEEN)
        assert last == SHARED

    async def test_of_many_members_fits(self, world: World, keeper: simcord.MemberActor) -> None:
        people = [world.guild.add_member(world.env.create_user(f"person{number}")) for number in range(120)]
        project = await make(world, keeper, "*" * 100, *people)
        await world.memory.channel_links.link_channel(channel_of(world.general), project.id)

        answer = await use(world, keeper, "status")

        assert "Of its 121 members, 121 can read this channel: <@" in answer.content
        assert " and 101 more." in answer.content

    async def test_tells_others_nothing_of_the_project(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, world.sam, "Secret garden", world.robin)
        await world.memory.channel_links.link_channel(channel_of(world.general), project.id)
        await world.memory.channel_links.set_capture(channel_of(world.general), is_captured=False)

        answer = await use(world, keeper, "status")

        first, last = answer.content.splitlines()
        assert first == f"<#{world.general.id}> is linked with a project that you don't belong to."
        assert last.startswith(NOTHING)

    async def test_says_so_when_discord_does_not_answer(
        self, world: World, keeper: simcord.MemberActor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def silent(*_: object, **__: object) -> None:
            raise TimeoutError

        project = await make(world, keeper)
        await world.memory.channel_links.link_channel(channel_of(world.general), project.id)
        monkeypatch.setattr(discord.Guild, "query_members", silent)

        answer = await use(world, keeper, "status")

        assert "Of its 1 member, Discord doesn't tell me now who can read this channel." in answer.content


class TestPermission:
    @pytest.mark.parametrize(
        ("command", "options"),
        [("link", {"project": "Garden"}), ("unlink", {}), ("status", {}), ("capture", {"listen": "off"})],
    )
    async def test_is_asked_for_twice(self, world: World, command: str, options: dict[str, str]) -> None:
        project = await make(world, world.sam)
        await world.memory.channel_links.link_channel(channel_of(world.general), project.id)
        with pytest.raises(SetupError):
            await use(world, world.sam, command, **options)
        await allow(world, world.sam)

        answer = await use(world, world.sam, command, **options)

        assert answer.content == f"You need the permission Manage Channels in <#{world.general.id}> for that."
        assert await linked(world) == project.id

    async def test_counts_in_that_channel(self, world: World, keeper: simcord.MemberActor) -> None:
        closed = world.guild.create_text_channel(
            "closed", overwrites={keeper: discord.PermissionOverwrite(manage_channels=False)}
        )
        await allow(world, keeper)

        answer = await use(world, keeper, "capture", closed, listen="off")

        assert answer.content == f"You need the permission Manage Channels in <#{closed.id}> for that."

    async def test_there_are_none_of_these_in_direct_messages(self, world: World) -> None:
        assert not [name for name in world.sam.user.available_commands() if name.startswith("channel")]
        assert [name for name in world.sam.user.available_commands() if name.startswith("project")]


class TestWhatGoesAway:
    async def test_takes_its_settings_along(self, world: World) -> None:
        project = await make(world, world.sam)
        links, thread = world.memory.channel_links, await open_thread(world)
        for place in (world.general, world.staff, thread):
            await links.link_channel(channel_of(place), project.id, guild_id=world.guild.id)

        world.env.backend.delete_channel(thread.id)
        await world.env.settle()
        assert await linked(world, thread) is None
        world.env.backend.delete_channel(world.general.id)
        await world.env.settle()
        assert await links.get_channels_for_project(project.id) == [channel_of(world.staff)]
        world.env.backend.remove_guild(world.guild.id)
        await world.env.settle()

        assert await links.get_channels_for_project(project.id) == []

    async def test_disturbs_nobody_when_the_memory_is_away(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        for method in ("forget", "forget_guild"):
            take_away(world, monkeypatch, method)

        world.env.backend.delete_channel(world.general.id)
        await world.env.settle()
        world.env.backend.remove_guild(world.guild.id)
        await world.env.settle()

        assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
            f"Channel {world.general.id} is gone, but its settings could not be dropped.",
            f"The bot left server {world.guild.id}, but the settings of its channels could not be dropped.",
        ]
        assert world.env.errors == []


async def test_a_failure_is_told_in_a_sentence(
    world: World, keeper: simcord.MemberActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(world, monkeypatch, "set_capture")

    answer = await use(world, keeper, "capture", listen="off")

    assert answer.content == "I can't reach my memory right now. Please try again later."
    assert notices_in(world.general) == []


async def test_a_dialog_claims_nothing_when_the_memory_went_away(
    world: World, keeper: simcord.MemberActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = await make(world, keeper)
    dialog = await use(world, keeper, "link", project=project.id)
    take_away(world, monkeypatch, "link")

    failed = await keeper.click(dialog, label="Link")
    await keeper.click(dialog, label="Cancel")

    assert len(failed.followups) == 1
    assert dialog.content == "I can't tell whether that was done; please look again later."
    assert len(world.env.errors) == 1


async def test_names_fit_into_discord(world: World) -> None:
    (group,) = [command for command in world.bot.tree.get_commands() if command.name == "channel"]
    assert isinstance(group, discord.app_commands.Group)
    assert group.guild_only
    assert group.default_permissions == discord.Permissions(manage_channels=True)
    for command in group.commands:
        assert isinstance(command, discord.app_commands.Command)
        assert len(command.description) <= 100
        assert all(len(parameter.description) <= 100 for parameter in command.parameters)
    assert sorted(command.name for command in group.commands) == ["capture", "link", "status", "unlink"]


async def test_an_unloaded_extension_leaves_nothing_that_works(world: World, keeper: simcord.MemberActor) -> None:
    project = await make(world, keeper)
    dialog = await use(world, keeper, "link", project=project.id)

    await world.bot.unload_extension("cortex_cogs.channels")
    await keeper.click(dialog, label="Link")

    assert await linked(world) is None
    assert world.bot._connection._view_store._views == {}
    assert "on_guild_channel_delete" not in {name for name, calls in world.bot.extra_events.items() if calls}
    await world.bot.load_extension("cortex_cogs.channels")
    await world.bot.reload_extension("cortex_cogs.channels")
    assert (await use(world, keeper, "status")).content.endswith(ALONE)


async def allow(world: World, person: simcord.MemberActor) -> None:
    """Let the person use the commands whatever their permissions, as administrators of a server may."""
    (group,) = [command for command in await world.bot.tree.fetch_commands() if command.name == "channel"]
    world.guild.set_command_permissions(group, {person: True})


def take_away(world: World, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Let a call to Postgres fail as it does when the server is away."""

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("Postgres can't be reached.")

    monkeypatch.setattr(world.memory.postgres.channels, method, away)


class TestRedisAway:
    """What was stored for good holds though Redis has not heard of it: everybody is told, and so is the keeper."""

    @pytest.fixture
    def away(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        async def away(*_: object, **__: object) -> None:
            raise StoreUnavailableError("Redis can't be reached.")

        monkeypatch.setattr(world.memory.redis, "cache_channel", away)

    @pytest.mark.usefixtures("away")
    async def test_capture_is_told(self, world: World, keeper: simcord.MemberActor) -> None:
        answer = await use(world, keeper, "capture", listen="off")

        assert answer.content.startswith(f"Listening is off in <#{world.general.id}>. The channel's new settings are")
        assert answer.content.endswith("I've told everybody there.")
        (notice,) = notices_in(world.general)
        assert notice.endswith(f"turned listening off.\nFrom now on: {NOTHING}")

    @pytest.mark.usefixtures("away")
    async def test_a_link_and_its_end_are_told(self, world: World, keeper: simcord.MemberActor) -> None:
        project = await make(world, keeper)

        dialog = await use(world, keeper, "link", project=project.id)
        await keeper.click(dialog, label="Link")
        end = await use(world, keeper, "unlink")

        assert "is linked with **Garden**. The channel's new settings are" in dialog.content
        assert "isn't linked with a project any more. The channel's new settings are" in end.content
        first, second = notices_in(world.general)
        assert first.endswith(SHARED)
        assert second.endswith(ALONE)
