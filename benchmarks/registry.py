"""What the registry costs: rendering beside plain Jinja2, a label, a check of 200 templates.

python benchmarks/registry.py [--rounds N]
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import prepared_project, queries, save
from jinja2 import Environment

import promptlib
from promptlib.project import Project

LABELLED = "banking/intent@production"
COUNT = 200
STARTERS = ("banking/intent", "extract/slots", "math/solve", "support/reply")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        shutil.copytree(prepared_project(), root)
        with promptlib.open(root) as project:
            project.registry.publish("banking/intent", label="production")
            figures = {
                **rendering(project, rounds),
                "resolve, us": timed(lambda: project.registry.get(LABELLED), rounds),
                "a moved label is seen after, s": seen_after(project, root),
                "check of 200 templates, s": checking(project),
            }
    for name, value in figures.items():
        print(f"{name:40} {value:,.2f}")
    save("registry", figures)


def rendering(project: Project, rounds: int) -> dict[str, float]:
    """Render with eight examples: as promptlib does, and the same body in Jinja2 alone."""
    template = project.registry.get(LABELLED)
    hits = project.search("banking77", queries()[0], 8)
    examples = [hit.example for hit in hits]
    labels = sorted({str(example.output) for example in examples})
    body = template.files[template.name].split("---\n", 2)[2]
    bare = re.sub(r"\{% (message \"\w+\"|endmessage) %\}", "", body)
    plain = Environment(trim_blocks=True, lstrip_blocks=True).from_string(bare)
    data = [{"input": example.input, "output": example.output} for example in examples]
    query = queries()[0]
    ours, theirs = [], []
    for _ in range(rounds):  # in turns: the machine is no constant
        ours.append(
            once(lambda: template.render({"query": query}, examples, candidate_labels=labels))
        )
        theirs.append(
            once(lambda: plain.render(query=query, examples=data, candidate_labels=labels))
        )
    own, other = statistics.median(ours), statistics.median(theirs)
    return {"render, us": own, "plain Jinja2, us": other, "beyond it, us": own - other}


def seen_after(project: Project, root: Path) -> float:
    """Move a label in another connection; say when this project serves the new version."""
    path = project.registry.path("banking/intent")
    before = project.registry.get(LABELLED).version
    path.write_text(path.read_text() + "{# moved #}")
    with promptlib.open(root) as other:
        other.registry.publish("banking/intent", label="production")
    start = time.perf_counter()
    while project.registry.get(LABELLED).version == before:
        time.sleep(0.001)
    return time.perf_counter() - start


def checking(project: Project) -> float:
    folder = project.registry.folder
    for number in range(COUNT - len(STARTERS)):
        name = STARTERS[number % len(STARTERS)]
        shutil.copy(folder / f"{name}.j2", folder / f"{name}-{number}.j2")
    start = time.perf_counter()
    found = project.check()
    assert len(found) == COUNT and not any(each.errors for each in found)
    return time.perf_counter() - start


def timed(work: Callable[[], object], rounds: int) -> float:
    return statistics.median(once(work) for _ in range(rounds))


def once(work: Callable[[], object], times: int = 300) -> float:
    """Microseconds of one call."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times * 1e6


if __name__ == "__main__":
    main()
