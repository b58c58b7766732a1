"""Prompts of other tools, in files written by hand after their specifications."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import cli
from promptlib.converting.convert import convert_file
from promptlib.errors import StoreError, TemplateError
from promptlib.project import Project
from promptlib.templating.closure import compile_template
from promptlib.templating.template import Template
from tests.conftest import DATA

FOREIGN = DATA / "foreign"


def template(file: str) -> Template:
    source = convert_file(FOREIGN / file).source("somewhere")
    return compile_template(file, lambda name: (source, name))


def test_prompty_roles_become_messages() -> None:
    inputs = {"orders": [{"id": 7, "state": "sent"}], "question": "Where is it?"}
    found = template("support.prompty")
    assert (found.front.model, found.front.budget.reserve) == ("gpt-4o", 300)
    said = [{"role": "assistant", "content": "Hi"}]
    rendered = found.render(found.checked_inputs(inputs), history=said)
    assert rendered.messages == [
        {"role": "system", "content": "You answer customers of a shop."},
        {"role": "system", "content": "The customer is Jane; be kind.\n- 7: sent"},
        {"role": "user", "content": "I have no limit."},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Where is it?"},
    ]
    limited = found.render(found.checked_inputs({**inputs, "limit": 5})).messages
    assert limited is not None
    assert limited[2:4] == [
        {"role": "user", "content": "My limit is 5."},
        {"role": "assistant", "content": "Noted."},
    ]


def test_prompty_inputs_keep_their_types() -> None:
    inputs = template("support.prompty").inputs
    assert {name: spec.type for name, spec in inputs.items()} == {
        "firstName": "string", "orders": "list", "tone": "string", "limit": "number",
        "question": "string",
    }  # fmt: skip
    assert [name for name, spec in inputs.items() if spec.is_required] == ["orders", "question"]
    assert inputs["tone"].enum == ["kind", "brief"]


def test_what_prompty_has_and_we_dont_is_named() -> None:
    left = " ".join(convert_file(FOREIGN / "support.prompty").left_out)
    for what in ("photo", "temperature", "connection", "metadata", "outputs", "tools", "example"):
        assert what in left, what
    assert "KEY" not in convert_file(FOREIGN / "support.prompty").source()


def test_prompty_of_version_1() -> None:
    made = convert_file(FOREIGN / "old.prompty")
    found = template("old.prompty")
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    inputs = {"firstName": "Seth", "chat_history": history, "facts": {"a": 1}, "question": "q"}
    assert found.render(found.checked_inputs(inputs)).messages == [
        {"role": "system", "content": 'Hello Seth. {"a": 1}\n{{ not a variable }}'},
        *history,
        {"role": "user", "content": "q 3"},
    ]
    assert any("my-deployment" in what for what in made.left_out)


def test_a_few_shot_prompt_renders_as_langchain_would() -> None:
    made = convert_file(FOREIGN / "antonyms.yaml")
    rendered = template("antonyms.yaml").render({"adjective": "big"}, made.examples)
    assert rendered.text == (
        "Write antonyms for the following words. Braces look like {this}.\n\n"
        "Word: happy\nAntonym: sad\n\n"
        "Word: tall\nAntonym: short {{ x }} {% y %}\n\n"
        "Word: light\nAntonym: 4\n\n"
        "Word: big\nAntonym:"
    )
    assert made.examples[2].metadata == {"source": "made up"}


def test_a_few_shot_prompt_in_parts() -> None:
    made = convert_file(FOREIGN / "sums.json")
    found = template("sums.json")
    inputs = found.checked_inputs({"first": "1", "second": "3"})
    assert found.render(inputs, made.examples).text == (
        "Add up, in metres.\n--\n1 + 2 = 3\n--\n4 + 5 = 9\n--\n1 + 3 ="
    )
    assert made.examples[0].input == {"a": "1", "b": "2"}
    assert made.left_out == ("output_parser",)


def test_a_plain_prompt_keeps_its_braces() -> None:
    rendered = template("joke.json").render({"adjective": "short", "topic": "{% if %}"})
    assert rendered.text == "Tell me a short joke about {% if %}. {literally}"


@pytest.mark.parametrize(
    ("theirs", "text"),
    [
        ("{{{{y}}}} {q}", "{{y}} x"), ("{{{q}}}", "{x}"), ("{{% raw %}} {q}", "{% raw %} x"),
        ("{q} {{# c #}} end", "x {# c #} end"), ('{{"a": {{"b": {q}}}}}', '{"a": {"b": x}}'),
        ("{q}{{", "x{"), ("{{", "{"),
    ],
)  # fmt: skip
def test_literal_braces_stay_text(tmp_path: Path, theirs: str, text: str) -> None:
    file = tmp_path / "braces.json"
    file.write_text(json.dumps({"_type": "prompt", "template": theirs}))
    source = convert_file(file).source()
    found = compile_template("braces", lambda name: (source, name))
    assert found.render({"q": "x"} if "{q}" in theirs else {}).text == text == theirs.format(q="x")


def test_inputs_that_nobody_declared_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"template": "{a} and {b}", "partial_variables": {"b": "x"}}')
    assert convert_file(tmp_path / "a.json").front["inputs"] == {
        "a": {"type": "string"}, "b": {"type": "string", "default": "x"},
    }  # fmt: skip
    (tmp_path / "b.prompty").write_text("---\nname: x\n---\n{% set z = q %}\nsystem:\nHi {{ z }}\n"
                                        "user[name=bob]:\n{{ z }} ![a](b.png)")  # fmt: skip
    made = convert_file(tmp_path / "b.prompty")
    found = compile_template("b", lambda name: (made.source(), name))
    assert found.render({"q": "you"}).messages == [
        {"role": "system", "content": "Hi you"}, {"role": "user", "content": "you ![a](b.png)"},
    ]  # fmt: skip
    assert any("[name=bob]" in what for what in made.left_out)
    assert any("b.png" in what for what in made.left_out)


BAD = {
    "a.txt": ("x", "can't tell whose file"),
    "b.prompty": ("---\nname: x", "no end"),
    "c.prompty": ("---\nname: [x\n---\nsystem:\nx", "not YAML"),
    "d.prompty": ("---\ntemplate: mustache\n---\nsystem:\nx", "only jinja2"),
    "e.prompty": ("---\nname: x\n---\nsystem:\n{% if a %}\nuser:\nx", "never closed"),
    "f.prompty": ("---\nname: x\n---\nsystem:\nx{% endif %}", "closes nothing"),
    "g.json": ("{", "not JSON"),
    "h.json": ('{"_type": "chat"}', "only prompts of _type"),
    "i.json": ('{"template": "{a.b}"}', "can't be carried over"),
    "j.json": ('{"template": "{a:>10}"}', "can't be carried over"),
    "k.json": ('{"template": "{"}', "f-string"),
    "l.json": ('{"template": "x", "template_format": "mustache"}', "mustache"),
    "m.json": ('{"template_path": "../../secret.txt"}', "outside its folder"),
    "n.json": ('{"template_path": "/etc/passwd"}', "outside its folder"),
    "o.json": ('{"template_path": "missing.txt"}', "can't read"),
    "p.json": ('{"_type": "few_shot", "example_prompt": {"template": "{a}"}}', "one field"),
    "q.json": (
        '{"_type": "few_shot", "example_prompt": {"template": "{a}{b}"}, "examples": []}',
        "must be a list",
    ),
    "r.json": (
        '{"_type": "few_shot", "example_prompt": {"template": "{a}{b}"}, "examples": [{"a": "1"}]}',
        "example 1 lacks b",
    ),
    "s.json": ("[1]", "must be an object"),
    "x.json": ('{"lc": 1, "type": "constructor", "kwargs": {}}', "no template in it"),
    "y.yaml": ("a: &a [x]\ntemplate: x\npartial_variables: {b: *a}", "not YAML"),
    "z.prompty": ("---\na: &a [x]\nb: *a\n---\nsystem:\nx", "not YAML"),
    "aa.json": ('{"template": "x", "input_variables": 5}', "isn't as its format says"),
    "ab.json": ('{"template_path": "\\u0000"}', "isn't as its format says"),
    "ac.prompty": ("---\na: 2020-99-99\n---\nsystem:\nx", "not YAML"),
    "ad.prompty": ("---\na: " + "9" * 5000 + "\n---\nsystem:\nx", "not YAML"),
    "ae.prompty": ("---\n" + "[" * 5000 + "\n---\nsystem:\nx", "not YAML"),
    "af.prompty": ("---\ninputs: {x: {type: []}}\n---\nsystem:\nx", "isn't as its format says"),
    "ag.prompty": ("---\n---\nsystem:\n" + "{% if a %}" * 3000, "nested too deeply"),
    "v.json": ('{"_type": "few_shot", "example_prompt_path": "../x.json"}', "outside its folder"),
    "w.json": ('{"_type": "few_shot", "example_prompt_path": 5}', "must be text"),
    "t.yaml": ("a: [", "not YAML"),
    "u.json": ('{"template": 5}', "must be text"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_imported_says_why(tmp_path: Path, name: str) -> None:
    source, reason = BAD[name]
    file = tmp_path / "prompts" / name
    file.parent.mkdir()
    file.write_text(source)
    with pytest.raises(TemplateError, match=reason) as caught:
        convert_file(file)
    assert "/prompts/" in str(caught.value) and "\n" not in str(caught.value)


def test_a_computed_role_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.prompty"
    file.write_text("---\nname: x\n---\nsystem:\nHi\n{{ who }}:\nThere")
    assert any("{{ who }}" in what for what in convert_file(file).left_out)


def test_import_makes_a_template_and_a_store_that_build(project: Project) -> None:
    made = project.import_template(FOREIGN / "antonyms.yaml", name="words/antonym")
    assert (made.name, made.store, made.examples) == ("words/antonym", "words-antonym", 3)
    prompt = project.build("words/antonym", "light", model="gpt-4o")
    assert prompt.text.endswith("Word: light\nAntonym: 4\n\nWord: light\nAntonym:")
    assert project.check("words/antonym")[0].errors == ()
    with pytest.raises(TemplateError, match="already"):
        project.import_template(FOREIGN / "antonyms.yaml", name="words/antonym")
    with pytest.raises(StoreError, match="already"):
        project.import_template(FOREIGN / "antonyms.yaml", name="other", store="words-antonym")
    with pytest.raises(TemplateError, match="outside"):
        project.import_template(FOREIGN / "joke.json", name="../joke")
    assert not (project.registry.folder / "other.j2").exists()


@pytest.mark.parametrize("body", [" " * 60_000 + "x", "{%" * 30_000, "{{" * 30_000, "{#" * 30_000])
def test_a_long_file_takes_no_long_time(tmp_path: Path, body: str) -> None:
    import time

    file = tmp_path / "long.prompty"
    file.write_text(body)
    start = time.process_time()
    with contextlib.suppress(TemplateError):
        convert_file(file)
    assert time.process_time() - start < 5  # it was minutes


def test_what_fails_late_has_changed_nothing(project: Project, tmp_path: Path) -> None:
    made = project.import_template(FOREIGN / "sums.json", name="few")
    assert made.store_file is not None
    before = made.store_file.read_bytes(), made.file.read_bytes()
    bad = {
        "_type": "few_shot", "input_variables": ["q"], "prefix": "bad \ud800", "suffix": "{q}",
        "example_prompt": {"template": "{a} {b}"}, "examples": [{"a": "new", "b": "2"}],
    }  # fmt: skip
    (tmp_path / "half.json").write_text(json.dumps(bad))
    with pytest.raises(TemplateError, match=r"half\.json: its text contains a lone surrogate"):
        project.import_template(tmp_path / "half.json", name="few", replace=True)
    assert (made.store_file.read_bytes(), made.file.read_bytes()) == before
    with pytest.raises(TemplateError, match="too long for a file"):
        project.import_template(FOREIGN / "joke.json", name="x" * 300)


def test_the_command_names_what_is_left_out(project: Project) -> None:
    arguments = ["-C", str(project.root), "template", "import", str(FOREIGN / "support.prompty")]
    result = CliRunner().invoke(cli, arguments)
    assert result.stdout == "support-agent\n"
    assert "not carried over: tools" in result.stderr
    listed = CliRunner().invoke(cli, ["-C", str(project.root), "template", "list", "--json"])
    assert "support-agent" in [row["name"] for row in json.loads(listed.stdout)]
