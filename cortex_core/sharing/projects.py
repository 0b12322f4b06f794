"""ProjectMemory: memory that the members of a project share (TDD 9.3)."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime

import uuid_utils.compat as uuid7
from pydantic import JsonValue, ValidationError

from cortex_core.audience import Audience
from cortex_core.cleaning import clean_text
from cortex_core.errors import InvalidInputError, NotFoundError
from cortex_core.ingestion.intake import NewMemory, refusal
from cortex_core.ingestion.recorder import Recorder
from cortex_core.models import (
    MemoryType,
    Project,
    ProjectContext,
    ProjectInvitation,
    ProjectMember,
    ProjectRole,
    SearchResult,
    StoreResult,
)
from cortex_core.recall.search import Searcher, clean_query
from cortex_core.recall.shared import SharedRecall
from cortex_core.stores.keys import check_project_id, check_user_id
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.projects import ARCHIVED, NO_PROJECT
from cortex_core.stores.postgres.scope import Scope

_MAX_NAME_CHARS = 100


class ProjectMemory:
    """Projects, who belongs to them, and what their members tell them.

    A call on a project that doesn't exist and one on a project that the person doesn't belong to raise the same
    `NotFoundError`. What a member's role doesn't allow raises `AccessDeniedError`, what nobody could do
    `InvalidInputError`, and so does an id that can't be one. `by` is the member who acts. Nothing here is cached: each
    change is in force from its commit on.
    """

    def __init__(self, postgres: PostgresStore, recorder: Recorder, searcher: Searcher, shared: SharedRecall) -> None:
        self._postgres = postgres
        self._projects = postgres.projects
        self._recorder = recorder
        self._searcher = searcher
        self._shared = shared

    async def create_project(
        self, project_id: str | None, name: str, owner_id: str, members: Sequence[str] | None = None
    ) -> Project:
        """Create a project.

        Args:
            project_id: 1 to 100 characters; one that nobody can guess is made when absent.
            name: 1 to 100 visible characters.
            owner_id: Its owner.
            members: Others who are members at once, without an invitation; for hosts that know whom they add.
        """
        if project_id is None:
            project_id = uuid7.uuid7().hex
        people = [check_user_id(member) for member in members or ()]
        return await self._projects.create(
            check_project_id(project_id), _clean_name(name), check_user_id(owner_id), people
        )

    async def get_project(self, project_id: str, user_id: str) -> Project:
        """Return a project that the person belongs to, archived or not."""
        return await self._projects.get(check_project_id(project_id), check_user_id(user_id))

    async def list_projects(self, user_id: str, *, include_archived: bool = False) -> list[Project]:
        """Return the projects that the person belongs to, by name."""
        return await self._projects.list_of(check_user_id(user_id), include_archived=include_archived)

    async def list_members(self, project_id: str, user_id: str) -> list[ProjectMember]:
        """Return everybody of a project that the person belongs to: the owner first, then admins, then members."""
        return await self._projects.list_members(check_project_id(project_id), check_user_id(user_id))

    async def check_access(self, project_id: str, user_id: str) -> bool:
        """Tell whether the person may recall from and add to the project now: a member of one that isn't archived."""
        return await self._projects.check_access(check_project_id(project_id), check_user_id(user_id))

    async def rename(self, project_id: str, name: str, *, by: str) -> Project:
        """Give the project another name; for the owner and admins."""
        return await self._projects.rename(check_project_id(project_id), _clean_name(name), by=check_user_id(by))

    async def archive(self, project_id: str, *, by: str) -> Project:
        """Let the project keep its people and memories, but be neither fed nor recalled; for the owner."""
        return await self._projects.archive(check_project_id(project_id), by=check_user_id(by))

    async def restore(self, project_id: str, *, by: str) -> Project:
        """Undo `archive`, with the channels and invitations of before; for the owner."""
        return await self._projects.restore(check_project_id(project_id), by=check_user_id(by))

    # People

    async def add_member(self, project_id: str, user_id: str, *, role: ProjectRole = ProjectRole.MEMBER) -> None:
        """Make somebody a member without an invitation; for hosts that know whom they add."""
        await self._projects.add_member(check_project_id(project_id), check_user_id(user_id), _grantable(role))

    async def invite(self, project_id: str, user_id: str, *, by: str) -> ProjectInvitation:
        """Invite somebody, who is a member from accepting on; for the owner and admins. It is open for 14 days."""
        return await self._projects.invite(check_project_id(project_id), check_user_id(user_id), by=check_user_id(by))

    async def list_invitations(self, user_id: str) -> list[ProjectInvitation]:
        """Return what the person may accept now, oldest first."""
        return await self._projects.list_invitations(check_user_id(user_id))

    async def accept_invitation(self, project_id: str, user_id: str) -> Project:
        """Make the invited person a member; for who is one already, nothing changes.

        Raises:
            NotFoundError: There is no open invitation, whatever the reason.
            InvalidInputError: The project is full.
        """
        return await self._projects.accept(check_project_id(project_id), check_user_id(user_id))

    async def decline_invitation(self, project_id: str, user_id: str) -> None:
        """Do away with the person's invitation.

        Raises:
            NotFoundError: There is no open invitation.
        """
        await self._projects.decline(check_project_id(project_id), check_user_id(user_id))

    async def remove_member(self, project_id: str, user_id: str, *, by: str | None = None) -> None:
        """Let somebody be out: no member, not invited, and nobody's inviter. What the person told the project stays.

        An admin removes members and invited people, the owner and the host (`by` is None) anybody but the owner.
        """
        actor = None if by is None else check_user_id(by)
        await self._projects.remove_member(check_project_id(project_id), check_user_id(user_id), by=actor)

    async def leave(self, project_id: str, user_id: str) -> None:
        """End one's own membership; the owner has to transfer the project first."""
        await self._projects.leave(check_project_id(project_id), check_user_id(user_id))

    async def set_role(self, project_id: str, user_id: str, role: ProjectRole, *, by: str) -> None:
        """Make a member an admin or an admin a member; for the owner."""
        await self._projects.set_role(
            check_project_id(project_id), check_user_id(user_id), _grantable(role), by=check_user_id(by)
        )

    async def transfer(self, project_id: str, user_id: str, *, by: str) -> Project:
        """Make another member the owner and oneself an admin; for the owner."""
        return await self._projects.transfer(check_project_id(project_id), check_user_id(user_id), by=check_user_id(by))

    # Memories

    async def store_project_memory(
        self,
        project_id: str,
        content: str,
        author_id: str,
        memory_type: MemoryType = MemoryType.EPISODIC,
        *,
        author_name: str | None = None,
        created_at: datetime | None = None,
        source_id: str | None = None,
        metadata: dict[str, JsonValue] | None = None,
        tags: Sequence[str] = (),
    ) -> StoreResult:
        """Tell a project something; its author owns it, and all members recall it.

        The arguments and the result are those of `MemoryManager.store`. Should the author be removed before it is in
        Postgres, it stays the author's own.

        Raises:
            NotFoundError, InvalidInputError: The author doesn't belong to the project, or it is archived.
        """
        project = await self.get_project(project_id, author_id)
        if project.archived_at is not None:
            raise InvalidInputError(ARCHIVED)
        try:
            new = NewMemory(
                content=content,
                memory_type=memory_type,
                project_id=project_id,
                author_name=author_name,
                created_at=created_at,
                source_id=source_id,
                metadata=metadata,
                tags=tuple(tags),
                source="project",
            )
        except ValidationError as error:
            return StoreResult(success=False, error=str(refusal(error)))
        return await self._recorder.store(author_id, new)

    async def get_project_context(
        self,
        project_id: str,
        query: str | None = None,
        *,
        user_id: str,
        audience: Audience | None = None,
        channel_id: str | None = None,
        asked_at: datetime | None = None,
    ) -> ProjectContext:
        """Return what was last said in a project and, given a query, what answers it.

        Args:
            project_id: The project.
            query: What is asked.
            user_id: Who asks.
            audience: Where it will be heard; that person alone when absent. Elsewhere a project speaks in the channels
                that are linked with it.
            channel_id: The channel where it will be heard.
            asked_at: When it is asked, with its time zone; now (UTC) when absent.

        Raises:
            NotFoundError: There is no such project for that person, or none that speaks there.
            StoreUnavailableError: Postgres is away.
        """
        scope = Scope.shared(
            check_user_id(user_id),
            audience or Audience.owner(),
            channel_id=channel_id,
            project_id=check_project_id(project_id),
        )
        embedding = await self._searcher.embed(clean_query(query)) if query else None
        context = await self._shared.load(scope, query, embedding, asked_at=asked_at)
        if context is None:
            raise NotFoundError(NO_PROJECT)
        return context

    async def search(
        self, project_id: str, query: str, *, user_id: str, limit: int = 20, asked_at: datetime | None = None
    ) -> SearchResult:
        """Return the memories of a project that answer a query best, for one of its members alone.

        Raises:
            NotFoundError: The person doesn't belong to the project, or it is archived.
            InvalidInputError: The query is empty or the limit isn't positive.
            StoreUnavailableError: Postgres is away.
        """
        scope = Scope.shared(check_user_id(user_id), Audience.owner(), project_id=check_project_id(project_id))
        if not await self._postgres.list_open_projects(scope):
            raise NotFoundError(NO_PROJECT)
        return await self._searcher.search_in([scope], query, limit=limit, asked_at=asked_at)


def _clean_name(name: str) -> str:
    """Return a project's name as one line that can be stored and seen."""
    line = " ".join(clean_text(name).split())
    categories = {unicodedata.category(character) for character in line}
    if not 1 <= len(line) <= _MAX_NAME_CHARS or "Cc" in categories or not categories - {"Cf", "Zs"}:
        raise InvalidInputError(f"A project's name has 1 to {_MAX_NAME_CHARS} visible characters.")
    return line


def _grantable(role: ProjectRole) -> ProjectRole:
    if role is ProjectRole.OWNER:
        raise InvalidInputError("A project has one owner; transfer it to make that somebody else.")
    return role
