"""How long people wait for Cortex, and how long their words take to reach Postgres.

Everything runs in one process against the real embedded servers, as in a bot. Reading stands beside the floor of the
same run: the bare Redis pipeline, embedding and indexed query that no design of a turn could do without. Searches and
turns stand beside mem0's, which holds as many memories as one owner. All of it is measured in turn, so that a neighbour
who takes the processor for a second takes it from all of them.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from pathlib import Path

import asyncpg
import redis.asyncio as redis

from benchmarks import _cortex
from benchmarks._corpora import Question, Turn
from benchmarks._mem0_peer import MISSING, NOTE, Mem0, open_if_installed
from benchmarks._report import Distribution, Report, Target, describe_machine, read_load
from benchmarks._sentences import Sentences
from cortex_core import (
    Audience,
    CortexError,
    IncomingMessage,
    LocalEmbedder,
    MemoryConfig,
    MemoryManager,
    NewMemory,
    RejectionPipeline,
)
from cortex_core.models import utc_now
from cortex_core.sql import load_queries
from cortex_core.stores.keys import UserKeys
from cortex_core.stores.postgres.scope import Scope

_SEED = 20
_DAYS = 90  # that the memories of an owner spread over
_NEW = 20  # of them from the last minutes, as in the midst of a conversation: these are in working memory
_SEARCH_LIMIT = 20
_TURN_PAUSE = 0.02  # between turns, whose writing goes on after they are answered
_ARRIVAL_SECONDS = 30.0
_CHAT = ("ok", "Good morning!", "thanks", "lol", "…", "What did I say about the trip to Lisbon?", "是", "a" * 2000)
_WATCH_COMMITS = Path(__file__).with_name("watch_commits.sql").read_text("utf-8")

_OVER_MEM0 = {"search_over_mem0": 0.6, "search_p95_over_mem0": 0.6, "turn_over_mem0": 0.4}
"""How much of mem0's time is promised to be enough."""

_Arrivals = defaultdict[str, asyncio.Future[float]]
Clock = time.perf_counter


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    owners: int
    memories_each: int
    repetitions: int
    writes_per_second: int
    write_seconds: int


FULL = Scale(owners=20, memories_each=600, repetitions=300, writes_per_second=50, write_seconds=20)
QUICK = Scale(owners=4, memories_each=30, repetitions=15, writes_per_second=50, write_seconds=1)


async def run(*, quick: bool = False) -> Report:
    """Measure and report.

    Args:
        quick: A few seconds, to see that the benchmark itself works; its figures mean little.
    """
    scale = QUICK if quick else FULL
    load_before = read_load()
    async with _cortex.open_memory() as (folder, config, memory), open_if_installed(folder / "mem0") as mem0:
        bench = _Bench(scale, memory, mem0, Sentences(_SEED))
        filled = await bench.fill()
        async with _open_floor(config) as floor:
            distributions = await bench.read(floor)
        distributions["why_reject"] = bench.reject()
        distributions |= await bench.hear()
        distributions |= await bench.write(config.postgres.url)
    floor_ms = sum(distributions[part].p50_ms for part in ("floor_redis", "floor_embedding", "floor_postgres"))
    over_floor = distributions["get_context_query"].p50_ms / floor_ms
    over_mem0 = _compare(distributions) if mem0 else {}
    return Report(
        name="latency",
        machine=describe_machine(load_before=load_before),
        parameters={
            "owners": scale.owners,
            "memories_each": scale.memories_each,
            "writes_per_second": scale.writes_per_second,
            "write_seconds": scale.write_seconds,
        },
        distributions=distributions,
        ratios={
            "get_context_p50_over_floor": over_floor,
            "ingest_ms_per_memory": filled * 1000 / (scale.owners * scale.memories_each),
            **over_mem0,
        },
        targets=(
            Target("store_ack_p95_ms", 50.0, distributions["store_ack"].p95_ms),
            Target("visible_in_postgres_p99_ms", 100.0, distributions["visible_in_postgres"].p99_ms),
            Target("get_context_query_p95_ms", 100.0, distributions["get_context_query"].p95_ms),
            Target("why_reject_p99_ms", 1.0, distributions["why_reject"].p99_ms),
            Target("get_context_p50_over_floor", 1.5, over_floor),
            *(Target(name, _OVER_MEM0[name], over) for name, over in over_mem0.items()),
        ),
        notes=(
            "store_ack and visible_in_postgres count from when a write was due, done or not the one before it.",
            "why_reject judges chat of 1 to 2,000 characters. A floor is one bare call to that part.",
            NOTE if mem0 else MISSING,
        ),
    )


