"""The comparison as tables and as a picture."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from common import CHECKOUT, HERE, RESULTS

COLUMNS = {
    "import_s": ("import", "{:.2f} s"),
    "first_s": ("fresh process to first prompt", "{:.2f} s"),
    "peak_mib": ("its peak memory", "{:.0f} MiB"),
    "p50_ms": ("one prompt, p50", "{:.1f} ms"),
    "p95_ms": ("p95", "{:.1f} ms"),
    "p99_ms": ("p99", "{:.1f} ms"),
    "per_s_1": ("prompts a second, 1 thread", "{:.0f}"),
    "per_s_4": ("4 threads", "{:.0f}"),
    "per_s_16": ("16 threads", "{:.0f}"),
    "many_per_s": ("many at once", "{:.0f}"),
    "ingest_rows_per_s": ("rows embedded a second", "{:.0f}"),
    "disk_mb": ("on disk", "{:.0f} MB"),
    "label_hit": ("own label shown", "{:.1%}"),
    "over_budget": ("over 400 tokens", "{:,}"),
}
SHORT = ("first_s", "peak_mib", "p50_ms", "p95_ms", "ingest_rows_per_s", "label_hit", "over_budget")
COMPARED = ("p50_ms", "first_s", "peak_mib")
DRAWN = ("first_s", "p50_ms", "peak_mib", "ingest_rows_per_s")
OURS, THEIRS = "#2a6f97", "#b8b8b8"


def table(facts: dict[str, Any], columns: tuple[str, ...]) -> str:
    heads = [COLUMNS[name][0] for name in columns]
    lines = ["| " + " | ".join(["", *heads]) + " |", "|" + " --- |" * (len(heads) + 1)]
    for tool, figures in facts["tools"].items():
        cells = [COLUMNS[n][1].format(figures[n]) if n in figures else "" for n in columns]
        lines.append("| " + " | ".join([tool, *cells]) + " |")
    told = (
        f"BANKING77, {facts['rows']:,} rows, all-MiniLM-L6-v2, k 8; {facts['queries']:,} prompts "
        f"each, a few of one tool's, then the next's; all else in rounds; {facts['machine']}, "
        f"{facts['date']}."
    )
    return "\n".join([*lines, "", told, *against(facts["tools"])])


def against(tools: dict[str, dict[str, Any]], other: str = "LangChain") -> list[str]:
    """Say how many times as long, or as much, another tool takes as promptlib."""
    ours = [tool for tool in tools if tool.startswith("promptlib")]
    if other not in tools:
        return []
    heads = [f"{other} against", *(COLUMNS[name][0] for name in COMPARED), "embedding rows"]
    lines = ["", "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for tool in ours:
        times = [tools[other][name] / tools[tool][name] for name in COMPARED]
        times.append(tools[tool]["ingest_rows_per_s"] / tools[other]["ingest_rows_per_s"])
        lines.append(f"| {tool} | " + " | ".join(f"{each:.2f}x" for each in times) + " |")
    return lines


def write_tables(facts: dict[str, Any]) -> None:
    """Put the tables where the documents have a place for them."""
    for file, columns in (
        (CHECKOUT / "README.md", SHORT), (HERE / "README.md", tuple(COLUMNS)),
    ):  # fmt: skip
        text = file.read_text(encoding="utf-8")
        before, *rest = re.split(
            r"(?<=<!-- compare -->\n).*?(?=<!-- end -->)", text, flags=re.DOTALL
        )
        file.write_text("".join([before, f"{table(facts, columns)}\n", *rest]), encoding="utf-8")
    print(table(facts, tuple(COLUMNS)))


def draw(facts: dict[str, Any], file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tools = list(facts["tools"])[::-1]
    figure, axes = pyplot.subplots(1, len(DRAWN), figsize=(13, 0.4 * len(tools) + 1.2), sharey=True)
    for axis, name in zip(axes, DRAWN, strict=True):
        values = [facts["tools"][tool][name] for tool in tools]
        colours = [OURS if tool.startswith("promptlib") else THEIRS for tool in tools]
        bars = axis.barh(tools, values, color=colours)
        axis.bar_label(bars, [COLUMNS[name][1].format(v) for v in values], padding=3, fontsize=8)
        axis.set_title(COLUMNS[name][0], fontsize=10)
        axis.margins(x=0.3)
        axis.set_xticks([])
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    known = json.loads((RESULTS / "compare.json").read_text())
    draw(known, CHECKOUT / "docs" / "compare.png")
    write_tables(known)
    sys.exit()
