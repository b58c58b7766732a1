"""Pictures of measurements, drawn by matplotlib (the extra `pictures`)."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Line:
    """A line, with a band around it where one is known."""

    series: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False
    """Expected rather than measured: drawn in the colour of the line before it."""


def draw_points(points: Sequence[Point], *, title: str, x: str, y: str, form: str) -> bytes:
    """Draw points with intervals, a line for each series, as "png" or "svg".

    Raises MissingDependencyError without matplotlib.
    """

    def draw(axes: Any) -> None:
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

    return _drawn(draw, title=title, x=x, y=y, form=form)


def draw_lines(
    lines: Sequence[Line], *, title: str, x: str, y: str, form: str, log_x: bool = False,
    log_y: bool = False,
) -> bytes:  # fmt: skip
    """Draw lines with bands, as "png" or "svg"; raises MissingDependencyError."""

    def draw(axes: Any) -> None:
        colour = None
        for number, line in enumerate(lines):
            style = "--" if line.dashed else "-"
            drawn = axes.plot(
                line.x, line.y, style, color=colour if line.dashed else None, label=line.series,
                marker="" if line.dashed else "osD^vPX*<>"[number % 10], linewidth=1.4,
            )  # fmt: skip
            colour = drawn[0].get_color()
            if line.low:
                axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15)
        if log_x:
            axes.set_xscale("log")
        if log_y and all(value > 0 for line in lines for value in line.y):
            axes.set_yscale("log")

    return _drawn(draw, title=title, x=x, y=y, form=form)


@dataclass(frozen=True)
class Cloud:
    """Points of one kind, (n, 2)."""

    name: str
    places: NDArray[np.float32]


def draw_cloud(
    clouds: Sequence[Cloud], marked: NDArray[np.float32], *, title: str, form: str
) -> bytes:
    """Draw points of several kinds, the first of them pale, and rings around those marked.

    Points are drawn as an image inside an SVG: ten thousand of them stay small.
    """

    def draw(axes: Any) -> None:
        for number, cloud in enumerate(clouds):
            if len(cloud.places):
                colour = "#cccccc" if not number else None
                axes.scatter(*cloud.places.T, s=5, label=cloud.name, color=colour, linewidths=0,
                             rasterized=True)  # fmt: skip
        if len(marked):
            axes.scatter(*marked.T, s=22, facecolors="none", edgecolors="#c00000", linewidths=0.5,
                         label="with a finding", rasterized=True)  # fmt: skip
        axes.set(xticks=[], yticks=[])

    return _drawn(draw, title=title, x="", y="", form=form)


@dataclass(frozen=True)
class Bars:
    """A bar for each name."""

    title: str
    names: Sequence[str]
    values: Sequence[float]


def draw_panels(panels: Sequence[Bars], *, title: str, form: str) -> bytes:
    """Draw bars side by side; raises MissingDependencyError without matplotlib."""
    check_pictures()
    from matplotlib.figure import Figure

    with _style():
        figure: Any = Figure(figsize=(5 * len(panels), 4.5), layout="constrained")
        for number, panel in enumerate(panels, start=1):
            axes = figure.add_subplot(1, len(panels), number)
            axes.bar(range(len(panel.names)), panel.values)
            names = [_shortened(name) for name in panel.names]
            axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7, parse_math=False)
            axes.set_title(panel.title, parse_math=False)
            axes.grid(alpha=0.3, axis="y")
        figure.suptitle(title, parse_math=False)
        return _saved(figure, form)


def _shortened(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"


def _drawn(draw: Callable[[Any], None], *, title: str, x: str, y: str, form: str) -> bytes:
    check_pictures()
    from matplotlib.figure import Figure

    with _style():
        figure: Any = Figure(figsize=(9, 5.5), layout="constrained")
        axes = figure.add_subplot()
        draw(axes)
        axes.set(xlabel=x, ylabel=y)
        axes.set_title(title, parse_math=False)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        return _saved(figure, form)


def _style() -> Any:
    from matplotlib import rc_context

    return rc_context({"svg.fonttype": "none", "svg.hashsalt": "promptlib", "font.size": 10})


def _saved(figure: Any, form: str) -> bytes:
    """Write a figure without a date, so that the same figures give the same file."""
    out = io.BytesIO()
    figure.savefig(out, format=form, dpi=150, metadata={"Date": None} if form == "svg" else {})
    return out.getvalue()
