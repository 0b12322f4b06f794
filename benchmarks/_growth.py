"""A database that grows: the crowd that is loaded into it, and who of that crowd is asked."""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from benchmarks._bulk import load, measure_sizes, read_sql
from benchmarks._crowd import Crowd, plan_owners
from cortex_core import MemoryManager
from cortex_core.stores.postgres.large_owners import MOST

USUAL = "usual"
"""The kind of owner who is asked at each size."""

_SEED = 20
_ASKED = 100
"""Usual owners who are asked at most: as many as take part in conversations at about the same time."""


@dataclass(frozen=True, slots=True)
class Table:
    """One of the sizes that the tables grow to."""

    rows: int
    owners: int


class Growth:
    """Fills the tables, in steps.

    Args:
        memory: What they belong to.
        postgres: A connection of the benchmark's own.
        crowd: Writes the memories.
        usual: How many a usual owner has.
        others: Owners with a size of their own, by their names; they come with the last step.

    Attributes:
        asked: The usual owners who are asked: of those who came last, for their rows lie most scattered.
    """

    def __init__(
        self,
        memory: MemoryManager,
        postgres: asyncpg.Connection,
        crowd: Crowd,
        *,
        usual: int,
        others: Mapping[str, int],
    ) -> None:
        self._memory = memory
        self._postgres = postgres
        self._crowd = crowd
        self._usual = usual
        self._others = others
        self._owners: dict[str, int] = {}
        self.asked: list[str] = []
        self._draw = random.Random(_SEED)  # noqa: S311  the same owners in every run, not a secret

    async def grow(self, table: Table, *, is_last: bool) -> dict[str, float]:
        """Let the tables grow to a size, by owners who are new, and return what that took."""
        joined = plan_owners(
            table.rows - sum(self._owners.values()),
            table.owners - len(self._owners),
            usual=self._usual,
            others=self._others if is_last else {},
            seed=len(self._owners),
        )
        self._owners |= joined
        self.asked = [owner for owner, memories in joined.items() if memories == self._usual][:_ASKED]
        times = await load(self._memory.config.postgres.url, self._crowd.write(joined))
        began = time.perf_counter()
        await self._keep_large_owners()
        return {
            "rows": table.rows,
            "owners": table.owners,
            "copy s": times.rows,
            "indexes s": times.indexes,
            "vacuum s": times.analysis,
            "large owners s": time.perf_counter() - began,
            "MB": sum((await measure_sizes(self._postgres)).values()),
        }

    def pick(self, kind: str) -> str:
        """Return an owner of a kind."""
        return self._draw.choice(self.asked) if kind == USUAL else kind

    def count(self, owner: str) -> int:
        """Return how many memories an owner was given."""
        return self._owners[owner]

    async def _keep_large_owners(self) -> None:
        """Do at once what Cortex does for large owners in the background."""
        await self._memory.postgres.large_owners.keep()
        while await self._postgres.fetchval(read_sql("is_upkeep_due"), MOST):  # the background had begun with it
            await asyncio.sleep(1)
            await self._memory.postgres.large_owners.keep()
