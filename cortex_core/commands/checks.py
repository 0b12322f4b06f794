"""The checks of `cortex check`: each answers for one dependency, also while the others are away."""

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from cortex_core.bootstrap import choose_embedder, choose_llm, open_servers
from cortex_core.config import CONFIG_FILE_VARIABLE, EmbeddingConfig, LLMConfig, MemoryConfig, RedisConfig
from cortex_core.errors import CortexError, EmbeddedServerError, SchemaError
from cortex_core.providers import ChatMessage
from cortex_core.stores.health import (
    Check,
    DatabaseReport,
    Status,
    inspect_database,
    judge_database,
    judge_dead_letters,
    judge_redis,
)
from cortex_core.stores.journal import Journal
from cortex_core.stores.redis import RedisStore

_PATIENCE = timedelta(seconds=5)


async def check_everything(config: MemoryConfig, *, ask_llm: bool = False) -> list[Check]:
    """Look at every dependency without changing any, but for starting the embedded servers where no URL is given.

    Args:
        config: Already read without an error.
        ask_llm: Whether to ask the language model something.
    """
    checks = [_check_config()]
    async with AsyncExitStack() as stack:
        embedded_failure: str | None = None
        try:
            config = await stack.enter_async_context(open_servers(config))
        except EmbeddedServerError as error:
            embedded_failure = str(error)

        async def check_server(name: str, url: str, look: Callable[[], Awaitable[Check]]) -> Check:
            if not url and embedded_failure:
                return Check(name, Status.FAILED, embedded_failure)
            return await _guard(name, look)

        database: DatabaseReport | None = None

        async def look_at_postgres() -> Check:
            nonlocal database
            database = await inspect_database(config.postgres.url, timeout=_PATIENCE)
            return judge_database(config.postgres.url, database)

        checks.append(await check_server("redis", config.redis.url, lambda: _check_redis(config.redis)))
        checks.append(await check_server("postgres", config.postgres.url, look_at_postgres))
        checks.append(await _guard("embedding", lambda: _check_embedding(config.embedding, database)))
        checks.append(await _guard("llm", lambda: _check_llm(config.llm, ask=ask_llm)))
        checks.append(judge_dead_letters(database))
    return checks


async def _guard(name: str, look: Callable[[], Awaitable[Check]]) -> Check:
    try:
        return await look()
    except CortexError as error:
        return Check(name, Status.FAILED, str(error))


def _check_config() -> Check:
    named = os.environ.get(CONFIG_FILE_VARIABLE)
    file = Path(named or "config.toml").absolute()
    return Check("config", Status.OK, str(file) if file.is_file() else "no file; the defaults and the environment")


async def _check_redis(config: RedisConfig) -> Check:
    store, journal = RedisStore(config), Journal(config)
    try:
        await store.connect()
        durability = await journal.check_durability()
        waiting = await journal.depth()
    finally:
        await journal.close()
        await store.close()
    return judge_redis(config.url, durability, waiting)


async def _check_embedding(config: EmbeddingConfig, database: DatabaseReport | None) -> Check:
    embedder = await choose_embedder(config)
    try:
        await embedder.embed("Does it work?")
        space = f"{embedder.model}, {embedder.dimensions} dimensions"
        if database is None:
            return Check("embedding", Status.WARNING, f"{space}; not compared with the database, which is away")
        spaces = dict(database.embedding_spaces)
        if spaces and spaces != {embedder.model: embedder.dimensions}:
            held = ", ".join(f"{model} with {dimensions} dimensions" for model, dimensions in sorted(spaces.items()))
            raise SchemaError(
                f"embedding.model is {space}, but the database holds vectors of {held}; set the embedding settings "
                "back, or use another database."
            )
        return Check("embedding", Status.OK, f"{space}{', as in the database' if spaces else ''}")
    finally:
        await embedder.close()


async def _check_llm(config: LLMConfig, *, ask: bool) -> Check:
    llm = choose_llm(config)
    if llm is None:
        return Check("llm", Status.OK, "none; Clara answers from memory alone (set CORTEX_LLM__API_KEY for one)")
    try:
        if not ask:
            return Check("llm", Status.OK, f"{llm.model}, not asked (`cortex check --llm` does)")
        await llm.complete([ChatMessage("user", "Answer with the word yes.")], max_tokens=50)
        return Check("llm", Status.OK, f"{llm.model} answers")
    finally:
        await llm.close()
