"""Pictures of measurements, drawn by matplotlib (the extra `pictures`)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from promptlib.errors import MissingDependencyError


def check_pictures() -> None:
    """Raise MissingDependencyError without matplotlib."""
    if find_spec("matplotlib") is None:
        raise MissingDependencyError("pictures", "pictures")


@dataclass(frozen=True)
class Point:
    """One measurement: where it lies, how sure it is, and to which line it belongs."""

    series: str
    x: float
    y: float
    low: float
    high: float
    note: str = ""
    """Stands beside the point."""


def draw_points(points: Sequence[Point], *, title: str, x: str, y: str, form: str) -> bytes:
    """Draw points with intervals, a line for each series, as "png" or "svg".

    Raises MissingDependencyError without matplotlib.
    """
    check_pictures()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "promptlib", "font.size": 10}):
        figure: Any = Figure(figsize=(9, 5.5), layout="constrained")
        axes = figure.add_subplot()
        for number, series in enumerate(dict.fromkeys(point.series for point in points)):
            mine = sorted((p for p in points if p.series == series), key=lambda point: point.x)
            spread = [[max(0, p.y - p.low) for p in mine], [max(0, p.high - p.y) for p in mine]]
            axes.errorbar(
                [p.x for p in mine], [p.y for p in mine], yerr=spread, label=series,
                marker="osD^vPX*<>"[number % 10], capsize=3, linewidth=1.2,
            )  # fmt: skip
            for point in mine:
                axes.annotate(point.note, (point.x, point.y), xytext=(5, 5),
                              textcoords="offset points", fontsize=8, alpha=0.8)  # fmt: skip
        axes.set(xlabel=x, ylabel=y)
        axes.set_title(title, parse_math=False)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        out = io.BytesIO()
        # Without a date, so that the same figures give the same file.
        metadata = {"Date": None} if form == "svg" else {}
        figure.savefig(out, format=form, dpi=150, metadata=metadata)
    return out.getvalue()
