"""Where the stable prefix ends."""

from __future__ import annotations

from typing import Any

import pytest

from promptlib.project import Project
from promptlib.stability import StablePrefix
from promptlib.text import shared_prefix

QUERIES = ["I lost my card", "new pin please", "top up did not arrive", "blue elephants", "x"]
HEAD = "---\ninputs: {query: {}}\nexamples: {store: tickets, k: 2}\nbudget: {tokens: 300}\n---\n"
TURNS = "{% for example in examples %}{% turns example %}{% endfor %}"
ASK = '{% message "user" %}{{ query }}{% endmessage %}'


def system(text: str) -> str:
    return f'{{% message "system" %}}{text}{{% endmessage %}}\n'


@pytest.mark.parametrize(
    ("body", "messages", "partial"),
    [
        (system("Route it.") + TURNS + ASK, 1, ""),
        (system("Route it.") + system("Well.") + TURNS + ASK, 2, ""),
        (system("Labels: {{ labels | join(', ') }}.") + TURNS + ASK, 1, ""),
        (system("Now: {{ query }}. Mind.") + TURNS + ASK, 0, "Now: "),
        (system("One of {{ candidate_labels | join(', ') }}.") + TURNS + ASK, 0, "One of "),
        (TURNS + ASK, 0, ""),
        (system("a") + '{% message "user" %}Say: {{ query }}{% endmessage %}', 1, "Say: "),
        (system("a{% if query == 'x' %}b{% endif %}") + ASK, 1, ""),
    ],
)
def test_the_prefix_of_a_chat(
    project: Project, write_template: Any, body: str, messages: int, partial: str
) -> None:
    name = write_template(HEAD + body)
    prompt = project.build(name, QUERIES[0])
    stable = prompt.stable_prefix
    assert stable is not None and prompt.messages is not None
    assert (stable.messages, stable.characters) == (messages, len(partial))
    if messages < len(prompt.messages):
        assert prompt.messages[messages]["content"].startswith(partial)
    assert stable.share == pytest.approx(stable.tokens / prompt.tokens)
    assert f"stable prefix {stable.tokens}" in prompt.summary()
    assert prompt.manifest()["stable_prefix"]["tokens"] == stable.tokens
    assert prompt.stable_start is not None and prompt.stable_start["messages"] == messages


def test_prompts_of_all_queries_begin_with_it(project: Project, write_template: Any) -> None:
    name = write_template(HEAD + "Rules: {{ labels }}\n{% for e in examples %}{{ e.input }}\n"
                          "{% endfor %}{{ query }}")  # fmt: skip
    prompts = [project.build(name, query) for query in QUERIES]
    lengths = {prompt.stable_prefix.characters for prompt in prompts if prompt.stable_prefix}
    shared = shared_prefix([prompt.text for prompt in prompts])
    assert len(lengths) == 1 and shared.startswith(prompts[0].text[: lengths.pop()])


def test_static_examples_belong_to_it(project: Project, write_template: Any) -> None:
    name = write_template(
        HEAD.replace("k: 2", "k: 2, static: {k: 2}")
        + system("Route it.")
        + "{% for example in static_examples %}{% turns example %}{% endfor %}" + TURNS + ASK
    )  # fmt: skip
    prompt = project.build(name, QUERIES[0])
    assert prompt.stable_prefix is not None and prompt.stable_prefix.messages == 5
    body = prompt.to_anthropic()
    assert [i for i, m in enumerate(body["messages"]) if "cache_control" in str(m)] == [3]


def test_labels_that_a_template_looks_up(project: Project, write_template: Any) -> None:
    body = system("{% for l in candidate_labels %}{{ label_definitions[l] }}{% endfor %}")
    name = write_template(HEAD + system("Route it.") + body + ASK)
    labels = ("card_lost", "pin_forgotten", "top_up_failed")
    definitions = "".join(f'{label} = "about {label}"\n' for label in labels)
    settings = project.root / "example_stores" / "tickets" / "store.toml"
    settings.write_text(f"[label_definitions]\n{definitions}")
    prompt = project.build(name, QUERIES[0])
    assert prompt.stable_prefix is not None and prompt.stable_prefix.messages == 1


