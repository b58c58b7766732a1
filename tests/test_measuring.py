"""What `promptlib index` says of the index of a store."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from promptlib.embedding.embedder import HashingEmbedder
from promptlib.errors import ConfigError
from promptlib.example import Example
from promptlib.measuring import index_facts, measure_index, rebuild_index
from promptlib.project import Project


def run(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(root), "index", *arguments])


def filled(project: Project, count: int = 300) -> Project:
    words = ["card", "pin", "cash", "fee", "rate", "bank", "app", "code"]
    texts = (" ".join(words[(n // 8**at) % 8] for at in range(4)) for n in range(count))
    project.create_store("rows").add(
        *(Example(text, "x", id=f"r{n:03}") for n, text in enumerate(texts))
    )
    return project


def test_the_facts_of_a_flat_index(project: Project) -> None:
    facts = index_facts(filled(project), "rows")
    assert (facts.kind, facts.rows, facts.changed, facts.probes) == ("flat", 300, 0, None)
    assert facts.recall == 1 and set(facts.bytes) == {"vectors", "words", "rows"}
    project.store("rows").add(Example("one more", "x"))
    assert index_facts(project, "rows").changed == 1
    assert rebuild_index(project, "rows") > 0
    assert index_facts(project, "rows").changed == 0


def test_the_facts_of_an_index_of_cells(project: Project, small_is_large: None) -> None:
    facts = index_facts(filled(project), "rows")
    assert facts.kind == "inverted file" and facts.probes is not None
    assert facts.probes >= 4 and 0.98 <= facts.recall <= 1
    (found,) = (
        s for s in measure_index(project, "rows", ["card pin"] * 30) if s.recall is not None
    )
    assert found.recall is not None and found.recall > 0.9


def test_a_search_is_timed_step_by_step(project: Project) -> None:
    steps = measure_index(filled(project), "rows", ["card pin", "new code"], k=5)
    assert [step.step for step in steps] == [
        "embedding the query", "search, similar", "search, hybrid",
    ]  # fmt: skip
    assert all(0 < step.p50_ms <= step.p95_ms for step in steps) and steps[1].recall == 1
    with pytest.raises(ConfigError, match="it needs rows and queries"):
        measure_index(project, "rows", [])


def test_what_is_timed_is_the_embedding_not_the_memory_of_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded: list[str] = []
    embed = HashingEmbedder.embed

    def watched(self: HashingEmbedder, texts: Sequence[str], **kind: Any) -> Any:
        embedded.extend(texts)
        return embed(self, texts, **kind)

    filled(project)
    queries = ["card pin", "new code"]
    for text in queries:
        project.search("rows", text)  # they are remembered from now on
    monkeypatch.setattr(HashingEmbedder, "embed", watched)
    measure_index(project, "rows", queries)
    assert {*embedded} == {*queries}


def test_the_commands(project: Project, root: Path) -> None:
    filled(project)
    done = run(root, "status", "rows", "--json")
    assert json.loads(done.stdout)["rows"] == 300
    shown = run(root, "status", "rows").stdout
    assert "flat (all are compared)" in shown and "recall at 10\t1.0000" in shown
    assert "rows: flat, 300 rows, " in run(root, "rebuild", "rows").stderr
    log = root / "log.jsonl"
    log.write_text('{"input": "card"}\n{"input": "pin code"}\n')
    done = run(root, "bench", "rows", "--queries", str(log), "--json")
    assert [step["recall"] for step in json.loads(done.stdout)] == [None, 1.0, None]
    assert "200 queries" in run(root, "bench", "rows").stderr
    assert run(root, "status", "nothing").exit_code == 1
    project.create_store("empty")
    assert "there is nothing to measure in empty" in run(root, "bench", "empty").stderr
