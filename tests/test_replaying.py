"""Manifests: sealed, without anybody's text, and enough to render the same bytes again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import promptlib
from cli.main import cli
from promptlib.embedding.embedder import HashingEmbedder
from promptlib.errors import InputsError, PromptlibError, ReplayError
from promptlib.example import Example
from promptlib.project import Project
from promptlib.prompt import Prompt

ROUTE = "tickets/route"
TALK = [
    {"role": role, "content": f"{role} says {n}"}
    for n in range(3)
    for role in ("user", "assistant")
]
ALL = """---
inputs:
  query: {type: string, max_tokens: 6}
  facts: {type: object, default: {b: 2, a: 1}}
examples: {store: tickets, k: 3, static: {k: 2}}
budget: {tokens: 130, priority: examples, share: 0.7}
---
{% message "system" %}
Answer with one of: {{ labels | join(", ") }}. {{ facts }}
{% section hint, priority=5 %}Mind the hint.{% endsection %}
{% section more, priority=-5 %}A long text that leaves when the room is short, as it is here.
{% endsection %}
{{ label_definitions }}
{% for example in static_examples %}{{ example.input }}: {{ example.output }}
{% endfor %}
{{ candidate_labels | join(", ") }}
{% endmessage %}
{% for example in examples %}{% turns example %}{% endfor %}
{% turns history %}
{% message "user" %}{{ query }}{% endmessage %}
"""
LONG = "I lost my card somewhere in the city of Lisbon yesterday"


@pytest.fixture
def everything(write_template: Callable[..., str]) -> str:
    return write_template(ALL, "all")


def same(project: Project, prompt: Prompt, manifest: Any = None, **given: Any) -> None:
    again = project.replay(manifest or json.loads(json.dumps(prompt.manifest())), **given)
    assert (again.text, again.messages, again.tokens) == (
        prompt.text, prompt.messages, prompt.tokens,
    )  # fmt: skip
    assert again.to_anthropic() == prompt.to_anthropic()


def test_objects_are_replayed_in_their_own_order(
    project: Project, write_template: Callable[..., str]
) -> None:
    settings = project.root / "example_stores" / "tickets" / "store.toml"
    settings.write_text('[label_definitions]\npin_forgotten = "p"\ncard_lost = "c"\n')
    body = """---
