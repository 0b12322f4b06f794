"""Nothing outside its audience, nothing after a removal, nothing after a forgetting, and nothing missing.

Hypothesis makes people say, share, join, leave, link, edit and forget things in any order, and Cortex compact them,
with ids made of whatever might be read as a pattern; after each recall a model of plain sets tells what may be in it.
ISOLATION_SEED repeats a run.
"""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from cortex_core import (
    AccessDeniedError,
    Audience,
    CortexError,
    InvalidInputError,
    MemoryContext,
    NotFoundError,
    ProjectRole,
)
from cortex_core.consolidation import compaction
from cortex_core.stores.postgres import candidates, large_owners
from tests.isolation.arena import Arena
from tests.isolation.model import EVERYWHERE, OWNER_ONLY, Place, Reach, Room, Said, Team, Wishes, World
from tests.isolation.stage import ODD, PEOPLE, LeakError, Stage, audience_of
from tests.isolation.walls import choose_seed, take_down_first_wall, take_down_second_wall, tell

pytestmark = pytest.mark.slow  # also its short run: measuring coverage makes it ten times as long

TEAMS = ("a", "*:{}", "[a]'\n")
LONG = timedelta(days=1)

# Numbers that another one's begin or end with, also when server and channel change places.
OPEN, STAFF, WORK, THREAD = 10, 11, 1, 110
ROOMS = ((1, OPEN, "*"), (1, STAFF, "a"), (1, WORK, "{}[a]"), (11, 1, "a\n"), (11, 11, "'%"))

person = st.integers(0, len(PEOPLE) - 1)
team = st.integers(0, len(TEAMS) - 1)
room = st.integers(0, len(ROOMS))  # the last is the thread
anywhere = st.one_of(st.none(), room)
pick = st.integers(0, 1_000_000)
readers = st.sets(person, min_size=1)
yes = st.booleans()


