"""Who may hear what, by brute force: people, places and their readers as plain sets, and nothing of Cortex.

It knows no audiences of other channels: whether something may be heard in a place is decided from who reads that place
and who reads the place where it was said.
"""

from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple
from uuid import UUID

OWNER_ONLY = ("owner",)
EVERYWHERE = ("everywhere",)

Reach = tuple[str | int, ...]
"""Where something may be heard: `owner`, `channel` with server and number, `guild` with server, or `everywhere`."""


@dataclass(eq=False)
class Room:
    """A channel or thread."""

    guild: int
    number: int
    name: str
    readers: set[str]
    parent: "Room | None" = None

    @property
    def home(self) -> str:
        """The channel whose settings count."""
        return self.parent.name if self.parent else self.name


class Place(NamedTuple):
    """Where somebody speaks: a room, or None for a direct message."""

    person: str
    room: Room | None


@dataclass
class Team:
    """A project."""

    name: str
    roles: dict[str, str]
    invited: dict[str, str] = field(default_factory=dict)  # whom → by whom
    is_archived: bool = False

    def put_out(self, person: str) -> None:
        """Let somebody be no member, not invited and nobody's inviter."""
        self.roles.pop(person, None)
        self.withdraw(person)

    def withdraw(self, person: str) -> bool:
        """Drop the invitations that somebody has or sent, and tell whether there were any."""
        kept = {whom: by for whom, by in self.invited.items() if person not in (whom, by)}
        had_some, self.invited = len(kept) < len(self.invited), kept
        return had_some


@dataclass
class Wishes:
    """What somebody wishes for all that they say."""

    opted_out: bool = False
    paused: bool = False
    keeps_private: bool = False


@dataclass(eq=False)
class Said:
    """A memory.

    Attributes:
        team: The project that it belongs to.
        may_be_out_of_team: Whether the writer, who hasn't got to it yet, may find that its author left.
        attribute: Of the identity, if that is what it states.
        sources: What it summarises, if it is a summary.
        is_archived: Whether a summary stands for it.
        proof: What shows it, if it is a pattern.
        is_let: Whether its owner decided where it may be heard.
    """

    owner: str
    text: str
    reach: Reach
    team: str | None = None
    id: UUID | None = None
    source: str | None = None
    room: Room | None = None
    attribute: str | None = None
    is_pending: bool = True
    may_be_out_of_team: bool = False
    is_retired: bool = False
    sources: list["Said"] = field(default_factory=list)
    is_archived: bool = False
    proof: list["Said"] = field(default_factory=list)
    is_let: bool = False


