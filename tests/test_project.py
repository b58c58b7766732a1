"""The library's door: opening, building, and what a Prompt says."""

import json
import logging
import os
import pickle
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import promptlib
from promptlib.budget.fit import DropReason
from promptlib.budget.tokens import TokenCounter, load_encoding
from promptlib.errors import (
    BudgetError,
    ConfigError,
    EncodingError,
    ExampleError,
    InputsError,
    ModelNotFoundError,
    PromptlibError,
    ReadOnlyError,
    StoreNotFoundError,
    TemplateError,
    TemplateNotFoundError,
)
from promptlib.example import Example
from promptlib.project import Project
from promptlib.request import settings_for
from tests.conftest import CHECKOUT, DATA, ROWS, TEMPLATE, write_rows

ROUTE = "tickets/route"


def recount(prompt: promptlib.Prompt) -> int:
    """Count afresh with tiktoken alone: the published rule on exactly what stands there."""
    encoding = load_encoding(prompt.encoding)
    if prompt.messages is None:
        return len(encoding.encode_ordinary(prompt.text))
    texts = (text for message in prompt.messages for text in message.values())
    return 3 + 3 * len(prompt.messages) + sum(len(encoding.encode_ordinary(t)) for t in texts)


# -- opening -------------------------------------------------------------------------------------


def test_a_project_is_found_from_any_folder_in_it(root: Path, tmp_path: Path) -> None:
    assert promptlib.open(root / "templates" / "tickets").root == root.resolve()
    with pytest.raises(
        ConfigError, match=r"no promptlib\.toml in .* make one with: promptlib init"
    ):
        promptlib.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("templates = [", "not TOML"),
        ('modle = "x"', "unknown key 'modle'; did you mean 'model'"),
        ("model = 3", "model: input should be a valid string, not 3"),
        ('[embedder]\nmodle = "x"', "unknown key 'embedder.modle'; did you mean 'model'"),
        ('[embedder]\nprecision = "int3"', "embedder.precision: input should be 'fp32'"),
        ('database = "oracle://x"', "only SQLite is supported so far"),
    ],
)
def test_a_wrong_promptlib_toml_is_one_clear_line(root: Path, text: str, reason: str) -> None:
    (root / "promptlib.toml").write_text(text)
    with pytest.raises(ConfigError, match=reason) as caught:
        promptlib.open(root)
    assert "\n" not in str(caught.value)