class Isolation(Stage):
    """People who do whatever they may, and what they may not."""

    # The beginning and the end

    @initialize(
        staff=readers, work=readers, thread=readers, abroad=readers, members=st.lists(person, max_size=3), odd=pick
    )
    def begin(self, staff: set[int], work: set[int], thread: set[int], abroad: set[int], members: list[int], odd: int):
        self.now = datetime.now(UTC)
        self.number = 0
        self.restarts = 0
        self.people = [*PEOPLE]
        everybody = set(range(len(PEOPLE)))
        of_room = (everybody, staff, work, abroad, everybody)
        rooms = [
            Room(guild, number, name, {PEOPLE[each] for each in those})
            for (guild, number, name), those in zip(ROOMS, of_room, strict=True)
        ]
        rooms.append(Room(1, THREAD, ODD[odd % len(ODD)] + "thread", {PEOPLE[n] for n in thread}, parent=rooms[2]))
        self.world = World(self.people, rooms, wishes={each: Wishes() for each in PEOPLE})
        self.replies: dict[str, list[UUID]] = {}
        self.run(self._make_teams(members))

    async def _make_teams(self, members: list[int]) -> None:
        for number, name in enumerate(TEAMS):
            owner, others = PEOPLE[number], [PEOPLE[each] for each in members[: number + 1]]
            await self.memory.project_memory.create_project(name, f"Team {number}", owner, others)
            self.world.teams[name] = Team(name, {**dict.fromkeys(others, "member"), owner: "owner"})
        work = self.world.rooms[2].name
        await self.memory.channel_links.link_channel(work, TEAMS[0])
        self.world.links[work] = TEAMS[0]
        for number, one in enumerate(PEOPLE):
            for there in (None, *self.world.rooms):
                if there is None or one in there.readers:
                    await self._tell(Place(one, there), number)
        for name in TEAMS:
            await self._share(next(iter(self.world.teams[name].roles)), name, 1)

    async def _tell(self, place: Place, subject: int) -> None:
        message = self._message(place, self._new_text(subject))
        result = await self.memory.remember(message)
        assert result.success, result.error
        self._note(self._told(place, message, result.memory_id))

    def teardown(self) -> None:
        if hasattr(self, "world"):
            try:
                self.arena.run(self._look_everywhere())
            finally:
                self.arena.run(self.arena.empty())

    async def _look_everywhere(self) -> None:
        """At the end everybody looks from everywhere."""
        await self._settle()
        for one in PEOPLE:
            for there in (None, *self.world.rooms):
                place = Place(one, there)
                await self._check_list(place)
                if there is None or one in there.readers:
                    await self._check_context(place, self._any_text(self.number), None)

    # What is said

    @rule(who=person, where=anywhere, subject=pick)
    def says(self, who: int, where: int | None, subject: int):
        self.run(self._say(self._place(who, where), subject))

    async def _say(self, place: Place, subject: int) -> None:
        message = self._message(place, self._new_text(subject))
        contexts: list[MemoryContext] = []
        expected = self._is_stored(place.person, place.room)
        result = await self.memory.hear(message, contexts.append)
        assert result.success == expected, result.error
        self._check(contexts[0].memories, self._audible(place))
        if expected:
            self._note(self._told(place, message, result.memory_id))

    @rule(who=person, where=anywhere, which=st.one_of(st.none(), team), subject=pick, is_known=yes)
    def stores(self, *, who: int, where: int | None, which: int | None, subject: int, is_known: bool):
        self.run(
            self._store(self._place(who, where), None if which is None else TEAMS[which], subject, has_source=is_known)
        )

    async def _store(self, place: Place, project: str | None, subject: int, *, has_source: bool) -> None:
        wishes = self.world.wishes[place.person]
        text, source = self._new_text(subject), self._new_source() if has_source else None
        result = await self.memory.store(
            place.person,
            text,
            project_id=project,
            audience=self._audience(place.room),
            source_id=source,
            channel_id=place.room.name if place.room else None,
        )
        assert result.success == (not wishes.opted_out and not wishes.paused), result.error
        if result.success:
            is_private = wishes.keeps_private
            member = self.world.is_live_member(place.person, project)
            self._note(
                Said(
                    place.person,
                    text,
                    OWNER_ONLY if is_private else self._reach(place.room),
                    project if member and not is_private else None,
                    UUID(result.memory_id),
                    source,
                    place.room,
                )
            )

    @rule(who=person, which=team, subject=pick)
    def shares(self, who: int, which: int, subject: int):
        self.run(self._share(PEOPLE[who], TEAMS[which], subject))

    async def _share(self, who: str, project: str, subject: int) -> None:
        found, wishes, text = self.world.teams[project], self.world.wishes[who], self._new_text(subject)
        refused = NotFoundError if who not in found.roles else InvalidInputError if found.is_archived else None
        with self._refusing(refused):
            result = await self.memory.project_memory.store_project_memory(project, text, who)
            assert result.success == (not wishes.opted_out and not wishes.paused)
            if result.success:
                self._note(Said(who, text, OWNER_ONLY, project, UUID(result.memory_id)))

    @rule(who=person, which=team, subject=pick, how=st.sampled_from(["opts out", "leaves", "forgets"]))
    def shares_and_thinks_better_of_it(self, who: int, which: int, subject: int, how: str):
        """Take it back while it is still on its way."""
        self.arena.hold_writer()
        self.shares(who=who, which=which, subject=subject)
        match how:
            case "opts out":
                self.opts(who=who, is_out=True)
            case "leaves":
                self.leaves(which=which, who=who)
            case "forgets":
                self.forgets_everything(who=who)
        self.arena.release_writer()

    @rule(which=pick, subject=pick)
    def edits(self, which: int, subject: int):
        if said := self._choose(which, (s for s in self.world.said if s.source)):
            self.run(self._edit(said, subject))

    async def _edit(self, said: Said, subject: int) -> None:
        """What is edited is a new statement in the old place, and goes no further than its owner let it."""
        await self._settle()
        message = self._message(Place(said.owner, said.room), self._new_text(subject), source=said.source)
        result = await self.memory.remember(message, edited_at=self._tick())
        assert result.success == self._is_stored(said.owner, said.room), result.error
        if result.success:
            self.world.reword(said, message.text)
            await self._settle()

    @rule(which=pick, is_old=yes)
    def says_again_what_was_forgotten(self, *, which: int, is_old: bool):
        if said := self._choose(which, self.world.gone):
            self.run(self._say_again(said, is_old=is_old))

    async def _say_again(self, said: Said, *, is_old: bool) -> None:
        """Said anew it is a new memory; from an older source it isn't learned again."""
        wishes = self.world.wishes[said.owner]
        created_at = self.now if is_old else None
        result = await self.memory.store(
            said.owner, said.text, created_at=created_at, source_id=self._new_source(), audience=Audience.everywhere()
        )
        assert result.success == (not wishes.opted_out and not wishes.paused), result.error
        if result.success:
            again = Said(
                said.owner,
                said.text,
                OWNER_ONLY if wishes.keeps_private else EVERYWHERE,
                None,
                UUID(result.memory_id),
            )
            self._note(again)
            await self._settle()
            if is_old:
                self.world.forget(again)

    # What is recalled

    @rule(who=person, where=anywhere, about=pick, which=st.one_of(st.none(), team), is_settled=yes)
    def recalls(self, *, who: int, where: int | None, about: int, which: int | None, is_settled: bool):
        project = None if which is None else TEAMS[which]
        self.run(self._recall(self._place(who, where), about, project, is_settled=is_settled))

    async def _recall(self, place: Place, about: int, project: str | None, *, is_settled: bool) -> None:
        await self._settle(must=is_settled)
        await self._check_context(place, self._any_text(about), project)

    async def _check_context(self, place: Place, text: str, project: str | None) -> None:
        channel = self._channel(place)
        context = await self.memory.get_context(
            place.person,
            text,
            project,
            channel_id=channel,
            audience=self._audience(place.room),
            max_retrieved=100,
        )
        is_out = self.world.wishes[place.person].opted_out
        audible = [] if is_out else self.world.audible(place, channel=channel, team=project)
        self._check(context.memories, audible)
        assert not context.degraded
        identity = {} if is_out else self.world.identity_in(place)
        if context.identity != identity:
            raise LeakError(f"identity {context.identity}, not {identity}")
        secret = self.world.session.get(place.person) if place.room is None and not is_out else None
        if context.session.get("secret") != secret:
            raise LeakError(f"session {context.session}, not {secret}")
        shared = [] if is_out else self.world.shared(place, channel=channel, team=project)
        wanted = [s for s in _answering(text, audible, project) if s.attribute is None]
        if wanted and (wanted[0] not in shared or len(shared) <= 7):
            assert text in {m.content for m in context.memories}, f"{text} is missing"
        if context.memories:
            await self._note_reply(place.person, context)

    async def _note_reply(self, who: str, context: MemoryContext) -> None:
        await self.memory.note_reply(who, "reply", context.memories)
        self.replies[who] = [memory.id for memory in context.memories]

    @rule(who=person)
    def asks_why(self, who: int):
        self.run(self._ask_why(PEOPLE[who]))

    async def _ask_why(self, who: str) -> None:
        await self._settle()
        explanation = await self.memory.explain_reply(who)
        private = Place(who, None)
        mine = [s for s in self.world.said if s.owner == who]
        shared = [s for s in self.world.said if self.world.is_live_member(who, s.team)]
        if explanation is not None:
            assert set(self.replies[who]) >= {m.id for m in explanation.memories}
            self._check(explanation.memories, [*self.world.own(private), *mine, *shared])

    @rule(who=person, where=anywhere, about=pick, has_channel=yes, which=st.one_of(st.none(), team), is_settled=yes)
    def searches(
        self, *, who: int, where: int | None, about: int, has_channel: bool, which: int | None, is_settled: bool
    ):
        project = None if which is None else TEAMS[which]
        self.run(self._search(self._place(who, where), about, project, has_channel=has_channel, is_settled=is_settled))

    async def _search(
        self, place: Place, about: int, project: str | None, *, has_channel: bool, is_settled: bool
    ) -> None:
        await self._settle(must=is_settled)
        text, channel = self._any_text(about), self._channel(place) if has_channel else None
        found = await self.memory.search(
            place.person, text, project, channel_id=channel, audience=self._audience(place.room), limit=200
        )
        is_out = self.world.wishes[place.person].opted_out
        audible = [] if is_out else self.world.audible(place, channel=channel, team=project)
        self._check(found.memories, audible)
        if _answering(text, audible, project):
            assert text in {m.content for m in found.memories}, f"{text} is missing"

    @rule(who=person, where=anywhere)
    def lists(self, who: int, where: int | None):
        self.run(self._list(Place(PEOPLE[who], self._room(where))))

    async def _list(self, place: Place) -> None:
        await self._settle()
        await self._check_list(place)

    async def _check_list(self, place: Place) -> None:
        audience = self._audience(place.room)
        listed = await self.memory.list_memories(place.person, limit=1000, audience=audience)
        expected = [said for said in self.world.own(place) if not said.is_archived]
        self._check(listed, expected)
        assert {m.id for m in listed} == {s.id for s in expected}
        assert await self.memory.count_memories(place.person, audience=audience) == len(expected)

    @rule(who=person, where=anywhere, about=pick, mentioned=yes)
    def hears_a_group(self, *, who: int, where: int | None, about: int, mentioned: bool):
        self.run(self._hear_group(self._place(who, where), about, mentioned=mentioned))

    async def _hear_group(self, place: Place, about: int, *, mentioned: bool) -> None:
        await self._settle()
        context = await self.memory.get_group_context(
            self._any_text(about),
            place.person,
            self._channel(place),
            mentioned=mentioned,
            audience=self._audience(place.room),
        )
        if context is not None:
            self._check(context.memories, self._audible(place))

    @rule(who=person, where=anywhere, which=team, about=pick)
    def asks_a_team(self, who: int, where: int | None, which: int, about: int):
        self.run(self._ask_team(Place(PEOPLE[who], self._room(where)), TEAMS[which], about))

    async def _ask_team(self, place: Place, project: str, about: int) -> None:
        await self._settle()
        text, channel = self._any_text(about), self._channel(place)
        is_member = self.world.is_live_member(place.person, project) and not self.world.wishes[place.person].opted_out
        speaks = is_member and (place.room is None or self.world.linked_team(channel) == project)
        shared = self.world.shared(place, channel=channel, team=project)
        with self._refusing(None if speaks else NotFoundError):
            context = await self.memory.project_memory.get_project_context(
                project, text, user_id=place.person, audience=self._audience(place.room), channel_id=channel
            )
            self._check([*context.recent, *context.retrieved], shared)
        private = self.world.shared(Place(place.person, None), channel=None, team=project)
        with self._refusing(None if is_member else NotFoundError):
            found = await self.memory.project_memory.search(project, text, user_id=place.person, limit=200)
            self._check(found.memories, private)
            assert {s.text for s in _answering(text, private, project)} <= {m.content for m in found.memories}

    @rule(who=person, which=pick)
    def tries_what_is_anothers(self, who: int, which: int):
        if said := self._choose(which, (s for s in self.world.said if s.owner != PEOPLE[who])):
            self.run(self._try(PEOPLE[who], said))

    async def _try(self, who: str, said: Said) -> None:
        await self._settle()
        found = await self.memory.get(who, said.id)
        if found is not None and not self.world.is_live_member(who, said.team):
            raise LeakError(f"{who!r} got {said.text}")
        self.arena.release_writer()  # which is waited for
        with self._refusing(NotFoundError):
            await self.memory.retire(who, said.id)
        with self._refusing(NotFoundError):
            await self.memory.set_audience(who, said.id, Audience.everywhere())
        assert (await self.memory.forget(who, [said.id])).total == 0
        assert str(said.text) not in repr(await self.memory.export(who))

    # Projects

    @rule(which=team, whom=person, by=person)
    def invites(self, which: int, whom: int, by: int):
        found, whom_, by_ = self.world.teams[TEAMS[which]], PEOPLE[whom], PEOPLE[by]
        is_barred = found.is_archived or whom_ in found.roles or whom_ in found.invited
        refused = self._bar(found, by_, "owner", "admin") or (InvalidInputError if is_barred else None)
        self._attempt(self.memory.project_memory.invite(found.name, whom_, by=by_), refused)
        if refused is None:
            found.invited[whom_] = by_

    @rule(which=team, who=person)
    def accepts(self, which: int, who: int):
        found, who_ = self.world.teams[TEAMS[which]], PEOPLE[who]
        can = who_ in found.roles or (who_ in found.invited and not found.is_archived)
        self._attempt(self.memory.project_memory.accept_invitation(found.name, who_), None if can else NotFoundError)
        if can and who_ not in found.roles:
            del found.invited[who_]
            found.roles[who_] = "member"

    @rule(which=team, who=person)
    def joins(self, which: int, who: int):
        found, who_ = self.world.teams[TEAMS[which]], PEOPLE[who]
        refused = InvalidInputError if found.is_archived or who_ in found.roles else None
        self._attempt(self.memory.project_memory.add_member(found.name, who_), refused)
        if refused is None:
            found.roles[who_] = "member"
            found.invited.pop(who_, None)

    @rule(which=team, who=person)
    def leaves(self, which: int, who: int):
        found, who_ = self.world.teams[TEAMS[which]], PEOPLE[who]
        role = found.roles.get(who_)
        refused = {None: NotFoundError, "owner": AccessDeniedError}.get(role)
        self.world.end_membership(who_, found.name)
        self._attempt(self.memory.project_memory.leave(found.name, who_), refused)
        if refused is None:
            found.put_out(who_)

    @rule(which=team, whom=person, by=st.one_of(st.none(), person))
    def is_removed(self, which: int, whom: int, by: int | None):
        found, whom_, by_ = self.world.teams[TEAMS[which]], PEOPLE[whom], None if by is None else PEOPLE[by]
        role, actor = found.roles.get(whom_), found.roles.get(by_) if by_ else "owner"
        refused: type[CortexError] | None = None
        if actor is None:
            refused = NotFoundError
        elif actor == "member" or role == "owner" or (actor == "admin" and role == "admin"):
            refused = AccessDeniedError
        elif role is None and whom_ not in {*found.invited, *found.invited.values()}:
            refused = NotFoundError
        if refused is None:
            self.world.end_membership(whom_, found.name)
        self._attempt(self.memory.project_memory.remove_member(found.name, whom_, by=by_), refused)
        if refused is None:
            found.put_out(whom_)

    @rule(which=team, whom=person, by=person, is_admin=yes)
    def gets_a_role(self, *, which: int, whom: int, by: int, is_admin: bool):
        found, whom_, by_ = self.world.teams[TEAMS[which]], PEOPLE[whom], PEOPLE[by]
        bars = {None: NotFoundError, "owner": AccessDeniedError}
        refused = self._bar(found, by_, "owner") or bars.get(found.roles.get(whom_))
        role = ProjectRole.ADMIN if is_admin else ProjectRole.MEMBER
        self._attempt(self.memory.project_memory.set_role(found.name, whom_, role, by=by_), refused)
        if refused is None:
            found.roles[whom_] = role.value

    @rule(which=team, whom=person, by=person)
    def transfers(self, which: int, whom: int, by: int):
        found, whom_, by_ = self.world.teams[TEAMS[which]], PEOPLE[whom], PEOPLE[by]
        bars = {None: NotFoundError, "owner": InvalidInputError}
        refused = self._bar(found, by_, "owner") or bars.get(found.roles.get(whom_))
        self._attempt(self.memory.project_memory.transfer(found.name, whom_, by=by_), refused)
        if refused is None:
            found.roles |= {by_: "admin", whom_: "owner"}

    @rule(which=team, by=person)
    def archives(self, which: int, by: int):
        found = self.world.teams[TEAMS[which]]
        refused = self._bar(found, PEOPLE[by], "owner")
        if refused is None:
            for member in found.roles:
                self.world.end_membership(member, found.name)
        self._attempt(self.memory.project_memory.archive(found.name, by=PEOPLE[by]), refused)
        found.is_archived |= refused is None

    @rule(which=team, by=person)
    def restores(self, which: int, by: int):
        found = self.world.teams[TEAMS[which]]
        refused = self._bar(found, PEOPLE[by], "owner")
        self._attempt(self.memory.project_memory.restore(found.name, by=PEOPLE[by]), refused)
        found.is_archived &= refused is not None

    @rule(which=team, by=person)
    def renames(self, which: int, by: int):
        found = self.world.teams[TEAMS[which]]
        refused = self._bar(found, PEOPLE[by], "owner", "admin")
        self._attempt(self.memory.project_memory.rename(found.name, f"Name {by}", by=PEOPLE[by]), refused)

    # Channels

    @rule(where=room, which=team, by=st.one_of(st.none(), person))
    def links(self, where: int, which: int, by: int | None):
        found, channel = self.world.teams[TEAMS[which]], self.world.rooms[where].home
        refused = None if by is None else self._bar(found, PEOPLE[by], "owner", "admin")
        refused = refused or (InvalidInputError if found.is_archived else None)
        actor = None if by is None else PEOPLE[by]
        self._attempt(self.memory.channel_links.link_channel(channel, found.name, by=actor), refused)
        if refused is None:
            self.world.links[channel] = found.name

    @rule(where=room)
    def unlinks(self, where: int):
        channel = self.world.rooms[where].home
        was_linked = self._attempt(self.memory.channel_links.unlink_channel(channel), None)
        assert was_linked == (self.world.links.pop(channel, None) is not None)

    @rule(where=room, is_captured=yes)
    def listens(self, *, where: int, is_captured: bool):
        channel = self.world.rooms[where].home
        self._attempt(self.memory.channel_links.set_capture(channel, is_captured=is_captured), None)
        (self.world.silent.discard if is_captured else self.world.silent.add)(channel)

    @rule(where=room, those=readers)
    def permissions_change(self, where: int, those: set[int]):
        self.world.rooms[where].readers = {PEOPLE[each] for each in those}

    # Wishes

    @rule(who=person, is_out=yes)
    def opts(self, *, who: int, is_out: bool):
        self._attempt(self.memory.change_preferences(PEOPLE[who], opted_out=is_out), None)
        if is_out:
            self.world.opt_out(PEOPLE[who])
        self.world.wishes[PEOPLE[who]].opted_out = is_out

    @rule(who=person, is_paused=yes)
    def pauses(self, *, who: int, is_paused: bool):
        until = datetime.now(UTC) + LONG if is_paused else None
        self._attempt(self.memory.change_preferences(PEOPLE[who], paused_until=until), None)
        self.world.wishes[PEOPLE[who]].paused = is_paused

    @rule(who=person, keeps=yes)
    def keeps_private(self, *, who: int, keeps: bool):
        self._attempt(self.memory.change_preferences(PEOPLE[who], keeps_private=keeps), None)
        self.world.wishes[PEOPLE[who]].keeps_private = keeps

    @rule(which=pick, reach=pick)
    def lets_surface(self, which: int, reach: int):
        if said := self._choose(which, self.world.said):
            where = self._any_reach(reach)
            self.arena.release_writer()  # which is waited for
            self._attempt(self.memory.set_audience(said.owner, said.id, audience_of(where)), None)
            self.world.let_reach(said, where)

    @rule(which=pick)
    def retires(self, which: int):
        if said := self._choose(which, self.world.said):
            self.arena.release_writer()  # which is waited for
            self._attempt(self.memory.retire(said.owner, said.id), None)
            self.world.retire(said)

    # Forgetting

    @rule(which=pick)
    def forgets(self, which: int):
        if said := self._choose(which, self.world.said):
            self._attempt(self.memory.forget(said.owner, [said.id]), None)
            self.world.forget(said)

    @rule(which=pick, names_owner=yes)
    def deletes_the_message(self, *, which: int, names_owner: bool):
        if said := self._choose(which, (s for s in self.world.said if s.source)):
            if not names_owner:
                self.run(self._settle())
            owner = said.owner if names_owner else None
            self._attempt(self.memory.forget_source(said.source, owner=owner), None)
            self.world.forget(said)

    @rule(who=person, where=anywhere)
    def forgets_what_was_said_there(self, who: int, where: int | None):
        reach = self._reach(self._room(where))
        those = [s for s in self.world.said if (s.owner, s.reach) == (PEOPLE[who], reach) and s.source]
        self._attempt(self.memory.forget(PEOPLE[who], [said.id for said in those]), None)
        self.world.forget(*those)

    @rule(who=person)
    def forgets_everything(self, who: int):
        self._attempt(self.memory.forget_everything(PEOPLE[who]), None)
        self.world.forget(*[s for s in self.world.said if s.owner == PEOPLE[who]])
        self.world.session.pop(PEOPLE[who], None)

    # Identity and sessions

    @rule(who=person, attribute=pick, reach=pick, subject=pick)
    def is_known_for(self, who: int, attribute: int, reach: int, subject: int):
        if not self.world.wishes[PEOPLE[who]].opted_out:
            self.run(self._learn(PEOPLE[who], ("name", "*", "[a]")[attribute % 3], self._any_reach(reach), subject))

    async def _learn(self, who: str, attribute: str, reach: Reach, subject: int) -> None:
        value = self._new_text(subject)
        await self.memory.update_identity(who, attribute, value, audience=audience_of(reach))
        for said in self.world.said:
            if said.owner == who and said.attribute == attribute:
                said.is_retired = True
        self.world.identity[who, attribute] = value, reach
        [entry] = [e for e in await self.memory.get_profile(who) if e.fact.attribute == attribute]
        [evidence] = entry.evidence
        self._note(Said(who, f"{attribute}: {value}", reach, None, evidence.id, attribute=attribute))

    @rule(which=pick, reach=pick)
    def lets_identity_surface(self, which: int, reach: int):
        if key := self._choose(which, self.world.identity):
            who, attribute = key
            where = self._any_reach(reach)
            self._attempt(self.memory.set_identity_audience(who, attribute, audience_of(where)), None)
            self.world.identity[key] = self.world.identity[key][0], where
            for said in self.world.said:
                if said.owner == who and said.attribute == attribute and not said.is_retired:
                    said.reach = where

    @rule(which=pick)
    def forgets_identity(self, which: int):
        if key := self._choose(which, self.world.identity):
            who, attribute = key
            self._attempt(self.memory.forget_identity(who, attribute), None)
            self.world.forget(*[s for s in self.world.said if s.owner == who and s.attribute == attribute])

    @rule(who=person, is_new=yes)
    def talks_on(self, *, who: int, is_new: bool):
        if not self.world.wishes[PEOPLE[who]].opted_out:
            secret = self._new_text(who)
            talk = self.memory.start_session if is_new else self.memory.update_session
            self._attempt(talk(PEOPLE[who], {"secret": secret}), None)
            self.world.session[PEOPLE[who]] = secret

    # Servers

    @precondition(lambda self: self.restarts < 1)
    @rule()
    def restarts_cortex(self):
        self.restarts += 1
        self.run(self.arena.restart())

    @rule()
    def writes_wait(self):
        self.arena.hold_writer()

    @rule()
    def loses_redis(self):
        self.run(self._lose_redis())

    async def _lose_redis(self) -> None:
        await self._settle()
        await self.arena.empty_redis()
        self.world.session.clear()
        self.replies.clear()

    @rule(who=person)
    def compacts(self, who: int):
        self.run(self._compact(PEOPLE[who]))

    async def _compact(self, who: str) -> None:
        """Let summaries stand for what was said; which ones is for Cortex to decide, who hears them isn't."""
        await self._settle()
        await self.arena.compact(who)
        by_id = {said.id: said for said in self.world.said}
        for row in await self.arena.list_drawn(who, "compaction"):
            if row["id"] in by_id:
                continue
            sources = [by_id[memory_id] for memory_id in row["sources"]]
            [(reach, team)] = {(said.reach, said.team) for said in sources}
            assert (row["audience"], row["project_id"]) == (str(audience_of(reach)), team)
            assert not any(said.is_retired or said.is_archived for said in sources)
            self.world.summarise(Said(who, row["content"], reach, team, row["id"], is_pending=False, sources=sources))

    @rule(who=person, where=room, subject=pick, is_private_first=yes)
    def has_a_habit(self, *, who: int, where: int, subject: int, is_private_first: bool):
        """What somebody says in a room and in private shows the same."""
        places = [self._place(who, where), Place(PEOPLE[who], None)]
        self.run(self._have_habit(sorted(places, key=lambda p: (p.room is None) is not is_private_first), subject))

    async def _have_habit(self, places: Sequence[Place], subject: int) -> None:
        for place in places:
            if not self._is_stored(place.person, place.room):
                return
            await self._tell(place, subject)
            await self._tell(place, subject)
        await self._settle()
        who = places[0].person
        for first in [said for said in self.world.said if said.owner == who][-len(places) * 2 :: 2]:
            shown_by = [
                said.id
                for said in self.world.said
                if (said.owner, said.reach, said.team) == (who, first.reach, first.team) and said.source
            ]
            await self.arena.draw(who, f"often talks about the {subject % 2}", shown_by[-2:])
        await self._note_patterns(who)

    async def _note_patterns(self, who: str) -> None:
        by_id = {said.id: said for said in self.world.said}
        for row in await self.arena.list_drawn(who, "consolidation"):
            proof = [by_id[memory_id] for memory_id in row["sources"]]
            if row["id"] in by_id:
                by_id[row["id"]].proof = proof
                continue
            [(reach, team)] = {(said.reach, said.team) for said in proof}
            assert (row["audience"], row["project_id"]) == (str(audience_of(reach)), team)
            self._note(Said(who, row["content"], reach, team, row["id"], is_pending=False, proof=proof))

    @rule(is_large=yes)
    def keeps_up(self, *, is_large: bool):
        """From two memories on an owner is large, or from four on very large."""
        self.run(self._keep_up(2 if is_large else 3_000))

    async def _keep_up(self, many: int) -> None:
        large_owners.MANY = candidates.MANY = many
        large_owners.MOST = 4 if many == 2 else 30_000
        large_owners._TOO_FEW_FOR_AN_INDEX = 3
        await self._settle()
        await self.memory.postgres.large_owners.keep()
        self.memory.postgres.large_owners._sizes.clear()


