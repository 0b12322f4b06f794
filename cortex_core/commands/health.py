"""`cortex check`, `migrate` and `stats`: whether everything is as it must be, and what was done with it."""

from typing import Annotated, cast

import typer
from pydantic import JsonValue

from cortex_core.bootstrap import open_servers
from cortex_core.commands.checks import check_everything
from cortex_core.commands.console import print_json, say, stderr
from cortex_core.commands.running import run
from cortex_core.config import MemoryConfig, load_config
from cortex_core.dashboard import MAX_HOURS, Latency, Learning, Stats
from cortex_core.errors import ConfigError
from cortex_core.manager import MemoryManager
from cortex_core.stores.health import Check, Status
from cortex_core.stores.schema import Migration
from cortex_core.stores.schema import migrate as apply_migrations


def check(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="for a program to read")] = False,
    ask_llm: Annotated[bool, typer.Option("--llm", help="ask the language model something, which may cost")] = False,
) -> None:
    """Check every dependency, one line each; the exit code is 1 if one failed."""
    try:
        config = load_config()
    except ConfigError as error:
        checks = [Check("config", Status.FAILED, str(error))]
    else:
        with stderr.status("checking"):
            checks = run(check_everything(config, ask_llm=ask_llm))
    is_ok = all(one.status is not Status.FAILED for one in checks)
    if as_json:
        lines: list[JsonValue] = [{"name": c.name, "status": c.status.value, "detail": c.detail} for c in checks]
        print_json({"ok": is_ok, "checks": lines})
    else:
        for one in checks:
            say(f"{one.status.value:<8} {one.name:<13} {one.detail}")
    raise typer.Exit(0 if is_ok else 1)


def migrate() -> None:
    """Apply the schema migrations that the database lacks; every start does the same."""
    applied = run(_migrate(load_config()))
    for migration in applied:
        say(f"applied {migration.version:04}_{migration.name}")
    if not applied:
        say("The database has every migration of this version.")


def stats(
    *,
    hours: Annotated[int, typer.Option(min=1, max=MAX_HOURS, help="how far back")] = 24,
    as_json: Annotated[bool, typer.Option("--json", help="for a program to read")] = False,
) -> None:
    """Show what was stored and recalled in the last hours, how fast, and what language models cost."""

    async def work() -> Stats:
        async with MemoryManager(load_config()) as memory:
            return await memory.dashboard.get_stats(hours)

    found = run(work())
    if as_json:
        print_json(cast("JsonValue", found.model_dump(mode="json")))
        return
    for name, value in _lines(found):
        say(f"{name:<22} {value}")


def _lines(found: Stats) -> list[tuple[str, str]]:
    def describe(latency: Latency) -> str:
        if latency.p50_ms is None or latency.p95_ms is None:
            return "nothing to time"
        return f"p50 {latency.p50_ms:.0f} ms, p95 {latency.p95_ms:.0f} ms"

    return [
        ("since", f"{found.since:%Y-%m-%d %H:%M} UTC"),
        ("users", f"{found.total_users:,}"),
        ("memories", f"{found.total_memories:,}"),
        *((f"  {kind.value}", f"{number:,}") for kind, number in sorted(found.memories_by_type.items())),
        ("stored", f"{found.memories_stored:,}, {describe(found.store)}"),
        ("  in PostgreSQL", describe(found.write_lag)),
        ("recalled", f"{found.retrievals:,}, {describe(found.recall)}"),
        ("  found something", "nothing was looked for" if found.hit_rate is None else f"{found.hit_rate:.0%}"),
        *((f"  {reason}", f"{number:,}") for reason, number in found.rejections.items()),
        *_learning(found.learning),
        ("errors", f"{found.error_count:,}"),
        ("language model", f"{found.llm.calls:,} calls, {found.llm.cost} since {found.since:%Y-%m-%d} UTC"),
        *((f"runs {status.value}", f"{number:,}") for status, number in found.runs.items()),
        ("dead letters", f"{found.dead_letters:,}"),
        ("waiting writes", "unknown, Redis is away" if found.backlog is None else f"{found.backlog:,}"),
        ("waiting for vectors", f"{found.vectors_waiting:,}"),
    ]


def _learning(found: Learning) -> list[tuple[str, str]]:
    return [
        ("read by rules", f"{found.by_rules:,}"),
        ("read by the model", f"{found.by_model:,} in {found.calls:,} calls, {found.postponed:,} postponed"),
        ("  left to the rules", f"{found.left_to_rules:,}"),
        ("  given up", f"{found.given_up:,}"),
    ]


async def _migrate(config: MemoryConfig) -> list[Migration]:
    async with open_servers(config) as opened:
        return await apply_migrations(opened.postgres.url)
