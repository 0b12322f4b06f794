"""Migrations: forward only, each once, each all or nothing."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from asyncpg.types import ServerVersion
from pydantic import JsonValue

from cortex_core import (
    MemoryConfig,
    MemoryManager,
    PostgresConfig,
    RedisConfig,
    SchemaError,
    StoreUnavailableError,
    migrate,
)
from cortex_core.knowledge.identity import key_of
from cortex_core.stores.embedded import EmbeddedServers
from cortex_core.stores.schema import Migration, load_migrations
from tests.conftest import administer, url_of
from tests.harness import Connect, ScriptedEmbedder

OWN = load_migrations()


@pytest.fixture
async def empty_database(postgres_config: PostgresConfig, connect: Connect) -> str:
    async with connect() as connection:
        await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return postgres_config.url


def step(version: int, statements: str) -> Migration:
    return Migration(version, f"step_{version}", statements)


async def tables(connect: Connect) -> set[str]:
    async with connect() as connection:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row["tablename"] for row in rows}


async def test_from_nothing_and_then_nothing_more(empty_database: str, connect: Connect):
    assert await migrate(empty_database) == OWN
    assert {"memories", "identity_facts", "evidence", "dead_letters", "consolidation_runs"} <= await tables(connect)
    assert await migrate(empty_database) == []


async def test_two_processes_at_once(empty_database: str):
    applied = await asyncio.gather(*(migrate(empty_database) for _ in range(4)))

    assert sorted(map(len, applied)) == [0, 0, 0, len(OWN)]


async def test_only_what_is_missing_is_applied(empty_database: str, connect: Connect):
    first, second = step(1, "CREATE TABLE one ()"), step(2, "CREATE TABLE two ()")
    await migrate(empty_database, [first])

    assert await migrate(empty_database, [first, second]) == [second]
    assert {"one", "two"} <= await tables(connect)


SAID_BEFORE = (
    "tea", "St. Louis", "Café_au lait!", "The  Hague", "O’Brien", "Москва", "東京、大阪", "Weiß", "¡¿", "the",
    "A b, " * 99, 3, -1.5, True, None, [], ["b", "A."], {"b": 1},
)  # fmt: skip


@pytest.mark.parametrize("value", SAID_BEFORE)
async def test_facts_from_before_are_found_by_their_values(empty_database: str, connect: Connect, value: JsonValue):
    await migrate(empty_database, OWN[:3])
    async with connect() as connection:
        await connection.execute(
            "INSERT INTO identity_facts (user_id, id, attribute, value, confidence, audience, source, valid_from) "
            "VALUES ('ann', gen_random_uuid(), 'it', $1::text::jsonb, 1, 'owner', 'profile', now())",
            json.dumps(value),
        )
        await migrate(empty_database)
        assert await connection.fetchval("SELECT value_key FROM identity_facts") == key_of(value)


async def test_a_file_that_was_changed_afterwards_is_refused(empty_database: str):
    await migrate(empty_database, [step(1, "CREATE TABLE one ()")])

    with pytest.raises(SchemaError, match="0001_step_1 was changed"):
        await migrate(empty_database, [step(1, "CREATE TABLE another ()")])


async def test_a_database_that_is_newer_is_refused(empty_database: str):
    await migrate(empty_database, [step(1, "SELECT"), step(2, "SELECT")])

    with pytest.raises(SchemaError, match=r"schema 2, this Cortex knows 1.*newer"):
        await migrate(empty_database, [step(1, "SELECT")])


async def test_a_step_that_fails_leaves_nothing_of_itself(empty_database: str, connect: Connect):
    steps = [step(1, "CREATE TABLE one ()"), step(2, "CREATE TABLE two (); SELECT 1/0")]
    with pytest.raises(Exception, match="0002_step_2"):
        await migrate(empty_database, steps)

    assert await tables(connect) == {"one", "schema_migrations"}
    steps[1] = step(2, "CREATE TABLE two ()")
    assert await migrate(empty_database, steps) == steps[1:]


async def test_no_server_is_one_sentence():
    with pytest.raises(StoreUnavailableError, match=r"postgres\.url"):
        await migrate("postgresql://me@/x?host=/tmp/nobody-listens-here")


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["0001_a.sql", "2_b.sql"], "2_b.sql is not a migration's name"),
        (["0001_A.sql"], "0001_A.sql is not"),
        (["0001_a.sql", "0003_c.sql"], "missing or doubled"),
        (["0001_a.sql", "0001_b.sql"], "missing or doubled"),
        (["0002_b.sql"], "missing or doubled"),
    ],
)
def test_names_and_numbers_are_checked(tmp_path: Path, names: list[str], complaint: str):
    for name in names:
        (tmp_path / name).write_text("SELECT")

    with pytest.raises(SchemaError, match=complaint):
        load_migrations(tmp_path)


def test_our_own_have_a_header_with_date_and_reason():
    for migration in OWN:
        assert re.match(
            rf"-- {migration.version:04} \w+\n-- Date: \d{{4}}-\d\d-\d\d\n-- Reason: \S", migration.statements
        )


async def test_every_table_of_a_person_starts_its_key_with_the_owner(connect: Connect):
    query = """
        SELECT c.relname AS name, a.attname AS first_column
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE i.indisprimary AND c.relnamespace = 'public'::regnamespace
    """
    async with connect() as connection:
        keys: list[asyncpg.Record] = await connection.fetch(query)

    of_nobody = {
        "embedding_models", "dead_letters", "consolidation_runs", "schema_migrations", "secrets", "channels",
        "llm_spending", "activity",
    }  # fmt: skip
    of_several = {"projects", "project_members", "project_invitations", "contradictions"}
    assert {row["name"] for row in keys if row["first_column"] != "user_id"} == of_nobody | of_several


async def test_every_table_that_is_about_people_is_behind_the_second_wall(connect: Connect):
    async with connect() as connection:
        open_tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "AND NOT (relrowsecurity AND relforcerowsecurity)"
        )
        grants = await connection.fetch(
            "SELECT DISTINCT privilege_type FROM information_schema.role_table_grants WHERE grantee = 'cortex_reader'"
        )
        reader = await connection.fetchrow("SELECT * FROM pg_roles WHERE rolname = 'cortex_reader'")

    assert {row["relname"] for row in open_tables} == {"embedding_models", "schema_migrations"}
    assert [row["privilege_type"] for row in grants] == ["SELECT"]
    assert not any(
        reader[right] for right in ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolcanlogin")
    )


async def test_a_server_that_is_too_old_is_refused(empty_database: str, connect: Connect, monkeypatch):
    monkeypatch.setattr(asyncpg.Connection, "get_server_version", lambda _: ServerVersion(14, 9, 0, "final", 0))

    with pytest.raises(SchemaError, match="version 14; Cortex needs 15 or newer"):
        await migrate(empty_database)
    assert await tables(connect) == set()


@pytest.fixture
async def hosted(servers: EmbeddedServers, numbers: Iterator[int]) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Makes an empty database of an account that is no superuser, as operators of servers hand them out."""
    made: list[str] = []

    async def make(rights: str) -> str:
        name = f"hosted_{next(numbers)}"
        await administer(servers, f"CREATE ROLE {name} LOGIN {rights}")
        await administer(servers, f"CREATE DATABASE {name} OWNER {name}")
        made.append(name)
        connection = await asyncpg.connect(url_of(servers, name))
        await connection.execute("CREATE EXTENSION vector")
        await connection.close()
        return re.sub(r"//[^@]*@", f"//{name}@", url_of(servers, name))

    yield make
    for name in made:
        await administer(servers, f"DROP DATABASE {name} WITH (FORCE)")
        await administer(servers, f"DROP OWNED BY {name} CASCADE")
        await administer(servers, f"DROP ROLE {name}")


async def test_an_account_that_is_no_superuser_is_enough(hosted, redis_config: RedisConfig):
    config = MemoryConfig(postgres=PostgresConfig(url=await hosted("")), redis=redis_config)
    with pytest.raises(SchemaError, match="let an administrator run: GRANT cortex_reader TO"):
        await migrate(config.postgres.url)

    config = MemoryConfig(postgres=PostgresConfig(url=await hosted("IN ROLE cortex_reader")), redis=redis_config)
    async with MemoryManager(config, embedder=ScriptedEmbedder()) as memory:
        await memory.project_memory.create_project("p", "P", "ann", ["ben"])
        await memory.store("ann", "My cat is called Miso.", project_id="p")
        await memory.flush()

        assert [m.content for m in (await memory.search("ben", "cat Miso", "p")).memories] == ["My cat is called Miso."]
        assert (await memory.search("eve", "cat Miso", "p")).memories == []
        await memory.postgres.large_owners.keep()
        assert (await memory.forget_everything("ann")).long_term == 1