def _answering(text: str, audible: Iterable[Said], project: str | None) -> list[Said]:
    """Return what has to be found where that text is asked for: beside a named project nothing of another one."""
    found = [s for s in audible if s.text == text and not s.is_pending and not s.is_archived]
    return [s for s in found if not project or s.team in (None, project)]


def play(
    machine: type[Isolation],
    arena: Arena,
    *,
    examples: int,
    steps: int,
    number: int,
    shrinks: bool = os.environ.get("ISOLATION_SHRINKS") != "0",
):
    """Run a machine and tell what it saw."""
    machine.arena = arena
    machine.steps = machine.checks = machine.surfaced = 0
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrinks else [])]
    try:
        run_state_machine_as_test(
            seed(number)(machine),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=phases,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        tell(
            f"isolation: seed {number}, up to {examples} examples of {steps} steps; {machine.steps} steps, "
            f"{machine.checks} recalls checked, {machine.surfaced} memories in them"
        )


@pytest.fixture(autouse=True)
def own_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back which owners are large, and let few memories do for a summary."""
    for module, name in (
        (large_owners, "MANY"),
        (large_owners, "MOST"),
        (large_owners, "_TOO_FEW_FOR_AN_INDEX"),
        (candidates, "MANY"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(compaction, "_FEWEST_OF_A_WEEK", 2)


def test_nothing_surfaces_where_it_may_not(arena: Arena):
    play(Isolation, arena, examples=15, steps=50, number=choose_seed())


@pytest.mark.slow
def test_nothing_surfaces_where_it_may_not_in_five_hundred_histories(arena: Arena):
    play(Isolation, arena, examples=500, steps=50, number=choose_seed())


def test_a_model_without_walls_is_found_out(arena: Arena, monkeypatch: pytest.MonkeyPatch):
    take_down_first_wall(monkeypatch)
    take_down_second_wall(monkeypatch)
    with pytest.raises(LeakError):
        play(Isolation, arena, examples=15, steps=50, number=choose_seed(), shrinks=False)
