"""What the steps of the state machine are made of: how they act on Cortex, and how what they get is compared."""

from collections.abc import Coroutine, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine

from cortex_core import AccessDeniedError, Audience, CortexError, Memory, MemoryManager, NotFoundError
from cortex_core.ingestion.intake import IncomingMessage
from tests.isolation.arena import Arena
from tests.isolation.model import EVERYWHERE, OWNER_ONLY, Place, Reach, Room, Said, Team, World

ODD = ("*", "a:session", "{}", "[a]", "line\nbreak", "%", "'quote\"", "🙂", "a")
PEOPLE = ("a", "*", "a:session", "[a]\n", "🙂%")
_SUBJECTS = ("kettle", "harbour", "violin", "meadow", "lantern", "teapot", "glacier", "sparrow")


class LeakError(AssertionError):
    """Something came up that the model doesn't allow."""


class Stage(RuleBasedStateMachine):
    """People and places, in Cortex and in the model."""

    arena: ClassVar[Arena]
    steps: ClassVar[int]
    checks: ClassVar[int]
    surfaced: ClassVar[int]
    now: datetime
    number: int
    world: World

    @property
    def memory(self) -> MemoryManager:
        return self.arena.memory

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        type(self).steps += 1
        self.arena.run(work)

    def _place(self, who: int, where: int | None) -> Place:
        """Return where somebody speaks: those who can't read a room speak in private."""
        found = self._room(where)
        return Place(PEOPLE[who], found if found and PEOPLE[who] in found.readers else None)

    def _room(self, where: int | None) -> Room | None:
        return None if where is None else self.world.rooms[where]

    def _audience(self, where: Room | None) -> Audience:
        if where is None:
            return Audience.owner()
        return Audience.channel(where.guild, where.number, also_readable=self.world.also_readable(where))

    def _reach(self, where: Room | None) -> Reach:
        return OWNER_ONLY if where is None else ("channel", where.guild, where.number)

    def _any_reach(self, number: int) -> Reach:
        reaches = [OWNER_ONLY, EVERYWHERE, ("guild", 1), ("guild", 11), *map(self._reach, self.world.rooms)]
        return reaches[number % len(reaches)]

    def _channel(self, place: Place) -> str:
        return place.room.home if place.room else f"dm {place.person}"

    def _audible(self, place: Place) -> list[Said]:
        is_out = self.world.wishes[place.person].opted_out
        return [] if is_out else self.world.audible(place, channel=self._channel(place))

    def _message(self, place: Place, text: str, *, source: str | None = None) -> IncomingMessage:
        where = place.room
        return IncomingMessage(
            user_id=place.person,
            text=text,
            source_id=source or self._new_source(),
            channel_id=where.name if where else f"dm {place.person}",
            linked_channel_id=self._channel(place),
            feeds_project=where is None or where.parent is None,
            created_at=self._tick(),
            author_name=place.person,
            audience=self._audience(where),
        )

    def _told(self, place: Place, message: IncomingMessage, memory_id: str) -> Said:
        """Return what becomes of a message, by the wishes of its author and its channel."""
        linked = self.world.linked_team(self._channel(place)) if message.feeds_project else None
        is_private = self.world.wishes[place.person].keeps_private
        belongs = self.world.is_live_member(place.person, linked) and not is_private
        return Said(
            place.person,
            message.text,
            OWNER_ONLY if is_private else self._reach(place.room),
            linked if belongs else None,
            UUID(memory_id),
            message.source_id,
            place.room,
            may_be_out_of_team=belongs,  # for some minutes a channel may not know that its project was restored
        )

    def _is_stored(self, who: str, where: Room | None) -> bool:
        wishes = self.world.wishes[who]
        return not wishes.opted_out and not wishes.paused and (where is None or where.home not in self.world.silent)

    def _note(self, said: Said) -> None:
        self.world.said.append(said)

    def _new_text(self, subject: int) -> str:
        self.number += 1
        return f"Note{self.number} about the {_SUBJECTS[subject % len(_SUBJECTS)]} in the garden{self.number % 3}"

    def _any_text(self, about: int) -> str:
        """Return what was said at some time, by anybody."""
        said = self._choose(about, self.world.all_texts())
        return said.text if said else "What about the kettle in the garden"

    def _new_source(self) -> str:
        self.number += 1
        return f"{ODD[self.number % len(ODD)]}{self.number}"

    def _tick(self) -> datetime:
        self.last = max(datetime.now(UTC), getattr(self, "last", self.now) + timedelta(milliseconds=2))
        return self.last

    @staticmethod
    def _choose(number: int, many: Iterable[Any]) -> Any:
        listed = list(many)
        return listed[number % len(listed)] if listed else None

    @staticmethod
    def _bar(found: Team, by: str, *allowed: str) -> type[CortexError] | None:
        role = found.roles.get(by)
        return NotFoundError if role is None else None if role in allowed else AccessDeniedError

    def _attempt(self, work: Coroutine[Any, Any, Any], refused: type[CortexError] | None) -> Any:
        type(self).steps += 1
        with self._refusing(refused):
            return self.arena.run(work)

    @staticmethod
    @contextmanager
    def _refusing(refused: type[CortexError] | None):
        got: type[CortexError] | None = None
        try:
            yield
        except CortexError as error:
            got = type(error)
        assert got is refused

    # What is compared

    async def _settle(self, *, must: bool = True) -> None:
        """Wait until what was said is written, and read what the writer decided where it was free to."""
        is_pending = any(said.is_pending for said in self.world.said)
        if not is_pending or (not must and not any(said.may_be_out_of_team for said in self.world.said)):
            return
        self.arena.release_writer()
        await self.memory.flush()
        for said in self.world.said:
            if said.may_be_out_of_team:
                found = await self.memory.get(said.owner, said.id)
                assert found is not None
                assert found.project_id in (None, said.team)
                said.team = found.project_id
            said.is_pending = said.may_be_out_of_team = False

    def _check(self, found: Iterable[Memory], allowed: Iterable[Said]) -> None:
        type(self).checks += 1
        by_id = {said.id: said for said in allowed}
        for memory in found:
            type(self).surfaced += 1
            said = by_id.get(memory.id)
            if said is None:
                note(f"{memory!r} isn't any of {[s.text for s in by_id.values()]}")
                raise LeakError(f"{memory.content!r} of {memory.user_id!r} in {memory.audience}, {memory.project_id!r}")
            assert memory.content == said.text


def audience_of(reach: Reach) -> Audience:
    return Audience.parse(":".join(map(str, reach)))
