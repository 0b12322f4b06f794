"""The `cortex` command line. An error that Cortex raises on purpose ends as a sentence on stderr and exit code 1."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cortex_core.commands import exporting, health, inspection, logs, memories, processes, rejection, runs
from cortex_core.commands.console import complain
from cortex_core.config import CONFIG_FILE_VARIABLE
from cortex_core.errors import CortexError

app = typer.Typer(
    name="cortex",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # their tracebacks show the values of variables, and with them what people wrote
    rich_markup_mode=None,
)
app.command("run")(processes.run_bot)
app.command("playground")(processes.run_playground)
app.command("worker")(processes.work)
app.command("check")(health.check)
app.command("migrate")(health.migrate)
app.command("stats")(health.stats)
app.command("search")(memories.search)
app.command("forget")(memories.forget)
app.command("export")(exporting.export)
app.command("runs")(runs.list_runs)
app.command("undo")(runs.undo)
app.command("replay")(logs.replay)
app.add_typer(logs.convert, name="convert")
app.add_typer(inspection.dead_letters, name="dead-letters")
app.add_typer(inspection.redis, name="redis")
app.add_typer(rejection.app, name="rejection")


@app.callback()
def settings(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="the settings, instead of config.toml")] = None,
) -> None:
    """Long-term memory for Discord bots."""
    if context.invoked_subcommand != "run":  # the bot sets up its own
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    if config:
        os.environ[CONFIG_FILE_VARIABLE] = os.fspath(config)  # where whatever this process starts looks for it


def main() -> int:
    """Run one command and return its exit code."""
    try:
        app(prog_name="cortex")
    except CortexError as error:
        complain(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
