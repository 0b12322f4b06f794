"""`python -m benchmarks`: runs the benchmarks, prints their tables, and writes their figures as JSON."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import latency, locomo_replay
from benchmarks._report import Report


def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A few seconds, to see that the benchmarks work.")] = False,
    locomo: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="LoCoMo's locomo10.json.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Measure Cortex on this machine."""
    console = Console()
    figures: dict[str, object] = {}
    for report in _run(quick=quick, locomo=locomo):
        report.show(console)
        figures[report.name] = report.to_json()
    if locomo is None:
        console.print("\nlocomo_replay is skipped: give it LoCoMo's file with --locomo locomo10.json.")
    if json_file:
        json_file.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def _run(*, quick: bool, locomo: Path | None) -> Iterator[Report]:
    yield asyncio.run(latency.run(quick=quick))
    if locomo is not None:
        report, _ = locomo_replay.run(locomo, conversation=1, questions=20, limit=10)
        yield report


if __name__ == "__main__":
    typer.run(main)
