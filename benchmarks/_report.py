"""What a benchmark hands back: figures and targets, printed as tables and written as JSON with stable keys."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

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


@dataclass(frozen=True, slots=True)
class Target:
    """What was promised of a figure, and what it came to."""

    name: str
    limit: float
    measured: float

    @property
    def holds(self) -> bool:
        """Whether the promise was kept in this run."""
        return self.measured < self.limit


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
        ratios: Figures without a unit.
        targets: Promises that this benchmark checks; printed, never enforced, since a busy machine breaks them too.
        notes: What a reader of the figures has to know.
    """

    name: str
    machine: Machine
    parameters: dict[str, float]
    distributions: dict[str, Distribution] = field(default_factory=dict)
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
            console.print(_tabulate(self.distributions))
        for name, ratio in self.ratios.items():
            console.print(f"{name}: {ratio:.2f}")
        for target in self.targets:
            verdict = "[green]holds[/green]" if target.holds else "[red]missed[/red]"
            console.print(f"{verdict}  {target.name}: {target.measured:g} (promised: under {target.limit:g})")
        for note in self.notes:
            console.print(f"[dim]{note}[/dim]")


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


def _tabulate(distributions: dict[str, Distribution]) -> Table:
    table = Table("milliseconds", "n", "p50", "p95", "p99", "max")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, d in distributions.items():
        figures = (d.p50_ms, d.p95_ms, d.p99_ms, d.max_ms)
        table.add_row(name, str(d.count), *(_round(figure) for figure in figures))
    return table


def _round(milliseconds: float) -> str:
    return f"{milliseconds:.1f}" if milliseconds >= 10 else f"{milliseconds:.3f}"
