"""`/project …` as people use it: slash commands, dialogs, suggestions, and invitations that outlive restarts."""

import re
from typing import Any

import asyncpg
import discord
import pytest
import simcord
from cortex_cogs._invitations import InvitationButton, invitation_view
from simcord import interactions
from simcord.backend import serializers

from bot import Clara
from cortex_core import Project, ProjectInvitation, ProjectRole, StoreUnavailableError
from cortex_core.models import utc_now
from tests.cogs.conftest import World
from tests.harness import Connect

EVIL = "@everyone <@&1> **bold** [click](https://evil.example) <t:0:R> `x`"
ESCAPED = (
    "**\\@\u200beveryone "
    r"\<\@\&1\> \*\*bold\*\* \[click\]\(https\:\/\/evil\.example\) \<t\:0\:R\> \`x\`**"
)
AWAY = "I can't reach my memory right now. Please try again later."
UNCERTAIN = "I can't tell whether that was done; please look again later."
NOT_YOURS = "There is no such project, or you don't belong to it."


@pytest.fixture
def ada(world: World) -> simcord.MemberActor:
    return world.guild.add_member(world.env.create_user("ada"))


async def use(
    world: World, person: simcord.MemberActor, command: str, place: simcord.ChannelHandle | None = None, **options: Any
) -> simcord.ResponseMessage:
    """Use a command and return its answer, which nobody else sees."""
    result = await person.slash(place or world.general, f"project {command}", **options)
    assert result.response is not None
    assert result.response.ephemeral
    assert not result.response.message.mention_everyone
    assert len(result.response.content) <= 2000
    return result.response


async def make(
    world: World, name: str = "Garden", *, members: tuple[simcord.MemberActor, ...] = (), project_id: str | None = None
) -> Project:
    """Let Sam own a project with these members."""
    people = [world.owner(person) for person in members]
    return await world.memory.project_memory.create_project(project_id, name, world.owner(world.sam), people)


async def role_of(world: World, project: Project, person: simcord.MemberActor) -> ProjectRole | None:
    members = await world.memory.project_memory.list_members(project.id, world.owner(world.sam))
    return {member.user_id: member.role for member in members}.get(world.owner(person))


def text_of(answer: simcord.ResponseMessage) -> str:
    return "\n".join([answer.content, *(f"{embed.title}\n{embed.description}" for embed in answer.embeds)])


async def make_admin(world: World, project: Project, person: simcord.MemberActor) -> simcord.MemberActor:
    await world.memory.project_memory.add_member(project.id, world.owner(person), role=ProjectRole.ADMIN)
    return person


def last_in(place: simcord.ChannelHandle) -> discord.Message:
    message = place.last_message
    assert message is not None
    return message


def button_ids(message: discord.Message | simcord.ResponseMessage) -> list[str]:
    rows = message.message.components if isinstance(message, simcord.ResponseMessage) else message.components
    return [button.custom_id for row in rows for button in row.children]


class TestCreate:
    async def test_makes_its_maker_the_owner(self, world: World) -> None:
        answer = await use(world, world.sam, "create", name=" Garden  club ")

        assert answer.content.startswith("You own the project **Garden club** now.")
        (project,) = await world.memory.project_memory.list_projects(world.owner(world.sam))
        assert (project.name, project.role) == ("Garden club", ProjectRole.OWNER)

    async def test_works_in_a_direct_message(self, world: World) -> None:
        result = await world.sam.user.slash("project create", name="Garden")

        assert result.response is not None
        assert result.response.content.startswith("You own the project **Garden** now.")

    async def test_a_name_is_only_a_name(self, world: World) -> None:
        answer = await use(world, world.sam, "create", name=EVIL)

        assert answer.content.startswith(f"You own the project {ESCAPED} now.")
        assert answer.message.role_mentions == []

    @pytest.mark.parametrize("name", ["\u200b \u200b", "\x1b"])
    async def test_a_name_has_to_be_seen(self, world: World, name: str) -> None:
        answer = await use(world, world.sam, "create", name=name)

        assert answer.content == "A project's name has 1 to 100 visible characters."


