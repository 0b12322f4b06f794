"""A picture of each benchmark, drawn from the figures of its report."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._report import Distribution, Figures, Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MISSING = "Charts need matplotlib: pip install 'clara-cortex[bench]'."

_OURS = "#2563a8"
_THEIRS = "#d98b2b"
_THEIRS_TOO = "#f0d3ad"
_FLOOR = "#a3abb5"
_INK = "#30363d"
_STYLE = {
    "axes.edgecolor": _FLOOR,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titlepad": 18,
    "font.size": 9,
    "legend.frameon": False,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "ytick.left": False,
}
_DOTS_PER_INCH = 150

_SYSTEMS = {"Cortex": _OURS, "mem0 with BM25": _THEIRS, "mem0 without BM25": _THEIRS_TOO}
_MEM0_NOTE = (
    "mem0 2.2.1 with infer=False (its retrieval, without a language model); the same embedding model on both sides."
)
_LOCOMO_GROUPS = ("R@5", "R@10", "R@20", "single-hop", "temporal", "multi-hop", "open-domain")


def is_installed() -> bool:
    """Tell whether there is something to draw with."""
    return find_spec("matplotlib") is not None


def draw(report: Report, file: Path) -> None:
    """Draw a report as a PNG: what was found, if it tells that, else what took how long."""
    import matplotlib as mpl  # noqa: PLC0415  optional, and slow to import

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    with plt.rc_context(_STYLE):
        if report.name == "recall":
            panels = [_draw_locomo, _draw_own_set] if "LoCoMo" in report.tables else [_draw_own_set]
            figure, axes = plt.subplots(len(panels), 1, figsize=(9, 3.6 * len(panels)), squeeze=False)
            for draw_panel, ax in zip(panels, axes[:, 0], strict=True):
                draw_panel(ax, report.tables)
        else:
            distributions = _name_sizes(report) if report.name == "scale" else report.distributions
            figure, ax = plt.subplots(figsize=(9, 1.2 + 0.34 * len(distributions)))
            _draw_durations(ax, distributions)
        if _has_mem0(report):
            figure.supxlabel(_MEM0_NOTE, x=0.02, ha="left", fontsize=7.5)
        figure.tight_layout()
        figure.savefig(file, dpi=_DOTS_PER_INCH)
        plt.close(figure)


def _has_mem0(report: Report) -> bool:
    return any("mem0" in name for name in (*report.distributions, *report.tables.get("own set", ())))


def _name_sizes(report: Report) -> dict[str, Distribution]:
    """Return the searches by the sizes that they are about, and what they are to be compared with."""
    sizes = {name.partition("_"): size for name, size in report.parameters.items()}
    searches = {
        f"search {'among' if unit == 'rows' else 'of an owner of'} {size:,.0f}": report.distributions[f"search_{kind}"]
        for (unit, _, kind), size in sizes.items()
    }
    others = (
        "first_search_large_table",
        "mem0_search",
        "write",
        "floor_embedding_large_table",
        "floor_query_large_table",
    )
    return searches | {name: report.distributions[name] for name in others if name in report.distributions}


def _draw_locomo(ax: "Axes", tables: Mapping[str, Figures]) -> None:
    kinds = tables["LoCoMo R@10 by kind"]
    systems = {name: {**row, **kinds[name]} for name, row in tables["LoCoMo"].items() if name in _SYSTEMS}
    groups = [group for group in _LOCOMO_GROUPS if group in systems["Cortex"]]
    ax.set_title("LoCoMo: evidence turns found, per cent (kinds of question: among the first ten)")
    _draw_bars(ax, groups, {name: [row[group] for group in groups] for name, row in systems.items()})


def _draw_own_set(ax: "Axes", tables: Mapping[str, Figures]) -> None:
    kinds = {kind: row for kind, row in tables["own set by kind"].items() if "R@10" in row}
    series = {"Cortex": [row["R@10"] for row in kinds.values()]}
    if all("mem0's R@10" in row for row in kinds.values()):
        series["mem0 with BM25"] = [row["mem0's R@10"] for row in kinds.values()]
    ax.set_title("Our own set: evidence turns among the first ten, per cent")
    _draw_bars(ax, [kind.replace("_", " ") for kind in kinds], series)


def _draw_bars(ax: "Axes", groups: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    """Draw groups of bars, one colour for each series, with their values above them."""
    width = 0.8 / len(series)
    for place, (name, values) in enumerate(series.items()):
        left = [group - 0.4 + width * (place + 0.5) for group in range(len(groups))]
        bars = ax.bar(left, values, width * 0.92, color=_SYSTEMS[name], label=name)
        ax.bar_label(bars, fmt="%.0f", fontsize=7.5, padding=1)
    ax.set_xticks(range(len(groups)), groups)
    ax.tick_params(axis="x", length=0)
    ax.set_ylim(0, 100)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09), ncols=len(series))


def _draw_durations(ax: "Axes", distributions: Mapping[str, Distribution]) -> None:
    """Draw a bar up to the median and a line on to the 95th percentile, with both in figures."""
    names = list(distributions)
    for place, (name, taken) in enumerate(distributions.items()):
        colour = _THEIRS if "mem0" in name else _FLOOR if name.startswith("floor") else _OURS
        ax.barh(place, taken.p50_ms, 0.62, color=colour)
        ax.plot([taken.p50_ms, taken.p95_ms], [place, place], color=_INK, linewidth=1, solid_capstyle="butt")
        ax.annotate(
            f"{taken.p50_ms:.3g} / {taken.p95_ms:.3g}",
            (max(taken.p50_ms, taken.p95_ms), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
        )
    ax.set_title("Milliseconds: a bar to the median, a line to the 95th percentile")
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    ax.invert_yaxis()
