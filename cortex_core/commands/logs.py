"""Commands that read conversation logs: `replay`, and `convert` from other formats into Cortex's."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cortex_core.audience import Audience
from cortex_core.commands.console import complain, print_json, progress, say
from cortex_core.commands.running import run
from cortex_core.config import MemoryConfig, load_config
from cortex_core.errors import InvalidInputError
from cortex_core.manager import MemoryManager
from cortex_core.models import Model
from cortex_core.replay import locomo
from cortex_core.replay.replaying import ReplayReport
from cortex_core.replay.replaying import replay as replay_log

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]

convert = typer.Typer(no_args_is_help=True, help="Convert conversations of other formats into a log for `replay`.")


@convert.callback()
def _convert() -> None:
    """Keep `locomo` a subcommand while it is the only one."""


def replay(
    file: File,
    *,
    owner: Annotated[str | None, typer.Option(metavar="ID", help="file everything under one owner")] = None,
    audience: Annotated[
        str, typer.Option(help="where it may surface: owner, channel:GUILD:CHANNEL, guild:GUILD or everywhere")
    ] = "owner",
    as_json: Annotated[bool, typer.Option("--json", help="for a program to read")] = False,
) -> None:
    """Feed a conversation log through the whole pipeline at its original times, as if said on Discord.

    FILE has one JSON object a line: time (ISO 8601 with a zone), author_id, author_name, channel, text and, if it has
    one, id. Replaying it again changes nothing, so a broken-off replay is simply run again.
    """
    report = run(_replay(load_config(), file, owner, Audience.parse(audience)))
    if as_json:
        print_json({**asdict(report), "ms_per_memory": report.ms_per_memory})
    else:
        pace = f", {report.ms_per_memory:.1f} ms per memory" if report.ms_per_memory else ""
        say(
            f"{report.lines} lines: {report.stored} stored, {report.known} already known, "
            f"{len(report.refused)} refused in {report.seconds:.1f} s{pace}."
        )
    for refusal in report.refused:
        complain(f"line {refusal.line}: {refusal.reason}")
    raise typer.Exit(1 if report.refused else 0)


async def _replay(config: MemoryConfig, file: Path, owner: str | None, audience: Audience) -> ReplayReport:
    with file.open("rb") as log:
        total = sum(1 for _ in log)
        log.seek(0)
        async with MemoryManager(config) as memory:
            with progress("replaying", total) as bar:
                return await replay_log(
                    memory, log, owner=owner, audience=audience, on_line=lambda: bar.advance(bar.task_ids[0])
                )


@convert.command("locomo")
def convert_locomo(
    file: File,
    conversation: Annotated[int, typer.Option(metavar="N", help="which one, counted from 1")] = 1,
    output: Annotated[Path | None, typer.Option(dir_okay=False, help="locomo-N.jsonl when left out")] = None,
) -> None:
    """Convert a conversation of LoCoMo; its questions go beside the log into NAME.questions.jsonl."""
    converted = locomo.convert(file.read_bytes(), conversation=conversation)
    log = output or Path(f"locomo-{conversation}.jsonl")
    questions = log.with_suffix(".questions.jsonl")
    try:
        _write_lines(log, converted.messages)
        _write_lines(questions, converted.questions)
    except OSError as error:
        raise InvalidInputError(
            f"{error.filename} can't be written ({error.strerror}); choose another --output."
        ) from None
    say(f"{log}: {len(converted.messages)} messages\n{questions}: {len(converted.questions)} questions")


def _write_lines(file: Path, lines: Iterable[Model]) -> None:
    file.write_text("".join(line.model_dump_json() + "\n" for line in lines), "utf-8")
