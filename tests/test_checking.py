"""What `template check` finds, in files written to go wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import cli
from promptlib.embedding.embedder import HashingEmbedder
from promptlib.foreign import check_foreign
from promptlib.project import Project

HEAD = "---\ninputs: {query: {}}\nexamples: {store: tickets, k: 2}\nbudget: {tokens: 300}\n---\n"
ASK = '{% message "user" %}{{ query }}{% endmessage %}'
TURNS = "{% for example in examples %}{% turns example %}{% endfor %}\n"


def run(project: Project, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(project.root), "template", "check", *arguments])


def test_a_good_template_has_its_costs(project: Project, write_template: Any) -> None:
    write_template(HEAD + '{% message "system" %}Route it.{% endmessage %}\n' + TURNS + ASK, "good")
    (found,) = project.check("good")
    assert found.problems == () and found.unbounded == ("query",)
    room = found.room
    assert room is not None and (room.limit, room.k) == (300, 2)
    empty = project.build("good", "x", k=0)
    assert room.least == empty.tokens - empty.settings["tokens"] + project.settings_of(
        project.registry.get("good")
    ).counter.count_messages([
        {"role": "system", "content": "Route it."}, {"role": "user", "content": ""},
    ])  # fmt: skip
    assert room.mean is not None and 10 < room.mean < 30
    assert (room.fit_mean, room.fit_worst) == (2, 2)
    assert room.stable is not None and 0 < room.stable < room.least


def test_all_templates_by_default(project: Project) -> None:
    assert [each.name for each in project.check()] == ["tickets/route"]
    result = run(project)
    assert result.exit_code == 0 and "nothing is wrong" in result.stderr
    assert result.stdout.splitlines()[0].startswith("name\tproblems\tleast")


CASES: list[tuple[str, str, str]] = [
    # body, where and level, message
    ("{{ query", "1: error", "unexpected end of template"),
    ("\n{% if query %}", "2: error", "Unexpected end of template"),
    (HEAD + "\n{{ query | upperr }}", "7: error", "No filter named 'upperr'"),
    (HEAD + "{{ query is odder }}", "6: error", "No test named 'odder'"),
    (HEAD + "x\n{{ qurey }}{{ query }}" + TURNS, "7: error", "no input; did you mean 'query'"),
    (HEAD + "{{ query }}{{ exmaples }}", "6: error", "'exmaples' is no input"),
    ("---\ninputs:\n  query: {}\n  other: {}\n---\n{{ query }}", "4: warning", "is never used"),
    ("---\ninputs: {q: {type: text}}\n---\n", "2: error", "inputs.q.type"),
    ("---\ndescription: x\nbudgett: {}\n---\n", "3: error", "did you mean 'budget'"),
    ("---\nexamples: {k: -1}\n---\n", "2: error", "examples.k"),
    ("---\nexamples: {static: {kk: 1}}\n---\n", "2: error", "did you mean 'k'"),
    ("---\nbudget: {priority: {histori: 1}}\n---\n", "2: error", "histori"),
    ("---\na: [\n---\n", "3: error", "not YAML"),
    (HEAD.replace("tickets", "tikets") + TURNS + ASK, "3: error", "no store 'tikets'"),
    (HEAD.replace("k: 2", "k: 2, where: {label: card_los}") + TURNS + ASK, "3: error",
     "no label 'card_los'; did you mean 'card_lost'"),
    (HEAD.replace("k: 2", "k: 2, strategy: best") + TURNS + ASK, "4: error", "best"),
    (HEAD + ASK, "3: warning", "examples not used"),
    (HEAD.replace("k: 2", "static: {k: 1}") + TURNS + ASK, "3: warning", "static_examples not"),
    (HEAD + TURNS + ASK + "{% for e in static_examples %}{% turns e %}{% endfor %}", "7: error",
     "static_examples need examples.static"),
    ("---\nbudget: {tokens: 99}\n---\n{{ labels }}", "4: warning", "names no store"),
    ("---\nmodel: gpt-9-unheard-of\n---\nhi", "error", "context window isn't known"),
    (HEAD.replace("300", "5") + TURNS + ASK, "4: error", "5 are allowed"),
    (HEAD.replace("300", "16") + TURNS + ASK, "4: error", "no example of average length fits"),
    (HEAD + "{{ {'a': 1}[query] }}", "warning", "can't be tried with made-up inputs"),
    (HEAD + '{% message "assistant" %}hi{% endmessage %}' + TURNS + ASK, "warning",
     "wants the user to speak first"),
    (HEAD.replace("budget", "model: claude-opus-4-5\nbudget")
     + '{% message "assistant" %}hi{% endmessage %}' + TURNS + ASK, "error",
     "wants the user to speak first"),
    (HEAD + '{% message "system" %}hi{% endmessage %}', "warning", "instructions alone"),
    (HEAD + '{% message "tool" %}hi{% endmessage %}', "warning", "answers a call"),
    (HEAD + "{% include '_changing' %}" + " A text that never changes." * 20,
     "_changing.j2:1: warning", "query changes with each query"),
    (HEAD + TURNS + ASK + '{% message "assistant" %}So{% endmessage %}', "warning",
     "last message is the assistant's"),
    (HEAD + ASK + '{% message "system" %}Mind.{% endmessage %}' + TURNS + ASK, "warning",
     "instructions stand after the first turn"),
    (HEAD + "{{ query }}" + " A text that never changes." * 20, "6: warning",
     "query changes with each query"),
    (HEAD + "\n{{ candidate_labels }}" + " A text that never changes." * 20 + "{{ query }}",
     "7: warning", "candidate_labels changes with each query"),
    ("---\ninputs: {q: {}}\nbudget: {tokens: 10}\n---\n{{ q }}{% section a, priority=1 %}"
     "{% endsection %}{% section a, priority=2 %}{% endsection %}", "error", "two priorities"),
    ("{% section %}{% endsection %}", "1: error", "a section needs a name"),
    ("{% section a, size=1 %}{% endsection %}", "1: error", "takes priority, not 'size'"),
    ("{% section a, priority=high %}{% endsection %}", "1: error", "must be a number"),
    ("{% section a %}", "1: error", "end of template"),
    ("{% include 'nothing' %}", "1: error", "no template 'nothing'"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "place", "message"), CASES)
def test_each_problem_is_found_with_its_line(
    project: Project, write_template: Any, body: str, place: str, message: str
) -> None:
    write_template("{{ query }}", "_changing")
    write_template(body, "case")
    (found,) = project.check("case")
    lines = [str(problem) for problem in found.problems]
    file = str(project.registry.path("case"))
    assert all(line.startswith(str(project.registry.folder)) for line in lines), file
    found_here = [line for line in lines if f"{place}: " in line]
    assert any(message in line for line in found_here), lines
    assert run(project, "case").exit_code == (1 if found.errors else 0)
    assert run(project, "case", "--strict").exit_code == 1


def test_a_template_of_history_alone_is_fine(project: Project, write_template: Any) -> None:
    write_template('{% message "system" %}Hi.{% endmessage %}{% turns history %}', "talk")
    (found,) = project.check("talk")
    assert found.errors == ()


def test_a_problem_in_what_is_included_names_its_file(
    project: Project, write_template: Any
) -> None:
    write_template("---\ninputs: {query: {}}\nbudget: {tokens: 50}\n---\n"
                   "{% include '_part' %}{{ query }}", "whole")  # fmt: skip
    write_template("\n\n{{ qeury }}", "_part")
    (problem,) = project.check("whole")[0].problems
    assert problem.where == f"{project.registry.path('_part')}:3"


def test_check_reads_a_store_that_waits_to_be_imported(project: Project) -> None:
    (before,) = project.check("tickets/route")
    assert not project.database.exists and before.room is not None
    project.store("tickets")
    assert project.check("tickets/route") == [before]


def test_check_embeds_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a check embeds nothing")

    monkeypatch.setattr(HashingEmbedder, "embed", fail)
    assert project.check()[0].errors == ()


def test_versions_are_checked_too(project: Project) -> None:
    project.registry.publish("tickets/route")
    assert project.check("tickets/route@1")[0].problems == ()
    assert "there is only version 1" in str(project.check("tickets/route@2")[0].problems[0])


def test_names_may_be_files_as_hooks_give_them(project: Project) -> None:
    file = project.registry.path("tickets/route")
    assert run(project, str(file)).stdout == run(project, "tickets/route").stdout
    assert "no template 'nothing'" in run(project, "nothing").stderr


def test_json_says_all(project: Project, write_template: Any) -> None:
    write_template(HEAD + ASK, "odd")
    (odd, route) = json.loads(run(project, "--json").stdout)
    assert (odd["name"], route["name"]) == ("odd", "tickets/route")
    assert odd["problems"][0]["level"] == "warning" and odd["room"]["limit"] == 300


@pytest.mark.skipif(sys.platform == "win32", reason="limits need POSIX")
def test_foreign_templates_are_checked_with_limits(
    project: Project, write_template: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spin = "{% for a in range(99999) %}{% for b in range(99999) %}{% if a > b %}{% endif %}"
    write_template(spin + "{% endfor %}{% endfor %}", "spin")
    more = "{% set ns.l = [ns.l, range(99999) | list] %}{% endfor %}"
    write_template("{% set ns = namespace(l=[]) %}{% for a in range(99999) %}" + more, "hog")
    write_template("{{ oops", "bad")
    found = {each.name: each for each in check_foreign(project.root, project.registry.list())}
    assert list(found) == ["bad", "hog", "spin", "tickets/route"]
    assert "memory" in str(found["hog"].problems[0])
    assert "of the processor" in str(found["spin"].problems[0])
    assert "unexpected end" in str(found["bad"].problems[0])
    assert found["tickets/route"] == project.check("tickets/route")[0]


def test_nothing_of_the_current_folder_is_imported(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "yaml.py").write_text("open('sprung', 'w').write('x')\nraise SystemExit(3)\n")
    monkeypatch.chdir(trap)
    assert check_foreign(project.root, ["tickets/route"])[0].errors == ()
    assert not (trap / "sprung").exists()