def test_the_database_can_be_elsewhere(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTLIB_DATABASE", f"sqlite:///{tmp_path}/else/where.db")
    project = promptlib.open(root)
    project.build(ROUTE, "lost card")
    assert (tmp_path / "else" / "where.db").is_file()
    project.database.close()


# -- building ------------------------------------------------------------------------------------


def test_a_prompt_from_a_starter_that_was_never_used(project: Project) -> None:
    prompt = project.build(ROUTE, "my card was lost")
    assert prompt.messages is not None and prompt.messages[-1]["content"] == "my card was lost"
    assert [message["role"] for message in prompt.messages] == [
        "system",
        *["user", "assistant"] * 4,
        "user",
    ]
    assert len(prompt.examples) == 4 and len(prompt.dropped) == len(ROWS) - 4
    assert prompt.tokens == recount(prompt) <= prompt.budget - prompt.reserve == 290
    assert prompt.examples[-1].rank == 1  # nearest last
    assert prompt.messages[0]["content"].startswith("Answer with one of: card_lost")
    assert prompt.count_kind == "exact" and prompt.encoding == "o200k_base"


def test_the_same_inputs_give_the_same_bytes(root: Path) -> None:
    texts = set()
    for _ in range(2):
        project = promptlib.open(root)
        prompt = project.build(ROUTE, "new pin")
        texts.add((prompt.text, prompt.settings["result"]))
        project.database.close()
    assert len(texts) == 1


def test_arguments_override_front_matter_which_overrides_the_project(
    project: Project, write_template: Callable[..., str]
) -> None:
    prompt = project.build(ROUTE, "card", k=1, budget=200, reserve=50, encoding="cl100k_base")
    assert (len(prompt.examples), prompt.budget, prompt.reserve) == (1, 200, 50)
    assert prompt.encoding == "cl100k_base" and prompt.tokens == recount(prompt)
    name = write_template(TEMPLATE.replace("k: 4", "k: 2, order: nearest-first, seed: 7")
                          .replace("description", "model: gpt-4\ndescription"))  # fmt: skip
    prompt = project.build(name, "card")
    assert prompt.encoding == "cl100k_base" and prompt.settings["seed"] == 7
    assert [example.rank for example in prompt.examples] == [1, 2]
    prompt = project.build(
        name, "card", order="nearest-last", strategy="random", seed=1, model="gpt-4o"
    )
    assert prompt.settings["strategy"] == "random" and prompt.encoding == "o200k_base"


OPTION_VALUES = st.fixed_dictionaries(
    {},
    optional={
        "k": st.sampled_from([1, 1.0, True, 2, None]),
        "explain": st.sampled_from([0, False, 1, True]),
        "share": st.sampled_from([1, 1.0, 0.5]),
        "strategy": st.sampled_from(["similar", "mmr", "none"]),
        "encoding": st.sampled_from(["o200k_base", "cl100k_base", len]),
        "where": st.sampled_from([None, ["label=a"], {"label": "a"}]),
        "tools": st.sampled_from([(), [], [{"name": "a"}]]),
    },
)


@given(st.lists(OPTION_VALUES, max_size=6))
def test_settings_that_are_remembered_are_those_that_would_be_resolved(
    project: Project, asked: list[Any]
) -> None:
    template = project.template(ROUTE)
    for options in (*asked, *asked):
        expected = outcome(settings_for, template, options, project.config, Path())
        found = outcome(project.settings_of, template, options)
        assert found == expected and repr(found) == repr(expected)


def outcome(resolve: Callable[..., Any], *arguments: Any) -> Any:
    """Give what comes of it: settings, but for their counter's functions, or the error's words."""
    try:
        settings = resolve(*arguments)
    except PromptlibError as error:
        return str(error)
    return replace(settings, counter=settings.counter.encoding)


def test_equal_settings_are_resolved_once_while_nothing_they_come_from_changes(
    project: Project, root: Path
) -> None:
    first = project.settings_of(project.template(ROUTE))
    assert first is project.settings_of(project.template(ROUTE))
    (root / "templates" / "tickets" / "route.j2").write_text(TEMPLATE.replace("k: 4", "k: 33"))
    assert (first.k, project.settings_of(project.template(ROUTE)).k) == (4, 33)
    own = [project.settings_of(project.template(ROUTE), {"encoding": len}) for _ in range(2)]
    assert own[0] is not own[1]


def test_any_counter_counts(project: Project) -> None:
    words = project.build(ROUTE, "card", encoding=lambda text: len(text.split()), budget=60)
    assert words.encoding == "custom" and words.tokens <= 50
    counter = TokenCounter(len, "characters")
    assert project.build(ROUTE, "card", encoding=counter, budget=2000).encoding == "characters"


def test_an_estimate_keeps_its_margin_and_says_so(project: Project) -> None:
    prompt = project.build(ROUTE, "card", model="claude-sonnet-4-5")
    assert prompt.count_kind == "estimate" and prompt.tokens >= 1.35 * recount(prompt)
    assert "estimate with 35% margin" in prompt.report()


def test_the_budget_defaults_to_the_context_window(
    project: Project, write_template: Callable[..., str]
) -> None:
    name = write_template(
        "---\nexamples: {store: tickets}\n---\n{{ query }} {{ examples | length }}"
    )
    prompt = project.build(name, "card", reserve=1000)
    assert prompt.budget == 128_000 and len(prompt.examples) == 8
    with pytest.raises(ConfigError, match="my-model's context window isn't known; give a budget"):
        project.build(name, "card", model="my-model", encoding="o200k_base")


def test_zero_shot(project: Project) -> None:
    prompt = project.build(ROUTE, "card", k=0)
    assert prompt.examples == () and prompt.messages is not None and len(prompt.messages) == 2
    with pytest.raises(ConfigError, match="k must be 0 or more, not -1"):
        project.build(ROUTE, "card", k=-1)


def test_text_templates_have_no_messages(
    project: Project, write_template: Callable[..., str]
) -> None:
    loop = "{% for e in examples %}{{ e.input }} -> {{ e.output }}\n{% endfor %}"
    name = write_template("---\nexamples: {store: tickets, k: 2}\n---\n" + loop + "{{ query }} ->")
    prompt = project.build(name, "I lost my card")
    assert prompt.messages is None and prompt.text.endswith("I lost my card ->")
    assert prompt.tokens == recount(prompt)


def test_a_template_without_examples_needs_no_store_and_no_embedder(
    project: Project, write_template: Callable[..., str]
) -> None:
    name = write_template("Say {{ what }} {{ n }} times.")
    prompt = project.build(name, inputs={"what": "hi", "n": 3})
    assert prompt.text == "Say hi 3 times." and prompt.hint is None
    assert project.embedder._loaded is None and not project.database.exists


def test_history_fills_what_fits_newest_first(
    project: Project, write_template: Callable[..., str]
) -> None:
    name = write_template("---\ninputs: {query: {}}\nbudget: {tokens: 100}\n---\n"
                          '{% message "system" %}Be brief.{% endmessage %}{% turns history %}'
                          '{% message "user" %}{{ query }}{% endmessage %}')  # fmt: skip
    history = [
        {"role": role, "content": f"{role} {n} " + "word " * 10}
        for n in range(20)
        for role in ("user", "assistant")
    ]
    prompt = project.build(name, "now", history=history)
    assert prompt.messages is not None and prompt.tokens == recount(prompt) <= 100
    kept = prompt.messages[1:-1]
    assert kept and kept[0]["role"] == "user" and list(kept) == [
        {"role": m["role"], "content": m["content"].strip()} for m in history[-len(kept) :]
    ]  # fmt: skip
    assert prompt.settings["kept_turns"] == len(kept) // 2
    assert "turns of history left out for room" in prompt.report()
    with pytest.raises(InputsError, match="doesn't use history"):
        project.build(ROUTE, "now", history=history)
    with pytest.raises(ExampleError, match="did you mean 'user'"):
        project.build(name, "now", history=[{"role": "usr", "content": "x"}])


def test_history_and_examples_share_the_budget(
    project: Project, write_template: Callable[..., str]
) -> None:
    body = TEMPLATE.replace(
        '{% message "user" %}{{ query }}', '{% turns history %}{% message "user" %}{{ query }}'
    )
    name = write_template(body)
    history = [
        {"role": "user", "content": "word " * 60},
        {"role": "assistant", "content": "ok"},
    ] * 3
    for budget in range(60, 320, 13):
        prompt = project.build(name, "lost card", history=history, budget=budget, k=8)
        assert prompt.tokens == recount(prompt) <= budget - 10


# -- what a prompt says --------------------------------------------------------------------------


def test_a_text_prompt_as_a_message_is_counted_as_one(
    project: Project, write_template: Callable[..., str]
) -> None:
    name = write_template("---\ninputs: {query: {}}\nbudget: {tokens: 40}\n---\n{{ query }}")
    text, message = project.build(name, "hello"), project.build(name, "hello", as_message=True)
    assert text.messages is None and message.messages == [{"role": "user", "content": "hello"}]
    assert message.tokens == recount(message) == text.tokens + 7
    with pytest.raises(BudgetError):
        project.build(name, "word " * 35, as_message=True)


def test_examples_and_dropped_tell_everything(project: Project) -> None:
    prompt = project.build(ROUTE, "I lost my card", k=8, budget=120)
    assert 0 < len(prompt.examples) < 8
    assert {d.reason for d in prompt.dropped} == {DropReason.OVER_BUDGET}
    ranks = sorted([e.rank for e in prompt.examples] + [d.rank for d in prompt.dropped])
    assert ranks == list(range(1, len(ROWS) + 1))
    assert all(e.tokens > 0 and -1 <= e.similarity <= 1 for e in prompt.examples)
    assert "candidates left out for room" in prompt.report()
    fits = project.build(ROUTE, "I lost my card", k=2)
    assert {d.reason for d in fits.dropped} == {DropReason.BEYOND_K}
    assert all(d.tokens is None for d in fits.dropped) and all(e.tokens > 0 for e in fits.examples)


def test_to_dict_is_json_and_a_prompt_can_be_pickled(project: Project) -> None:
    prompt = project.build(ROUTE, "I lost my card")
    data = json.loads(json.dumps(prompt.to_dict()))
    assert set(data) == {
        "text", "messages", "tokens", "count_kind", "budget", "reserve", "encoding", "examples",
        "dropped", "hint", "notes", "manifest", "static_examples", "left_sections", "parts",
        "special_tokens", "stable_prefix",
    }  # fmt: skip
    assert {"id", "rank", "score", "tokens", "label"} <= set(data["examples"][0])
    assert data["examples"][-1]["label"] == "card_lost"
    again = pickle.loads(pickle.dumps(prompt))
    assert again == prompt and again.to_dict() == prompt.to_dict()


def test_what_a_caller_does_to_messages_changes_nothing_that_is_told_later(
    project: Project,
) -> None:
    built, expected = (project.build(ROUTE, "I lost my card") for _ in range(2))
    assert built.messages is not None
    built.messages[0]["content"] = "another"
    built.messages.append({"role": "assistant", "content": "lost_card"})
    assert built.manifest() == expected.manifest()
    assert built.stable_prefix == expected.stable_prefix


def test_the_manifest_pins_everything_and_holds_no_example(project: Project) -> None:
    prompt = project.build(ROUTE, "I lost my card")
    manifest = prompt.manifest()
    assert manifest["template"] == {
        "name": ROUTE, "version": None, "hash": project.registry.get(ROUTE).hash,
    }  # fmt: skip
    assert manifest["store"]["revision"] == 1
    assert manifest["store"]["embedder"] == project.embedder.fingerprint
    assert manifest["strategy"] == "hybrid"  # resolved, not "auto"
    assert [e["id"] for e in manifest["examples"]] == [e.example.id for e in prompt.examples]
    text = json.dumps(manifest)
    assert not any(example.example.input in text for example in prompt.examples
                   if example.example.input != "I lost my card")  # fmt: skip
    assert manifest["result"] != project.build(ROUTE, "I lost my pin").settings["result"]


def test_an_empty_store_gives_a_zero_shot_prompt_and_a_note(project: Project) -> None:
    project.create_store("empty")
    prompt = project.build(ROUTE, "card", store="empty")
    assert prompt.examples == () and prompt.hint is None
    assert prompt.notes == ("store empty has no examples to show",)


def test_a_template_that_shows_no_examples_claims_none(
    project: Project, write_template: Callable[..., str]
) -> None:
    name = write_template("---\nexamples: {store: tickets}\n---\n{{ query }}")
    prompt = project.build(name, "card")
    assert prompt.examples == () and "examples from" not in prompt.summary()
    assert prompt.notes == ("template test shows no examples: store tickets wasn't asked",)
    name = write_template("---\nexamples: {store: tickets}\n---\n{{ query }}{{ candidate_labels }}")
    prompt = project.build(name, "lost card")
    assert prompt.examples == () and "card_lost" in prompt.text


def test_a_failed_build_ends_its_process_in_order(root: Path, real_project: Project) -> None:
    """An error while the model loads in its thread must not crash the process at exit."""
    for _ in range(5):
        arguments = [
            "-C",
            str(real_project.root),
            "build",
            "banking/intent",
            "hi",
            "--store",
            "nope",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments], cwd=CHECKOUT, capture_output=True, text=True
        )
        assert done.returncode == 1 and done.stderr.startswith("Error: no store 'nope'")


