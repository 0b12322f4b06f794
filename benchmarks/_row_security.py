"""What the second wall, row-level security, costs the statements that find candidates.

The same statements run in turn as the store runs them, and past the policies: in the same kind of transaction, but as
the role that owns the tables.
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from benchmarks._bulk import read_sql
from benchmarks._report import Distribution, Figures
from cortex_core import MemoryManager, PostgresConfig
from cortex_core.stores.postgres.candidates import CandidateSearch, Inquiry
from cortex_core.stores.postgres.connection import Connection, Pool

_WARM_UP = 2
_ENOUGH_SECONDS = 20.0
_STATEMENT_SECONDS = 60.0
"""A statement may take: what policies make of it is to be seen, not cut off."""


class _PastPolicies(Pool):
    """Names the person and stays the tables' owner."""

    @asynccontextmanager
    async def reading_as(self, person: str) -> AsyncIterator[Connection]:
        async with self.connection() as connection, connection.transaction(readonly=True):
            await connection.execute(read_sql("name_actor"), person)
            yield connection


async def measure_row_security(
    memory: MemoryManager, postgres: PostgresConfig, inquiries: Mapping[str, Sequence[Inquiry]]
) -> Figures:
    """Return milliseconds with and without policies for each kind of owner.

    Args:
        memory: What the database belongs to.
        postgres: Where the database is.
        inquiries: What is looked for, by the kind of owner.
    """
    settings = postgres.model_copy(
        update={"min_connections": 1, "max_connections": 1, "statement_timeout_seconds": _STATEMENT_SECONDS}
    )
    pools = {"without": _PastPolicies(settings), "policies": Pool(settings)}
    async with AsyncExitStack() as stack:
        for pool in pools.values():
            stack.push_async_callback(pool.close)
            await pool.open()
        return {owner: await _compare(memory, pools, asked) for owner, asked in inquiries.items()}


async def _compare(memory: MemoryManager, pools: Mapping[str, Pool], inquiries: Sequence[Inquiry]) -> dict[str, float]:
    store = memory.postgres
    taken: dict[str, list[float]] = {name: [] for name in pools}
    began = time.perf_counter()
    for number, inquiry in enumerate(inquiries):
        await store.candidates.find(inquiry)  # so that none of them pays for reading the owner's pages
        for name, pool in pools.items():
            search = CandidateSearch(pool, store.vectors, store.large_owners)
            asked_at = time.perf_counter()
            await search.find(inquiry)
            if number >= _WARM_UP:
                taken[name].append(time.perf_counter() - asked_at)
        if number > 2 * _WARM_UP and time.perf_counter() - began > _ENOUGH_SECONDS:
            break
    found = {name: Distribution.of(seconds) for name, seconds in taken.items()}
    return {
        **{f"{name} p50": each.p50_ms for name, each in found.items()},
        "policies p95": found["policies"].p95_ms,
        "policies / without": found["policies"].p50_ms / found["without"].p50_ms,
        "n": found["without"].count,
    }
