"""A canary hunt: two hundred people with secrets, everything at once, part of it cancelled; nobody meets another's.

A canary is a word that tells whose it is and where it may be heard, so that any text can be checked by itself.
ISOLATION_SEED repeats a run's dice.
"""

import asyncio
import itertools
import logging
import random
import re
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import pytest

from cortex_core import Audience, CortexError, MemoryConfig, MemoryContext, MemoryManager, NotFoundError
from cortex_core.ingestion.intake import IncomingMessage, NewMemory
from tests.isolation.walls import ScatteringEmbedder, choose_seed, take_down_first_wall, take_down_second_wall, tell

TEAM_SIZE = 10
ROOMS = 20
OPEN = 100
TEAM_ROOMS = 200
AT_ONCE = 64
CANCELLED = 0.05
LONGEST_WORK = 0.05

DIRECT, ROOM, TEAM, IDENTITY, SESSION = "drpis"
_CANARY = re.compile(r"zq([drpis])(\d{3})w(\d+)n\d+z")
_SUBJECTS = ("kettle", "harbour", "violin", "meadow", "lantern", "teapot", "glacier", "sparrow")


class Canary(NamedTuple):
    """A secret of somebody's; `where` is the room or the team that it was told."""

    kind: str
    owner: int
    where: int

    @classmethod
    def found_in(cls, text: str) -> set["Canary"]:
        return {cls(kind, int(owner), int(where)) for kind, owner, where in _CANARY.findall(text)}

    def may_be_heard(self, person: int, room: int | None) -> bool:
        """Whether somebody may hear it in a room, or in private."""
        if self.kind == TEAM:
            return person // TEAM_SIZE == self.where and room in (None, TEAM_ROOMS + self.where)
        if self.kind == ROOM:
            return person == self.owner and (room is None or self.where in (room, OPEN))
        return person == self.owner and room is None

    def concerns(self, person: int) -> bool:
        """Whether it is somebody's own, or told a team of theirs."""
        return person == self.owner or (self.kind == TEAM and person // TEAM_SIZE == self.where)

    @property
    def is_private(self) -> bool:
        """Whether it was told in private."""
        return self.kind in (DIRECT, IDENTITY, SESSION)


class Meeting(NamedTuple):
    """Somebody met a canary that isn't for them, or not for where they are."""

    kind: str
    person: int
    canary: Canary


class Ear(logging.Handler):
    """Hears canaries in whatever is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records = 0
        self.heard: set[Canary] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1
        text = record.getMessage()
        if record.exc_info:
            text += "".join(traceback.format_exception(*record.exc_info))
        self.heard |= Canary.found_in(text)


@contextmanager
def listening() -> Iterator[Ear]:
    """Log all that Cortex has to say, and what the loop says of it."""
    ear, root, cortex = Ear(), logging.getLogger(), logging.getLogger("cortex")
    before = cortex.level
    root.addHandler(ear)
    cortex.setLevel(logging.DEBUG)
    try:
        yield ear
    finally:
        cortex.setLevel(before)
        root.removeHandler(ear)


@dataclass
class Tally:
    """What a hunt met."""

    operations: int = 0
    cancelled: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    canaries: int = 0
    foreign: set[Meeting] = field(default_factory=set)
    strange: list[str] = field(default_factory=list)


class Hunt:
    """People who say, ask and change things, each by dice."""

    def __init__(self, memory: MemoryManager, dice: random.Random, people: int) -> None:
        self._memory = memory
        self._people = people
        self._dice = dice
        self._serial = itertools.count()
        self._told: list[str] = []
        self._ids: list[tuple[int, UUID]] = []
        self.tally = Tally()

    # The beginning

    async def prepare(self) -> None:
        """Give everybody a team, and a secret of each kind."""
        for team in range(self._people // TEAM_SIZE):
            first, *others = (f"person {n}" for n in range(team * TEAM_SIZE, (team + 1) * TEAM_SIZE))
            await self._memory.project_memory.create_project(f"team {team}", f"Team {team}", first, others)
            await self._memory.channel_links.link_channel(f"room {TEAM_ROOMS + team}", f"team {team}")
        for start in range(0, self._people, 20):
            await asyncio.gather(*(self._begin(person) for person in range(start, start + 20)))
        await self._memory.flush()

    async def _begin(self, person: int) -> None:
        await self._say(person, None)
        await self._say(person, person % ROOMS)
        await self._share(person)
        await self._learn(person)
        await self._talk(person)

    # The hunt

    async def run(self, operations: int) -> None:
        """Do so many things, many at once, and check what each returns."""
        numbers = iter(range(operations))
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work_off(numbers))

    async def _work_off(self, numbers: Iterator[int]) -> None:
        for _ in numbers:
            self.tally.operations += 1
            task = asyncio.create_task(self._do_something())
            if self._dice.random() < CANCELLED:
                await asyncio.sleep(self._dice.uniform(0, LONGEST_WORK))
                task.cancel()
            await asyncio.wait([task])
            if task.cancelled():
                self.tally.cancelled += 1

    async def _do_something(self) -> None:
        person = self._dice.randrange(self._people)
        room = self._dice.choice([None, person % ROOMS, OPEN, TEAM_ROOMS + person // TEAM_SIZE, self._any_room()])
        [work] = self._dice.choices([work for work, _ in self._works], [weight for _, weight in self._works])
        try:
            await work(self, person, room)
        except CortexError as error:
            self.tally.refused[type(error).__name__] += 1
            self._check(person, room, "".join(traceback.format_exception(error)))
        except Exception as error:  # noqa: BLE001  anything else is a finding of its own
            self.tally.strange.append(repr(error))
            self._check(person, room, "".join(traceback.format_exception(error)))

    def _any_room(self) -> int:
        return self._dice.choice([*range(ROOMS), OPEN, *range(TEAM_ROOMS, TEAM_ROOMS + self._people // TEAM_SIZE)])

    def _check(self, person: int, room: int | None, *found: object) -> None:
        for one in found:
            text = one if isinstance(one, str) else repr(one)
            kind = "error" if isinstance(one, str) and "Traceback" in one else type(one).__name__
            canaries = Canary.found_in(text)
            self.tally.canaries += len(canaries)
            self.tally.foreign |= {Meeting(kind, person, c) for c in canaries if not c.may_be_heard(person, room)}

    # What people say

    async def _say(self, person: int, room: int | None) -> None:
        """Say something where one is, and hear what is known for it."""
        contexts: list[MemoryContext] = []
        result = await self._memory.hear(self._message(person, room), contexts.append)
        self._check(person, room, *contexts, *(context.to_prompt_string() for context in contexts), result)
        if result.memory_id:
            self._ids.append((person, UUID(result.memory_id)))

    def _message(self, person: int, room: int | None) -> IncomingMessage:
        team = room - TEAM_ROOMS if room is not None and room >= TEAM_ROOMS else None
        if room is None:
            canary = self._canary(DIRECT, person, 0)
        elif team == person // TEAM_SIZE:
            canary = self._canary(TEAM, person, team)
        else:
            canary = self._canary(ROOM, person, room)
        return IncomingMessage(
            user_id=f"person {person}",
            text=f"My {self._dice.choice(_SUBJECTS)} is called {canary}",
            source_id=f"message {next(self._serial)}",
            channel_id=_channel(person, room),
            created_at=datetime.now(UTC),
            author_name=f"Person {person}",
            audience=_audience(room),
        )

    async def _share(self, person: int, _room: int | None = None) -> None:
        team = person // TEAM_SIZE
        canary = self._canary(TEAM, person, team)
        text = f"Our {self._dice.choice(_SUBJECTS)} is called {canary}"
        result = await self._memory.project_memory.store_project_memory(f"team {team}", text, f"person {person}")
        self._check(person, None, result)

    async def _store_many(self, person: int, _room: int | None) -> None:
        texts = [f"My {subject} is called {self._canary(DIRECT, person, 0)}" for subject in _SUBJECTS[:4]]
        many = [NewMemory(content=text, emotional_score=0.5) for text in texts]
        self._check(person, None, *await self._memory.store_many(f"person {person}", many))

    async def _learn(self, person: int, _room: int | None = None) -> None:
        canary = self._canary(IDENTITY, person, 0)
        fact = await self._memory.update_identity(f"person {person}", self._dice.choice(_SUBJECTS), canary)
        self._check(person, None, fact)

    async def _talk(self, person: int, _room: int | None = None) -> None:
        canary = self._canary(SESSION, person, 0)
        self._check(person, None, await self._memory.update_session(f"person {person}", {"secret": canary}))

    async def _say_nonsense(self, person: int, _room: int | None) -> None:
        """Hand in what is refused: the refusal quotes nothing."""
        canary = self._canary(DIRECT, person, 0)
        naive = datetime(2026, 1, 1)  # noqa: DTZ001  without a time zone
        result = await self._memory.store(f"person {person}", canary, created_at=naive, metadata={"nan": float("nan")})
        self._check(self._someone(), None, repr(result))
        await self._memory.project_memory.create_project(canary * 20, canary, f"person {person}")

    # What people ask

    async def _recall(self, person: int, room: int | None) -> None:
        context = await self._memory.get_context(
            f"person {person}", self._question(), channel_id=_channel(person, room), audience=_audience(room)
        )
        self._check(person, room, context, context.to_prompt_string())
        if self._dice.random() < 0.2 and room is None:
            await self._memory.note_reply(f"person {person}", "reply", context.memories)

    async def _recall_in_group(self, person: int, room: int | None) -> None:
        mentioned = self._dice.random() < 0.5
        context = await self._memory.get_group_context(
            self._question(), f"person {person}", _channel(person, room), mentioned=mentioned, audience=_audience(room)
        )
        if context is not None:
            self._check(person, room, context, context.to_prompt_string())

    async def _search(self, person: int, room: int | None) -> None:
        team = self._dice.choice([None, f"team {person // TEAM_SIZE}", f"team {self._someone() // TEAM_SIZE}"])
        found = await self._memory.search(
            f"person {person}", self._question(), team, channel_id=_channel(person, room), audience=_audience(room)
        )
        self._check(person, room, found)

    async def _list(self, person: int, room: int | None) -> None:
        self._check(person, room, await self._memory.list_memories(f"person {person}", audience=_audience(room)))

    async def _look_at_identity(self, person: int, room: int | None) -> None:
        identity = await self._memory.get_identity(f"person {person}", audience=_audience(room))
        self._check(person, room, identity)
        self._check(person, None, await self._memory.get_profile(f"person {person}"))

    async def _ask_a_team(self, person: int, room: int | None) -> None:
        team = self._dice.choice([person, self._someone()]) // TEAM_SIZE
        try:
            context = await self._memory.project_memory.get_project_context(
                f"team {team}",
                self._question(),
                user_id=f"person {person}",
                channel_id=_channel(person, room),
                audience=_audience(room),
            )
        except NotFoundError:
            pass
        else:
            self._check(person, room, context)
        found = await self._memory.project_memory.search(f"team {team}", self._question(), user_id=f"person {person}")
        self._check(person, None, found)

    async def _ask_why(self, person: int, _room: int | None) -> None:
        self._check(person, None, await self._memory.explain_reply(f"person {person}"))

    async def _export(self, person: int, _room: int | None) -> None:
        self._check(person, None, repr(await self._memory.export(f"person {person}")))

    async def _take_anothers(self, person: int, _room: int | None) -> None:
        if self._ids:
            _, memory_id = self._dice.choice(self._ids)
            self._check(person, None, await self._memory.get(f"person {person}", memory_id))

    # What people change

    async def _forget(self, person: int, _room: int | None) -> None:
        mine = [memory_id for owner, memory_id in self._ids[-500:] if owner == person]
        if mine:
            receipt = await self._memory.forget(f"person {person}", [self._dice.choice(mine)])
            self._check(person, None, receipt)

    async def _keep_private(self, person: int, _room: int | None) -> None:
        mine = [memory_id for owner, memory_id in self._ids[-500:] if owner == person]
        if mine:
            await self._memory.set_audience(f"person {person}", self._dice.choice(mine), Audience.owner())

    async def _change_a_wish(self, person: int, _room: int | None) -> None:
        keeps_private = self._dice.random() < 0.2
        wishes = await self._memory.change_preferences(f"person {person}", keeps_private=keeps_private)
        self._check(person, None, wishes)

    _works: tuple[tuple[Callable[["Hunt", int, int | None], Awaitable[None]], int], ...] = (
        (_say, 22),
        (_share, 3),
        (_store_many, 1),
        (_learn, 3),
        (_talk, 4),
        (_say_nonsense, 2),
        (_recall, 22),
        (_recall_in_group, 8),
        (_search, 10),
        (_list, 4),
        (_look_at_identity, 5),
        (_ask_a_team, 8),
        (_ask_why, 3),
        (_export, 1),
        (_take_anothers, 2),
        (_forget, 2),
        (_keep_private, 1),
        (_change_a_wish, 1),
    )

    # The prompts

    async def prompt(self, prompts: int) -> set[Canary]:
        """Return what was told in private and stands in that many prompts of server channels."""
        numbers, spilt = iter(range(prompts)), set[Canary]()

        async def write() -> None:
            for _ in numbers:
                person, room = self._someone(), self._any_room()
                contexts: list[MemoryContext] = []
                if self._dice.random() < 0.3:
                    await self._memory.hear(self._message(person, room), contexts.append)
                else:
                    contexts.append(
                        await self._memory.get_context(
                            f"person {person}",
                            self._question(),
                            channel_id=_channel(person, room),
                            audience=_audience(room),
                        )
                    )
                [context] = contexts
                prompt = context.to_prompt_string()
                self._check(person, room, prompt)
                spilt.update(canary for canary in Canary.found_in(prompt) if canary.is_private)

        async with asyncio.TaskGroup() as group:
            for _ in range(16):
                group.create_task(write())
        return spilt

    # Dice

    def _someone(self) -> int:
        return self._dice.randrange(self._people)

    def _canary(self, kind: str, person: int, where: int) -> str:
        canary = f"zq{kind}{person:03d}w{where}n{next(self._serial)}z"
        if len(self._told) < 20_000:
            self._told.append(canary)
        return canary

    def _question(self) -> str:
        """Ask for anybody's canary, or for what many speak of."""
        if self._told and self._dice.random() < 0.5:
            return f"What is called {self._dice.choice(self._told)}"
        return f"What is the {self._dice.choice(_SUBJECTS)} called"


def _channel(person: int, room: int | None) -> str:
    return f"dm {person}" if room is None else f"room {room}"


def _audience(room: int | None) -> Audience:
    """Everybody reads the open room, and few people any other."""
    return Audience.owner() if room is None else Audience.channel(1, room, also_readable={OPEN} - {room})


@pytest.fixture
async def hunting_ground(memory_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    """A memory that waits, where others would rather go without: what isn't recalled hides no leak."""
    patient = memory_config.model_copy(
        update={
            "postgres": memory_config.postgres.model_copy(update={"acquire_timeout_seconds": 60.0}),
            "redis": memory_config.redis.model_copy(update={"timeout_seconds": 10.0}),
            "retrieval": memory_config.retrieval.model_copy(update={"deadline_seconds": 60.0}),
        }
    )
    async with MemoryManager(patient, embedder=ScatteringEmbedder()) as memory:
        yield memory


async def hunt(memory: MemoryManager, operations: int, *, people: int) -> tuple[Tally, set[Canary], Ear]:
    """Let people loose, and tell what they met."""
    number = choose_seed()
    hunt = Hunt(memory, random.Random(number), people)
    with listening() as ear:
        await hunt.prepare()
        began = time.perf_counter()
        await hunt.run(operations)
        took = time.perf_counter() - began
        await memory.flush()
        spilt = await hunt.prompt(operations // 10)
    tally = hunt.tally
    tell(
        f"canaries: seed {number}; {people} people; "
        f"{tally.operations} operations in {took:.0f} s ({tally.operations / took:.0f}/s), "
        f"{tally.cancelled} cancelled, refused {dict(tally.refused)}; {tally.canaries} canaries met, "
        f"{len(tally.foreign)} foreign; {operations // 10} server prompts, {len(spilt)} private canaries in them; "
        f"{ear.records} log records, {len(ear.heard)} canaries in them"
    )
    return tally, spilt, ear


async def check(memory: MemoryManager, operations: int, *, people: int) -> None:
    tally, spilt, ear = await hunt(memory, operations, people=people)
    assert tally.operations == operations
    assert tally.cancelled >= operations // 50
    assert tally.canaries > operations
    assert not tally.strange
    assert not tally.foreign
    assert not spilt
    assert not ear.heard


async def test_nobody_meets_anothers_canary(hunting_ground: MemoryManager):
    await check(hunting_ground, 600, people=40)


@pytest.mark.slow
async def test_nobody_meets_anothers_canary_in_fifty_thousand_operations(hunting_ground: MemoryManager):
    await check(hunting_ground, 50_000, people=200)


async def test_a_hunt_without_walls_finds_many(hunting_ground: MemoryManager, monkeypatch: pytest.MonkeyPatch):
    take_down_first_wall(monkeypatch)
    take_down_second_wall(monkeypatch)
    tally, spilt, _ = await hunt(hunting_ground, 150, people=20)
    assert len({met.canary for met in tally.foreign if not met.canary.concerns(met.person)}) > 20
    assert spilt


async def test_the_second_wall_alone_keeps_people_apart(hunting_ground: MemoryManager, monkeypatch: pytest.MonkeyPatch):
    """It knows nothing of places, but whose a memory is and who belongs to a project."""
    take_down_first_wall(monkeypatch)
    tally, spilt, _ = await hunt(hunting_ground, 150, people=20)
    assert tally.foreign
    assert spilt
    assert all(met.canary.concerns(met.person) for met in tally.foreign)
