"""Projects, their members and who is invited.

What somebody may do is decided by the statement that does it (`sql/projects.sql`); this module words the refusals.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from cortex_core.errors import AccessDeniedError, CortexError, InvalidInputError, NotFoundError
from cortex_core.models import Project, ProjectInvitation, ProjectMember, ProjectRole
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Connection, Pool

MAX_OWNED_PROJECTS = 50
"""Live ones; what one person makes up can't flood the lists of many."""
MAX_MEMBERS = 500
"""With those who are invited; more is a server, not a team, and its recall wouldn't be anybody's in particular."""
INVITATION_LASTS = timedelta(days=14)

_SQL = load_queries("projects")
MANAGERS = (ProjectRole.OWNER, ProjectRole.ADMIN)

NO_PROJECT = "There is no such project, or you don't belong to it."
ARCHIVED = "This project is archived; its owner can restore it."
_FULL = f"A project has at most {MAX_MEMBERS} people, with those who are invited."
_NO_INVITATION = (
    "There is no open invitation to such a project: it was withdrawn or expired, or the project is archived."
)
_OWNER_STAYS = "A project's owner can't leave, be removed or get another role before the project is transferred."
_TOO_MANY_OWNED = f"Somebody owns at most {MAX_OWNED_PROJECTS} projects; archive or transfer one of them."


@dataclass(frozen=True, slots=True)
class Standing:
    """How whoever acts, and the person acted on, stood to a project when the action was refused.

    Attributes:
        actor: None for the host and for whoever doesn't belong to it.
        person: None for whoever doesn't belong to it.
        is_invited: Whether the person is.
    """

    is_known: bool = False
    is_by_host: bool = False
    is_archived: bool = False
    actor: ProjectRole | None = None
    person: ProjectRole | None = None
    is_invited: bool = False

    @classmethod
    async def read(cls, connection: Connection, project_id: str, by: str | None, person: str | None = None) -> Self:
        """Lock the project until the transaction ends, and tell how things stand."""
        await connection.execute(_SQL["lock"], project_id)
        row = await connection.fetchrow(_SQL["standing"], project_id, by, person)
        if row is None:
            return cls()
        return cls(
            is_known=True,
            is_by_host=by is None,
            is_archived=row["is_archived"],
            actor=ProjectRole(row["actor"]) if row["actor"] else None,
            person=ProjectRole(row["person"]) if row["person"] else None,
            is_invited=row["is_invited"],
        )

    def refusal(self, *allowed: ProjectRole, otherwise: CortexError | None = None) -> CortexError:
        """Return why whoever acts may not, or else what was in the way of those with an allowed role and of the host.

        What is absent and what is foreign are told by the same sentence.
        """
        if not self.is_known or (self.actor is None and not self.is_by_host):
            return NotFoundError(NO_PROJECT)
        if otherwise is not None and (self.is_by_host or self.actor in allowed):
            return otherwise
        return AccessDeniedError(f"Only {_names(allowed)} of the project can do that.")

    def bar_to_newcomer(self) -> CortexError:
        """Return why the person may not be added, whoever acts."""
        if self.is_archived:
            return InvalidInputError(ARCHIVED)
        if self.person is not None:
            return InvalidInputError("That person is a member of this project already.")
        if self.is_invited:
            return InvalidInputError("That person is invited to this project already, and has to accept.")
        return InvalidInputError(_FULL)

    def bar_to_change(self) -> CortexError:
        """Return why the person's membership may not be changed by somebody who may change others'."""
        if self.person is None:
            return NotFoundError("That person doesn't belong to this project.")
        if self.person is ProjectRole.OWNER:
            return AccessDeniedError(_OWNER_STAYS)
        return AccessDeniedError("Only the owner of the project can do that to an admin.")

    def bar_to_owning(self) -> CortexError:
        """Return why the person may not become the owner."""
        if self.person is None:
            return self.bar_to_change()
        if self.person is ProjectRole.OWNER:
            return InvalidInputError("That person owns this project already.")
        return InvalidInputError(_TOO_MANY_OWNED)


