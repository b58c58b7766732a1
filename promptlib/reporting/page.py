"""One HTML page that needs nothing but itself: a picture, a table, and what it means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from promptlib.version import __version__

FOLDER = Path(__file__).resolve().parent.parent / "data" / "reporting"


def make_page(
    title: str,
    *,
    lead: Sequence[str],
    pictures: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    meanings: Mapping[str, str],
) -> str:
    """Write a page; `pictures` are SVG, everything else is text. Numbers stand to the right."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    texts = [any(isinstance(row[at], str) for row in rows) for at in range(len(columns))]
    return environment.get_template("page.html.j2").render(
        title=title,
        lead=lead,
        pictures=pictures,
        columns=[{"name": name, "text": text} for name, text in zip(columns, texts, strict=True)],
        rows=[[_cell(cell) for cell in row] for row in rows],
        meanings=meanings,
        footer=f"promptlib {__version__}",
    )


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.3f}" if isinstance(value, float) else f"{value:,}"