def test_a_changed_starter_is_said_until_it_is_merged(project: Project, root: Path) -> None:
    project.build(ROUTE, "card")
    file = root / "example_stores" / "tickets" / "examples.jsonl"
    write_rows(file, [*ROWS, {"input": "lost card again", "output": "card_lost"}])
    os.utime(file, ns=(1, 1))
    assert "promptlib store sync tickets" in project.build(ROUTE, "card").report()
    assert project.sync("tickets").added == 1
    prompt = project.build(ROUTE, "lost card again")
    assert prompt.notes == () and prompt.examples[-1].similarity == pytest.approx(1, abs=1e-3)
    os.utime(file)  # touched, not changed
    assert project.build(ROUTE, "card").notes == ()


def test_an_edit_by_another_process_is_seen_at_once(project: Project, root: Path) -> None:
    project.build(ROUTE, "zebra crossing")
    other = promptlib.open(root)
    other.store("tickets").add(Example("zebra crossing", "zoo", id="zebra"))
    assert project.build(ROUTE, "zebra crossing").examples[-1].example.id == "zebra"
    other.store("tickets").delete("zebra")
    shown = project.build(ROUTE, "zebra crossing").examples
    assert "zebra" not in [example.example.id for example in shown]
    other.database.close()


def test_building_writes_nothing(project: Project) -> None:
    project.build(ROUTE, "card")
    before = project.database.path.read_bytes(), project.store("tickets").state()
    for query in ("card", "pin", "top up"):
        project.build(ROUTE, query)
    assert (project.database.path.read_bytes(), project.store("tickets").state()) == before