def _compare(distributions: Mapping[str, Distribution]) -> dict[str, float]:
    search, mem0_search = distributions["search"], distributions["mem0_search"]
    return {
        "search_over_mem0": search.p50_ms / mem0_search.p50_ms,
        "search_p95_over_mem0": search.p95_ms / mem0_search.p95_ms,
        "turn_over_mem0": distributions["hear"].p50_ms / distributions["mem0_turn"].p50_ms,
    }


class _Bench:
    """The measurements, in the order in which they leave each other undisturbed."""

    def __init__(self, scale: Scale, memory: MemoryManager, mem0: Mem0 | None, sentences: Sentences) -> None:
        self._scale = scale
        self._memory = memory
        self._mem0 = mem0
        self._sentences = sentences
        self._owners = [f"member-{number}" for number in range(scale.owners)]

    async def fill(self) -> float:
        """Give every owner memories and return how long that took until the last had its vector."""
        began = Clock()
        for owner in self._owners:
            await self._memory.store_many(owner, [self._past(place) for place in range(self._scale.memories_each)])
        await self._memory.flush()
        taken = Clock() - began
        if self._mem0:
            await self._mem0.add(self._owners[0], [self._turn() for _ in range(self._scale.memories_each)])
        return taken

    def _past(self, place: int) -> NewMemory:
        older = self._scale.memories_each - place
        ago = timedelta(seconds=older) if older <= _NEW else timedelta(days=_DAYS * older / self._scale.memories_each)
        return NewMemory(content=self._sentences.statement(), channel_id="1", created_at=utc_now() - ago)

    async def read(self, floor: "_Floor") -> dict[str, Distribution]:
        """Measure reading, the floor and mem0's search, in turn."""
        memory, ask = self._memory, self._sentences.question
        calls: dict[str, Callable[[str], Awaitable[object]]] = {
            "floor_redis": floor.read_redis,
            "floor_embedding": lambda _: floor.embed(ask()),
            "floor_postgres": floor.read_postgres,
            "get_context_query": lambda owner: memory.get_context(owner, ask()),
            "get_context": memory.get_context,
            "search": lambda owner: memory.search(owner, ask(), limit=_SEARCH_LIMIT),
        }
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for owner in self._draw_owners(self._scale.repetitions):
            for name, call in calls.items():
                began = Clock()
                await call(owner)
                taken[name].append(Clock() - began)
            if self._mem0:
                found = await self._mem0.search(self._owners[0], self._question(), limit=_SEARCH_LIMIT)
                taken.setdefault("mem0_search", []).append(found.seconds)
        return {name: Distribution.of(seconds) for name, seconds in taken.items()}

    def reject(self) -> Distribution:
        """Measure the decision that a message needs no recall."""
        rejection = RejectionPipeline()
        taken: list[float] = []
        for _ in range(self._scale.repetitions):
            for text in (*_CHAT, self._sentences.statement()):
                began = Clock()
                rejection.why_reject(text)
                taken.append(Clock() - began)
        return Distribution.of(taken)

    async def hear(self) -> dict[str, Distribution]:
        """Measure whole turns, recall and acknowledged storing of one message, and those of mem0, in turn."""
        taken: dict[str, list[float]] = {"hear": []}
        for number, owner in enumerate(self._draw_owners(self._scale.repetitions)):
            message = IncomingMessage(
                user_id=owner,
                text=self._sentences.statement(),
                source_id=f"turn-{number}",
                channel_id="1",
                created_at=utc_now(),
                author_name="Member",
            )
            began = Clock()
            await self._memory.hear(message)
            taken["hear"].append(Clock() - began)
            await asyncio.sleep(_TURN_PAUSE)
            if self._mem0:
                await self._memory.flush()  # so that Cortex's writing takes nothing from mem0
                turn = await self._mem0.hear(self._owners[0], self._turn(), limit=_SEARCH_LIMIT)
                taken.setdefault("mem0_turn", []).append(turn)
        await self._memory.flush()
        return {name: Distribution.of(seconds) for name, seconds in taken.items()}

    async def write(self, postgres_url: str) -> dict[str, Distribution]:
        """Offer writes at a steady rate and measure until they are acknowledged and until they can be read."""
        acknowledged: list[float] = []
        visible: list[float] = []
        count = self._scale.writes_per_second * self._scale.write_seconds

        async def store(owner: str, due: float, arrivals: _Arrivals) -> None:
            result = await self._memory.store(owner, self._sentences.statement(), channel_id="1")
            acknowledged.append(Clock() - due)
            if result.memory_id is None:
                raise CortexError(f"A measured write failed: {result.error}")
            visible.append(await arrivals[result.memory_id] - due)

        async with (
            _watch_commits(postgres_url) as arrivals,
            asyncio.timeout(self._scale.write_seconds + _ARRIVAL_SECONDS),
            asyncio.TaskGroup() as writes,
        ):
            start = Clock()
            for number, owner in zip(range(count), cycle(self._owners), strict=False):
                due = start + number / self._scale.writes_per_second
                await asyncio.sleep(due - Clock())
                writes.create_task(store(owner, due, arrivals))
        return {"store_ack": Distribution.of(acknowledged), "visible_in_postgres": Distribution.of(visible)}

    def _turn(self) -> Turn:
        return Turn(id="", at=utc_now(), speaker="Member", channel="1", text=self._sentences.statement())

    def _question(self) -> Question:
        return Question(self._sentences.question(), kind="asked", evidence=frozenset(), asked_at=utc_now())

    def _draw_owners(self, count: int) -> Iterator[str]:
        draw = random.Random(_SEED)  # noqa: S311  the same owners in every run, not a secret
        return (draw.choice(self._owners) for _ in range(count))