inputs: {query: {}, facts: {type: object}}
examples: {store: tickets, k: 1}
budget: {tokens: 500}
---
{% message "system" %}{{ facts }}{% for n, d in label_definitions.items() %}{{ n }}{{ d }}
{% endfor %}{% endmessage %}{% turns history %}{% message "user" %}{{ query }}{% endmessage %}"""
    name = write_template(body)
    call = {"type": "function", "id": "c", "function": {"name": "f", "arguments": "{}"}}
    history = [
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "y"},
    ]
    prompt = project.build(
        name, "q", inputs={"facts": {"b": {"d": 1, "c": 2}, "a": 1}}, history=history
    )
    again = project.replay(json.loads(json.dumps(prompt.manifest())))
    assert json.dumps(again.messages) == json.dumps(prompt.messages)


def test_a_prompt_of_everything_is_replayed(project: Project, everything: str) -> None:
    project.registry.publish(everything, label="production")
    prompt = project.build(f"{everything}@production", LONG, history=TALK)
    assert prompt.left_sections == ("more",) and prompt.settings["kept_turns"] < 3
    assert prompt.messages is not None and prompt.messages[-1]["content"].endswith(" [cut]")
    assert len(prompt.static_examples) == 2 and prompt.examples
    same(project, prompt)


def test_replay_needs_neither_embedder_nor_index(root: Path, everything: str) -> None:
    with promptlib.open(root) as project:
        project.registry.publish(everything)
        prompts = [project.build(name, LONG) for name in (ROUTE, f"{everything}@1")]

    class Broken(HashingEmbedder):
        def embed(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("nothing is embedded in a replay")

    with promptlib.open(root, embedder=Broken(dim=7)) as other:
        for prompt in prompts:
            same(other, prompt)
        assert not other._indexes


@pytest.mark.parametrize("seed", range(3))
def test_replay_after_fifty_edits(project: Project, everything: str, seed: int) -> None:
    chance = random.Random(seed)
    project.registry.publish(everything, label="production")
    project.registry.publish(ROUTE, label="production")
    prompts: list[Prompt] = []
    store = project.store("tickets")
    for step in range(50):
        if step % 10 == 0:
            name = chance.choice([f"{everything}@production", f"{ROUTE}@production"])
            history = TALK if name.startswith(everything) else None
            prompts.append(project.build(name, chance.choice(["card", LONG]), history=history))
        examples = store.list()
        match chance.randrange(6):
            case 0:
                store.add(Example(f"new question {step}", "card_lost"))
            case 1:
                store.delete(chance.choice(examples).id)
            case 2 | 3:
                store.update(replace(chance.choice(examples), output=f"label_{step}"))
            case 4:
                path = project.registry.path(chance.choice([everything, ROUTE]))
                path.write_text(path.read_text().replace("Answer", f"Answer {step}", 1))
                chosen = chance.choice([everything, ROUTE])
                project.registry.publish(chosen, label="production", refresh=True, force=True)
            case 5:
                store.update(replace(chance.choice(examples), status="rejected"))
    for prompt in prompts:
        same(project, prompt)


def test_a_manifest_holds_no_text(project: Project, everything: str) -> None:
    project.registry.publish(everything)
    said = "something that only this user says"
    history = [{"role": "user", "content": f"earlier, {said}"}, TALK[1]]
    prompt = project.build(f"{everything}@1", said, history=history)
    shown = [*prompt.examples, *prompt.static_examples]
    inputs = [getattr(e, "example", e).input for e in shown]
    for private in (True, False):
        text = json.dumps(prompt.manifest(inputs=not private))
        assert not any(input in text for input in inputs)
        assert "Mind the hint" not in text and "Answer with" not in text
        assert (said in text) == (not private)
    assert said not in json.dumps(prompt.manifest(inputs=False))


def test_a_private_manifest_asks_for_what_it_leaves_out(project: Project, everything: str) -> None:
    project.registry.publish(everything)
    prompt = project.build(f"{everything}@1", LONG, history=TALK)
    private = prompt.manifest(inputs=False)
    same(project, prompt, private, inputs={"query": LONG}, history=TALK)
    with pytest.raises(InputsError, match="leaves the inputs out: give query, facts"):
        project.replay(private)
    with pytest.raises(ReplayError, match="aren't the inputs"):
        project.replay(private, inputs={"query": "other"}, history=TALK)
    with pytest.raises(ReplayError, match="history"):
        project.replay(private, inputs={"query": LONG})
    with pytest.raises(ReplayError, match="history"):
        project.replay(private, inputs={"query": LONG}, history=[TALK[0]])
    with pytest.raises(InputsError, match="none can be given"):
        project.replay(prompt.manifest(), inputs={"query": LONG})
    with pytest.raises(InputsError, match="none can be given"):
        project.replay(prompt.manifest(), history=TALK)


def test_a_working_file_is_replayed_while_it_is_unchanged_or_once_published(
    project: Project,
) -> None:
    prompt = project.build(ROUTE, "I lost my card")
    same(project, prompt)
    path = project.registry.path(ROUTE)
    before = path.read_text()
    path.write_text(before.replace("Answer", "Please answer"))
    with pytest.raises(ReplayError, match=r"never published as it was then.*changed since"):
        project.replay(prompt.manifest())
    path.unlink()
    with pytest.raises(ReplayError, match="no template"):
        project.replay(prompt.manifest())
    path.write_text(before)
    project.registry.publish(ROUTE)
    path.unlink()
    same(project, prompt)


def test_static_examples_of_a_working_file_come_from_the_store_or_a_version(
    project: Project, everything: str
) -> None:
    unpublished = project.build(everything, LONG)
    same(project, unpublished)
    project.registry.publish(everything)
    store = project.store("tickets")
    store.update(*(replace(each, output="other") for each in unpublished.static_examples))
    path = project.registry.path(everything)
    path.write_text(path.read_text().replace("Mind", "Do mind"))
    edited = project.build(everything, LONG)
    assert edited.static_examples == unpublished.static_examples  # pinned by the version
    same(project, edited)


def test_what_is_missing_is_named(project: Project, root: Path, tmp_path: Path) -> None:
    prompt = project.build(ROUTE, "I lost my card")
    manifest = prompt.manifest()
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "promptlib.toml").write_text('embedder.model = "hashing"\n')
    with (
        promptlib.open(tmp_path / "else") as other,
        pytest.raises(ReplayError, match="working file of tickets/route"),
    ):
        other.replay(manifest)
    (tmp_path / "else" / "templates").symlink_to(root / "templates")
    with (
        promptlib.open(tmp_path / "else") as other,
        pytest.raises(ReplayError, match=r"store 'tickets' .* isn't in this database"),
    ):
        other.create_store("tickets")
        other.replay(manifest)


def test_a_result_that_differs_names_the_versions(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptlib import making, manifest

    older = {**manifest.versions(), "jinja2": "2.0"}
    monkeypatch.setattr(making, "versions", lambda: older)
    monkeypatch.setattr(making, "result_hash", lambda text, messages: "0" * 32)
    prompt = project.build(ROUTE, "I lost my card")
    with pytest.raises(ReplayError, match=r"the result differs: it was made with .*jinja2 2\.0"):
        project.replay(prompt.manifest())


def _edited(manifest: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**manifest, **changes}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: _edited(m, k=9), "was edited"),
        (lambda m: _edited(m, inputs={"query": "other"}), "was edited"),
        (lambda m: _edited(m, candidate_labels=[]), "was edited"),
        (lambda m: _edited(m, examples=m["examples"][::-1]), "was edited"),
        (lambda m: _edited(m, hash="0" * 32), "was edited"),
        (lambda m: _edited(m, hash=None), "was edited"),
        (lambda m: {k: v for k, v in m.items() if k != "inputs"}, "was edited"),
        (lambda m: {k: v for k, v in m.items() if k != "hash"}, "isn't a manifest"),
        (lambda m: [], "isn't a manifest"),
        (lambda m: None, "isn't a manifest"),
        (lambda m: {}, "isn't a manifest"),
        (lambda m: "text", "isn't a manifest"),
    ],
)
def test_a_manifest_that_was_edited_is_refused(project: Project, change: Any, reason: str) -> None:
    manifest = project.build(ROUTE, "I lost my card").manifest()
    with pytest.raises(ReplayError, match=reason):
        project.replay(change(manifest))


def test_a_manifest_with_half_a_character_is_refused(project: Project) -> None:
    with pytest.raises(ReplayError):
        project.replay({"a": "\ud800", "hash": "x"})


def test_a_manifest_of_fewer_keys_is_refused(project: Project) -> None:
    from promptlib.manifest import seal

    facts = {**project.build(ROUTE, "I lost my card").settings}
    del facts["sections"]
    with pytest.raises(ReplayError, match="lacks sections"):
        project.replay(seal(facts))
    odd_ones: list[dict[str, Any]] = [
        {"template": "text"}, {"template": {}}, {"inputs": 3}, {"examples": {"a": 1}},
        {"examples": [1]}, {"sections": []}, {"sections": {}}, {"tokens": "x"}, {"tools": "x"},
        {"store": {"uid": 10**30, "name": "x"}}, {"cuts": {"query": "x"}}, {"kept_turns": None},
        {"template": {"name": 5, "version": 1, "hash": "x"}}, {"history": [[1]]},
    ]  # fmt: skip
    for odd in odd_ones:
        with pytest.raises(ReplayError):
            project.replay(seal({**project.build(ROUTE, "I lost my card").settings, **odd}))


def test_replay_makes_no_database(project: Project, tmp_path: Path) -> None:
    manifest = project.build(ROUTE, "I lost my card").manifest()
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "promptlib.toml").write_text('embedder.model = "hashing"\n')
    (tmp_path / "bare" / "templates").symlink_to(project.registry.folder)
    with (
        promptlib.open(tmp_path / "bare") as other,
        pytest.raises(ReplayError, match="no database"),
    ):
        other.replay(manifest)
    assert not (tmp_path / "bare" / ".promptlib").exists()


def test_static_examples_from_a_store_of_their_own(
    project: Project, write_template: Callable[..., str]
) -> None:
    project.create_store("other").add(Example("a question", "an answer"))
    head = "---\ninputs: {query: {}}\nexamples: {store: tickets, k: 1, static: {k: 2}}\n"
    body = "{% for e in static_examples + examples %}{{ e.input }};{% endfor %}{{ query }}"
    name = write_template(f"{head}budget: {{tokens: 300}}\n---\n{body}")
    same(project, project.build(name, "x", store="other"))
    alone = write_template(f"{head}budget: {{tokens: 300}}\n---\n{body}".replace(" + examples", ""))
    same(project, project.build(alone, "x"))


def test_the_commands(project: Project, tmp_path: Path, everything: str) -> None:
    def run(*arguments: str, **options: Any) -> Any:
        return CliRunner().invoke(cli, ["-C", str(project.root), *arguments], **options)

    file, private = tmp_path / "m.json", tmp_path / "p.json"
    built = run("build", ROUTE, "I lost my card", "--manifest", str(file))
    again = run("replay", str(file))
    assert again.stdout == built.stdout and again.exit_code == 0
    for form in ("messages", "anthropic"):
        body = run("build", ROUTE, "I lost my card", "--format", form).stdout
        assert run("replay", str(file), "--format", form).stdout == body
    data = json.loads(run("replay", str(file), "--json").stdout)
    assert data["text"] + "\n" == built.stdout and "is a working file" in built.stderr
    whole = run("build", ROUTE, "I lost my card", "--json")
    assert run("replay", "-", input=whole.stdout).stdout == built.stdout
    run("build", everything, LONG, "-i", 'facts={"b": 2}', "--manifest", str(private), "--private")
    assert "Lisbon" not in private.read_text()
    asked = run("replay", str(private), "-i", f"query={LONG}", "-i", 'facts={"b": 2}')
    assert asked.exit_code == 0, asked.stderr
    hidden = json.loads(run("build", ROUTE, "I lost it", "--json", "--private").stdout)
    assert hidden["manifest"]["inputs"] is None


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not JSON"), ("[]", "isn't a manifest"), ('{"hash": "x"}', "was edited"),
     (None, "can't read")],
)  # fmt: skip
def test_a_bad_manifest_is_one_clear_line(
    project: Project, tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "m.json"
    if content is not None:
        file.write_text(content)
    result = CliRunner().invoke(cli, ["-C", str(project.root), "replay", str(file)])
    assert result.exit_code == 1 and said in result.stderr and "Traceback" not in result.stderr


def test_private_needs_a_manifest(project: Project) -> None:
    arguments = ["-C", str(project.root), "build", ROUTE, "x", "--private"]
    assert CliRunner().invoke(cli, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("banking/intent", "My card was stolen"), ("math/solve", "Ann has 3 apples. How many?"),
        ("extract/slots", "play some jazz"), ("support/reply", "A cheap hotel, please"),
    ],
)  # fmt: skip
def test_the_starters_pass_their_check_and_replay_after_fifty_edits(
    real_project: Project, name: str, query: str
) -> None:
    (found,) = real_project.check(name)
    assert found.errors == () and found.room is not None and found.room.fit_mean
    file = real_project.registry.path(name)
    before = file.read_text()
    real_project.registry.publish(name, "as it comes", label="production")
    prompt = real_project.build(f"{name}@production", query)
    store = real_project.store(prompt.settings["store"]["name"])
    chance = random.Random(name)
    try:
        for step in range(50):
            shown = chance.choice([each.example for each in prompt.examples])
            if step % 2:
                file.write_text(before.replace("{% message", f"{{# {step} #}}{{% message", 1))
            elif shown.id not in store:
                store.add(shown)
            elif step % 3:
                store.delete(shown.id)
            else:
                store.update(replace(shown, label=f"label {step}", output=f"other {step}"))
            if step % 10 == 1:
                real_project.registry.publish(name, label="production", refresh=True)
        same(real_project, prompt)
    finally:
        file.write_text(before)
        for each in prompt.examples:
            (store.update if each.id in store else store.add)(each.example)


def test_what_replay_raises_is_ours(project: Project) -> None:
    for wrong in ({"hash": 5}, {"manifest": {}}, {"manifest": 3, "hash": 1}, 5):
        with pytest.raises(PromptlibError):
            project.replay(wrong)  # type: ignore[arg-type]
