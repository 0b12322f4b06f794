"""Looks at a database without changing it, also at one that is empty, old or too new for this version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg

from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import translate_errors

_SQL = load_queries("health")
_VECTORS = load_queries("vectors")
_DEAD_LETTERS = load_queries("dead_letters")


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What a PostgreSQL server is and holds.

    Attributes:
        version: The server's own.
        pgvector: The extension's version in this database; None if it isn't there yet.
        available_pgvector: The version that the server could install; None if it has none.
        schema_version: The last migration that was applied, 0 for none.
        embedding_spaces: The models whose vectors it holds, with their dimensions.
        dead_letters: Writes that could not be stored.
    """

    version: str
    pgvector: str | None
    available_pgvector: str | None
    schema_version: int = 0
    embedding_spaces: Mapping[str, int] = field(default_factory=dict)
    dead_letters: int = 0


async def inspect_database(url: str, *, timeout: timedelta) -> DatabaseReport:  # noqa: ASYNC109  for the connection too
    """Report on a database over one connection.

    Raises:
        StoreUnavailableError: The server can't be reached.
        StoreDataError: The server refused the login or a question.
    """
    with translate_errors():
        connection = await asyncpg.connect(
            url, timeout=timeout.total_seconds(), command_timeout=timeout.total_seconds()
        )
        try:
            return await _inspect(connection)
        finally:
            await connection.close()


async def _inspect(connection: asyncpg.Connection) -> DatabaseReport:
    [server] = await connection.fetch(_SQL["server"])
    schema_version = await connection.fetchval(_SQL["schema_version"]) if server["has_schema"] else 0
    if not schema_version:
        return DatabaseReport(server["version"], server["pgvector"], server["available_pgvector"])
    in_use = {row["name"] for row in await connection.fetch(_VECTORS["models_in_use"])}
    models = await connection.fetch(_VECTORS["list_models"])
    return DatabaseReport(
        version=server["version"],
        pgvector=server["pgvector"],
        available_pgvector=server["available_pgvector"],
        schema_version=schema_version,
        embedding_spaces={row["name"]: row["dimensions"] for row in models if row["name"] in in_use},
        dead_letters=await connection.fetchval(_DEAD_LETTERS["count"]),
    )