def test_threads_share_a_project(project: Project) -> None:
    queries = ["lost card", "new pin", "top up", "zebra"] * 10
    expected = {query: project.build(ROUTE, query).text for query in queries}
    found: list[tuple[str, str]] = []
    threads = [
        threading.Thread(
            target=lambda: found.extend((q, project.build(ROUTE, q).text) for q in queries)
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 320 and all(text == expected[query] for query, text in found)


# -- bad input -----------------------------------------------------------------------------------


def test_what_is_unknown_or_missing_is_named(
    project: Project, write_template: Callable[..., str]
) -> None:
    with pytest.raises(TemplateNotFoundError, match="did you mean 'tickets/route'"):
        project.build("tickets/rout", "x")
    with pytest.raises(StoreNotFoundError, match="no store 'tikets'; did you mean 'tickets'"):
        project.build(ROUTE, "x", store="tikets")
    with pytest.raises(InputsError, match="input 'query' is missing"):
        project.build(ROUTE)
    with pytest.raises(InputsError, match="'query' is given twice"):
        project.build(ROUTE, "x", inputs={"query": "y"})
    with pytest.raises(ConfigError, match="no strategy 'simlar'; did you mean 'similar'"):
        project.build(ROUTE, "x", strategy="simlar")
    with pytest.raises(ConfigError, match="no order 'last'"):
        project.build(ROUTE, "x", order="last")
    with pytest.raises(EncodingError, match="no tokenizer is known for model 'gtp'"):
        project.build(ROUTE, "x", model="gtp")
    with pytest.raises(ConfigError, match="uses examples but names no store"):
        project.build(write_template("{{ query }}{{ examples | length }}"), "x")
    with pytest.raises(InputsError, match=r"set examples\.query to one of: a, b"):
        body = "---\nexamples: {store: tickets}\n---\n{{ a }}{{ b }}{{ examples }}"
        project.build(write_template(body), inputs={"a": "1", "b": "2"})


def test_a_query_must_be_text_that_says_something(project: Project) -> None:
    with pytest.raises(InputsError, match="input 'query' is empty"):
        project.build(ROUTE, " \n")
    with pytest.raises(InputsError, match=r"'query' contains a lone surrogate \(U\+DCFF\)"):
        project.build(ROUTE, "caf\udcff")
    with pytest.raises(InputsError, match="'query' must be string, not a number"):
        project.build(ROUTE, inputs={"query": 3})
    assert project.build(ROUTE, "nul \0 and {{ 7 * 7 }}").text.endswith("nul \0 and {{ 7 * 7 }}")


def test_a_budget_below_the_fixed_part_shows_the_numbers(project: Project) -> None:
    with pytest.raises(BudgetError, match="tokens without any example, 20 are available") as caught:
        project.build(ROUTE, "card", budget=30)
    assert caught.value.available == 20 < caught.value.fixed
    with pytest.raises(
        BudgetError, match=f"it needs a budget of {caught.value.fixed + 10} or more"
    ):
        project.build(ROUTE, "card", budget=30)
    with pytest.raises(ConfigError, match="budget must be 1 or more"):
        project.build(ROUTE, "card", budget=0)
    with pytest.raises(ConfigError, match="a reserve of 500 leaves nothing of a budget of 300"):
        project.build(ROUTE, "card", reserve=500)
    wrong: dict[str, Any]
    for wrong in ({"k": 2.5}, {"k": "3"}, {"seed": "a"}, {"budget": True}):
        with pytest.raises(ConfigError, match="must be a whole number"):
            project.build(ROUTE, "card", **wrong)


def test_no_model_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "promptlib.toml").write_text("")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError, match=r"pip install 'promptlib\[offline\]'"):
        promptlib.open(root).build(ROUTE, "card", budget=300, model="gpt-4o")


