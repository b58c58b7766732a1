"""One HTML page that needs nothing but itself: pictures, tables, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from promptlib.version import __version__

FOLDER = Path(__file__).resolve().parent.parent / "data" / "reporting"


@dataclass(frozen=True)
class Panel:
    """A text in a box; `folded` is shown when somebody asks for it."""

    title: str
    text: str
    good: bool | None = None
    """Whether it is as it should be; None where there is no telling."""
    folded: str = ""


@dataclass(frozen=True)
class Comparison:
    """Panels side by side under a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading, lines of text, a picture (SVG), a table, comparisons; any of
    them empty."""

    title: str = ""
    lines: Sequence[str] = ()
    picture: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    comparisons: Sequence[Comparison] = ()


def make_page(
    title: str,
    *,
    lead: Sequence[str],
    sections: Sequence[Section],
    meanings: Mapping[str, str] | None = None,
) -> str:
    """Write a page; pictures are SVG, everything else is text. Numbers stand to the right."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        lead=lead,
        sections=list(map(_shown, sections)),
        meanings=meanings or {},
        footer=f"promptlib {__version__}",
    )


def _shown(section: Section) -> dict[str, Any]:
    columns = [
        {"name": name, "text": any(isinstance(row[at], str) for row in section.rows)}
        for at, name in enumerate(section.columns)
    ]
    return {
        "title": section.title,
        "lines": section.lines,
        "picture": section.picture[section.picture.find("<svg") :] if section.picture else "",
        "columns": columns,
        "comparisons": section.comparisons,
        "rows": [[_cell(cell) for cell in row] for row in section.rows],
    }


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"
