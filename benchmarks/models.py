"""What a real, small language model makes of each strategy: five data sets, one table.

For each set `auto` is tuned on rows of the store, then everything is asked on queries that the
store doesn't have. Answers are kept: a run that was stopped goes on where it was. The sets of this
checkout are asked by default; `--data FOLDER` takes FOLDER/NAME/train.jsonl and test.jsonl for all
five, and writes the table into docs/models.md.
"""

from __future__ import annotations

import argparse
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from common import CHECKOUT, HERE, RESULTS, save

import promptlib
from promptlib.evaluation.recording import record
from promptlib.experiment.examining import examine
from promptlib.experiment.results import ArmResult, Experiment
from promptlib.experiment.tuning import tune_with_model
from promptlib.intervals import Difference, Estimate
from promptlib.project import Project
from promptlib.selection.strategies import AUTO

ROOT = RESULTS / "models"
GUIDE = CHECKOUT / "docs" / "models.md"
MODEL, CALLED = "small", "local:smollm2"
FIXED = ("similar", "hybrid", "balanced")
MARGIN = 0.03
"""How much worse than the best fixed strategy `auto` may be."""


@dataclass(frozen=True)
class DataSet:
    """A store, its queries, and how many of them are asked."""

    name: str
    folder: str
    queries: int = 300
    rename: dict[str, str] = field(default_factory=dict)
    own: tuple[Path, Path] | None = None
    """Rows and queries in this checkout."""
    tuning: int = 480
    """Calls to tune `auto` with; 0 leaves it as it is."""


STORES, DATA = CHECKOUT / "example_stores", CHECKOUT / "tests" / "data"
SETS = (
    DataSet("banking77", "banking77", own=(
        STORES / "banking77" / "examples.jsonl", DATA / "banking77_test.jsonl",
    )),
    DataSet("trec6", "trec6"),
    DataSet("sst2", "sst2"),
    DataSet("snips", "snips_json", rename={"label": "intent"}),
    DataSet("gsm8k", "gsm8k", queries=40, tuning=0),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with all five sets")
    parser.add_argument("--queries", type=int, help="at most so many of each set; tune nothing")
    parser.add_argument("--only", action="append", help="these sets alone")
    told = parser.parse_args()
    project, files = prepared(told.data)
    chosen = [each for each in SETS if each.name in files]
    chosen = [each for each in chosen if not told.only or each.name in told.only]
    lines = [
        "| set | queries | zero-shot | random | similar | hybrid | balanced | `auto` | `auto` "
        "against the best fixed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in chosen:
        count = min(each.queries, told.queries or each.queries)
        source = promptlib.QuerySource(files[each.name], sample=count, rename=each.rename)
        if each.tuning and told.queries is None:
            tuned(project, each)
        found = examine(project, [each.name], [MODEL], strategies=FIXED, queries=source)
        save(f"models_{each.name}", found.to_dict())
        lines.append(row_of(project, each, found))
    if told.queries is None:
        lines += ["", *order_lines(project, files["banking77"])]
        lines += precision_lines(project, files["banking77"])
    print("\n".join(lines))
    if told.data is not None and told.queries is None and not told.only:
        write(lines)


def prepared(data: Path | None) -> tuple[Project, dict[str, Path]]:
    """A project with the stores at hand, and the file of each one's queries."""
    ROOT.mkdir(parents=True, exist_ok=True)
    shutil.copytree(HERE / "models_project", ROOT, dirs_exist_ok=True)
    project = promptlib.open(ROOT, progress=lambda what, done, total: None)
    files = {}
    for each in SETS:
        if data is not None:
            rows, asked = (data / each.folder / f"{part}.jsonl" for part in ("train", "test"))
        elif each.own is not None:
            rows, asked = each.own
        else:
            continue
        if project.find_store(each.name) is None:
            project.import_file(each.name, rows, rename=each.rename)
        files[each.name] = asked
    return project, files


def tuned(project: Project, each: DataSet) -> None:
    """Let `auto` follow what the model does best with, on rows of the store left out in turn.

    Once: what was recorded then is part of the project.
    """
    if (RESULTS / f"models_{each.name}_tuning.json").is_file():
        return
    k = project.template(each.name).front.examples
    assert k is not None and k.k is not None
    found = tune_with_model(
        project, each.name, MODEL, strategies=FIXED, ks=[k.k], max_calls=each.tuning,
        queries=promptlib.QuerySource(sample=600),
    )  # fmt: skip
    record(project, found)
    save(f"models_{each.name}_tuning", found.to_dict())


def row_of(project: Project, each: DataSet, found: Experiment) -> str:
    results = {result.arm.way.name: result for result in found.results}
    settings = project.store(each.name).settings.tuned_of(CALLED)
    auto = AUTO if settings is None else settings.strategy
    best = max((results[name] for name in FIXED), key=lambda result: result.accuracy.value)
    loss = results[auto].against(best) if results[auto] is not best else None
    cells = [cell(results[name].accuracy) for name in ("zero-shot", "random", *FIXED)]
    mine = f"{results[auto].accuracy.value:.3f} ({auto})"
    against = "the same" if loss is None else shown(loss)
    row = ["", each.name, str(results[auto].answered), *cells, mine, against, ""]
    return " | ".join(row).strip()


def order_lines(project: Project, file: Path) -> list[str]:
    """Nearest last against nearest first, paired."""
    found = examine(
        project, ["banking77"], [MODEL], strategies=["similar"],
        orders=["nearest-last", "nearest-first"],
        queries=promptlib.QuerySource(file, sample=300),
    )  # fmt: skip
    save("models_order", found.to_dict())
    last, first = (named(found, order) for order in ("nearest-last", "nearest-first"))
    gain = last.against(first)
    assert gain is not None
    return [
        f"Order, on the same {last.answered} queries of banking77: nearest last "
        f"{cell(last.accuracy)}, nearest first {cell(first.accuracy)}; difference {shown(gain)}, "
        f"McNemar's p {gain.p:.3f}.",
    ]


def precision_lines(project: Project, file: Path) -> list[str]:
    """Bfloat16, which the table is made with, against float32."""
    found = examine(
        project, ["banking77"], [MODEL, "full"], strategies=["similar"],
        queries=promptlib.QuerySource(file, sample=40),
    )  # fmt: skip
    half, whole = (r for r in found.results if r.arm.way.name == "similar")
    same = sum(
        one.verdict.said == other.verdict.said
        for one, other in zip(half.judged, whole.judged, strict=True)
    )
    return [
        f"Precision: the table is made with bfloat16; float32 gives the same answer to {same} of "
        f"{half.answered} ({cell(whole.accuracy)} against {cell(half.accuracy)}), at "
        f"{whole.seconds:.2f} s an answer instead of {half.seconds:.2f} s.",
    ]


def named(found: Experiment, order: str) -> ArmResult:
    return next(r for r in found.results if r.arm.way.order == order)


def cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def shown(difference: Difference) -> str:
    return f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"


def write(lines: list[str]) -> None:
    """Put the table into the guide."""
    text = GUIDE.read_text(encoding="utf-8")
    body = "\n".join(["<!-- measured -->", *lines, "<!-- end -->"])
    GUIDE.write_text(
        re.sub(r"<!-- measured -->.*<!-- end -->", lambda _: body, text, flags=re.DOTALL),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