class TestList:
    async def test_shows_ones_projects_by_name_with_the_archived_ones(self, world: World) -> None:
        await make(world, "Roses", members=(world.robin,))
        old = await make(world, "Bees")
        await world.memory.project_memory.archive(old.id, by=world.owner(world.sam))

        answer = await use(world, world.sam, "list")

        assert text_of(answer) == (
            "\nYour projects: 2\n**Bees**\nowner · 1 member · archived\n\n**Roses**\nowner · 2 members"
        )
        assert answer.components == []

    async def test_many_stand_in_pages_that_their_owner_alone_turns(self, world: World) -> None:
        for number in range(12):
            await make(world, f"Project {number:02}")
        answer = await use(world, world.sam, "list")
        numbers = lambda: [int(n) for n in re.findall(r"\*\*Project (\d+)", text_of(answer))]  # noqa: E731
        assert numbers() == [0, 1, 2, 3, 4]

        await world.sam.click(answer, custom_id="cortex:v1:pages:last")
        assert numbers() == [10, 11]
        pressed = await press(world, (world.robin, answer, "cortex:v1:pages:first"))

        assert pressed[0].response is not None
        assert pressed[0].response.content.startswith("Those buttons belong to somebody else's")
        assert numbers() == [10, 11]

    async def test_says_so_when_there_is_nothing(self, world: World) -> None:
        answer = await use(world, world.sam, "list")

        assert answer.content == "You don't belong to any project yet. `/project create` makes one."

    async def test_shows_invitations_with_their_buttons(self, world: World) -> None:
        project = await make(world)
        await world.memory.project_memory.invite(project.id, world.owner(world.robin), by=world.owner(world.sam))

        result = await world.robin.slash(world.general, "project list")

        assert result.response is not None
        assert result.response.content == "You don't belong to any project yet, but are invited."
        (invitation,) = result.followups
        assert invitation.ephemeral
        assert f"<@{world.sam.id}> invites you to the project **Garden**" in invitation.content
        await world.robin.click(invitation, label="Accept")
        assert await role_of(world, project, world.robin) is ProjectRole.MEMBER
        assert invitation.content.startswith(f"<@{world.robin.id}> is a member of **Garden** now.")
        assert invitation.components == []

    async def test_shows_no_more_invitations_than_discord_takes(self, world: World) -> None:
        for number in range(6):
            project = await make(world, f"Project {number}")
            await world.memory.project_memory.invite(project.id, world.owner(world.robin), by=world.owner(world.sam))

        result = await world.robin.slash(world.general, "project list")

        assert len(result.followups) == 4


class TestInfo:
    async def test_shows_people_role_and_channels(self, world: World, ada: simcord.MemberActor) -> None:
        project = await make(world, EVIL, members=(world.robin, ada))
        await world.memory.project_memory.set_role(
            project.id, world.owner(ada), ProjectRole.ADMIN, by=world.owner(world.sam)
        )
        await world.memory.channel_links.link_channel(f"discord-channel-{world.staff.id}", project.id)

        answer = text_of(await use(world, world.robin, "info", project=project.id))

        assert answer.startswith(f"\n{ESCAPED.strip('*')}\nYou are its member. It has 3 members.\n")
        assert f"It is fed and read in <#{world.staff.id}>." in answer
        people = re.findall(r"<@(\d+)> · (\w+) · since <t:\d+:D>", answer)
        assert people == [(str(world.sam.id), "owner"), (str(ada.id), "admin"), (str(world.robin.id), "member")]

    async def test_many_people_stand_in_pages(self, world: World) -> None:
        people = [f"discord-{number}" for number in range(1000, 1050)]
        project = await world.memory.project_memory.create_project(None, "Garden", world.owner(world.sam), people)

        answer = await use(world, world.sam, "info", project=project.id)
        await world.sam.click(answer, custom_id="cortex:v1:pages:last")

        assert len(re.findall("· member ·", text_of(answer))) == 11

    async def test_people_of_another_host_stand_there_by_their_ids(self, world: World) -> None:
        project = await world.memory.project_memory.create_project(None, "Garden", world.owner(world.sam), ["*web:1*"])

        assert r"\*web\:1\* · member" in text_of(await use(world, world.sam, "info", project=project.id))

    async def test_the_channels_project_is_meant_when_none_is_chosen(self, world: World) -> None:
        project = await make(world)
        assert (await use(world, world.sam, "info")).content == (
            "Please choose a project: this channel isn't linked with one."
        )
        await world.memory.channel_links.link_channel(f"discord-channel-{world.general.id}", project.id)

        assert "It has 1 member." in text_of(await use(world, world.sam, "info"))
        thread = await open_thread(world, discord.ChannelType.public_thread)
        assert "It has 1 member." in text_of(await use(world, world.sam, "info", thread))
        assert (await use(world, world.robin, "info")).content == NOT_YOURS

    @pytest.mark.parametrize("project", ["Garden", "garden ", "0", "*", "'; DROP TABLE projects; --"])
    async def test_anothers_project_is_unknown(self, world: World, project: str) -> None:
        theirs = await make(world, project_id="0")

        answer = await use(world, world.robin, "info", project=project)

        assert answer.content == NOT_YOURS
        assert (await use(world, world.robin, "info", project=theirs.id)).content == NOT_YOURS

    async def test_a_name_may_be_typed_if_it_is_the_only_one(self, world: World) -> None:
        await make(world)
        assert "It has 1 member." in text_of(await use(world, world.sam, "info", project=" gArden"))
        await make(world)

        assert (await use(world, world.sam, "info", project="Garden")).content == (
            "You belong to several projects of that name; please pick one of the suggestions."
        )


