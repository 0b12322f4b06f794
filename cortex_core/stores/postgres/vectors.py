"""Embedding spaces, and the memories that wait for their vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pgvector import HalfVector

from cortex_core.errors import SchemaError
from cortex_core.late_interaction import Embedding
from cortex_core.models import Vector
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import Pool

_SQL = load_queries("vectors")


@dataclass(frozen=True, slots=True)
class MissingVector:
    """A memory without a vector; `version` tells whether its content changed meanwhile."""

    user_id: str
    id: UUID
    version: int
    content: str


class Vectors:
    """The tables `embedding_models` and `memory_pieces` and the column `memories.embedding`.

    Attributes:
        model: The open embedding space; None until `open_space`.
        model_id: Its number in the database.
        dimensions: The length of its vectors.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.model: str | None = None
        self.model_id: int | None = None
        self.dimensions: int | None = None

    async def open_space(self, model: str, dimensions: int) -> None:
        """Make a model's space the one that is written and searched.

        Raises:
            SchemaError: The database holds vectors of another model, or of another size under this name.
        """
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["register_model"], model, dimensions)
            models = await connection.fetch(_SQL["list_models"])
            in_use = {row["name"] for row in await connection.fetch(_SQL["models_in_use"])}
        known = next(row for row in models if row["name"] == model)
        if known["dimensions"] != dimensions:
            raise SchemaError(
                f"The database knows {model} with {known['dimensions']} dimensions, but embedding.dimensions gives "
                f"{dimensions}; set it back, or use another database."
            )
        if others := in_use - {model}:
            raise SchemaError(
                f"The database holds vectors of {', '.join(sorted(others))}, but the embedding settings give {model}; "
                "vectors of two models can't be compared. Set the settings back, or use another database."
            )
        self.model, self.model_id = model, known["id"]
        self.dimensions = dimensions

    def accept(self, vector: Vector | None) -> HalfVector | None:
        """Return a vector as it is written, or None if it doesn't have the space's length."""
        return None if vector is None or vector.size != self.dimensions else HalfVector(vector)

    async def list_missing(self, limit: int) -> list[MissingVector]:
        """Return memories that have no vector yet, newest first, so that a big import holds nobody up."""
        async with self._pool.connection() as connection:
            rows = await connection.fetch(_SQL["list_missing"], limit)
        return [MissingVector(row["user_id"], row["id"], row["version"], row["content"]) for row in rows]

    async def now(self) -> datetime:
        """Return the database's time, by which memories are written."""
        async with self._pool.connection() as connection:
            time: datetime = await connection.fetchval(_SQL["now"])
        return time

    async def is_any_missing(self, *, before: datetime) -> bool:
        """Whether a memory that was written before then waits for its vector."""
        async with self._pool.connection() as connection:
            return bool(await connection.fetchval(_SQL["is_any_missing"], before))

    async def fill(self, missing: Sequence[MissingVector], embeddings: Sequence[Embedding]) -> None:
        """Give memories their vectors, but for those whose content has changed meanwhile."""
        # In the order in which learning marks them, too, so that neither waits for the other.
        filled = sorted(zip(missing, embeddings, strict=True), key=lambda pair: (pair[0].user_id, pair[0].id))
        async with self._pool.connection() as connection:
            await connection.execute(
                _SQL["fill"],
                [m.user_id for m, _ in filled],
                [m.id for m, _ in filled],
                [m.version for m, _ in filled],
                [HalfVector(embedding.vector) for _, embedding in filled],
                [embedding.signs or None for _, embedding in filled],
                self.model_id,
            )

    async def give_up(self, missing: MissingVector, reason: str) -> None:
        """Note that a content can't be embedded, so that it isn't tried for ever; its words find it."""
        async with self._pool.connection() as connection:
            await connection.execute(_SQL["give_up"], missing.user_id, missing.id, missing.version, reason)
