"""`cortex check` and `cortex migrate`: whether everything that Cortex depends on is there and as it must be."""

from typing import Annotated

import typer
from pydantic import JsonValue

from cortex_core.bootstrap import open_servers
from cortex_core.commands.checks import Check, Status, check_everything
from cortex_core.commands.console import print_json, say, stderr
from cortex_core.commands.running import run
from cortex_core.config import MemoryConfig, load_config
from cortex_core.errors import ConfigError
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


async def _migrate(config: MemoryConfig) -> list[Migration]:
    async with open_servers(config) as opened:
        return await apply_migrations(opened.postgres.url)
