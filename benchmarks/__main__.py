"""`python -m benchmarks`: runs the benchmarks, prints their tables, and writes their figures as JSON and charts."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import _charts, ingest, latency, learning, recall, rejection, scale
from benchmarks._report import Report, show_targets


class Benchmark(StrEnum):
    """What can be measured."""

    RECALL = "recall"
    LATENCY = "latency"
    INGEST = "ingest"
    SCALE = "scale"
    REJECTION = "rejection"
    LEARNING = "learning"


@dataclass(frozen=True, slots=True)
class Options:
    """How it is measured."""

    quick: bool
    locomo: Path | None


_COLUMNS = 120
"""How wide the tables may get in a file or a pipe."""

_RUNS: dict[Benchmark, Callable[[Options], Coroutine[None, None, Report]]] = {
    Benchmark.RECALL: lambda options: recall.run(quick=options.quick, locomo=options.locomo),
    Benchmark.LATENCY: lambda options: latency.run(quick=options.quick),
    Benchmark.INGEST: lambda options: ingest.run(quick=options.quick, locomo=options.locomo),
    Benchmark.SCALE: lambda options: scale.run(quick=options.quick, locomo=options.locomo),
    Benchmark.REJECTION: lambda options: rejection.run(quick=options.quick),
    Benchmark.LEARNING: lambda options: learning.run(quick=options.quick, locomo=options.locomo),
}


def main(
    benchmarks: Annotated[
        list[Benchmark] | None, typer.Argument(metavar="BENCHMARK", help="Which; all of them when left out.")
    ] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A few seconds, to see that the benchmarks work.")] = False,
    locomo: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="LoCoMo's locomo10.json.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures to this file.")
    ] = None,
    charts: Annotated[
        Path | None, typer.Option(metavar="FOLDER", file_okay=False, help="Also draw a chart of each into this folder.")
    ] = None,
) -> None:
    """Measure Cortex on this machine."""
    console = Console(width=None if sys.stdout.isatty() else _COLUMNS)
    if charts and not _charts.is_installed():
        raise typer.BadParameter(_charts.MISSING, param_hint="--charts")
    reports: list[Report] = []
    for benchmark in benchmarks or list(Benchmark):
        report = asyncio.run(_RUNS[benchmark](Options(quick=quick, locomo=locomo)))
        report.show(console)
        reports.append(report)
    show_targets(console, (target for report in reports for target in report.targets))
    if json_file:
        figures = {report.name: report.to_json() for report in reports}
        json_file.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    if charts:
        charts.mkdir(parents=True, exist_ok=True)
        for report in reports:
            _charts.draw(report, charts / f"{report.name}.png")


if __name__ == "__main__":
    typer.run(main)
