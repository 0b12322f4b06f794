"""What recall finds behind the second wall, in a crowd: the nearest memories of somebody who has one in a thousand.

ISOLATION_SEED repeats a run.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from unittest.mock import patch

import asyncpg
import numpy as np
import pytest
from pgvector import HalfVector
from pgvector.asyncpg import register_vector

from cortex_core import Audience, MemoryConfig, MemoryManager
from cortex_core.models import Vector
from cortex_core.stores.postgres import candidates, large_owners
from cortex_core.stores.postgres.candidates import Inquiry
from cortex_core.stores.postgres.scope import Scope
from tests.isolation.walls import ScatteringEmbedder, choose_seed, tell

BEST = 10
SHARE = 0.001
CHANNELS = 4
FILL = """
INSERT INTO memories (
    user_id, id, audience, memory_type, content, content_hash, emotional_score, importance, confidence, created_at,
    valid_from, source, embedding, embedding_model_id
)
SELECT
    CASE WHEN n <= $2 THEN 'person ' || n % $3 ELSE 'other ' || n % 97 END,
    gen_random_uuid(),
    'channel:1:' || n / $3 % $4,
    'episodic', 'note ' || n, '', 0, 0, 1, now() - n * interval '1 second', now(), 'conversation',
    (SELECT array_agg(random_normal()) FROM generate_series(1, $5 + n * 0))::real[]::vector::halfvec,  -- one for each n
    $6
FROM generate_series(1, $1) AS n
"""
NEAREST = """
SELECT id FROM memories
WHERE user_id = $1 AND ($2::text[] IS NULL OR audience = ANY ($2))
ORDER BY (embedding <=> $3) + 0 LIMIT $4
"""
NEAREST_IN_INDEX = "SELECT id FROM memories ORDER BY embedding::halfvec({}) <=> $1 LIMIT $2"


@dataclass
class Crowd:
    """Some people with few memories among many of others."""

    memory: MemoryManager
    connection: asyncpg.Connection
    people: list[str]
    dice: np.random.Generator

    async def nearest(self, person: str, heard: list[str] | None, vector: Vector) -> set:
        """Return the exact best, past all walls."""
        rows = await self.connection.fetch(NEAREST, person, heard, HalfVector(vector), BEST)
        return {row["id"] for row in rows}

    async def find(self, scope: Scope, vector: Vector) -> set:
        return {c.id for c in await self.memory.postgres.candidates.find(Inquiry(scope, "nothing", vector))}

    async def measure(self, audience: Audience, *, questions: int) -> float:
        """Return the share of the exact best that the store finds."""
        wanted = found = 0
        for number in range(questions):
            vector = self.dice.normal(size=ScatteringEmbedder.dimensions).astype(np.float32)
            vector /= np.linalg.norm(vector)
            person = self.people[number % len(self.people)]
            scope = Scope.own(person, audience)
            best = await self.nearest(person, scope.places, vector)
            wanted += len(best)
            found += len(best & await self.find(scope, vector))
        return found / wanted


async def fill(memory: MemoryManager, connection: asyncpg.Connection, memories: int, number: int) -> Crowd:
    people = 5
    each = round(memories * SHARE)
    await connection.execute("SELECT setseed($1)", number / 2**31)
    arguments = (memories, people * each, people, CHANNELS, ScatteringEmbedder.dimensions)
    await connection.execute(FILL, *arguments, memory.postgres.vectors.model_id)
    await connection.execute("ANALYZE memories")
    return Crowd(memory, connection, [f"person {n}" for n in range(people)], np.random.default_rng(number))


@pytest.fixture
async def connection(memory_config: MemoryConfig) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(memory_config.postgres.url)
    await register_vector(connection)
    yield connection
    await connection.close()


@pytest.fixture
async def crowded(memory_config: MemoryConfig) -> AsyncIterator[MemoryManager]:
    """A memory whose own statements may take longer than a bot would wait."""
    slow = memory_config.postgres.model_copy(update={"statement_timeout_seconds": 300.0})
    config = memory_config.model_copy(update={"postgres": slow})
    async with MemoryManager(config, embedder=ScatteringEmbedder()) as memory:
        yield memory


async def check(crowd: Crowd, memories: int, number: int, *, questions: int) -> None:
    """Measure each statement, in private and before a narrow audience."""
    heard = {"all": Audience.owner(), "one channel": Audience.channel(1, 2)}
    sizes = crowd.memory.postgres.large_owners
    shares: dict[str, float] = {}
    for statement, (many, most) in {"few": (3_000, 30_000), "many": (1, 30_000), "most": (1, 1)}.items():
        with (
            patch.object(candidates, "MANY", many),
            patch.object(large_owners, "MANY", many),
            patch.object(large_owners, "MOST", most),
            patch.object(large_owners, "_TOO_FEW_FOR_AN_INDEX", 1),
        ):
            if statement == "most":
                for person in crowd.people:
                    await sizes._make_index(crowd.connection, person)
            sizes._sizes.clear()
            for place, audience in heard.items():
                shares[f"{statement}, {place}"] = await crowd.measure(audience, questions=questions)
    listed = "; ".join(f"{name} {share:.1%}" for name, share in shares.items())
    tell(f"row security: seed {number}, {SHARE:.1%} of {memories:,}: of the exact {BEST} best found: {listed}")
    assert min(shares.values()) >= 0.95


async def measure_scan(crowd: Crowd, *, scan: str, questions: int) -> float:
    """Return what a plain search behind the wall finds if it has to use one index of everybody's vectors."""
    found = wanted = 0
    await crowd.connection.execute(f"SET hnsw.iterative_scan = '{scan}'")
    for name in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
        await crowd.connection.execute(f"SET {name} = off")
    for number in range(questions):
        vector = crowd.dice.normal(size=ScatteringEmbedder.dimensions).astype(np.float32)
        person = crowd.people[number % len(crowd.people)]
        best = await crowd.nearest(person, None, vector)
        async with crowd.connection.transaction(readonly=True):
            await crowd.connection.execute(
                "SELECT set_config('role', 'cortex_reader', true), set_config('cortex.actor', $1, true)", person
            )
            rows = await crowd.connection.fetch(
                NEAREST_IN_INDEX.format(ScatteringEmbedder.dimensions),
                HalfVector(vector),
                BEST,
            )
        wanted += len(best)
        found += len(best & {row["id"] for row in rows})
    return found / wanted


async def check_control(crowd: Crowd, memories: int) -> None:
    """A scan that doesn't go on where policies take what it found finds next to nothing."""
    await crowd.connection.execute("SET maintenance_work_mem = '256MB'")
    await crowd.connection.execute(
        f"CREATE INDEX everybodys ON memories USING hnsw ((embedding::halfvec({ScatteringEmbedder.dimensions})) "
        "halfvec_cosine_ops)"
    )
    off = await measure_scan(crowd, scan="off", questions=20)
    on = await measure_scan(crowd, scan="strict_order", questions=20)
    tell(
        f"row security, control: one index for all {memories:,}: {off:.1%} found without iterative scans, {on:.1%} with"
    )
    assert off < 0.5


@pytest.mark.parametrize(("memories", "questions"), [(20_000, 20), pytest.param(100_000, 100, marks=pytest.mark.slow)])
async def test_the_nearest_are_found_in_a_crowd(
    crowded: MemoryManager,
    connection: asyncpg.Connection,
    memories: int,
    questions: int,
):
    number = choose_seed()
    crowd = await fill(crowded, connection, memories, number)
    await check(crowd, memories, number, questions=questions)
    await check_control(crowd, memories)
