"""Invitations to projects: messages to the invited person, with buttons that outlive restarts."""

import re
from typing import Literal, Self, cast, get_args

import discord
from discord.ui import Button, DynamicItem, Item, View

from cortex_core import NotFoundError, ProjectInvitation, ProjectMemory

from ._brakes import brakes_of
from ._errors import AWAY, NO_MENTIONS, Interaction, tell
from ._messages import owner_id_of
from ._projects import bold, fingerprint_of, memory_of, mention_of
from ._views import report

Answer = Literal["accept", "decline"]

_LOOKS = {"accept": discord.ButtonStyle.success, "decline": discord.ButtonStyle.secondary}
_CLOSED = "This invitation isn't open any more: it was answered, was withdrawn or expired, or the project is archived."
_NEWS_OF_PROJECT = "What its members tell it comes up in its channels and in direct messages with me."


def invitation_text(invitation: ProjectInvitation) -> str:
    """Return what the invited person reads."""
    return (
        f"{mention_of(invitation.user_id)}, {mention_of(invitation.invited_by)} invites you to the project "
        f"{bold(invitation.project_name)}.\nIts members share a memory: if you accept, what you say in its channels "
        f"from then on is remembered for all of them, and you hear what they told it. "
        f"The invitation is open until {discord.utils.format_dt(invitation.expires_at, 'f')}."
    )


def invitation_view(invitation: ProjectInvitation, person_id: int) -> View:
    """Return the buttons of somebody's invitation.

    It must never be stopped: with a view, Discord's library takes the kinds of its dynamic buttons out of service.
    """
    view = View(timeout=None)
    for answer in get_args(Answer):
        view.add_item(InvitationButton(answer, fingerprint_of(invitation.project_id), person_id))
    return view


async def deliver(
    interaction: Interaction, invitation: ProjectInvitation, person: discord.User | discord.Member
) -> str:
    """Hand an invitation to the invited person, and tell the inviter how.

    By a direct message; whoever takes none is told in the channel where the inviter is, if the person can read it,
    that there is one. What the project is called is not for everybody there.
    """
    title, who = bold(invitation.project_name), person.mention
    until = discord.utils.format_dt(invitation.expires_at, "R")
    if await _send(person, invitation_text(invitation), invitation_view(invitation, person.id)):
        return f"I've invited {who} to {title} by direct message. The invitation ends {until}."
    closed = f"{who} is invited to {title} until {until}, but takes no direct messages from me."
    place = interaction.channel
    if (
        isinstance(place, discord.abc.Messageable)
        and _can_read(place, person)
        and await _send(place, f"{who}, you are invited to a project: see `/project list`.")
    ):
        return f"{closed} So I've told them in this channel to look at `/project list`, without a ping and a name."
    return f"{closed} Please tell them that `/project list` shows it."


async def _send(place: discord.abc.Messageable, text: str, view: View | None = None) -> bool:
    try:
        if view is None:
            await place.send(text, allowed_mentions=NO_MENTIONS)
        else:
            await place.send(text, view=view, allowed_mentions=NO_MENTIONS)
    except discord.HTTPException:
        return False
    return True


def _can_read(place: object, person: discord.User | discord.Member) -> bool:
    channel = place.parent if isinstance(place, discord.Thread) and not place.is_private() else place
    return (
        isinstance(channel, discord.abc.GuildChannel)
        and isinstance(person, discord.Member)
        and channel.permissions_for(person).view_channel
    )


class InvitationButton(
    DynamicItem[Button[View]],
    template=re.compile(
        r"cortex:v1:invitation:(?P<answer>accept|decline):(?P<project>[0-9a-f]{32}):(?P<person>[0-9]+)"
    ),
):
    """Accepts or declines an invitation; everything that it has to know is in its id and in Postgres."""

    def __init__(self, answer: Answer, project: str, person_id: int) -> None:
        self._answer = answer
        self._project = project
        self._person_id = person_id
        super().__init__(
            Button(
                label=answer.capitalize(),
                style=_LOOKS[answer],
                custom_id=f"cortex:v1:invitation:{answer}:{project}:{person_id}",
            )
        )

    @classmethod
    async def from_custom_id(cls, interaction: Interaction, item: Item[View], match: re.Match[str], /) -> Self:  # type: ignore[override]  # noqa: ARG003
        """Return the button that was pressed."""
        return cls(cast("Answer", match["answer"]), match["project"], int(match["person"]))

    async def interaction_check(self, interaction: Interaction, /) -> bool:  # type: ignore[override]
        """Let only the invited person press."""
        if interaction.user.id != self._person_id:
            await tell(interaction, "This invitation is for somebody else.")
            return False
        return True

    async def callback(self, interaction: Interaction) -> None:  # type: ignore[override]
        """Answer the invitation, and let the message tell how."""
        await interaction.response.defer()
        try:
            outcome = await self._carry_out(interaction)
        except NotFoundError:
            await interaction.edit_original_response(view=None)  # whatever it says, maybe how it was answered
            await tell(interaction, _CLOSED)
        except Exception as error:  # noqa: BLE001  nobody else answers for such a button; it is logged there
            await report(interaction, error, away=AWAY)
        else:
            await interaction.edit_original_response(content=outcome, view=None, allowed_mentions=NO_MENTIONS)

    async def _carry_out(self, interaction: Interaction) -> str:
        projects, user_id = memory_of(interaction).project_memory, owner_id_of(self._person_id)
        project_id = await self._find(projects, user_id)
        if self._answer == "accept":
            project = await projects.accept_invitation(project_id, user_id)
            return f"{interaction.user.mention} is a member of {bold(project.name)} now. {_NEWS_OF_PROJECT}"
        await projects.decline_invitation(project_id, user_id)
        brakes_of(interaction.client).note_declined(project_id, user_id)
        return f"{interaction.user.mention} declined this invitation."

    async def _find(self, projects: ProjectMemory, user_id: str) -> str:
        """Return the project among those that the person is invited to or, having accepted already, belongs to."""
        known = [invitation.project_id for invitation in await projects.list_invitations(user_id)]
        known += [project.id for project in await projects.list_projects(user_id)]
        for project_id in known:
            if fingerprint_of(project_id) == self._project:
                return project_id
        raise NotFoundError(_CLOSED)
