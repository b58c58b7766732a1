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
    assert prompt.stable_messages == messages


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
    assert prompt.stable_messages == 5
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
    assert (isinstance(plain, StablePrefix) and plain == sent) or sent is not None
    assert plain is not None and plain.characters == len("Rules. ")