class TestSuggestions:
    async def test_are_at_most_25_and_short_enough(self, world: World) -> None:
        await make(world, "Ünseen \u202e" + "x" * 90, project_id=" :*" * 33)
        for number in range(30):
            await make(world, f"Project {number:02}")

        everything = await world.sam.autocomplete(world.general, "project info", "project", "")
        one = await world.sam.autocomplete(world.general, "project info", "project", "üNS")

        assert len(everything) == 25
        assert [choice["value"] for choice in one] == [" :*" * 33]
        assert all(1 <= len(choice["name"]) <= 100 for choice in [*everything, *one])
        assert "\u202e" not in one[0]["name"]

    async def test_hold_what_the_person_may_do(self, world: World, ada: simcord.MemberActor) -> None:
        projects, sam = world.memory.project_memory, world.owner(world.sam)
        for name in ("Owned", "Run", "Joined"):
            project = await make(world, name, members=(world.robin,))
            if name == "Owned":
                await projects.transfer(project.id, world.owner(world.robin), by=sam)
            elif name == "Run":
                await projects.set_role(project.id, world.owner(world.robin), ProjectRole.ADMIN, by=sam)
        old = await projects.create_project(None, "Old", world.owner(world.robin))
        await projects.archive(old.id, by=world.owner(world.robin))

        offered = {
            command: sorted(
                choice["name"]
                for choice in await world.robin.autocomplete(world.general, f"project {command}", "project", "")
            )
            for command in [
                "info",
                "search",
                "rename",
                "invite",
                "remove",
                "archive",
                "role",
                "transfer",
                "restore",
                "leave",
            ]
        }

        assert offered == {
            "info": ["Joined", "Old", "Owned", "Run"],
            "search": ["Joined", "Owned", "Run"],
            **{command: ["Owned", "Run"] for command in ("rename", "invite", "remove")},
            **{command: ["Owned"] for command in ("archive", "role", "transfer")},
            "restore": ["Old"],
            "leave": ["Joined", "Run"],
        }
        assert await ada.autocomplete(world.general, "project info", "project", "") == []
        assert len(await world.robin.user.autocomplete("project info", "project", "")) == 4

    async def test_are_none_when_the_memory_is_away(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        await make(world)
        take_away(world, monkeypatch, "list_of")

        assert await world.sam.autocomplete(world.general, "project info", "project", "") == []


class TestSearch:
    async def test_attributes_to_the_author_by_todays_name(self, world: World) -> None:
        project = await make(world, members=(world.robin,))
        await world.memory.project_memory.store_project_memory(
            project.id, f"The roses bloom in June. {EVIL}", world.owner(world.robin), author_name="an old name"
        )
        await world.flush()
        world.env.backend.edit_member(world.guild.id, world.robin.id, {"nick": "*Robin* @everyone"})
        await world.bot.get_guild(world.guild.id).query_members(user_ids=[world.robin.id], cache=True)

        answer = await use(world, world.sam, "search", query="when do the roses bloom", project=project.id)

        assert answer.embeds[0].title == "Best matches (1) in Garden"
        text = text_of(answer)
        assert "> The roses bloom in June. @\u200beveryone \\<" in text
        assert "said by \\*Robin\\* \\@\u200beveryone" in text
        assert "an old name" not in text

    async def test_is_for_members_only_from_the_second_of_a_removal(self, world: World) -> None:
        project = await make(world, members=(world.robin,))
        await world.memory.project_memory.store_project_memory(
            project.id, "The roses bloom in June.", world.owner(world.sam)
        )
        await world.flush()
        assert "June" in text_of(await use(world, world.robin, "search", query="roses", project=project.id))
        dialog = await use(world, world.sam, "remove", member=world.robin, project=project.id)

        await world.sam.click(dialog, label="Remove")

        assert (await use(world, world.robin, "search", query="roses", project=project.id)).content == NOT_YOURS

    async def test_says_so_when_there_is_nothing_or_it_is_archived(self, world: World) -> None:
        project = await make(world)
        answer = await use(world, world.sam, "search", query="zeppelins", project=project.id)
        assert answer.content == "**Garden** remembers nothing like that."
        await world.memory.project_memory.archive(project.id, by=world.owner(world.sam))

        answer = await use(world, world.sam, "search", query="zeppelins", project=project.id)

        assert answer.content == "This project is archived; its owner can restore it."


class TestChanges:
    async def test_rename(self, world: World) -> None:
        project = await make(world)

        answer = await use(world, world.sam, "rename", name=EVIL, project=project.id)

        assert answer.content == f"**Garden** is called {ESCAPED} now."

    async def test_role(self, world: World) -> None:
        project = await make(world, members=(world.robin,))

        up = await use(world, world.sam, "role", member=world.robin, role="admin", project=project.id)
        assert up.content == f"<@{world.robin.id}> is an admin of **Garden** now."
        assert await role_of(world, project, world.robin) is ProjectRole.ADMIN
        down = await use(world, world.sam, "role", member=world.robin, role="member", project=project.id)

        assert down.content == f"<@{world.robin.id}> is a member of **Garden** now."

    async def test_archive_and_restore(self, world: World) -> None:
        project = await make(world, members=(world.robin,))
        dialog = await use(world, world.sam, "archive", project=project.id)
        assert dialog.content.startswith("Archive **Garden**, which has 2 members?")
        assert await world.memory.project_memory.check_access(project.id, world.owner(world.sam))

        await world.sam.click(dialog, label="Archive")
        assert dialog.content == "**Garden** is archived. `/project restore` brings it back."
        assert not await world.memory.project_memory.check_access(project.id, world.owner(world.sam))
        back = await use(world, world.sam, "restore", project=project.id)

        assert back.content == "**Garden** is fed and recalled from now on."
        assert await world.memory.project_memory.check_access(project.id, world.owner(world.sam))

    async def test_transfer(self, world: World) -> None:
        project = await make(world, members=(world.robin,))
        dialog = await use(world, world.sam, "transfer", member=world.robin, project=project.id)
        assert dialog.content.startswith(f"Make <@{world.robin.id}> the owner of **Garden**?")

        await world.sam.click(dialog, label="Transfer")

        assert dialog.content == f"<@{world.robin.id}> owns **Garden** now, and you are an admin."
        assert await role_of(world, project, world.robin) is ProjectRole.OWNER
        assert await role_of(world, project, world.sam) is ProjectRole.ADMIN

    async def test_leave(self, world: World) -> None:
        project = await make(world, members=(world.robin,))
        dialog = await use(world, world.robin, "leave", project=project.id)
        assert dialog.content.startswith("Leave **Garden**? From that moment on you recall nothing of it.")

        await world.robin.click(dialog, label="Leave")

        assert dialog.content == "You left **Garden**."
        assert await role_of(world, project, world.robin) is None
        assert (await use(world, world.sam, "leave", project=project.id)).content == (
            "You own this project. `/project transfer` it to somebody before you leave."
        )

    @pytest.mark.parametrize(
        ("command", "options", "refusal"),
        [
            ("rename", {"name": "Mine"}, "Only the owner or an admin of the project can do that."),
            ("invite", {"member": "ada"}, "Only the owner or an admin of the project can do that."),
            ("remove", {"member": "sam"}, "Only the owner or an admin of the project can do that."),
            ("archive", {}, "Only the owner of the project can do that."),
            ("restore", {}, "Only the owner of the project can do that."),
            ("role", {"member": "robin", "role": "admin"}, "Only the owner of the project can do that."),
            ("transfer", {"member": "robin"}, "Only the owner of the project can do that."),
        ],
    )
    async def test_ask_for_a_role(
        self, world: World, ada: simcord.MemberActor, command: str, options: dict[str, str], refusal: str
    ) -> None:
        project = await make(world, members=(world.robin,))
        people = {"sam": world.sam, "robin": world.robin, "ada": ada}
        arguments = {name: people.get(value, value) for name, value in options.items()}

        by_member = await use(world, world.robin, command, project=project.id, **arguments)
        by_stranger = await use(world, ada, command, project=project.id, **arguments)

        assert by_member.content == refusal
        assert by_stranger.content == NOT_YOURS
        assert await world.memory.project_memory.get_project(project.id, world.owner(world.sam)) == project

    async def test_an_admin_may_what_admins_may(self, world: World, ada: simcord.MemberActor) -> None:
        project = await make(world, members=(world.robin, ada))
        sam = world.owner(world.sam)
        await world.memory.project_memory.set_role(project.id, world.owner(world.robin), ProjectRole.ADMIN, by=sam)

        assert "called **Roses**" in (await use(world, world.robin, "rename", name="Roses", project=project.id)).content
        for person, outcome in ((world.sam, "can't leave, be removed"), (ada, "is out of **Roses**.")):
            dialog = await use(world, world.robin, "remove", member=person, project=project.id)
            await world.robin.click(dialog, label="Remove")
            assert outcome in dialog.content
            assert dialog.components == []
        assert await role_of(world, project, ada) is None


class TestDialogs:
    async def test_can_be_called_off_or_run_out(self, world: World) -> None:
        project = await make(world, members=(world.robin,))
        first = await use(world, world.sam, "remove", member=world.robin, project=project.id)
        second = await use(world, world.sam, "remove", member=world.robin, project=project.id)

        await world.sam.click(first, label="Cancel")
        await world.env.advance_time(181)

        assert (first.content, first.components) == ("Nothing was changed.", [])
        assert (second.content, second.components) == ("Nothing was changed. Time ran out before you decided.", [])
        assert await role_of(world, project, world.robin) is ProjectRole.MEMBER

    async def test_two_admins_remove_the_same_person_at_once(self, world: World, ada: simcord.MemberActor) -> None:
        project = await make(world, members=(world.robin, ada))
        sam = world.owner(world.sam)
        await world.memory.project_memory.set_role(project.id, world.owner(ada), ProjectRole.ADMIN, by=sam)
        dialogs = {
            person: await use(world, person, "remove", member=world.robin, project=project.id)
            for person in (world.sam, ada)
        }

        await press(world, *((person, dialog, button_ids(dialog)[0]) for person, dialog in dialogs.items()))

        assert sorted(dialog.content for dialog in dialogs.values()) == sorted(
            [f"<@{world.robin.id}> is out of **Garden**.", "That person doesn't belong to this project."]
        )
        assert all(dialog.components == [] for dialog in dialogs.values())
        assert await role_of(world, project, world.robin) is None

    async def test_of_two_presses_one_counts(self, world: World) -> None:
        project = await make(world, members=(world.robin,))
        dialog = await use(world, world.sam, "remove", member=world.robin, project=project.id)
        confirm, cancel = button_ids(dialog)

        await press(world, (world.sam, dialog, confirm), (world.sam, dialog, confirm), (world.sam, dialog, cancel))

        assert dialog.content == f"<@{world.robin.id}> is out of **Garden**."
        assert await role_of(world, project, world.robin) is None

    async def test_claim_nothing_when_the_memory_went_away(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        project = await make(world, members=(world.robin,))
        dialog = await use(world, world.sam, "remove", member=world.robin, project=project.id)
        with monkeypatch.context() as away:
            take_away(world, away, "remove_member")
            failed = await world.sam.click(dialog, label="Remove")
        assert [message.content for message in failed.followups] == [f"I can't reach my memory right now. {UNCERTAIN}"]
        assert [type(error) for error in world.env.errors] == [StoreUnavailableError]

        await world.env.advance_time(181)

        assert (dialog.content, dialog.components) == (UNCERTAIN, [])

    async def test_use_the_rights_of_the_moment_of_the_press(self, world: World) -> None:
        project = await make(world, members=(world.robin,))
        dialog = await use(world, world.sam, "archive", project=project.id)
        sam, robin = world.owner(world.sam), world.owner(world.robin)
        await world.memory.project_memory.transfer(project.id, robin, by=sam)

        await world.sam.click(dialog, label="Archive")

        assert dialog.content == "Only the owner of the project can do that."
        assert await world.memory.project_memory.check_access(project.id, sam)


class TestInvitations:
    async def test_come_as_a_direct_message_and_are_accepted_there(self, world: World) -> None:
        project = await make(world, EVIL)
        answer = await use(world, world.sam, "invite", member=world.robin, project=project.id)
        assert answer.content.startswith(f"I've invited <@{world.robin.id}> to {ESCAPED} by direct message.")
        message = last_in(world.robin.user.dm_channel)
        assert f"<@{world.sam.id}> invites you to the project {ESCAPED}." in message.content
        assert not message.mention_everyone
        assert world.general.last_message is None
        assert await role_of(world, project, world.robin) is None, "nobody is a member before having accepted"

        await world.robin.user.click(message, label="Accept")

        assert await role_of(world, project, world.robin) is ProjectRole.MEMBER
        message = last_in(world.robin.user.dm_channel)
        assert message.content.startswith(f"<@{world.robin.id}> is a member of {ESCAPED} now.")
        assert message.components == []

    async def test_can_be_declined(self, world: World) -> None:
        project, message = await self._invited(world)

        await world.robin.user.click(message, label="Decline")

        message = last_in(world.robin.user.dm_channel)
        assert (message.content, message.components) == (f"<@{world.robin.id}> declined this invitation.", [])
        assert await role_of(world, project, world.robin) is None
        assert await world.memory.project_memory.list_invitations(world.owner(world.robin)) == []

    async def test_work_after_a_restart(self, world: World) -> None:
        project, message = await self._invited(world)
        await world.bot.close()
        restarted = Clara(world.memory)
        await world.env.restart_bot(restarted)

        await world.robin.user.click(message, label="Accept")

        assert await role_of(world, project, world.robin) is ProjectRole.MEMBER
        assert last_in(world.robin.user.dm_channel).components == []
        await restarted.close()

    async def test_to_a_person_who_takes_no_direct_messages_are_told_of_in_the_channel(self, world: World) -> None:
        project = await make(world)
        close_messages(world, world.robin)
        answer = await use(world, world.sam, "invite", member=world.robin, project=project.id)
        assert "takes no direct messages from me. So I've told them in this channel" in answer.content
        notice = last_in(world.general)
        assert notice.content == f"<@{world.robin.id}>, you are invited to a project: see `/project list`."
        assert notice.components == []
        assert world.env.http_requests[-2].json["allowed_mentions"] == {"parse": []}, "without a ping"

    async def test_are_for_the_invited_person_alone(self, world: World, ada: simcord.MemberActor) -> None:
        project = await make(world)
        invitation = await world.memory.project_memory.invite(
            project.id, world.owner(world.robin), by=world.owner(world.sam)
        )
        place = world.bot.get_channel(world.general.id)
        assert isinstance(place, discord.TextChannel)
        message = await place.send("An invitation.", view=invitation_view(invitation, world.robin.id))

        for person in (ada, world.sam):
            refused = await person.click(message, label="Accept")
            assert refused.response is not None
            assert refused.response.ephemeral
            assert refused.response.content == "This invitation is for somebody else."
        assert await role_of(world, project, ada) is None
        await world.robin.click(message, label="Accept")

        assert await role_of(world, project, world.robin) is ProjectRole.MEMBER
        assert last_in(world.general).components == []

    async def test_are_not_repeated_after_a_decline(self, world: World) -> None:
        project, message = await self._invited(world)
        await world.robin.user.click(message, label="Decline")

        again = await use(world, world.sam, "invite", member=world.robin, project=project.id)
        other = await make(world, "Bees")
        to_another = await use(world, world.sam, "invite", member=world.robin, project=other.id)

        assert again.content == "That person declined an invitation to this project; please ask them first."
        assert to_another.content.startswith("I've invited")

    async def test_are_five_an_hour(self, world: World) -> None:
        project = await make(world)
        people = [world.guild.add_member(world.env.create_user(f"person{number}")) for number in range(6)]
        answers = [await use(world, world.sam, "invite", member=person, project=project.id) for person in people]
        by_another = await make_admin(world, project, world.robin)

        assert [answer.content.startswith("I've invited") for answer in answers] == [True] * 5 + [False]
        assert answers[-1].content.startswith("You've invited many people lately. Please go on <t:")
        allowed = await use(world, by_another, "invite", member=people[-1], project=project.id)
        assert allowed.content.startswith("I've invited")

    @pytest.mark.parametrize(
        "obstacle", ["the person can't read there", "a private thread", "the bot can't write there", "no channel"]
    )
    async def test_stand_in_the_list_when_nothing_reaches_the_person(
        self, world: World, ada: simcord.MemberActor, obstacle: str
    ) -> None:
        project = await make(world)
        close_messages(world, ada)
        place = world.staff if obstacle == "the person can't read there" else world.general
        if obstacle == "a private thread":
            place = await open_thread(world, discord.ChannelType.private_thread)
        if obstacle == "the bot can't write there":
            world.env.inject_error("POST", f"/channels/{place.id}/messages", status=403, code=50013)
        if obstacle == "no channel":
            result = await world.sam.user.slash("project invite", member=ada.user, project=project.id)
            assert result.response is not None
            answer = result.response
        else:
            answer = await use(world, world.sam, "invite", place, member=ada, project=project.id)

        assert answer.content.endswith("Please tell them that `/project list` shows it.")
        assert place.last_message is None
        (invitation,) = await world.memory.project_memory.list_invitations(world.owner(ada))
        assert invitation.project_id == project.id

    @pytest.mark.parametrize("ending", ["withdrawn", "expired", "archived", "declined elsewhere"])
    async def test_that_are_over_lose_their_buttons(self, world: World, connect: Connect, ending: str) -> None:
        project, message = await self._invited(world)
        projects, sam, robin = world.memory.project_memory, world.owner(world.sam), world.owner(world.robin)
        match ending:
            case "withdrawn":
                await projects.remove_member(project.id, robin, by=sam)
            case "expired":
                async with connect() as connection:
                    await expire_invitations(connection)
            case "archived":
                await projects.archive(project.id, by=sam)
            case _:
                await projects.decline_invitation(project.id, robin)

        pressed = await world.robin.user.click(message, label="Accept")

        (sentence,) = pressed.followups
        assert sentence.content.startswith("This invitation isn't open any more:")
        after = last_in(world.robin.user.dm_channel)
        assert (after.content, after.components) == (message.content, [])
        assert await role_of(world, project, world.robin) is None

    @pytest.mark.parametrize("labels", [("Accept", "Accept"), ("Accept", "Decline"), ("Decline", "Decline")])
    async def test_answered_twice_at_once_are_answered_once(self, world: World, labels: tuple[str, str]) -> None:
        project, message = await self._invited(world)
        ids = dict(zip(("Accept", "Decline"), button_ids(message), strict=True))

        await press(world, *((world.robin.user, message, ids[label]) for label in labels))

        after = last_in(world.robin.user.dm_channel)
        assert after.components == []
        is_member = await role_of(world, project, world.robin) is ProjectRole.MEMBER
        assert (" is a member of " if is_member else "declined this invitation") in after.content
        assert is_member or "Decline" in labels
        assert await world.memory.project_memory.list_invitations(world.owner(world.robin)) == []

    async def test_pressed_again_by_a_member_change_nothing(self, world: World) -> None:
        project, message = await self._invited(world)
        await world.memory.project_memory.accept_invitation(project.id, world.owner(world.robin))

        await world.robin.user.click(message, label="Accept")

        assert " is a member of **Garden** now." in last_in(world.robin.user.dm_channel).content

    async def test_stay_when_the_memory_is_away(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        project, message = await self._invited(world)
        with monkeypatch.context() as away:
            take_away(world, away, "accept")
            failed = await world.robin.user.click(message, label="Accept")

        assert [m.content for m in failed.followups] == [AWAY]
        await world.robin.user.click(message, label="Accept")
        assert await role_of(world, project, world.robin) is ProjectRole.MEMBER

    async def test_a_bug_is_told_and_logged(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        _, message = await self._invited(world)
        monkeypatch.setattr(world.memory.postgres.projects, "accept", broken)

        failed = await world.robin.user.click(message, label="Accept")

        assert [m.content[:37] for m in failed.followups] == ["Something went wrong on my side; it i"]
        assert "A button or form failed." in caplog.messages

    async def test_are_for_people_who_are_not_in_it_yet(self, world: World) -> None:
        project = await make(world)
        machine = world.guild.add_member(world.env.create_user("machine", bot=True))

        to_a_bot = await use(world, world.sam, "invite", member=machine, project=project.id)
        to_oneself = await use(world, world.sam, "invite", member=world.sam, project=project.id)
        await use(world, world.sam, "invite", member=world.robin, project=project.id)
        again = await use(world, world.sam, "invite", member=world.robin, project=project.id)

        assert to_a_bot.content == "A bot can't be a member of a project."
        assert to_oneself.content == "That person is a member of this project already."
        assert again.content == "That person is invited to this project already, and has to accept."

    @pytest.mark.parametrize("project_id", ["x" * 100, ":" * 100, "🙂" * 100, "a\nb", " ", "*"])
    async def test_ids_of_hosts_may_be_long_and_odd(self, world: World, project_id: str) -> None:
        project, message = await self._invited(world, project_id=project_id)
        assert all(len(custom_id) <= 100 for custom_id in button_ids(message))

        await world.robin.user.click(message, label="Accept")

        assert await role_of(world, project, world.robin) is ProjectRole.MEMBER

    async def test_the_longest_custom_id_fits(self) -> None:
        now = utc_now()
        invitation = ProjectInvitation(
            project_id="🙂" * 100, project_name="x", user_id="y", invited_by="z", invited_at=now, expires_at=now
        )
        ids = [item.custom_id for item in invitation_view(invitation, 2**64 - 1).children]

        assert max(map(len, ids)) <= 100

    async def _invited(self, world: World, **fields: Any) -> tuple[Project, discord.Message]:
        project = await make(world, **fields)
        await use(world, world.sam, "invite", member=world.robin, project=project.id)
        return project, last_in(world.robin.user.dm_channel)


async def test_names_fit_into_discord(world: World) -> None:
    (group,) = [command for command in world.bot.tree.get_commands() if command.name == "project"]
    assert isinstance(group, discord.app_commands.Group)
    for command in group.commands:
        assert isinstance(command, discord.app_commands.Command)
        assert len(command.description) <= 100
        assert all(len(parameter.description) <= 100 for parameter in command.parameters)
    names = "archive create info invite leave list remove rename restore role search transfer"
    assert sorted(command.name for command in group.commands) == names.split()


async def test_a_failure_is_told_in_a_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(world, monkeypatch, "create")

    assert (await use(world, world.sam, "create", name="Garden")).content == AWAY


async def test_too_many_commands_have_to_wait(world: World) -> None:
    for _ in range(6):
        await use(world, world.sam, "list")

    assert (await use(world, world.sam, "list")).content.startswith("That was a lot at once.")


async def test_an_unloaded_extension_leaves_no_button_that_works(world: World) -> None:
    project = await make(world, members=(world.robin,))
    dialog = await use(world, world.sam, "archive", project=project.id)
    ada = world.guild.add_member(world.env.create_user("ada"))
    await use(world, world.sam, "invite", member=ada, project=project.id)
    invitation = last_in(ada.user.dm_channel)
    views = world.bot._connection._view_store

    await world.bot.unload_extension("cortex_cogs.projects")
    await world.sam.click(dialog, label="Archive")
    await ada.user.click(invitation, label="Accept")

    assert (views._views, views._synced_message_views) == ({}, {})
    assert InvitationButton not in views._dynamic_items.values()
    assert await role_of(world, project, ada) is None
    assert await world.memory.project_memory.check_access(project.id, world.owner(world.sam))
    await world.bot.load_extension("cortex_cogs.projects")
    await world.bot.reload_extension("cortex_cogs.projects")
    assert [kind.__name__ for kind in views._dynamic_items.values()].count(InvitationButton.__name__) == 1
    await ada.user.click(invitation, label="Accept")
    assert await role_of(world, project, ada) is ProjectRole.MEMBER


async def open_thread(world: World, kind: discord.ChannelType) -> simcord.ChannelHandle:
    """Open a thread in the general channel, with Sam."""
    channel = world.bot.get_channel(world.general.id)
    assert isinstance(channel, discord.TextChannel)
    thread = await channel.create_thread(name="aside", type=kind)
    await thread.add_user(discord.Object(world.sam.id))
    await world.env.settle()
    (place,) = world.general.threads
    return place


def close_messages(world: World, person: simcord.MemberActor) -> None:
    """Let the person take no direct messages."""
    path = f"/channels/{person.user.dm_channel.id}/messages"
    world.env.inject_error("POST", path, status=403, code=50007, message="Cannot send messages to this user")


async def expire_invitations(connection: asyncpg.Connection) -> None:
    await connection.execute("UPDATE project_invitations SET expires_at = now() - interval '1 second'")


def take_away(world: World, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Let a call to Postgres fail as it does when the server is away."""

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("Postgres can't be reached.")

    monkeypatch.setattr(world.memory.postgres.projects, method, away)


async def press(
    world: World,
    *presses: tuple[simcord.MemberActor | simcord.UserHandle, discord.Message | simcord.ResponseMessage, str],
) -> list[simcord.InteractionResult]:
    """Send presses that reach the bot at the same moment, whether or not Discord's client would offer them."""
    backend, results = world.env.backend, []
    for person, message, custom_id in presses:
        stored = backend.get_message(getattr(message, "channel_id", None) or message.channel.id, message.id)
        guild = getattr(person, "guild", None)
        record, payload = interactions.base_payload(
            backend,
            type=3,
            channel_id=stored.channel_id,
            guild_id=guild and guild.id,
            user_id=person.id,
            data={"custom_id": custom_id, "component_type": 2},
        )
        payload["message"] = dict(serializers.message_payload(backend, stored))
        record.source_message_id = stored.id
        backend.emit("INTERACTION_CREATE", payload)
        results.append(simcord.InteractionResult(world.env, record))
    await world.env.settle()
    return results
