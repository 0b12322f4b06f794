"""The connection pool, its codecs and time limits, and the one place that translates asyncpg's errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pgvector.asyncpg import register_vector

from cortex_core.config import PostgresConfig
from cortex_core.errors import CortexError, StoreDataError, StoreUnavailableError
from cortex_core.sql import load_queries
from cortex_core.stores.breaker import Breaker

_SQL = load_queries("connection")

Connection = PoolConnectionProxy  # what a pool hands out; same methods as asyncpg.Connection

# SQLSTATE classes that pass by themselves: connection, transaction rollback, resources, operator intervention, locks.
_TRANSIENT_CLASSES = ("08", "40", "53", "55", "57")
_WRONG_URL_CLASSES = ("28", "3D")  # login refused, no such database


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise asyncpg's and the network's errors as Cortex's own, without the values that PostgreSQL quotes in its own.

    Raises:
        StoreUnavailableError: The server is away, too slow or out of resources.
        StoreDataError: The server refused the data; its SQLSTATE is in `sqlstate`.
    """
    try:
        yield
    except CortexError:
        raise  # some are an OSError too
    except asyncpg.PostgresError as error:
        if (error.sqlstate or "")[:2] in _TRANSIENT_CLASSES:
            raise StoreUnavailableError(
                f"PostgreSQL could not answer ({type(error).__name__}, SQLSTATE {error.sqlstate}); try again later."
            ) from None
        if (error.sqlstate or "")[:2] in _WRONG_URL_CLASSES:
            raise StoreUnavailableError(
                f"PostgreSQL refused the connection ({type(error).__name__}); check user, password and database in "
                "postgres.url."
            ) from None
        raise StoreDataError(
            f"PostgreSQL refused this data ({type(error).__name__}).", sqlstate=error.sqlstate
        ) from None
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise StoreUnavailableError(
            f"PostgreSQL can't be reached ({type(error).__name__}); check that it runs and that postgres.url is right."
        ) from None


class Pool:
    """A bounded pool whose connections know JSON and vectors and give up in time."""

    def __init__(self, config: PostgresConfig) -> None:
        self._config = config
        self._pool: asyncpg.Pool | None = None
        self._breaker = Breaker("PostgreSQL")

    async def open(self) -> None:
        """Connect.

        Raises:
            StoreUnavailableError: The server can't be reached.
        """
        with translate_errors():
            self._pool = await asyncpg.create_pool(
                self._config.url,
                min_size=self._config.min_connections,
                max_size=self._config.max_connections,
                init=_teach,
                reset=_leave_as_it_is,
                command_timeout=self._config.statement_timeout_seconds + 0.5,  # for a server that doesn't answer at all
                server_settings={
                    "application_name": "cortex",
                    "statement_timeout": f"{self._config.statement_timeout_seconds * 1000:.0f}",
                    "idle_in_transaction_session_timeout": "30000",
                    "plan_cache_mode": "force_generic_plan",
                    # An owner's own index: as exact as a full scan within a hundredth, also behind a narrow audience.
                    "hnsw.ef_search": "200",
                    "hnsw.iterative_scan": "strict_order",
                },
            )

    async def close(self) -> None:
        """Give the connections back; those still busy after a second are cut."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(1):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection.

        Raises:
            StoreUnavailableError: None became free in time, or the server is away.
        """
        if self._pool is None:
            raise StoreUnavailableError("PostgresStore is not connected; call connect() first.")
        pool = self._pool  # closing takes it away
        with self._breaker.guard(), translate_errors():
            connection = await pool.acquire(timeout=self._config.acquire_timeout_seconds)
        with translate_errors():
            try:
                yield connection
            finally:
                await pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection within a transaction that commits if the block ends well."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def reading_as(self, person: str) -> AsyncIterator[Connection]:
        """Lend a connection that sees what a person may see: the person's rows and those of the person's projects.

        Row-level security is the second wall, for the day when a statement's own conditions have a hole.
        """
        async with self.connection() as connection, connection.transaction(readonly=True):
            await connection.execute(_SQL["read_as"], person)
            yield connection


async def _leave_as_it_is(_connection: asyncpg.Connection) -> None:
    """Save asyncpg's round trip that resets a session: who changes one resets it, and transactions are ended anyway."""


async def _teach(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    await register_vector(connection)