@dataclass
class World:
    """Everything that decides who may hear what."""

    people: list[str]
    rooms: list[Room]
    teams: dict[str, Team] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)  # channel → project
    silent: set[str] = field(default_factory=set)  # channels that are not listened to
    wishes: dict[str, Wishes] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    gone: list[Said] = field(default_factory=list)
    identity: dict[tuple[str, str], tuple[str, Reach]] = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)

    # Places

    def room(self, guild: int, number: int) -> Room | None:
        return next((room for room in self.rooms if (room.guild, room.number) == (guild, number)), None)

    def also_readable(self, room: Room) -> set[int]:
        """Return the other rooms of the server that all readers of this one can read."""
        return {
            other.number
            for other in self.rooms
            if other is not room and other.guild == room.guild and room.readers <= other.readers
        }

    def reaches(self, reach: Reach, room: Room | None) -> bool:
        """Whether what may be heard there may be heard in that room, or by its owner in private."""
        if room is None:
            return True
        match reach:
            case ("everywhere",):
                return True
            case ("guild", guild):
                return room.guild == guild
            case ("channel", guild, number):
                origin = self.room(guild, number)
                return origin is not None and room.guild == guild and room.readers <= origin.readers
        return False

    # People

    def is_live_member(self, person: str, team: str | None) -> bool:
        found = self.teams.get(team) if team else None
        return found is not None and not found.is_archived and person in found.roles

    def linked_team(self, channel: str) -> str | None:
        team = self.links.get(channel)
        return team if team and not self.teams[team].is_archived else None

    # What may surface

    def own(self, place: Place) -> list[Said]:
        """Return which of the person's own memories may surface in a place."""
        return [
            said
            for said in self.said
            if said.owner == place.person
            and not said.is_retired
            and (place.room is None or (said.team is None and self._may_tell(said, place.room)))
        ]

    def _may_tell(self, said: Said, room: Room) -> bool:
        """Whether a memory may be heard in a room, and all that shows it, unless its owner decided otherwise."""
        shown = [] if said.is_let else said.proof
        return all(self.reaches(one.reach, room) for one in (said, *shown))

    def shared(self, place: Place, *, channel: str | None, team: str | None = None) -> list[Said]:
        """Return which memories of projects may surface in a place, if a channel or a project is named."""
        if channel is None and team is None:
            return []
        linked = self.linked_team(channel) if channel else None
        return [
            said
            for said in self.said
            if not said.is_retired
            and all(one.team == said.team for one in said.proof)
            and self.is_live_member(place.person, said.team)
            and team in (None, said.team)
            and (place.room is None or linked == said.team)
        ]

    def audible(self, place: Place, *, channel: str | None, team: str | None = None) -> list[Said]:
        return [*self.own(place), *self.shared(place, channel=channel, team=team)]

    def identity_in(self, place: Place) -> dict[str, str]:
        return {
            attribute: value
            for (person, attribute), (value, reach) in self.identity.items()
            if person == place.person and self.reaches(reach, place.room)
        }

    def all_texts(self) -> list[Said]:
        return list(chain(self.said, self.gone))

    # What changes

    def forget(self, *forgotten: Said) -> None:
        for said in forgotten:
            if said not in self.said:
                continue
            self.end_summary(said)
            self.end_proof(said, fewest=1)
            self.said.remove(said)
            self.gone.append(said)
            self.forget(*(source for source in said.sources if source.is_archived))
            if said.attribute is not None and not said.is_retired:
                self.identity.pop((said.owner, said.attribute), None)

    def reword(self, said: Said, text: str) -> None:
        """Let a memory say something else: in its project if its owner is still there, and no further than before."""
        self.end_summary(said)
        self.end_proof(said, fewest=2)
        said.text, said.is_pending, said.is_retired = text, True, False
        is_narrowed = self.wishes[said.owner].keeps_private and said.reach != OWNER_ONLY
        if is_narrowed:
            said.reach = OWNER_ONLY
        if said.team and (is_narrowed or said.owner not in self.teams[said.team].roles):
            said.team = None

    def retire(self, said: Said) -> None:
        self.end_summary(said)
        self.end_proof(said, fewest=2)
        said.is_retired = True
        if said.attribute is not None:
            self.identity.pop((said.owner, said.attribute), None)

    def let_reach(self, said: Said, reach: Reach) -> None:
        """Let a memory be heard there; what rests on it goes no further than that."""
        self.end_summary(said)
        said.reach, said.is_let = reach, True
        for pattern in [s for s in self.said if said in s.proof]:
            pattern.reach = _narrower(pattern.reach, reach)
            if reach == OWNER_ONLY:
                pattern.team = None
        if reach == OWNER_ONLY:
            said.team, said.may_be_out_of_team = None, False
        key = (said.owner, said.attribute or "")
        if said.attribute is not None and not said.is_retired and key in self.identity:
            value, before = self.identity[key]
            self.identity[key] = value, _narrower(before, reach)

    def summarise(self, summary: Said) -> None:
        """Let a summary stand for what it was drawn from."""
        self.said.append(summary)
        for source in summary.sources:
            source.is_archived = True

    def end_summary(self, said: Said) -> None:
        """Let no summary stand for a memory that changes: what was summarised with it speaks for itself again."""
        for summary in [s for s in self.said if said in s.sources]:
            self.said.remove(summary)
            for source in summary.sources:
                source.is_archived = False

    def end_proof(self, said: Said, *, fewest: int) -> None:
        """Let a memory show nothing any more: patterns that fewer show than that are gone."""
        for pattern in [s for s in self.said if said in s.proof]:
            pattern.proof.remove(said)
            if len(pattern.proof) < fewest:
                self.said.remove(pattern)

    def end_membership(self, person: str, team: str) -> None:
        """Let what is still on its way to a project be told to it or not, as it comes."""
        for said in self.said:
            if said.is_pending and said.owner == person and said.team == team:
                said.may_be_out_of_team = True

    def opt_out(self, person: str) -> None:
        self.wishes[person].opted_out = True
        self.session.pop(person, None)
        for said in self.said:
            if said.owner == person:
                said.team, said.may_be_out_of_team = None, False


def _narrower(one: Reach, other: Reach) -> Reach:
    if one == other:
        return one
    if OWNER_ONLY in (one, other):
        return OWNER_ONLY
    if EVERYWHERE in (one, other):
        return one if other == EVERYWHERE else other
    kinds = {one[0]: one, other[0]: other}
    if one[1] == other[1] and set(kinds) == {"channel", "guild"}:
        return kinds["channel"]
    return OWNER_ONLY
