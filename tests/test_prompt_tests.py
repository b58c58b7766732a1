"""Cases beside templates: assertions, snapshots, JUnit, and files that are wrong."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import promptlib
from cli.main import cli
from promptlib.errors import ConfigError, TemplateError
from promptlib.project import Project
from promptlib.testing.assertions import ASSERTIONS, Subject, read_assertion
from promptlib.testing.checking import CaseResult, run_tests
from promptlib.testing.junit import junit_xml
from promptlib.testing.snapshots import read_snapshots, write_snapshots
from tests.model_server import ModelServer, serving

CASES = """\
cases:
  - name: a lost card
    inputs: {query: my card is gone}
    prompt:
      - contains: card_lost
      - max-tokens: 290
      - snapshot
    answer:
      - equals: card_lost
      - label-in: [card_lost, pin_forgotten]

  - name: little room
    inputs: {query: my pin}
    options: {budget: 80, reserve: 5}
    prompt: [{max-tokens: 75}]
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def cases(root: Path, server: ModelServer) -> Path:
    (root / "promptlib.toml").write_text(
        'model = "gpt-4o-mini"\nembedder.model = "hashing"\n[models.m]\nmodel = "openai:label"\n'
        f'base_url = "{server.url}"\n'
    )
    file = root / "templates" / "tickets" / "route.tests.yaml"
    file.write_text(CASES)
    return file


@pytest.fixture
def project(cases: Path, root: Path) -> Iterator[Project]:
    with promptlib.open(root) as project:
        yield project


def statuses(results: list[CaseResult]) -> list[str]:
    return [result.status for result in results]


def test_prompts_need_no_model_and_snapshots_are_taken_first(project: Project) -> None:
    first, second = run_tests(project)
    assert first.status == "failed" and "--update" in first.problems[0] and first.skipped == 2
    assert second.status == "passed"
    assert statuses(run_tests(project, update=True)) == ["passed", "passed"]
    assert statuses(run_tests(project, "tickets/route")) == ["passed", "passed"]


def test_a_changed_prompt_is_shown_as_a_difference(project: Project, root: Path) -> None:
    run_tests(project, update=True)
    route = root / "templates" / "tickets" / "route.j2"
    route.write_text(route.read_text().replace("Answer with", "Reply with"))
    [problem] = run_tests(project)[0].problems
    assert "-system: Answer with" in problem and "+system: Reply with" in problem
    run_tests(project, update=True)
    assert statuses(run_tests(project)) == ["passed", "passed"]


def test_answers_are_checked_with_a_model(project: Project) -> None:
    run_tests(project, model="m", update=True)
    results = run_tests(project, model="m")
    assert statuses(results) == ["passed", "passed"] and results[0].skipped == 0


def test_a_wrong_answer_and_a_model_that_fails(project: Project, cases: Path) -> None:
    cases.write_text(
        CASES.replace("equals: card_lost", "equals: pin").replace("- snapshot\n", "\n")
    )
    first, _ = run_tests(project, model="m")
    assert first.status == "failed" and "the answer isn't 'pin': \"card_lost\"" in first.problems[0]
    [failed, _] = run_tests(project, model="local:nothing")
    assert failed.status == "error" and "no local model" in failed.problems[0]


@pytest.mark.parametrize(
    ("word", "told", "good", "bad"),
    [
        ("equals", "a b", " a b\n", "a"),
        ("contains", "b", "abc", "ac"),
        ("not-contains", "b", "ac", "abc"),
        ("matches", r"^\d+$", "x\n12", "x12"),
        ("is-json", True, '```\n{"a": 1}\n```', "none"),
        ("schema", {"type": "object", "required": ["a"]}, '{"a": 1}', '{"b": 1}'),
        ("max-tokens", 3, "abc", "abcd"),
        ("label-in", ["a", "b"], "B.", "c"),
        ("similar", {"to": "x", "at-least": 0.5}, "near", "far"),
        ("python", "own.py:short", "abc", "long"),
    ],
)
def test_every_assertion_can_hold_and_fail(
    tmp_path: Path, word: str, told: Any, good: str, bad: str
) -> None:
    (tmp_path / "own.py").write_text("def short(text): return len(text) < 4 or 'too long'\n")

    def subject(text: str) -> Subject:
        cosine = 0.9 if text == "near" else 0.1
        return Subject(text, len(text), tmp_path, lambda one, other: cosine)

    assertion = read_assertion({word: told}, "here", "answer")
    assert assertion.problem(subject(good)) is None
    problem = assertion.problem(subject(bad))
    assert problem and "\n" not in problem


