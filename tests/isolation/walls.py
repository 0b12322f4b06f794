"""What takes the walls between people down, for the controls that a test has to catch, and what several tests need."""

import hashlib
import logging
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from cortex_core.models import Vector
from cortex_core.stores.postgres.connection import Connection, Pool
from cortex_core.stores.postgres.scope import Scope
from tests.harness import ScriptedEmbedder

_log = logging.getLogger("tests.isolation")

EVERYTHING = "(($1::text, $2::text[], $3::text[]) IS NOT NULL OR true)"


def take_down_first_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let statements ask for everybody's memories, wherever they are heard."""
    monkeypatch.setattr(Scope, "limit", lambda _, statement: statement.replace("<scope>", EVERYTHING))


def take_down_second_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read for a person as the role that owns the tables; the person is named all the same."""

    @asynccontextmanager
    async def read(pool: Pool, person: str) -> AsyncIterator[Connection]:
        async with pool.connection() as connection, connection.transaction(readonly=True):
            await connection.execute("SELECT set_config('cortex.actor', $1, true)", person)
            yield connection

    monkeypatch.setattr(Pool, "reading_as", read)


class ScatteringEmbedder(ScriptedEmbedder):
    """Gives each text a direction of its own, far from any other's, and the same text the same one."""

    model = "scattering"
    dimensions = 64

    async def embed_batch(self, texts: Sequence[str]) -> list[Vector]:
        return [_direction_of(text) for text in texts]


def _direction_of(text: str) -> Vector:
    signs = np.unpackbits(np.frombuffer(hashlib.sha256(text.encode()).digest()[:8], np.uint8))
    return np.asarray((signs * 2.0 - 1.0) / 8.0, np.float32)


def choose_seed() -> int:
    """Return this run's seed: a new one, or that of ISOLATION_SEED, to repeat a run."""
    return int(os.environ.get("ISOLATION_SEED") or random.SystemRandom().randrange(2**31))


def tell(figures: str) -> None:
    """Show figures to whoever reads the run."""
    print(f"\n{figures}")  # noqa: T201
