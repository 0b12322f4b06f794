"""What went on, as a picture on Discord's dark background; it needs the extra `charts`."""

from collections.abc import Sequence
from datetime import timedelta
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING

from cortex_core import MissingExtraError
from cortex_core.dashboard import Slot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BACKGROUND, _TEXT, _GRID = "#2b2d31", "#dbdee1", "#4e5058"
_MEMORIES, _HALF, _MOST = "#5865f2", "#57f287", "#fee75c"
_WIDTH, _PANEL_HEIGHT, _DPI = 5.6, 1.8, 160
_MARKS_AT_MOST = 6
_ROOM_AT_LEAST = 12
_HOURS_OF_A_DAY = 24


def draw_chart(timeline: Sequence[Slot], *, with_latency: bool) -> bytes:
    """Return a PNG of how many memories were stored and, in a second panel, how long recalls took.

    It takes a moment, so call it in a thread.

    Args:
        timeline: At least one slot, in their order.
        with_latency: Whether recalls are counted in it.

    Raises:
        MissingExtraError: matplotlib isn't installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("For a chart I need one more package: `pip install 'clara-cortex[charts]'`.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  slow, and an extra
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    panels = 2 if with_latency else 1
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(_WIDTH, _PANEL_HEIGHT * panels), dpi=_DPI, facecolor=_BACKGROUND, layout=layout)
    FigureCanvasAgg(figure)
    upper, *lower = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    _draw_memories(upper, timeline)
    for axes in lower:
        _draw_latency(axes, timeline)
    _mark_times((*lower, upper)[0], timeline)
    for axes in (upper, *lower):
        _dress(axes)
    picture = BytesIO()
    figure.savefig(picture, format="png", facecolor=_BACKGROUND)
    return picture.getvalue()


def _draw_memories(axes: "Axes", timeline: Sequence[Slot]) -> None:
    axes.bar(range(len(timeline)), [slot.stored for slot in timeline], color=_MEMORIES, width=0.8)
    _entitle(axes, "Memories stored")
    axes.locator_params(axis="y", integer=True)
    axes.set_ylim(0, max(1, *(1.1 * slot.stored for slot in timeline)))


def _draw_latency(axes: "Axes", timeline: Sequence[Slot]) -> None:
    """Draw what half of the recalls, and nearly all, took at most; hours without any are gaps."""
    for values, name, colour in (
        ([slot.recall.p50_ms for slot in timeline], "p50", _HALF),
        ([slot.recall.p95_ms for slot in timeline], "p95", _MOST),
    ):
        heights = [float("nan") if value is None else value for value in values]
        axes.plot(range(len(timeline)), heights, color=colour, label=name, marker="o", markersize=3, linewidth=1.4)
    _entitle(axes, "Recall in milliseconds")
    longest = max((slot.recall.p95_ms or 0.0 for slot in timeline), default=0.0)
    axes.set_ylim(0, max(10.0, 1.15 * longest))
    place = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.98), "borderaxespad": 0.0}
    axes.legend(**place, ncols=2, fontsize=9, frameon=False, labelcolor=_TEXT)


def _mark_times(axes: "Axes", timeline: Sequence[Slot]) -> None:
    """Write when slots begin, in UTC, since Discord tells nobody's time zone to a bot."""
    is_daily = len(timeline) > 1 and timeline[1].start - timeline[0].start >= timedelta(days=1)
    step = -(-len(timeline) // _MARKS_AT_MOST)
    marked = range(len(timeline) - 1, -1, -step)
    words = "{0:%d %b}" if is_daily else "{0:%H:%M}" if len(timeline) <= _HOURS_OF_A_DAY else "{0:%H:%M}\n{0:%d %b}"
    axes.set_xticks(list(marked), [words.format(timeline[index].start) for index in marked])
    axes.set_xlim(min(0, len(timeline) - _ROOM_AT_LEAST) - 0.6, len(timeline) - 0.4)
    axes.set_xlabel("days (UTC)" if is_daily else "hours (UTC)")


def _entitle(axes: "Axes", title: str) -> None:
    axes.set_title(title, loc="left", color=_TEXT, fontsize=11)


def _dress(axes: "Axes") -> None:
    axes.set_facecolor(_BACKGROUND)
    axes.tick_params(colors=_TEXT, labelsize=9)
    axes.xaxis.label.set(color=_TEXT, fontsize=9)
    axes.grid(axis="y", color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set(visible=side == "bottom", color=_GRID)