def test_every_word_is_tested_above() -> None:
    tested = {mark.args[1][n][0] for mark in test_every_assertion_can_hold_and_fail.pytestmark
              for n in range(len(mark.args[1]))}  # type: ignore[attr-defined]  # fmt: skip
    assert tested | {"snapshot"} == {*ASSERTIONS}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cases: [", ":1: not YAML"),
        ("- a", "must be `key: value`"),
        ("casess: []", "unknown key 'casess'; did you mean 'cases'"),
        ("cases:\n  - name: x\n", ":2: cases.0: it asserts nothing"),
        ("cases:\n  - name: x\n    prompt: [{contain: a}]\n", "did you mean 'contains'"),
        ("cases:\n  - name: x\n    prompt: [{max-tokens: many}]\n", "needs a whole number"),
        ("cases:\n  - name: x\n    answer: [snapshot]\n", "answers change"),
        ("cases:\n  - name: x\n    prompt: [{matches: '('}]\n", "regular expression"),
        ("cases:\n  - name: x\n    options: {bugdet: 3}\n    prompt: [is-json]\n", "'budget'"),
        ("cases:\n  - {name: x, prompt: [is-json]}\n  - {name: x, prompt: [is-json]}\n",
         ":3: two cases are called 'x'"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_says_where(
    project: Project, cases: Path, text: str, problem: str
) -> None:
    cases.write_text(text)
    with pytest.raises(TemplateError) as found:
        run_tests(project)
    assert problem in str(found.value) and str(cases) in str(found.value)


@pytest.mark.parametrize(
    "schema", [{"$ref": "#/nope"}, {"$ref": "http://127.0.0.1:9/x.json"}, {"$ref": "#"}]
)
def test_a_schema_that_leads_nowhere_is_one_line(tmp_path: Path, schema: dict[str, str]) -> None:
    subject = Subject("[1]", 1, tmp_path, lambda one, other: 1.0)
    with pytest.raises(ConfigError) as found:
        read_assertion({"schema": schema}, "here", "answer").problem(subject)
    assert "the schema can't be followed" in str(found.value)


def test_json_in_talk_is_not_json(tmp_path: Path) -> None:
    subject = Subject("Sorry, I can't; see [1].", 1, tmp_path, lambda one, other: 1.0)
    assert read_assertion("is-json", "here", "answer").problem(subject)


def test_snapshots_that_cannot_be_read_are_taken_anew(project: Project, cases: Path) -> None:
    file = cases.with_name("route.snapshots.yaml")
    file.write_text(": : [")
    with pytest.raises(TemplateError, match="--update"):
        run_tests(project)
    assert statuses(run_tests(project, update=True)) == ["passed", "passed"]
    assert statuses(run_tests(project)) == ["passed", "passed"]


def test_prompts_are_checked_alike_with_and_without_a_model(project: Project) -> None:
    run_tests(project, update=True)
    assert statuses(run_tests(project, model="m")) == statuses(run_tests(project))


def test_a_template_without_cases_and_cases_without_a_template(project: Project) -> None:
    with pytest.raises(TemplateError, match="no template 'tickets/nothing'"):
        run_tests(project, "tickets/nothing")
    folder = project.root / "templates" / "tickets"
    (folder / "bare.j2").write_text("{{ query }}")
    with pytest.raises(TemplateError, match=r"has no cases: .*bare\.tests\.yaml isn't there"):
        run_tests(project, "tickets/bare")
    (folder / "gone.tests.yaml").write_text(CASES)
    with pytest.raises(TemplateError, match="no template 'tickets/gone'"):
        run_tests(project)


def test_a_case_that_cannot_be_built_is_an_error_and_keeps_its_snapshot(
    project: Project, cases: Path
) -> None:
    run_tests(project, update=True)
    kept = read_snapshots(cases.with_name("route.snapshots.yaml"))
    cases.write_text(CASES.replace("{query: my card is gone}", "{}"))
    assert statuses(run_tests(project, update=True)) == ["error", "passed"]
    assert read_snapshots(cases.with_name("route.snapshots.yaml")) == kept


def test_ctrl_c_ends_the_cases_of_all_files(cases: Path, root: Path) -> None:
    answered = "cases:\n  - {name: %s, inputs: {query: my card}, answer: [contains: card]}\n"
    cases.write_text(answered % "first" + (answered % "second").removeprefix("cases:\n"))
    other = cases.with_name("zz")
    other.with_suffix(".j2").write_text("{{ query }}")
    other.with_suffix(".tests.yaml").write_text(answered % "third")
    with serving() as slow:
        slow.delay = 5.0
        config = root / "promptlib.toml"
        config.write_text(re.sub('http://[^"]*', slow.url, config.read_text()))
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "-C", str(root), "test", "--model", "m", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        end = time.monotonic() + 60
        while not slow.bodies and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        start = time.monotonic()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "3 cases, 3 failed" in err, err
    assert [row["problems"] for row in json.loads(out)] == [["interrupted"]] * 3
    assert time.monotonic() - start < 15 and len(slow.bodies) == 1


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_snapshots_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, prompts: dict[str, str]
) -> None:
    file = tmp_path_factory.mktemp("snapshots") / "a.snapshots.yaml"
    clean = {k: v for k, v in prompts.items() if (k + v).isprintable() or (k + v).isascii()}
    write_snapshots(file, clean)
    assert read_snapshots(file) == clean


@given(st.lists(st.tuples(st.text(), st.sampled_from(["passed", "failed", "error", "skipped"]),
                          st.text())))  # fmt: skip
def test_junit_is_always_xml(cases: list[tuple[str, Any, str]]) -> None:
    results = [CaseResult("t", name, "f:1", status, (why,), 0.1) for name, status, why in cases]
    root = ElementTree.fromstring(junit_xml(results))
    found = root.findall(".//testcase")
    assert len(found) == len(cases)
    assert len(root.findall(".//failure")) == sum(status == "failed" for _, status, _ in cases)


def test_the_command_says_what_failed_and_exits_one(project: Project, root: Path) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["-C", str(root), "test", *arguments])

    report = root / "report.xml"
    done = run("--junit", str(report))
    assert done.exit_code == 1 and "✗ tickets/route: a lost card" in done.stdout
    assert "1 failed" in done.stderr and "name a --model" in done.stderr
    assert ElementTree.parse(report).getroot().find("testsuite").get("failures") == "1"  # type: ignore
    assert run("--update").exit_code == 0
    done = run("--model", "m", "--json")
    assert done.exit_code == 0 and [row["status"] for row in json.loads(done.stdout)] == [
        "passed", "passed",
    ]  # fmt: skip
    (root / "templates" / "tickets" / "route.tests.yaml").unlink()
    done = run()
    assert done.exit_code == 0 and "there are no cases" in done.stderr