@pytest.fixture
def read_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project as a process without write access sees it; root may write anywhere."""
    project = promptlib.open(root)
    project.build(ROUTE, "card")
    project.database.close()
    real = os.access

    def access(path: object, mode: int, **options: object) -> bool:
        return False if mode == os.W_OK else real(path, mode, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "access", access)
    return promptlib.open(root)


def test_a_read_only_project_builds_and_refuses_to_write(read_only: Project) -> None:
    assert len(read_only.build(ROUTE, "lost card").examples) == 4
    store = read_only.store("tickets")
    assert len(store) == len(ROWS)
    with pytest.raises(ReadOnlyError, match=r"promptlib\.db is read-only: nothing was written"):
        store.add(Example("new", "x"))
    with pytest.raises(ReadOnlyError):
        read_only.create_store("other")
    read_only.database.close()


def test_a_project_on_files_that_cannot_be_written(root: Path) -> None:
    """The same for real: another user, files and folders without write permission."""
    project = promptlib.open(root)
    project.build(ROUTE, "card")
    project.database.close()
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in root.parents[:5]:  # pytest's folders, which only their owner may enter
        if path.name.startswith(("pytest-", "test_", "popen-")):
            path.chmod(0o755)
    child = os.fork()
    if child == 0:
        code = 3
        try:
            reader = promptlib.open(root)
            reader.build(ROUTE, "warm")  # modules that only root may read are loaded before
            reader.database.close()
            if os.getuid() == 0:  # whom no permission stops
                os.setresuid(65534, 65534, 65534)
            reader = promptlib.open(root)
            built = len(reader.build(ROUTE, "lost card").examples) == 4
            try:
                reader.store("tickets").add(Example("new", "x"))
            except ReadOnlyError:
                code = 0 if built else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


# -- with the real model -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bank_queries() -> list[dict[str, str]]:
    lines = (DATA / "banking77_test.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_banking_intent_finds_the_right_labels(
    real_project: Project, bank_queries: list[dict[str, str]]
) -> None:
    sample = random.Random(0).sample(bank_queries, 300)
    hits = 0
    for row in sample:
        prompt = real_project.build("banking/intent", row["input"], strategy="similar")
        assert prompt.tokens == recount(prompt) <= prompt.budget - prompt.reserve
        hits += row["output"] in {example.label for example in prompt.examples}
    assert hits / len(sample) > 0.95  # 0.978 over all test rows (benchmarks/quality.py)


OPTIONS = st.fixed_dictionaries(
    {
        "budget": st.integers(61, 700),
        "reserve": st.integers(0, 60),
        "k": st.integers(0, 20),
        "strategy": st.sampled_from(["auto", "similar", "random"]),
        "order": st.sampled_from(["nearest-last", "nearest-first", "edges", "shuffled"]),
        "encoding": st.sampled_from(["o200k_base", "cl100k_base"]),
        "seed": st.integers(0, 3),
    }
)


@given(options=OPTIONS, number=st.integers(0, 3079))
def test_no_real_prompt_is_ever_over_its_budget(
    real_project: Project,
    bank_queries: list[dict[str, str]],
    options: dict[str, Any],
    number: int,
) -> None:
    query = bank_queries[number]["input"]
    try:
        prompt = real_project.build("banking/intent", query, **options)
    except BudgetError as error:
        assert error.fixed > options["budget"] - options["reserve"]
        return
    assert prompt.tokens == recount(prompt) <= options["budget"] - options["reserve"]
    assert len(prompt.examples) <= options["k"]
    shown = {m["content"] for m in prompt.messages or ()}
    for example in prompt.examples:  # never cut
        assert str(example.example.input).strip() in shown


def test_the_real_store_is_searched_exactly(real_project: Project) -> None:
    index = real_project.index("banking77")
    state = index.refresh()
    vectors = state.base.rows.vectors.astype(np.float64)
    assert len(state) == 10_003 and state.volume.distinct == 9_999
    for query in ("my card was stolen", "exchange rate", "top up by cheque"):
        embedded = real_project.embedder.embed([query], kind="query")[0].astype(np.float64)
        expected = np.sort((vectors @ embedded).clip(-1, 1).round(5))[::-1][:64]
        assert (state.nearest(embedded.astype(np.float32), 64).similarity == expected).all()


def test_a_fresh_process_builds_without_pytorch(real_root: Path, real_project: Project) -> None:
    code = (
        "import sys, promptlib\n"
        f"prompt = promptlib.open({str(real_root)!r}).build('banking/intent', 'I lost my card')\n"
        "loaded = [m for m in ('torch', 'sentence_transformers', 'onnx') if m in sys.modules]\n"
        "print(len(prompt.examples), loaded)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "8 []"


def test_importing_again_is_far_quicker_than_embedding(real_project: Project) -> None:
    """A guard of the order of magnitude; the figure is measured in benchmarks/ingest.py."""
    start = time.perf_counter()
    report = real_project.sync("banking77")
    assert report.unchanged == 10_003 and report.coverage.texts == 0
    assert time.perf_counter() - start < 5


def test_the_library_never_prints(
    project: Project, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "promptlib")
    project.build(ROUTE, "card")
    project.store("tickets").add(Example("a", "b"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda p: p.build(ROUTE, "x", store=5), "store must be a name, not a number"),
        (lambda p: p.build(ROUTE, "x", model=5), "model must be a name, not a number"),
        (
            lambda p: p.build(ROUTE, "x", encoding=5),
            "encoding must be a name, a path or a function",
        ),
        (lambda p: p.build(None, "x"), "a template's name must be text, not None"),
        (lambda p: p.build(ROUTE, "x", seed=-1), "seed must be 0 or more, not -1"),
        (lambda p: p.search("tickets", None), "no query given"),
        (lambda p: p.search("tickets", "x", k=-1), "k must be a whole number, 1 or more, not -1"),
        (lambda p: p.search("tickets", "x", k=2.5), "k must be a whole number"),
        (lambda p: p.build_many(ROUTE, "abc"), "build_many takes a list of queries"),
        (lambda p: p.build_many(ROUTE, ["a", "", "b"]), "query 2: input 'query' is empty"),
        (lambda p: p.build(ROUTE, "x", order="up"), "template 'tickets/route': no order 'up'"),
    ],
)
def test_arguments_of_the_wrong_kind_are_told(
    project: Project, call: Callable[[Project], object], reason: str
) -> None:
    with pytest.raises(PromptlibError, match=reason):
        call(project)


def test_a_query_that_is_no_input_is_told_with_its_template(
    project: Project, write_template: Callable[..., str]
) -> None:
    name = write_template("---\ninputs: {query: {}}\nexamples: {query: qurey}\n---\n{{ query }}")
    with pytest.raises(TemplateError, match=r"test.j2: examples.query names 'qurey', .* 'query'"):
        project.build(name, "x")


def test_a_closed_project_opens_again(project: Project) -> None:
    import asyncio

    first = project.build(ROUTE, "I lost my card").text
    project.close()
    assert asyncio.run(project.abuild(ROUTE, "I lost my card")).text == first
