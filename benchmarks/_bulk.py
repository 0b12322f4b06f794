"""Loads memories straight into the tables, past the pipeline of a bot, and tells how large they have become."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import asyncpg
from pgvector.asyncpg import register_vector

from benchmarks._crowd import MEMORY_COLUMNS, PIECES_COLUMNS, Chunk

_FOLDER = Path(__file__).with_name("sql")
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class LoadTimes:
    """How many seconds a load took."""

    rows: float
    indexes: float
    analysis: float


@cache
def read_sql(name: str) -> str:
    """Return what stands in `sql/<name>.sql`."""
    return (_FOLDER / f"{name}.sql").read_text("utf-8")


@asynccontextmanager
async def connect(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection of the benchmark's own, which knows vectors."""
    connection = await asyncpg.connect(postgres_url)
    try:
        await register_vector(connection)
        yield connection
    finally:
        await connection.close()


async def load(postgres_url: str, chunks: Iterable[Chunk]) -> LoadTimes:
    """Copy rows into the tables, without their secondary indexes meanwhile."""
    async with connect(postgres_url) as connection:
        await connection.execute(read_sql("bulk_begin"))
        indexes = await connection.fetch(read_sql("bulk_list_indexes"))
        began = time.perf_counter()
        for index in indexes:
            await connection.execute(index["removal"])
        for chunk in chunks:
            await connection.copy_records_to_table("memories", records=chunk.memories, columns=MEMORY_COLUMNS)
            await connection.copy_records_to_table("memory_pieces", records=chunk.pieces, columns=PIECES_COLUMNS)
        await connection.execute(read_sql("bulk_count_owners"))
        copied = time.perf_counter()
        for index in indexes:
            await connection.execute(index["definition"])
        indexed = time.perf_counter()
        await connection.execute("VACUUM (ANALYZE)")
        return LoadTimes(copied - began, indexed - copied, time.perf_counter() - indexed)


async def measure_sizes(connection: asyncpg.Connection) -> dict[str, float]:
    """Return the megabytes of the tables and of each of their indexes."""
    rows = await connection.fetch(read_sql("list_sizes"))
    return {row["name"]: row["bytes"] / _MEGABYTE for row in rows}
