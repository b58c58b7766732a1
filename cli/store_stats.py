"""`promptlib store stats`: what a store holds, at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .output import check_writable, json_option, open_project, print_json, print_table, say

if TYPE_CHECKING:
    from promptlib.curation.overview import Overview

BAR = 40
"""Characters of the longest bar."""


@click.command()
@click.argument("name")
@click.option(
    "-k", type=click.IntRange(min=1), default=8, show_default=True,
    help="How many examples a prompt shows.",
)  # fmt: skip
@click.option("--png", metavar="FILE", help="Draw labels, tokens and growth.")
@json_option
@click.pass_context
def stats(ctx: click.Context, name: str, k: int, png: str | None, as_json: bool) -> None:
    """Count what store NAME holds, and say what its volume suggests.

    \b
    promptlib store stats banking77
    promptlib store stats banking77 --png banking77.png
    """
    from promptlib.budget.tokens import TokenCounter
    from promptlib.curation.overview import overview
    from promptlib.hint import volume_hint

    if png is not None:
        check_writable(png)
    opened = open_project(ctx).store(name)
    found, settings = opened.stats(), opened.settings
    seen = overview(opened, TokenCounter.for_encoding("o200k_base").count)
    hint = volume_hint(found.volume, min(k, found.volume.rows))
    if png is not None:
        _draw(name, png, found.volume.classes, seen)
    if as_json:
        tuned_for = {model: each.model_dump() for model, each in settings.tuned_for.items()}
        print_json({
            "name": name, "revision": found.revision, "label": found.label,
            "statuses": found.statuses, "deleted": found.deleted,
            "distinct": found.volume.distinct, "classes": found.volume.classes,
            "auto": settings.tuned.model_dump() if settings.tuned else None,
            "auto_for": tuned_for, **seen.to_dict(), "hint": hint.to_dict() if hint else None,
        })  # fmt: skip
        return
    sizes = sorted(found.volume.classes.items(), key=lambda item: (-item[1], item[0]))
    facts: list[list[Any]] = [[status, n] for status, n in sorted(found.statuses.items())]
    facts += [["deleted", found.deleted], ["distinct inputs", found.volume.distinct]]
    facts += [["labels", len(sizes)], ["revision", found.revision]]
    print_table(["rows", "count"], facts)
    if sizes:
        shown = sizes if len(sizes) <= 10 else [*sizes[:5], ("…", None), *sizes[-5:]]
        print_table(["label", "rows"], shown)
    _tell(seen)
    if settings.tuned is not None:
        say(f"auto: {settings.tuned}")
    for model, each in settings.tuned_for.items():
        say(f"auto for {model}: {each}")
    if hint is not None:
        say(f"hint: {hint}; ask: promptlib advise {name}")


def _tell(seen: Overview) -> None:
    print_table(["source", "rows"], list(seen.sources.items())[:10], free="source")
    if seen.tokens is not None:
        ranges = zip(seen.tokens.edges, seen.tokens.edges[1:], strict=False)
        names = [f"{low:,} to {high - 1:,}" for low, high in ranges] or [
            f"{seen.tokens.edges[0]:,}"
        ]
        rows = [
            [name, count, _bar(count, max(seen.tokens.counts))]
            for name, count in zip(names, seen.tokens.counts, strict=True)
        ]
        print_table(["tokens of a row", "rows", ""], rows)
    if len(seen.growth) > 1:
        last = seen.growth[-10:]
        most = max(rows for _, rows in last)
        print_table(["day", "rows", ""], [[day, n, _bar(n, most)] for day, n in last])


def _bar(count: int, most: int) -> str:
    return "█" * round(BAR * count / max(1, most))


def _draw(name: str, file: str, classes: Any, seen: Overview) -> None:
    from pathlib import Path

    from promptlib.files.writing import replacing
    from promptlib.reporting.pictures import Bars, draw_panels

    largest = sorted(classes.items(), key=lambda item: -item[1])[:30]
    tokens = seen.tokens
    of_all = (
        f", the {len(largest)} largest of {len(classes)}" if len(largest) < len(classes) else ""
    )
    panels = [
        Bars(f"rows by label{of_all}", [name for name, _ in largest], [n for _, n in largest]),
        Bars("rows by tokens", [f"{edge:,}" for edge in tokens.edges[: len(tokens.counts)]],
             tokens.counts) if tokens else Bars("rows by tokens", [], []),
        Bars("rows by day", [day for day, _ in seen.growth], [rows for _, rows in seen.growth]),
    ]  # fmt: skip
    with replacing(Path(file)) as out:
        out.write(draw_panels(panels, title=name, form="png"))
    say(f"wrote {file}")
