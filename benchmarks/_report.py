"""What a benchmark hands back: figures and targets, printed as tables and written as JSON with stable keys."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

import numpy as np
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Distribution:
    """How long something took, in milliseconds."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Distribution":
        """Summarise durations; every percentile is a duration that occurred (nearest rank)."""
        ranks = np.percentile(seconds, [50, 95, 99, 100], method="inverted_cdf")
        p50, p95, p99, longest = (round(float(rank) * 1000, 4) for rank in ranks)
        return cls(len(seconds), p50, p95, p99, longest)


class Direction(StrEnum):
    """On which side of its limit a figure has to stay."""

    AT_MOST = "at most"
    AT_LEAST = "at least"


@dataclass(frozen=True, slots=True)
class Target:
    """What was promised of a figure, and what it came to."""

    name: str
    limit: float
    measured: float
    direction: Direction = Direction.AT_MOST

    @property
    def holds(self) -> bool:
        """Whether the promise was kept in this run."""
        if self.direction is Direction.AT_LEAST:
            return self.measured >= self.limit
        return self.measured <= self.limit


Figures = dict[str, dict[str, float]]
"""A table: for each row its figures by column. A row leaves out what it has no figure for."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it ran, and how busy that was."""

    cores: int
    load_before: float
    load_after: float
    python: str
    system: str


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one benchmark.

    Attributes:
        name: The benchmark's.
        parameters: What it was run with.
        distributions: Durations by what took them.
        tables: Figures with rows and columns, by what the table tells.
        ratios: Single figures.
        targets: Promises that this benchmark checks; printed, never enforced, since a busy machine breaks them too.
        notes: What a reader of the figures has to know.
    """

    name: str
    machine: Machine
    parameters: dict[str, float]
    distributions: dict[str, Distribution] = field(default_factory=dict)
    tables: dict[str, Figures] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return everything as JSON values; a figure keeps its key from version to version."""
        return {**asdict(self), "targets": {t.name: {**asdict(t), "holds": t.holds} for t in self.targets}}

    def show(self, console: Console) -> None:
        """Print it."""
        machine = self.machine
        console.print(f"\n[bold]{self.name}[/bold]")
        console.print(
            f"{machine.cores} cores, load {machine.load_before:.2f} before and {machine.load_after:.2f} after, "
            f"Python {machine.python}, {machine.system}"
        )
        console.print(", ".join(f"{name} {value:g}" for name, value in self.parameters.items()))
        if self.distributions:
            console.print(_tabulate_durations(self.distributions))
        for title, figures in self.tables.items():
            console.print(_tabulate(title, figures))
        for name, ratio in self.ratios.items():
            console.print(f"{name}: {ratio:.2f}")
        for note in self.notes:
            console.print(note, style="dim", markup=False)


def read_load() -> float:
    """Return how many processes wanted a processor, averaged over the last minute."""
    return os.getloadavg()[0]


def describe_machine(*, load_before: float) -> Machine:
    """Describe this machine at the end of a run."""
    return Machine(
        cores=os.cpu_count() or 1,
        load_before=load_before,
        load_after=read_load(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
    )


def show_targets(console: Console, targets: Iterable[Target]) -> None:
    """Print what was promised beside what was measured."""
    table = _start_table("promise", "promised", "measured", "")
    for target in targets:
        verdict = "[green]holds[/green]" if target.holds else "[red]missed[/red]"
        table.add_row(target.name, f"{target.direction} {target.limit:g}", _round(target.measured), verdict)
    console.print()
    console.print(table)


def _tabulate(title: str, figures: Figures) -> Table:
    columns = list(dict.fromkeys(column for row in figures.values() for column in row))
    table = _start_table(title, *columns)
    for name, row in figures.items():
        table.add_row(name, *(_round(row[column]) if column in row else "-" for column in columns))
    return table


def _tabulate_durations(distributions: dict[str, Distribution]) -> Table:
    table = _start_table("milliseconds", "n", "p50", "p95", "p99", "max")
    for name, d in distributions.items():
        figures = (d.p50_ms, d.p95_ms, d.p99_ms, d.max_ms)
        table.add_row(name, str(d.count), *(_round(figure) for figure in figures))
    return table


def _start_table(*headings: str) -> Table:
    table = Table(*headings)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _round(figure: float) -> str:
    if isinstance(figure, int):
        return str(figure)
    return f"{figure:.1f}" if figure >= 10 or figure == 0 else f"{figure:.3f}"