def _names(roles: Sequence[ProjectRole]) -> str:
    return " or ".join("an admin" if role is ProjectRole.ADMIN else f"the {role}" for role in roles)


class Projects:
    """The tables `projects`, `project_members` and `project_invitations`.

    What concerns somebody else's project, and what concerns none, raises the same `NotFoundError`; what a member's role
    doesn't allow, an `AccessDeniedError`. `by` is whoever acts; None, where that can be, is the host.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, project_id: str, name: str, owner_id: str, people: Sequence[str]) -> Project:
        """Make a project of its owner and those people, who are members at once."""
        everybody = list(dict.fromkeys([owner_id, *people]))
        if len(everybody) > MAX_MEMBERS:
            raise InvalidInputError(_FULL)
        async with self._pool.transaction() as connection:
            await connection.execute(_SQL["lock_ownership"], owner_id)
            if await connection.fetchval(_SQL["create"], project_id, owner_id, MAX_OWNED_PROJECTS, name):
                await connection.execute(_SQL["fill"], project_id, owner_id, everybody)
                return await _get(connection, project_id, owner_id)
            if await connection.fetchval(_SQL["exists"], project_id):
                raise InvalidInputError("This project id can't be used; take another, or none to be given one.")
        raise InvalidInputError(_TOO_MANY_OWNED)

    async def get(self, project_id: str, user_id: str) -> Project:
        """Return a project of the person's."""
        async with self._pool.connection() as connection:
            return await _get(connection, project_id, user_id)

    async def list_of(self, user_id: str, *, include_archived: bool) -> list[Project]:
        """Return the person's projects by name."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list"], user_id, include_archived)
        return [Project(**row) for row in rows]

    async def list_members(self, project_id: str, user_id: str) -> list[ProjectMember]:
        """Return everybody of a project of the person's: the owner, admins, members."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_members"], project_id, user_id)
        if not rows:
            raise NotFoundError(NO_PROJECT)
        return [ProjectMember(**row) for row in rows]

    async def check_access(self, project_id: str, user_id: str) -> bool:
        """Tell whether the person belongs to the project and it is live."""
        async with self._pool.connection() as connection:
            return bool(await connection.fetchval(_SQL["check_access"], project_id, user_id))

    async def rename(self, project_id: str, name: str, *, by: str) -> Project:
        """Give it another name."""
        async with self._changing(project_id, by) as (connection, standing):
            if await connection.fetchval(_SQL["rename"], project_id, by, name):
                return await _get(connection, project_id, by)
        raise standing.refusal(*MANAGERS)

    async def archive(self, project_id: str, *, by: str) -> Project:
        """Let it be neither fed nor recalled; archiving twice is fine."""
        async with self._changing(project_id, by) as (connection, standing):
            if await connection.fetchval(_SQL["archive"], project_id, by):
                return await _get(connection, project_id, by)
        raise standing.refusal(ProjectRole.OWNER)

    async def restore(self, project_id: str, *, by: str) -> Project:
        """Undo `archive`."""
        async with self._changing(project_id, by) as (connection, standing):
            await connection.execute(_SQL["lock_ownership"], by)
            if await connection.fetchval(_SQL["restore"], project_id, by, MAX_OWNED_PROJECTS):
                return await _get(connection, project_id, by)
        raise standing.refusal(ProjectRole.OWNER, otherwise=InvalidInputError(_TOO_MANY_OWNED))

    async def add_member(self, project_id: str, user_id: str, role: ProjectRole) -> None:
        """Make somebody a member who didn't have to accept."""
        async with self._changing(project_id, None, user_id) as (connection, standing):
            if await connection.fetchval(_SQL["add_member"], project_id, user_id, MAX_MEMBERS, role):
                await connection.execute(_SQL["drop_invitation"], project_id, user_id)
                return
        raise standing.refusal(otherwise=standing.bar_to_newcomer())

    async def invite(self, project_id: str, user_id: str, *, by: str) -> ProjectInvitation:
        """Let somebody become a member by accepting in time."""
        async with self._changing(project_id, by, user_id) as (connection, standing):
            await connection.execute(_SQL["drop_expired_invitations"], project_id)
            row = await connection.fetchrow(_SQL["invite"], project_id, by, MAX_MEMBERS, user_id, INVITATION_LASTS)
            if row:
                return ProjectInvitation(**row)
        raise standing.refusal(*MANAGERS, otherwise=standing.bar_to_newcomer())

    async def list_invitations(self, user_id: str) -> list[ProjectInvitation]:
        """Return what the person may accept, oldest first."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_invitations"], user_id)
        return [ProjectInvitation(**row) for row in rows]

    async def accept(self, project_id: str, user_id: str) -> Project:
        """Make an invited person a member; accepting twice is fine."""
        async with self._changing(project_id, user_id, user_id) as (connection, standing):
            accepted = await connection.fetchval(_SQL["accept"], project_id, user_id, MAX_MEMBERS)
            if accepted or standing.person:
                return await _get(connection, project_id, user_id)
        if standing.is_invited and not standing.is_archived:
            raise InvalidInputError(_FULL)
        raise NotFoundError(_NO_INVITATION)

    async def decline(self, project_id: str, user_id: str) -> None:
        """Do away with an invitation."""
        async with self._pool.connection() as connection:
            if not await connection.fetchval(_SQL["decline"], project_id, user_id):
                raise NotFoundError(_NO_INVITATION)

    async def remove_member(self, project_id: str, user_id: str, *, by: str | None) -> None:
        """End a membership or an invitation, and withdraw the invitations that the person sent."""
        async with self._changing(project_id, by, user_id) as (connection, standing):
            removed = await connection.fetchval(_SQL["remove"], project_id, by, user_id)
            withdrawn = await connection.fetch(_SQL["withdraw"], project_id, by, user_id)
            if removed or withdrawn:
                return
        raise standing.refusal(*MANAGERS, otherwise=standing.bar_to_change())

    async def leave(self, project_id: str, user_id: str) -> None:
        """End one's own membership and withdraw the invitations that one sent."""
        async with self._changing(project_id, user_id, user_id) as (connection, standing):
            if await connection.fetchval(_SQL["leave"], project_id, user_id):
                await connection.execute(_SQL["withdraw"], project_id, None, user_id)
                return
        raise standing.refusal(*ProjectRole, otherwise=standing.bar_to_change())

    async def set_role(self, project_id: str, user_id: str, role: ProjectRole, *, by: str) -> None:
        """Make a member an admin or an admin a member."""
        async with self._changing(project_id, by, user_id) as (connection, standing):
            if await connection.fetchval(_SQL["set_role"], project_id, by, user_id, role):
                return
        raise standing.refusal(ProjectRole.OWNER, otherwise=standing.bar_to_change())

    async def transfer(self, project_id: str, user_id: str, *, by: str) -> Project:
        """Make a member the owner; who was it until now becomes an admin."""
        async with self._changing(project_id, by, user_id) as (connection, standing):
            await connection.execute(_SQL["lock_ownership"], user_id)
            if await connection.fetchval(_SQL["step_down"], project_id, user_id, MAX_OWNED_PROJECTS, by):
                await connection.execute(_SQL["step_up"], project_id, user_id)
                return await _get(connection, project_id, by)
        raise standing.refusal(ProjectRole.OWNER, otherwise=standing.bar_to_owning())

    @asynccontextmanager
    async def _changing(
        self, project_id: str, by: str | None, person: str | None = None
    ) -> AsyncIterator[tuple[Connection, Standing]]:
        """Lend a transaction in which nobody else changes the project, and tell how things stand.

        A refusal is raised after it: the connection would take an `AccessDeniedError`, an OSError, for the network's.
        """
        async with self._pool.transaction() as connection:
            yield connection, await Standing.read(connection, project_id, by, person)


async def _get(connection: Connection, project_id: str, user_id: str) -> Project:
    row = await connection.fetchrow(_SQL["get"], project_id, user_id)
    if row is None:
        raise NotFoundError(NO_PROJECT)
    return Project(**row)
