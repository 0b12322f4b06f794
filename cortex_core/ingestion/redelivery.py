"""Gives dead letters another chance, once their cause is gone."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cortex_core.errors import StoreDataError
from cortex_core.models import Memory
from cortex_core.stores.postgres import PostgresStore
from cortex_core.stores.postgres.dead_letters import DeadLetter
from cortex_core.stores.postgres.store import PendingWrite, WriteOutcome
from cortex_core.stores.redis import parse_payload


@dataclass(frozen=True, slots=True)
class Redelivery:
    """How many dead letters were delivered; the others stay, each with the reason that it has."""

    delivered: int
    left: int


async def redeliver(postgres: PostgresStore, letters: Sequence[DeadLetter]) -> Redelivery:
    """Write the memories among these letters straight into Postgres.

    A letter goes only after its memory is there, so that this may be broken off at any time.

    Raises:
        StoreUnavailableError: Postgres is away.
    """
    delivered = 0
    for letter in letters:
        if letter.id is not None and await _deliver(postgres, letter):
            await postgres.dead_letters.take(letter.id)
            delivered += 1
    return Redelivery(delivered, len(letters) - delivered)


async def _deliver(postgres: PostgresStore, letter: DeadLetter) -> bool:
    memory = _read_memory(letter)
    if memory is None:
        return False
    acknowledged_at = datetime.fromtimestamp(int(letter.entry_id.split("-")[0]) / 1000, UTC)
    try:
        [outcome] = await postgres.write([PendingWrite(memory, acknowledged_at=acknowledged_at)])
    except StoreDataError:
        return False
    return outcome is not WriteOutcome.MISMATCH


def _read_memory(letter: DeadLetter) -> Memory | None:
    """Return the memory in a letter; None for a session's state and for what this version can't read."""
    try:
        return parse_payload(str(ast.literal_eval(letter.payload)))
    except (ValueError, SyntaxError, IndexError):
        return None
