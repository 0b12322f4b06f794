"""What several tests need: waiting for something, and embedders that do what a test wants."""

import asyncio
import hashlib
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import numpy as np

from cortex_core.metrics import Metrics, Operation
from cortex_core.models import Vector
from cortex_core.stores.postgres.connection import Pool
from cortex_core.stores.postgres.scope import Scope

Connect = Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]

PATIENCE = 20.0
"""Seconds after which something that should happen is taken not to; much more than it ever takes."""


@contextmanager
def passable_folder() -> Iterator[Path]:
    """Make a folder for the time being that root's embedded servers can enter, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="cortex-test-", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


async def eventually(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    """Wait until a condition (or the coroutine that it returns) is true."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.01)


def times_of(metrics: Metrics, *operations: Operation) -> int:
    """Return how often something was counted that nobody took away."""
    return sum(metrics._tallies[operation].count for operation in operations if operation in metrics._tallies)


def own(user_id: str = "ann", *, heard: Collection[str] | None = None) -> Scope:
    """Return the scope of somebody's own memories, of these audiences or of all."""
    return Scope(user_id, "own", None if heard is None else sorted(heard))


async def flag_contradiction(pool: Pool, owner: str, one: UUID, other: UUID, why: str) -> None:
    """Note that two memories of an owner can't both be true, whatever they are."""
    async with pool.connection() as connection:
        await connection.execute(
            "INSERT INTO contradictions (id, owner_a, memory_a, owner_b, memory_b, explanation, found_by) "
            "VALUES (gen_random_uuid(), $1, least($2::uuid, $3::uuid), $1, greatest($2::uuid, $3::uuid), $4, 'rules')",
            owner,
            one,
            other,
            why,
        )


class Gate:
    """Goes in front of a coroutine function and holds its first call up, or that call's answer, until it is opened."""

    def __init__(self, call: Callable[..., Awaitable[object]], *, holds_answer: bool = False) -> None:
        self._reached = asyncio.Event()
        self._call = call
        self._holds_answer = holds_answer
        self._opened = asyncio.Event()

    async def __call__(self, *args: object, **kwargs: object) -> object:
        if self._reached.is_set():
            return await self._call(*args, **kwargs)
        if self._holds_answer:
            answer = await self._call(*args, **kwargs)
            await self._hold()
            return answer
        await self._hold()
        return await self._call(*args, **kwargs)

    async def wait_until_reached(self) -> None:
        await asyncio.wait_for(self._reached.wait(), PATIENCE)

    def open(self) -> None:
        self._opened.set()

    async def _hold(self) -> None:
        self._reached.set()
        await self._opened.wait()


class ScriptedEmbedder:
    """Vectors that follow the characters of a text; `before` may wait or raise first, given the texts."""

    model = "scripted"
    dimensions = 8
    is_remote = False

    def __init__(self, before: Callable[[Sequence[str]], object] = lambda _: None) -> None:
        self.before = before
        self.texts: list[str] = []

    async def embed(self, text: str) -> Vector:
        (vector,) = await self.embed_batch([text])
        return vector

    async def embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        waiting = self.before(texts)
        if asyncio.iscoroutine(waiting):
            await waiting
        self.texts += texts
        return [_vector_of(text) for text in texts]

    async def close(self) -> None:
        raise AssertionError("an embedder that was handed in stays open")


def _vector_of(text: str) -> Vector:
    digest = hashlib.sha256(text.encode()).digest()
    vector = np.frombuffer(digest[:8], dtype=np.uint8).astype(np.float32) + 1
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)
