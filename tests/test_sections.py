"""Parts that leave for room, inputs that are cut, examples that stay: under one budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.budget.fit import DropReason
from promptlib.budget.tokens import TokenCounter
from promptlib.errors import BudgetError, ConfigError, InputsError, TemplateSyntaxError
from promptlib.project import Project
from promptlib.templating.inputs import InputSpec, cut_length

HEAD = """---
inputs: {query: {}}
examples: {store: tickets, k: 3}
budget: {tokens: 400%s}
---
"""
BODY = """{%% message "system" %%}
Route it.
{%% section rules, priority=2 %%}Rules that always matter to everybody here.{%% endsection %%}
{%% section "tips", priority=-1 %%}Tips that are nice to have at hand.{%% endsection %%}
{%% endmessage %%}
{%% section talk, priority=0.5 %%}
{%% message "user" %%}Hello there, how are you today?{%% endmessage %%}
{%% message "assistant" %%}Fine, thank you.{%% endmessage %%}
{%% endsection %%}
{%% for example in examples %%}{%% turns example %%}{%% endfor %%}
{%% turns history %%}
{%% message "user" %%}{{ query }}{%% endmessage %%}
""".replace("%%", "%")
TALK = [
    {"role": role, "content": f"words of the {role}, number {n}"}
    for n in range(2)
    for role in ("user", "assistant")
]


@pytest.fixture
def name(write_template: Callable[..., str]) -> str:
    return write_template(HEAD % "" + BODY)


def test_sections_stay_while_there_is_room(project: Project, name: str) -> None:
    prompt = project.build(name, "card", history=TALK)
    assert prompt.left_sections == () and "Rules" in prompt.text and "Fine" in prompt.text
    parts = {part.name: part for part in prompt.parts}
    assert list(parts) == [
        "fixed", "section rules", "section talk", "section tips", "history", "examples",
    ]  # fmt: skip
    assert abs(sum(part.tokens or 0 for part in prompt.parts) - prompt.tokens) <= len(parts)
    assert all(part.tokens and part.left_out == "" for part in prompt.parts)


def test_the_lowest_priority_leaves_first_and_whole(project: Project, name: str) -> None:
    full = project.build(name, "card", history=TALK)
    seen: list[tuple[tuple[str, ...], int, int]] = []
    for budget in range(full.tokens, 1, -1):
        try:
            prompt = project.build(name, "card", history=TALK, budget=budget)
        except BudgetError as error:
            assert error.fixed > budget
            break
        assert prompt.tokens <= budget
        kept = prompt.settings["kept_turns"]
        state = prompt.left_sections, kept, len(prompt.examples)
        if not seen or seen[-1] != state:
            seen.append(state)
        for section in ("Rules that always", "Tips that are", "Hello there"):
            whole = {"Rules that always": "everybody here.", "Tips that are": "at hand.",
                     "Hello there": "Fine, thank you."}[section]  # fmt: skip
            assert (section in prompt.text) == (whole in prompt.text)
    left = [state[0] for state in seen]
    assert left[0] == () and ("tips",) in left and ("talk", "tips") in left
    assert left[-1] == ("rules", "talk", "tips")
    # Whatever leaves, everything of lower priority has left before.
    order = ["rules", "talk", "tips"]
    assert all(state == tuple(order[3 - len(state) :]) for state in left)
    first = next(state for state in seen if state[0])
    assert first == (("tips",), 2, 3)  # before any example, before any turn


def test_the_report_says_what_left(project: Project, name: str) -> None:
    full = project.build(name, "card", history=TALK)
    prompt = project.build(name, "card", history=TALK, budget=full.tokens - 1)
    assert "section tips left out for room" in prompt.summary()
    assert ", section tips 0 (all of it left), history " in prompt.report()
    parts = {part.name: part for part in prompt.parts}
    assert parts["section tips"].tokens == 0 and parts["section tips"].left_out == "all of it"
    assert prompt.settings["sections"] == {"kept": ["rules", "talk"], "left_out": ["tips"]}


@pytest.mark.parametrize(
    ("priority", "first"),
    [("history", "turns"), ("examples", "examples"), ("{history: 3, examples: 9}", "examples")],
)
def test_priorities_may_be_words_or_numbers(
    project: Project, write_template: Any, priority: str, first: str
) -> None:
    name = write_template(HEAD % f", priority: {priority}" + BODY)
    prompt = project.build(name, "card", history=TALK, budget=70)
    shown = {"turns": prompt.settings["kept_turns"], "examples": len(prompt.examples)}
    other = "turns" if first == "examples" else "examples"
    assert shown[first] >= shown[other] and prompt.tokens <= 70


def test_a_section_may_not_outlive_the_one_around_it(project: Project, write_template: Any) -> None:
    body = (
        "{% section a, priority=1 %}\n{% section b, priority=2 %}x{% endsection %}{% endsection %}"
    )
    name = write_template(HEAD % "" + body)
    with pytest.raises(TemplateSyntaxError, match=r"\.j2:7: section 'b' stands in 'a'"):
        project.registry.get(name)
    inner = project.registry.get(write_template(HEAD % "" + body.replace("=2", "=1")))
    assert [section.name for section in inner.sections] == ["a", "b"]


def test_parts_that_can_not_be_left_out_have_no_cost(project: Project, write_template: Any) -> None:
    import pickle

    name = write_template(HEAD % "" + "{{ examples[0].input }}{{ query }}")
    prompt = project.build(name, "card", min_k=1)
    parts = {part.name: part.tokens for part in prompt.parts}
    assert parts == {"fixed": None, "examples": None} and "fixed" not in prompt.report()
    assert pickle.loads(pickle.dumps(prompt)).to_dict() == prompt.to_dict()


def test_a_section_may_hold_anything(project: Project, write_template: Any) -> None:
    body = """{% section a %}{% for e in examples %}{{ e.input }};{% endfor %}{% endsection %}
{% section a %}and{% endsection %}
{% if query %}{% section b %}{{ query }}{% endsection %}{% endif %}
"""
    name = write_template(HEAD % "" + body)
    assert project.registry.get(name).render({"query": "x"}, without=["a"]).text.split() == ["x"]
    assert project.registry.get(name).render({"query": "x"}, without=["b"]).text.split() == ["and"]


# -- inputs that are cut ------------------------------------------------------------------------


@given(st.text(max_size=80), st.integers(1, 30), st.sampled_from(["", " [cut]", "…"]))
def test_a_cut_text_fits_and_is_a_start(text: str, most: int, marker: str) -> None:
    counter = TokenCounter.for_encoding("o200k_base")
    spec = InputSpec(max_tokens=most, marker=marker)
    length = cut_length(text, spec, counter.count, counter.token_ends)
    if counter.count(text) <= most:
        assert length is None
        return
    assert length is not None and length in (0, *counter.token_ends(text))
    if length:
        assert counter.count(text[:length] + marker) <= most
    longer = [end for end in counter.token_ends(text) if end > length]
    if longer and length:  # the next token would have been too much
        assert counter.count(text[: longer[0]] + marker) > most


@given(st.text(max_size=40), st.integers(1, 12))
def test_any_counter_can_cut(text: str, most: int) -> None:
    counter = TokenCounter(len)
    spec = InputSpec(max_tokens=most, marker="…")
    length = cut_length(text, spec, counter.count, counter.token_ends)
    assert length == (None if len(text) <= most else most - 1)


def test_a_long_input_is_cut_only_where_the_author_asks(
    project: Project, write_template: Any
) -> None:
    head = "---\ninputs: {query: {max_tokens: 8, marker: ' (more)'}, note: {default: ''}}\n"
    name = write_template(head + "budget: {tokens: 500}\n---\n{{ query }}|{{ note }}")
    long = "word " * 100
    prompt = project.build(name, long, inputs={"note": long})
    cut, note = prompt.text.split("|")
    assert cut.endswith(" (more)") and note == long
    assert TokenCounter.for_encoding("o200k_base").count(cut) <= 8
    assert any("input query cut to" in note for note in prompt.notes)
    assert project.build(name, "short").notes == ()
    narrow = write_template(
        "---\ninputs: {query: {max_tokens: 1}}\nbudget: {tokens: 9}\n---\n{{ query }}"
    )
    with pytest.raises(ConfigError, match="its marker alone has"):
        project.build(narrow, long)
    assert "marker of 'query' alone" in str(project.check(narrow)[0].errors[0])


def test_what_is_escaped_counts_when_a_text_is_cut(project: Project, write_template: Any) -> None:
    head = "---\ninputs: {query: {max_tokens: 20}}\nbudget: {tokens: 99}\n---\n"
    prompt = project.build(write_template(head + "{{ query }}"), "<s> " * 50)
    assert TokenCounter.for_encoding("o200k_base").count(prompt.text) <= 20
    assert project.replay(prompt.manifest()).text == prompt.text


# -- declared inputs ----------------------------------------------------------------------------


def said(project: Project, name: str, messages: Any) -> str:
    with pytest.raises(InputsError) as caught:
        project.registry.get(name).checked_inputs({"messages_": messages})
    return str(caught.value)


def test_wrong_types_are_named_all_at_once(project: Project, write_template: Any) -> None:
    types = ["string", "integer", "number", "boolean", "list", "object", "messages"]
    declared = ", ".join(f"{name}_: {{type: {name}}}" for name in types)
    body = "".join(f"{{{{ {name}_ }}}}" for name in types)
    name = write_template(
        f"---\ninputs: {{{declared}, e: {{enum: [a, b]}}}}\n---\n{body}{{{{ e }}}}"
    )
    wrong = dict.fromkeys([f"{name}_" for name in types], None) | {"e": "c"}
    with pytest.raises(InputsError) as caught:
        project.registry.get(name).checked_inputs(wrong)
    assert "input 'messages_' must be messages: history message 1" in said(project, name, [1])
    system = [{"role": "system", "content": "x"}]
    assert "belongs in the template" in said(project, name, system)
    for type_ in types:
        assert f"input '{type_}_' must be {type_}, not null" in str(caught.value)
    assert 'input \'e\' must be one of "a", "b", not "c"' in str(caught.value)


def test_an_input_that_is_not_required_is_none(project: Project, write_template: Any) -> None:
    head = "---\ninputs: {query: {}, note: {required: false}}\nbudget: {tokens: 50}\n---\n"
    name = write_template(head + "{{ query }}{% if note %} ({{ note }}){% endif %}")
    assert project.build(name, "x").text == "x"
    assert project.build(name, "x", inputs={"note": None}).text == "x"
    assert project.build(name, "x", inputs={"note": "y"}).text == "x (y)"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("{default: 5}", "default must be string"),
        ("{type: integer, max_tokens: 5}", "max_tokens needs type string"),
        ("{enum: [a], default: b}", "default must be one of"),
        ("{enum: [a, 1]}", "enum: 1 must be string"),
        ("{required: true, default: a}", "isn't required"),
        ("{marker: x}", "needs max_tokens"),
        ("{type: boolean, enum: [1]}", "must be boolean"),
    ],
)
def test_declarations_that_contradict_themselves(
    project: Project, write_template: Any, spec: str, reason: str
) -> None:
    name = write_template(f"---\ninputs:\n  query: {spec}\n---\n{{{{ query }}}}")
    with pytest.raises(TemplateSyntaxError, match=reason) as caught:
        project.registry.get(name)
    assert ".j2:3: inputs.query" in str(caught.value)


# -- static examples ----------------------------------------------------------------------------

STATIC = """---
inputs: {query: {}}
examples: {store: tickets, k: 2, static: {k: 3%s}}
budget: {tokens: 300}
---
{%% message "system" %%}{%% for e in static_examples %%}{{ e.input }} = {{ e.output }}
{%% endfor %%}{%% endmessage %%}
{%% for example in examples %%}{%% turns example %%}{%% endfor %%}
{%% message "user" %%}{{ query }}{%% endmessage %%}
"""


def test_static_examples_stand_in_every_prompt_and_nowhere_else(
    project: Project, write_template: Any
) -> None:
    name = write_template(STATIC % "")
    queries = ["I lost my card", "new pin please", "top up failed", "card missing"]
    prompts = [project.build(name, query) for query in queries]
    static = prompts[0].static_examples
    assert len(static) == 3 and len({prompt.messages[0]["content"] for prompt in prompts}) == 1  # type: ignore[index]
    for prompt in prompts:
        assert prompt.static_examples == static
        shown = {example.id for example in prompt.examples}
        assert shown and not shown & {example.id for example in static}
        reasons = {each.id: each.reason for each in prompt.dropped}
        assert all(reasons.get(each.id) == DropReason.STATIC for each in static)
        assert "3 static examples" in prompt.summary()
    assert "3 static examples" in project.build(name, "x", k=0).summary()


@pytest.mark.parametrize("spec", ["", ", strategy: random", ", strategy: random, seed: 5"])
def test_static_examples_are_pinned_by_publishing_and_refreshed_when_told(
    project: Project, write_template: Any, spec: str
) -> None:
    from dataclasses import replace

    name = write_template(STATIC % spec)
    pinned = project.build(name, "card").static_examples
    first = project.registry.publish(name, label="production")
    assert first.static == pinned
    store = project.store("tickets")
    store.update(replace(pinned[0], output="something else"))
    store.delete(pinned[1].id)
    for reference in (name, f"{name}@production"):
        assert project.build(reference, "card").static_examples == pinned
    assert not project.registry.publish(name).is_new
    second = project.registry.publish(name, refresh=True)
    assert second.is_new and second.static != pinned and second.hash == first.hash
    assert pinned[1].id not in {each.id for each in second.static}
    assert project.build(name, "card").static_examples == second.static
    assert project.build(f"{name}@1", "card").static_examples == pinned
    path = project.registry.path(name)
    path.write_text(path.read_text().replace("static: {k: 3", "static: {k: 2"))
    assert len(project.build(name, "card").static_examples) == 2  # it asks for something else


def test_static_examples_need_a_store(project: Project, write_template: Any) -> None:
    name = write_template((STATIC % "").replace("store: tickets, ", ""))
    with pytest.raises(ConfigError, match="static examples but names no store"):
        project.build(name, "card", store="tickets")
