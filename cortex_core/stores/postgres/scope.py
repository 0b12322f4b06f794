"""Whose memories a statement may see: the parameters of the conditions in `sql/scope.sql`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, LiteralString, Self

from cortex_core.audience import Audience, AudienceKind
from cortex_core.cleaning import clean_text
from cortex_core.sql import scoped

_NO_PROJECT = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom memories are read, of whom, and where they will be heard.

    Attributes:
        person: Who asks.
        realm: The person's `own` memories, or those that are `shared` with the person in projects.
        places: For `own` the audiences that may surface there, for `shared` the channels whose links count; None where
            nobody but the person hears it.
        projects: Only memories of these; None doesn't filter.
    """

    person: str
    realm: Literal["own", "shared"]
    places: Sequence[str] | None
    projects: Sequence[str] | None = None

    @classmethod
    def own(cls, person: str, audience: Audience, *, project_id: str | None = None, beside: str | None = None) -> Self:
        """Return the scope of a person's own memories in a place.

        Args:
            person: Whose.
            audience: Where they will be heard.
            project_id: Only those of that project.
            beside: Only those of that project and of none.
        """
        heard = audience.heard()
        projects = _listed(project_id) if beside is None else [_NO_PROJECT, *(_listed(beside) or [])]
        return cls(person, "own", None if heard is None else sorted(heard), projects)

    @classmethod
    def shared(
        cls, person: str, audience: Audience, *, channel_id: str | None = None, project_id: str | None = None
    ) -> Self:
        """Return the scope of what projects share with a person in a place.

        Args:
            person: Who asks.
            audience: Where it will be heard; to the person alone all of the person's projects speak.
            channel_id: The channel whose link counts there.
            project_id: Only that project.
        """
        is_private = audience.kind is AudienceKind.OWNER
        return cls(person, "shared", None if is_private else _listed(channel_id) or [], _listed(project_id))

    @property
    def arguments(self) -> tuple[object, ...]:
        """The scope's parameters."""
        return self.person, self.places, self.projects

    def limit(self, statement: LiteralString) -> LiteralString:
        """Return the statement for this scope."""
        return scoped(statement, self.realm)


def _listed(name: str | None) -> list[str] | None:
    return None if name is None else [clean_text(name)]