@pytest.mark.parametrize(
    ("inputs", "body", "given"),
    [
        ("orders: {type: list, default: []}", "{% for o in orders %}{{ o.id.x }}{% endfor %}", {}),
        ("customer: {type: object, required: false}",
         "{% if customer %}{{ customer.name }}{% endif %}", {}),
        ("i: {type: integer}", "{{ ['a', 'b', 'c'][i] }}", {"i": 2}),
        ("when: {}", "{{ when.split(':')[1] }}", {"when": "a:b"}),
        ("note: {required: false}", "{{ label_definitions.get('x') }}", {}),
    ],
)  # fmt: skip
def test_values_of_many_kinds_can_be_replaced(
    project: Project, write_template: Any, inputs: str, body: str, given: dict[str, Any]
) -> None:
    settings = project.root / "example_stores" / "tickets" / "store.toml"
    settings.write_text('[label_definitions]\nx = "y"\n')
    head = HEAD.replace("{query: {}}", f"{{query: {{}}, {inputs}}}")
    loop = "{% for e in examples %}{{ e.input.text }}{{ e.metadata.category }}{% endfor %}"
    user = f'{{% message "user" %}}{body}{loop}{{{{ query }}}}{{% endmessage %}}'
    name = write_template(head + system("Route it.") + user)
    prompt = project.build(name, "x", inputs=given, k=0)
    assert prompt.stable_prefix is not None and prompt.stable_prefix.messages == 1


def test_it_is_unknown_where_no_other_query_can_be_rendered(
    project: Project, write_template: Any
) -> None:
    name = write_template(HEAD + system("{{ {'a b': 1}[query] }}") + ASK)
    prompt = project.build(name, "a b")
    assert prompt.stable_prefix is None and "stable" not in prompt.summary()
    assert prompt.manifest()["stable_prefix"] is None and prompt.to_anthropic()


def test_a_text_that_goes_as_a_message(project: Project, write_template: Any) -> None:
    name = write_template("---\nbudget: {tokens: 90}\n---\nRules. {{ query }}")
    plain, sent = (project.build(name, "hi", as_message=flag).stable_prefix for flag in (0, 1))
    assert isinstance(plain, StablePrefix) and isinstance(sent, StablePrefix)
    assert plain.characters == sent.characters == len("Rules. ")
    assert plain.tokens == 2 and plain.share < 1  # " hi" is the query's
    assert sent.tokens == 2 + 4  # and what frames a message


def test_what_may_be_left_out_is_no_part_of_it(project: Project, write_template: Any) -> None:
    head = HEAD.replace("{query: {}}", "{query: {}, note: {required: false}}")
    body = system("Route.{% if note %} NOTE: {{ note }}{% endif %}") + system("Mind.") + ASK
    name = write_template(head + body)
    for note in (None, "x"):
        prompt = project.build(name, QUERIES[0], inputs={"note": note})
        assert prompt.stable_prefix is not None and prompt.stable_prefix.messages == 0
    body = system("{% if history %}Go on.{% endif %}Begin.") + ASK + "{% turns history %}"
    name = write_template(HEAD + body)
    for history in (None, [{"role": "user", "content": "a"}]):
        prompt = project.build(name, QUERIES[0], history=history)
        assert prompt.stable_prefix is not None and prompt.stable_prefix.messages == 0


def test_tools_come_before_everything(project: Project, write_template: Any) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    name = write_template(HEAD + ASK)
    with_tool, without = (project.build(name, "x", tools=t).stable_prefix for t in ([tool], None))
    assert with_tool is not None and without is not None and with_tool.tokens > without.tokens == 0


def test_of_few_values_each_has_a_beginning_of_its_own(
    project: Project, write_template: Any
) -> None:
    head = "---\ninputs: {query: {}, tone: {enum: [a, b]}, n: {type: integer}}\n"
    body = "Say {{ {'a': 'this', 'b': 'that'}[tone] }} {{ range(n) | list }} {{ query }}"
    name = write_template(head + "budget: {tokens: 99}\n---\n" + body)
    prompt = project.build(name, "x", inputs={"tone": "a", "n": 2})
    assert prompt.stable_prefix is not None and prompt.stable_prefix.characters == len(
        "Say this [0, 1"
    )


def test_a_long_start_of_a_message_has_a_marker_of_its_own(
    project: Project, write_template: Any
) -> None:
    long = "A rule that never changes. " * 300
    name = write_template(HEAD.replace("300", "4000") + system(long + "{{ query }}") + ASK)
    prompt = project.build(name, QUERIES[0])
    first, rest = prompt.to_anthropic()["system"]
    assert "cache_control" in first and "cache_control" not in rest
    assert prompt.messages is not None
    assert first["text"] + rest["text"] == prompt.messages[0]["content"]
    short = project.build(write_template(HEAD + system("Mind. {{ query }}") + ASK), "x")
    assert len(short.to_anthropic()["system"]) == 1
