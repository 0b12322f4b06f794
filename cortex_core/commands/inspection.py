"""Commands that show what the stores hold: `redis get-…` and `dead-letters`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, cast

import typer
from pydantic import JsonValue

from cortex_core.bootstrap import open_servers
from cortex_core.commands.console import print_json, say
from cortex_core.commands.memories import AsJson, User
from cortex_core.commands.running import run
from cortex_core.config import load_config
from cortex_core.ingestion.redelivery import Redelivery, redeliver
from cortex_core.manager import MemoryManager
from cortex_core.stores.postgres.dead_letters import DeadLetter
from cortex_core.stores.redis import RedisStore

redis = typer.Typer(no_args_is_help=True, help="Show what Redis holds of a user, as JSON.")
dead_letters = typer.Typer(
    no_args_is_help=True, help="Writes that could not be stored, and answers that could not be read."
)


def _show(read: Callable[[RedisStore], Awaitable[JsonValue]]) -> None:
    async def work() -> JsonValue:
        async with open_servers(load_config()) as config:
            store = RedisStore(config.redis)
            try:
                await store.connect()
                return await read(store)
            finally:
                await store.close()

    print_json(run(work()))


@redis.command("get-identity")
def get_identity(user: User) -> None:
    """Show the cached identity; empty unless the user spoke within the last hour."""
    _show(lambda store: store.get_identity(user))


@redis.command("get-session")
def get_session(user: User) -> None:
    """Show the session's state."""
    _show(lambda store: store.get_session(user))


@redis.command("get-working")
def get_working(user: User) -> None:
    """Show working memory, newest first."""

    async def read(store: RedisStore) -> JsonValue:
        return [memory.model_dump(mode="json") for memory in await store.get_working(user)]

    _show(read)


@redis.command("get-recent")
def get_recent(user: User) -> None:
    """Show the ids of the last memories, newest first."""

    async def read(store: RedisStore) -> JsonValue:
        return [str(memory_id) for memory_id in await store.get_recent(user, store.config.recent_limit)]

    _show(read)


@dead_letters.command("list")
def list_dead_letters(
    *, limit: Annotated[int, typer.Option(min=1, help="the most to show")] = 100, as_json: AsJson = False
) -> None:
    """Show the oldest dead letters, without what was said."""

    async def work() -> list[DeadLetter]:
        async with MemoryManager(load_config()) as memory:
            return await memory.postgres.dead_letters.list(limit)

    letters = run(work())
    if as_json:
        print_json([_describe(letter) for letter in letters])
        return
    for letter in letters:
        say(
            f"{letter.id}  {letter.first_failed_at:%Y-%m-%d %H:%M}  user {letter.user_id or 'unknown'}  "
            f"memory {letter.memory_id or 'unknown'}\n    {letter.reason}"
        )
    say(f"{len(letters)} dead letters")


@dead_letters.command("replay")
def replay_dead_letters(*, as_json: AsJson = False) -> None:
    """Try to store them again, once the cause is gone; the exit code is 1 if some stay."""

    async def work() -> Redelivery:
        async with MemoryManager(load_config()) as memory:
            store = memory.postgres
            redelivery = await redeliver(store, await store.dead_letters.list(await store.dead_letters.count()))
            await memory.flush()
            return redelivery

    redelivery = run(work())
    if as_json:
        print_json({"delivered": redelivery.delivered, "left": redelivery.left})
    else:
        say(f"{redelivery.delivered} dead letters delivered, {redelivery.left} left.")
    raise typer.Exit(1 if redelivery.left else 0)


def _describe(letter: DeadLetter) -> JsonValue:
    return cast(
        "JsonValue",
        {
            "id": letter.id,
            "entry_id": letter.entry_id,
            "user_id": letter.user_id,
            "memory_id": str(letter.memory_id) if letter.memory_id else None,
            "reason": letter.reason,
            "sqlstate": letter.sqlstate,
            "attempts": letter.attempts,
            "first_failed_at": letter.first_failed_at.isoformat(),
        },
    )