@dataclass(frozen=True, slots=True)
class _Floor:
    """The parts of a turn without Cortex around them."""

    redis: redis.Redis
    postgres: asyncpg.Connection
    embedder: LocalEmbedder

    async def read_redis(self, owner: str) -> None:
        keys = UserKeys(owner)
        async with self.redis.pipeline(transaction=False) as pipe:
            for key in (keys.identity, keys.session, keys.payloads):
                pipe.hgetall(key)
            await pipe.execute()

    async def embed(self, text: str) -> None:
        await self.embedder.embed(text)

    async def read_postgres(self, owner: str) -> None:
        """Fetch as many of the owner's memories as a context may recall, by an index."""
        scope, everything = Scope.own(owner, Audience.owner()), (None,) * 4
        await self.postgres.fetch(scope.limit(load_queries("memories")["list"]), *scope.arguments, *everything, 20, 0)


@asynccontextmanager
async def _open_floor(config: MemoryConfig) -> AsyncIterator[_Floor]:
    embedder = await LocalEmbedder.open(threads=config.embedding.threads)
    postgres = await asyncpg.connect(config.postgres.url)
    try:
        async with redis.Redis.from_url(config.redis.url) as client:
            yield _Floor(client, postgres, embedder)
    finally:
        await postgres.close()
        await embedder.close()


@asynccontextmanager
async def _watch_commits(postgres_url: str) -> AsyncIterator[_Arrivals]:
    """Yield, by a memory's id, the time from which its row can be read."""
    arrivals: _Arrivals = defaultdict(asyncio.get_running_loop().create_future)

    def note(_connection: object, _process: object, _channel: object, memory_id: object) -> None:
        arrivals[str(memory_id)].set_result(Clock())

    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute(_WATCH_COMMITS)
        await connection.add_listener("benchmark", note)
        yield arrivals
    finally:
        await connection.close()
