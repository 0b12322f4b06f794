"""Schema migrations: forward only, each once, each in its own transaction."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from cortex_core.errors import SchemaError
from cortex_core.sql import load_queries
from cortex_core.stores.postgres.connection import translate_errors

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_SQL = load_queries("schema")
_OLDEST_SERVER = 15
_PACKAGED, _CHECKOUT = Path(__file__).parents[1] / "migrations", Path(__file__).parents[2] / "migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    statements: str

    @property
    def checksum(self) -> str:
        """Tells whether the file is still the one that was applied."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


def load_migrations(folder: Path | None = None) -> list[Migration]:
    """Return the migrations in order.

    Raises:
        SchemaError: A file's name is not `0001_words.sql`, or a number is missing or taken twice.
    """
    folder = folder or (_PACKAGED if _PACKAGED.is_dir() else _CHECKOUT)
    migrations = []
    for file in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            raise SchemaError(f"{file.name} is not a migration's name; call it NNNN_words.sql.")
        migrations.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    if [m.version for m in migrations] != list(range(1, len(migrations) + 1)):
        raise SchemaError(f"The migrations in {folder} are not numbered 1, 2, 3 …; a file is missing or doubled.")
    return migrations


async def migrate(database_url: str, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """Apply what is missing and return it; a second process that starts at the same time waits and finds it done.

    Raises:
        SchemaError: An applied migration was changed afterwards, or the database is newer than this version.
        StoreUnavailableError: The server can't be reached.
    """
    migrations = load_migrations() if migrations is None else migrations
    with translate_errors():
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute(_SQL["lock"])  # of the session: it ends with the connection
            version = connection.get_server_version()
            if version.major < _OLDEST_SERVER:
                raise SchemaError(
                    f"This PostgreSQL is version {version.major}; Cortex needs {_OLDEST_SERVER} or newer."
                )
            return await _apply(connection, migrations)
        finally:
            await connection.close()


async def _apply(connection: asyncpg.Connection, migrations: Sequence[Migration]) -> list[Migration]:
    await connection.execute(_SQL["create_table"])
    rows = await connection.fetch(_SQL["list_applied"])
    applied = {row["version"]: row for row in rows}
    known = {migration.version for migration in migrations}
    if newer := applied.keys() - known:
        raise SchemaError(
            f"The database is at schema {max(newer)}, this Cortex knows {max(known)}; install a newer one."
        )
    for migration in migrations:
        if (row := applied.get(migration.version)) and row["checksum"] != migration.checksum:
            raise SchemaError(
                f"Migration {migration.version:04}_{migration.name} was changed after it was applied; restore the file "
                "and put the change into a new one."
            )
    missing = [migration for migration in migrations if migration.version not in applied]
    for migration in missing:
        async with connection.transaction():
            try:
                await connection.execute(migration.statements)
            except asyncpg.PostgresError as error:
                raise SchemaError(
                    f"Migration {migration.version:04}_{migration.name} could not be applied: {error}"
                ) from None
            await connection.execute(_SQL["record"], migration.version, migration.name, migration.checksum)
    return missing
