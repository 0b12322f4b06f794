"""Tells how the stores are. It looks at a database without changing it, also at one that is empty, old or too new."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

import asyncpg

from cortex_core.errors import SchemaError
from cortex_core.models import Durability
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import translate_errors
from cortex_core.stores.schema import load_migrations

_SQL = load_queries("health")
_VECTORS = load_queries("vectors")
_DEAD_LETTERS = load_queries("dead_letters")


class Status(StrEnum):
    """How a dependency is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and there is something to know."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """A dependency, how it is, and what to do when it isn't well; for whoever runs it."""

    name: str
    status: Status
    detail: str


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What a PostgreSQL server is and holds.

    Attributes:
        version: The server's own.
        pgvector: The extension's version in this database; None if it isn't there yet.
        available_pgvector: The version that the server could install; None if it has none.
        schema_version: The last migration that was applied, 0 for none.
        embedding_spaces: The models whose vectors it holds, with their dimensions.
        dead_letters: Writes that could not be stored, and answers of a language model that could not be read.
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


def judge_redis(url: str, durability: Durability, waiting: int) -> Check:
    """Tell how a Redis is that answers.

    Args:
        url: Where it is.
        durability: What an acknowledged write survives there.
        waiting: Writes in the journal.
    """
    place = f"{_place(url)}, {waiting} writes in the journal"
    if durability is Durability.JOURNALLED:
        return Check("redis", Status.OK, f"{place}, acknowledged writes survive a power cut")
    advice = "set appendonly yes and appendfsync always, if the last second of acknowledged writes matters"
    return Check("redis", Status.WARNING, f"{place}, which can lose its last second with its machine; {advice}")


def judge_database(url: str, database: DatabaseReport) -> Check:
    """Tell how a PostgreSQL is that answers.

    Raises:
        SchemaError: This version of Cortex can't use it.
    """
    if database.pgvector is None and database.available_pgvector is None:
        raise SchemaError("The PostgreSQL server has no pgvector; install that extension on it.")
    newest = len(load_migrations())
    if database.schema_version > newest:
        raise SchemaError(
            f"The database is at schema {database.schema_version}, this Cortex knows {newest}; install a newer one."
        )
    pgvector = f"pgvector {database.pgvector}" if database.pgvector else "pgvector not yet in the database"
    schema = f"schema {database.schema_version} of {newest}"
    place = f"{_place(url)}, PostgreSQL {database.version}, {pgvector}, {schema}"
    if database.schema_version < newest:
        return Check("postgres", Status.WARNING, f"{place}; `cortex migrate` or the next start applies the rest")
    return Check("postgres", Status.OK, place)


def judge_dead_letters(database: DatabaseReport | None) -> Check:
    """Tell whether there is something for a person to look at; None stands for a database that is away."""
    if database is None:
        return Check("dead letters", Status.WARNING, "not counted, the database is away")
    if database.dead_letters:
        detail = (
            f"{database.dead_letters:,} kept aside: writes that could not be stored, or answers of a language model "
            "that could not be read; see `cortex dead-letters list`"
        )
        return Check("dead letters", Status.WARNING, detail)
    return Check("dead letters", Status.OK, "none")


def _place(url: str) -> str:
    """Name the server of a URL without its login."""
    parts = urlsplit(url)
    socket = parse_qs(parts.query).get("host", [parts.path])[0]
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or socket
