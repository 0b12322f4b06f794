"""ProjectsCog: `/project …`, memory that its members share."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal
from weakref import WeakSet

import discord
from discord import app_commands
from discord.ext import commands

from cortex_core import (
    AccessDeniedError,
    InvalidInputError,
    MemoryManager,
    NotFoundError,
    Project,
    ProjectMember,
    ProjectRole,
)

from ._brakes import brakes_of
from ._errors import NO_MENTIONS, Interaction, answered, tell, usual_pace
from ._invitations import InvitationButton, deliver, invitation_text, invitation_view
from ._lifecycle import acquire_memory, release_memory
from ._messages import owner_id_of
from ._pages import Found, ListPages
from ._projects import (
    ARCHIVED,
    EVERYBODY,
    MANAGERS,
    OWNER,
    Confirmation,
    bold,
    channel_mention,
    find_project,
    mention_of,
    plain,
    suggest_projects,
)
from ._views import AnswersOldButtons, OwnedView
from ._wording import count_of

_SEARCH_LIMIT = 50
_SHOWN_INVITATIONS = 4  # a person who brought the bot along gets at most five messages for a command
_SHOWN_CHANNELS = 10

_DEFAULT = "A project of yours; the one of this channel, unless you choose"
_SUGGEST_ANY = suggest_projects(EVERYBODY, are_archived=None)
_SUGGEST_LIVE = suggest_projects(EVERYBODY)
_SUGGEST_MANAGED = suggest_projects(MANAGERS)
_SUGGEST_OWNED = suggest_projects(OWNER)


@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
class ProjectsCog(
    AnswersOldButtons, commands.GroupCog, group_name="project", group_description="Memory that you share with others"
):
    """Lets people make projects, decide who belongs to them, and search what they share."""

    def __init__(self, bot: commands.Bot, memory: MemoryManager) -> None:
        self.bot = bot
        self.memory = memory
        self.projects = memory.project_memory
        self.channel_links = memory.channel_links
        self.pace = usual_pace()
        self._open_views: WeakSet[OwnedView] = WeakSet()

    async def cog_load(self) -> None:
        """Put the buttons of all invitations into service, also of those sent before a restart."""
        self.bot.add_dynamic_items(InvitationButton)

    async def cog_unload(self) -> None:
        """Stop the buttons, which would otherwise go on calling this cog."""
        self.bot.remove_dynamic_items(InvitationButton)
        for view in list(self._open_views):
            view.stop()

    # Looking

    @app_commands.command()
    @app_commands.describe(project=_DEFAULT)
    @app_commands.autocomplete(project=_SUGGEST_ANY)
    @answered
    async def info(self, interaction: Interaction, project: str | None = None) -> None:
        """Show a project, its people and its channels."""
        found = await find_project(interaction, project)
        user_id = owner_id_of(interaction.user.id)
        members = await self.projects.list_members(found.id, user_id)
        channels = await self.channel_links.get_channels_for_project(found.id, user_id=user_id)

        async def fetch(offset: int, limit: int) -> list[str]:
            return [_member_line(member) for member in members[offset : offset + limit]]

        pages = _MemberPages(
            interaction,
            self._open_views,
            fetch,
            total=len(members),
            title=plain(found.name),
            intro=_about(found, channels),
        )
        await pages.turn_to(0)

    @app_commands.command(name="list")
    @answered
    async def list_(self, interaction: Interaction) -> None:
        """List your projects and the invitations that you may accept."""
        user_id = owner_id_of(interaction.user.id)
        projects = await self.projects.list_projects(user_id, include_archived=True)
        invitations = await self.projects.list_invitations(user_id)

        async def fetch(offset: int, limit: int) -> list[str]:
            return [_project_line(project) for project in projects[offset : offset + limit]]

        if projects:
            title = f"Your projects: {len(projects)}"
            await ListPages(interaction, self._open_views, fetch, total=len(projects), title=title).turn_to(0)
        elif not invitations:
            raise NotFoundError("You don't belong to any project yet. `/project create` makes one.")
        else:
            await tell(interaction, "You don't belong to any project yet, but are invited.")
        for invitation in invitations[:_SHOWN_INVITATIONS]:
            await interaction.followup.send(
                invitation_text(invitation),
                view=invitation_view(invitation, interaction.user.id),
                ephemeral=True,
                allowed_mentions=NO_MENTIONS,
            )

    @app_commands.command()
    @app_commands.describe(query="What you are looking for, in your own words", project=_DEFAULT)
    @app_commands.autocomplete(project=_SUGGEST_LIVE)
    @answered
    async def search(
        self, interaction: Interaction, query: app_commands.Range[str, 1, 200], project: str | None = None
    ) -> None:
        """Search what the members of a project told it."""
        found = await find_project(interaction, project)
        if found.archived_at is not None:
            raise InvalidInputError(ARCHIVED)
        result = await self.projects.search(
            found.id, query, user_id=owner_id_of(interaction.user.id), limit=_SEARCH_LIMIT
        )
        if not result.memories:
            raise NotFoundError(f"{bold(found.name)} remembers nothing like that.")

        title = f"Best matches ({len(result.memories)}) in {plain(found.name)}"
        await Found(interaction, self._open_views, self.memory, result.memories, title=title).turn_to(0)

    # The project

    @app_commands.command()
    @app_commands.describe(name="What it is called")
    @answered
    async def create(self, interaction: Interaction, name: app_commands.Range[str, 1, 100]) -> None:
        """Make a project, which you own."""
        project = await self.projects.create_project(None, name, owner_id_of(interaction.user.id))
        await tell(
            interaction,
            f"You own the project {bold(project.name)} now. `/project invite` brings people in, and `/channel link` "
            "lets a channel feed and read it.",
        )

    @app_commands.command()
    @app_commands.describe(name="What it is called from now on", project=_DEFAULT)
    @app_commands.autocomplete(project=_SUGGEST_MANAGED)
    @answered
    async def rename(
        self, interaction: Interaction, name: app_commands.Range[str, 1, 100], project: str | None = None
    ) -> None:
        """Give a project another name."""
        found = await find_project(interaction, project, MANAGERS)
        renamed = await self.projects.rename(found.id, name, by=owner_id_of(interaction.user.id))
        await tell(interaction, f"{bold(found.name)} is called {bold(renamed.name)} now.")

    @app_commands.command()
    @app_commands.describe(project=_DEFAULT)
    @app_commands.autocomplete(project=_SUGGEST_OWNED)
    @answered
    async def archive(self, interaction: Interaction, project: str | None = None) -> None:
        """Put a project aside: it keeps people and memories, and is neither fed nor recalled."""
        found = await find_project(interaction, project, OWNER)

        async def act(pressed: Interaction) -> str:
            await self.projects.archive(found.id, by=owner_id_of(pressed.user.id))
            return f"{bold(found.name)} is archived. `/project restore` brings it back."

        await self._confirm(
            interaction,
            "Archive",
            act,
            f"Archive {bold(found.name)}, which has {count_of(found.member_count, 'member')}? It keeps them and its "
            "memories, but nobody adds to it or recalls from it until you restore it.",
        )

    @app_commands.command()
    @app_commands.describe(project="An archived project of yours")
    @app_commands.autocomplete(project=suggest_projects(OWNER, are_archived=True))
    @answered
    async def restore(self, interaction: Interaction, project: str) -> None:
        """Bring an archived project back, with its channels."""
        found = await find_project(interaction, project, OWNER)
        await self.projects.restore(found.id, by=owner_id_of(interaction.user.id))
        await tell(interaction, f"{bold(found.name)} is fed and recalled from now on.")

    # Its people

    @app_commands.command()
    @app_commands.describe(member="Whom to invite; a member only from accepting on", project=_DEFAULT)
    @app_commands.autocomplete(project=_SUGGEST_MANAGED)
    @answered
    async def invite(self, interaction: Interaction, member: discord.User, project: str | None = None) -> None:
        """Invite somebody to a project."""
        if member.bot:
            raise InvalidInputError("A bot can't be a member of a project.")
        found = await find_project(interaction, project, MANAGERS)
        by, invited = owner_id_of(interaction.user.id), owner_id_of(member.id)
        brakes_of(self.bot).check(interaction, found.id, invited)
        invitation = await self.projects.invite(found.id, invited, by=by)
        await tell(interaction, await deliver(interaction, invitation, member))

    @app_commands.command()
    @app_commands.describe(member="Who shall be out, invited or a member", project=_DEFAULT)
    @app_commands.autocomplete(project=_SUGGEST_MANAGED)
    @answered
    async def remove(self, interaction: Interaction, member: discord.User, project: str | None = None) -> None:
        """Remove somebody from a project, or withdraw an invitation; I ask first."""
        found = await find_project(interaction, project, MANAGERS)

        async def act(pressed: Interaction) -> str:
            await self.projects.remove_member(found.id, owner_id_of(member.id), by=owner_id_of(pressed.user.id))
            return f"{member.mention} is out of {bold(found.name)}."

        await self._confirm(
            interaction,
            "Remove",
            act,
            f"Remove {member.mention} from {bold(found.name)}? From that moment on they recall nothing of it, and "
            "invitations from and to them end. What they told the project stays with it.",
        )

    @app_commands.command()
    @app_commands.describe(project=_DEFAULT)
    @app_commands.autocomplete(project=suggest_projects((ProjectRole.ADMIN, ProjectRole.MEMBER), are_archived=None))
    @answered
    async def leave(self, interaction: Interaction, project: str | None = None) -> None:
        """Leave a project; I ask first."""
        found = await find_project(interaction, project)
        if found.role is ProjectRole.OWNER:
            raise AccessDeniedError("You own this project. `/project transfer` it to somebody before you leave.")

        async def act(pressed: Interaction) -> str:
            await self.projects.leave(found.id, owner_id_of(pressed.user.id))
            return f"You left {bold(found.name)}."

        await self._confirm(
            interaction,
            "Leave",
            act,
            f"Leave {bold(found.name)}? From that moment on you recall nothing of it. What you told the project stays "
            "with it, unless you let me forget it.",
        )

    @app_commands.command()
    @app_commands.describe(member="A member", role="What they are from now on", project=_DEFAULT)
    @app_commands.autocomplete(project=_SUGGEST_OWNED)
    @answered
    async def role(
        self,
        interaction: Interaction,
        member: discord.User,
        role: Literal["admin", "member"],
        project: str | None = None,
    ) -> None:
        """Make a member an admin, or an admin a member."""
        found = await find_project(interaction, project, OWNER)
        by = owner_id_of(interaction.user.id)
        await self.projects.set_role(found.id, owner_id_of(member.id), ProjectRole(role), by=by)
        article = "an" if role == "admin" else "a"
        await tell(interaction, f"{member.mention} is {article} {role} of {bold(found.name)} now.")

    @app_commands.command()
    @app_commands.describe(member="The member who owns it from then on", project=_DEFAULT)
    @app_commands.autocomplete(project=_SUGGEST_OWNED)
    @answered
    async def transfer(self, interaction: Interaction, member: discord.User, project: str | None = None) -> None:
        """Make another member the owner of a project; I ask first."""
        found = await find_project(interaction, project, OWNER)

        async def act(pressed: Interaction) -> str:
            await self.projects.transfer(found.id, owner_id_of(member.id), by=owner_id_of(pressed.user.id))
            return f"{member.mention} owns {bold(found.name)} now, and you are an admin."

        await self._confirm(
            interaction,
            "Transfer",
            act,
            f"Make {member.mention} the owner of {bold(found.name)}? You become an admin, and only they can give it "
            "back.",
        )

    async def _confirm(
        self, interaction: Interaction, label: str, act: Callable[[Interaction], Awaitable[str]], question: str
    ) -> None:
        await Confirmation(interaction, self._open_views, label, act).ask(question)


class _MemberPages(ListPages):
    """The people of a project, a line each."""

    page_size = 20
    separator = "\n"


def _member_line(member: ProjectMember) -> str:
    return f"{mention_of(member.user_id)} · {member.role} · since {discord.utils.format_dt(member.joined_at, 'D')}"


def _project_line(project: Project) -> str:
    line = f"{bold(project.name)}\n{project.role} · {count_of(project.member_count, 'member')}"
    return line if project.archived_at is None else f"{line} · archived"


def _about(project: Project, channel_ids: Sequence[str]) -> str:
    lines = [f"You are its {project.role}. It has {count_of(project.member_count, 'member')}."]
    if project.archived_at is not None:
        lines.append(f"It was archived {discord.utils.format_dt(project.archived_at, 'R')}.")
    if channel_ids:
        shown = ", ".join(map(channel_mention, channel_ids[:_SHOWN_CHANNELS]))
        rest = len(channel_ids) - _SHOWN_CHANNELS
        lines.append(f"It is fed and read in {shown}{f' and {rest} more' if rest > 0 else ''}.")
    return "\n".join([*lines, ""])


async def setup(bot: commands.Bot) -> None:
    """Add the cog."""
    await bot.add_cog(ProjectsCog(bot, await acquire_memory(bot, __name__)))


async def teardown(bot: commands.Bot) -> None:
    """Give the memory back."""
    await release_memory(bot, __name__)
