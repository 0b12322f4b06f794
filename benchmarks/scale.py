"""Does recall stay as fast, and find as much, while the tables and single owners grow?

One database grows from ten thousand memories to a million; they are loaded straight into the tables and searched as a
bot does. At each size owners of 600 memories are asked, whose rows lie scattered among those of others: each once, when
the server has to read their rows from files, and then often. Two calls that don't depend on the tables are taken in
turn with them: they tell how much the machine has changed meanwhile. In the largest tables owners of 100, 10,000 and
100,000 memories are asked as well.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import asyncpg

from benchmarks import _cortex
from benchmarks._bulk import connect, measure_sizes, read_sql
from benchmarks._corpora import Question, Turn, load_locomo
from benchmarks._crowd import Crowd, Phrases, Questions
from benchmarks._growth import USUAL, Growth, Table
from benchmarks._mem0_peer import MISSING, NOTE, Mem0, open_if_installed
from benchmarks._report import Direction, Distribution, Figures, Report, Target, describe_machine, read_load
from benchmarks._row_security import measure_row_security
from benchmarks._sentences import Sentences
from cortex_core import Audience, Memory, MemoryManager
from cortex_core.models import utc_now
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.candidates import Inquiry
from cortex_core.stores.postgres.scope import Scope
from cortex_core.stores.postgres.store import PendingWrite

_SEED = 20
_WARM_UP = 10
_SEARCH_LIMIT = 20

_Call = Callable[[], Awaitable[float]]
"""Does something and returns how many seconds it took."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        tables: The sizes that the tables grow to.
        usual: Memories of an owner who is asked at each size.
        others: Owners with a size of their own in the largest tables.
        phrases: Different sentences, and as many asides, that memories are made of.
        repetitions: Of each search and each write.
        inquiries: Of each kind of owner, to compare candidates and the cost of row-level security.
    """

    tables: Mapping[str, Table]
    usual: int
    others: Mapping[str, int]
    phrases: int
    repetitions: int
    inquiries: int


FULL = Scale(
    tables={"small": Table(10_000, 100), "medium": Table(100_000, 1_000), "large": Table(1_000_000, 10_000)},
    usual=600,
    others={"tiny": 100, "big": 10_000, "huge": 100_000},
    phrases=4_000,
    repetitions=300,
    inquiries=60,
)
QUICK = Scale(
    tables={"small": Table(2_000, 50), "medium": Table(5_000, 100), "large": Table(10_000, 150)},
    usual=60,
    others={"tiny": 10, "big": 1_000, "huge": 3_000},
    phrases=150,
    repetitions=10,
    inquiries=10,
)


async def run(*, quick: bool = False, locomo: Path | None = None) -> Report:
    """Measure and report.

    Args:
        quick: Small tables, to see that the benchmark itself works; its figures mean little.
        locomo: LoCoMo's locomo10.json, whose turns are then half of the sentences, and whose questions are asked too.
    """
    scale = QUICK if quick else FULL
    load_before = read_load()
    conversations = load_locomo(locomo) if locomo else []
    turns = [turn.text for conversation in conversations for turn in conversation.turns]
    questions = Questions([asked.text for each in conversations for asked in each.questions], seed=_SEED)
    growth: Figures = {}
    distributions: dict[str, Distribution] = {}
    async with (
        _cortex.open_memory() as (folder, config, memory),
        connect(config.postgres.url) as postgres,
        open_if_installed(folder / "mem0") as mem0,
    ):
        crowd = await Crowd.gather(memory, real=turns, phrases=scale.phrases, seed=_SEED)
        database = Growth(memory, postgres, crowd, usual=scale.usual, others=scale.others)
        bench = _Bench(scale, memory, postgres, database, questions)
        for name, table in scale.tables.items():
            growth[name] = await database.grow(table, is_last=table == list(scale.tables.values())[-1])
            distributions |= await bench.search_table(name)
        if mem0:
            await mem0.add(USUAL, [_to_turn(crowd.say()) for _ in range(scale.usual)])
        distributions |= await bench.search_owners(mem0)
        distributions |= await bench.write()
        inquiries = {kind: await bench.inquire(kind) for kind in (USUAL, *scale.others)}
        candidates = {kind: await bench.compare_candidates(asked) for kind, asked in inquiries.items()}
        sizes = await measure_sizes(postgres)
        security = await measure_row_security(memory, config.postgres, inquiries)
    ratios = _compare(distributions, scale.others)
    return Report(
        name="scale",
        machine=describe_machine(load_before=load_before),
        parameters={
            **{f"rows_{name}_table": table.rows for name, table in scale.tables.items()},
            f"memories_{USUAL}_owner": scale.usual,
            **{f"memories_{kind}_owner": memories for kind, memories in scale.others.items()},
        },
        distributions=distributions,
        tables={
            "growth": growth,
            "candidates": candidates,
            "row-level security": security,
            "disk": {name: {"MB": megabytes} for name, megabytes in sizes.items()},
        },
        ratios=ratios,
        targets=_check(ratios, candidates),
        notes=(
            "floor_…: one embedding alone, one bare indexed query. A search embeds its question.",
            "recall: which share of an owner's exact ten nearest is among the candidates that the vector alone brings.",
            "row-level security: finding candidates bare, in a transaction that names the owner, and under policies.",
            NOTE if mem0 else MISSING,
        ),
    )


def _compare(distributions: Mapping[str, Distribution], others: Mapping[str, int]) -> dict[str, float]:
    usual = distributions[f"search_{USUAL}_owner"]
    ratios = {
        f"{what}_p95_large_over_small_table": distributions[f"{what}_large_table"].p95_ms
        / distributions[f"{what}_small_table"].p95_ms
        for what in ("search", "floor_embedding", "floor_query")
    }
    first, small = distributions["first_search_large_table"], distributions["search_small_table"]
    ratios["first_search_p95_large_over_search_p95_small_table"] = first.p95_ms / small.p95_ms
    for kind in others:
        taken = distributions[f"search_{kind}_owner"]
        ratios[f"search_p50_{kind}_over_{USUAL}_owner"] = taken.p50_ms / usual.p50_ms
        ratios[f"search_p95_{kind}_over_{USUAL}_owner"] = taken.p95_ms / usual.p95_ms
    if mem0 := distributions.get("mem0_search"):
        ratios["search_p50_large_table_over_mem0"] = usual.p50_ms / mem0.p50_ms
        ratios["search_p95_large_table_over_mem0"] = usual.p95_ms / mem0.p95_ms
    return ratios


def _check(ratios: Mapping[str, float], candidates: Figures) -> tuple[Target, ...]:
    promised = {
        "search_p95_large_over_small_table": 1.3,
        f"search_p95_big_over_{USUAL}_owner": 2.0,
        f"search_p95_huge_over_{USUAL}_owner": 2.0,
        "search_p50_large_table_over_mem0": 0.6,
        "search_p95_large_table_over_mem0": 0.6,
    }
    return (
        *(Target(name, limit, ratios[name]) for name, limit in promised.items() if name in ratios),
        *(
            Target(f"pooled_recall_{kind}_owner", 0.95, candidates[kind]["recall"], Direction.AT_LEAST)
            for kind in ("big", "huge")
        ),
    )


class _Bench:
    """The measurements."""

    def __init__(
        self,
        scale: Scale,
        memory: MemoryManager,
        postgres: asyncpg.Connection,
        database: Growth,
        questions: Questions,
    ) -> None:
        self._scale = scale
        self._memory = memory
        self._postgres = postgres
        self._database = database
        self._questions = questions

    async def search_table(self, name: str) -> dict[str, Distribution]:
        """Measure each usual owner's first search, then more of them in turn with what doesn't depend on the tables."""
        first = [await self._search(owner) for owner in self._database.asked]
        calls: dict[str, _Call] = {
            f"floor_embedding_{name}_table": self._embed,
            f"floor_query_{name}_table": self._read_by_index,
            f"search_{name}_table": partial(self._search_kind, USUAL),
        }
        taken = await _take_turns(calls, self._scale.repetitions)
        return {f"first_search_{name}_table": Distribution.of(first), **taken}

    async def search_owners(self, mem0: Mem0 | None) -> dict[str, Distribution]:
        """Measure searches of owners of all kinds, and mem0's with the memories of a usual owner, in turn."""
        kinds = (USUAL, *self._scale.others)
        calls: dict[str, _Call] = {f"search_{kind}_owner": partial(self._search_kind, kind) for kind in kinds}
        if mem0:
            calls["mem0_search"] = partial(self._search_mem0, mem0)
        return await _take_turns(calls, self._scale.repetitions)

    async def inquire(self, kind: str) -> list[Inquiry]:
        """Return questions to owners of a kind, as the store gets them."""
        texts = [self._questions.ask() for _ in range(self._scale.inquiries)]
        scopes = [Scope.own(self._database.pick(kind), Audience.owner()) for _ in texts]
        vectors = [await self._memory.embedder.embed(text) for text in texts]
        return [Inquiry(*asked) for asked in zip(scopes, texts, vectors, strict=True)]

    async def compare_candidates(self, inquiries: list[Inquiry]) -> dict[str, float]:
        """Compare the candidates of questions with the memories that are nearest to them."""
        vectors, search = self._memory.postgres.vectors, self._memory.postgres.candidates
        shares: list[float] = []
        counts: list[int] = []
        for inquiry in inquiries:
            vector = vectors.accept(inquiry.vector)
            rows = await self._postgres.fetch(read_sql("list_nearest"), inquiry.scope.person, vector, vectors.model_id)
            nearest = {row["id"] for row in rows}
            found = {candidate.id for candidate in await search.find(replace(inquiry, text=""))}
            shares.append(len(nearest & found) / len(nearest))
            counts.append(len(await search.find(inquiry)))
        return {
            "memories": self._database.count(inquiries[0].scope.person),
            "recall": sum(shares) / len(shares),
            "candidates": sum(counts) / len(counts),
        }

    async def write(self) -> dict[str, Distribution]:
        """Measure how long the store takes to write one memory whose vector is there."""
        sentences = Sentences(_SEED)
        texts = [sentences.statement() for _ in range(self._scale.repetitions)]
        read = await Phrases.read(self._memory.embedder, texts)
        taken: list[float] = []
        for text, vector, signs in zip(read.texts, read.vectors, read.signs, strict=True):
            memory = Memory(user_id=self._database.pick(USUAL), content=text, channel_id="1")
            pending = PendingWrite(memory, vector, signs)
            taken.append(await _time(self._memory.postgres.write([pending])))
        return {"write": Distribution.of(taken)}

    async def _search_kind(self, kind: str) -> float:
        return await self._search(self._database.pick(kind))

    async def _search(self, owner: str) -> float:
        return await _time(self._memory.search(owner, self._questions.ask(), limit=_SEARCH_LIMIT))

    async def _search_mem0(self, mem0: Mem0) -> float:
        question = Question(self._questions.ask(), kind="asked", evidence=frozenset(), asked_at=utc_now())
        return (await mem0.search(USUAL, question, limit=_SEARCH_LIMIT)).seconds

    async def _embed(self) -> float:
        return await _time(self._memory.embedder.embed(self._questions.ask()))

    async def _read_by_index(self) -> float:
        scope = Scope.own(self._database.pick(USUAL), Audience.owner())
        everything = (None,) * 4
        statement = scope.limit(load_queries("memories")["list"])
        return await _time(self._postgres.fetch(statement, *scope.arguments, *everything, _SEARCH_LIMIT, 0))


def _to_turn(text: str) -> Turn:
    return Turn(id="", at=utc_now(), speaker="Robin", channel="1", text=text)


async def _time(call: Awaitable[object]) -> float:
    """Return how many seconds a call takes."""
    began = time.perf_counter()
    await call
    return time.perf_counter() - began


async def _take_turns(calls: Mapping[str, _Call], repetitions: int) -> dict[str, Distribution]:
    """Measure calls in turn, after a few rounds that warm up and don't count."""
    rounds = [[await call() for call in calls.values()] for _ in range(_WARM_UP + repetitions)]
    columns = zip(*rounds[_WARM_UP:], strict=True)
    return {name: Distribution.of(seconds) for name, seconds in zip(calls, columns, strict=True)}
