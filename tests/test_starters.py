"""The starters: what they bring, and that their prompts keep every promise on real data."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import promptlib
from promptlib.budget.tokens import load_encoding
from promptlib.files.reading import read_examples
from promptlib.project import Project
from promptlib.selection.strategies import STRATEGIES
from promptlib.store.settings import StoreSettings
from tests.conftest import CHECKOUT
from tests.test_huggingface import counted, make_tokenizer, reference_of
from tests.test_serving import QUESTIONS

STARTERS = {
    "banking/intent": "banking77", "math/solve": "gsm8k", "extract/slots": "snips",
    "support/reply": "multiwoz",
}  # fmt: skip
ROWS = {"banking77": 10_003, "gsm8k": 1_000, "snips": 2_000, "multiwoz": 200}
TALK = [
    {"role": role, "content": text}
    for n in range(12)
    for role, text in (
        ("user", f"I need a hotel for {n} nights, and parking."),
        ("assistant", "I can help you with that. What is your price range?"),
    )
]


@pytest.mark.parametrize("store", ROWS)
def test_each_store_is_whole_and_says_where_it_comes_from(store: str) -> None:
    folder = CHECKOUT / "example_stores" / store
    rows = read_examples(folder / "examples.jsonl")
    assert len(rows) == ROWS[store] == len({row.id for row in rows})
    settings = StoreSettings.from_toml(folder / "store.toml")
    assert settings.description and settings.license and settings.label is not None
    source = (folder / "SOURCE.md").read_text()
    assert "Licence:" in source and "commit" in source and "Changes:" in source


def test_examples_are_of_every_shape(real_project: Project) -> None:
    solved = real_project.build("math/solve", "Ann has 3 apples and buys 4 more. How many?")
    assert solved.messages is not None and "\n#### " in solved.messages[2]["content"]
    slots = real_project.build("extract/slots", "play some jazz by Miles Davis")
    assert slots.messages is not None
    answer = json.loads(slots.messages[-2]["content"])
    assert answer["intent"] == "PlayMusic" and set(answer) == {"intent", "slots"}
    assert "- PlayMusic: Play music. Slots: " in slots.messages[0]["content"]
    assert "PlayMusic" in {example.label for example in slots.examples}
    reply = real_project.build("support/reply", "Yes, for two people", history=TALK[:2])
    assert reply.messages is not None
    assert reply.messages[-3:] == [*TALK[:2], {"role": "user", "content": "Yes, for two people"}]
    assert sum(m["role"] == "system" for m in reply.messages) == 5


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tokenizer(tmp_path_factory.mktemp("hf") / "small")


@pytest.fixture(scope="module")
def reference(tokenizer: Path) -> Any:
    return reference_of(tokenizer)


def recounted(prompt: promptlib.Prompt, reference: Any) -> int:
    """Count afresh from the final messages: by transformers, or by tiktoken and the rule alone."""
    messages = prompt.messages or []
    if "@" in prompt.encoding:
        return counted(reference, messages)
    ranks = load_encoding(prompt.encoding)
    texts = (text for message in messages for text in message.values())
    return 3 + 3 * len(messages) + sum(len(ranks.encode_ordinary(text)) for text in texts)


@settings(max_examples=60)
@given(
    st.sampled_from(list(STARTERS)), st.sampled_from(QUESTIONS), st.integers(40, 2500),
    st.fixed_dictionaries({
        "k": st.integers(0, 20),
        "strategy": st.sampled_from(["auto", *STRATEGIES]),
        "order": st.sampled_from(["nearest-last", "nearest-first", "edges", "shuffled"]),
        "min_score": st.sampled_from([None, 0.3, 0.9]),
        "exclude_self": st.booleans(),
        "seed": st.integers(0, 3),
    }),
    st.sampled_from(["o200k_base", "cl100k_base", "tokenizer"]), st.integers(0, len(TALK)),
)  # fmt: skip
def test_no_prompt_is_over_its_budget(
    real_project: Project, tokenizer: Path, reference: Any, template: str, query: str, budget: int,
    options: dict[str, Any], encoding: str, turns: int,
) -> None:  # fmt: skip
    encoding = str(tokenizer) if encoding == "tokenizer" else encoding
    history = TALK[:turns] if template == "support/reply" else None
    try:
        prompt = real_project.build(
            template,
            query,
            history=history,
            budget=budget,
            reserve=10,
            encoding=encoding,
            **options,
        )
    except promptlib.BudgetError as error:
        assert error.fixed > budget - 10
        return
    assert recounted(prompt, reference) == prompt.tokens <= budget - 10
    assert len(prompt.examples) <= options["k"]
    floor = options["min_score"]
    assert all(floor is None or e.similarity >= floor for e in prompt.examples)
    again = real_project.build(
        template, query, history=history, budget=budget, reserve=10, encoding=encoding, **options
    )
    assert again.settings["result"] == prompt.settings["result"]


def test_exclude_self_leaves_the_query_out(real_project: Project) -> None:
    text = str(real_project.store("banking77").list()[7].input)
    shown = real_project.build("banking/intent", text)
    assert text in [example.example.input for example in shown.examples]
    without = real_project.build("banking/intent", text, exclude_self=True)
    assert text not in [example.example.input for example in without.examples]
    assert len(without.examples) == 8
    assert any("the query's own text left out" in note for note in without.notes)


def test_min_score_shows_fewer_rather_than_bad_ones(real_project: Project) -> None:
    prompt = real_project.build("banking/intent", "How do I knit a scarf?", min_score=0.5)
    assert prompt.examples == () and {str(d.reason) for d in prompt.dropped} == {"below min_score"}
    assert all(d.score is None and d.similarity < 0.5 for d in prompt.dropped)


def test_where_chooses_rows(real_project: Project) -> None:
    prompt = real_project.build("banking/intent", "my card", where={"label": "card_arrival"}, k=5)
    assert [example.label for example in prompt.examples] == ["card_arrival"] * 5
    trains = real_project.search("multiwoz", "I need a train", 5, where=["domains=train"])
    assert trains and all("train" in hit.example.metadata["domains"] for hit in trains)
    without = real_project.search("snips", "play jazz", 8, where=["label!=PlayMusic"])
    assert all(hit.label != "PlayMusic" for hit in without)
    nothing = real_project.build("banking/intent", "my card", where=["label=nope"])
    assert "no row of banking77 meets the conditions" in nothing.report()
    with pytest.raises(promptlib.ConfigError, match="no row has a field 'domain'; did you mean"):
        real_project.search("multiwoz", "x", where=["domain=train"])


@pytest.mark.parametrize(
    "query", ["我的卡被偷了怎么办", "what is it and how do I do that", "🙂", "?!"]
)
def test_queries_that_trip_word_searches(real_project: Project, query: str) -> None:
    for strategy in ("lexical", "hybrid"):
        assert len(real_project.build("banking/intent", query, strategy=strategy).examples) == 8
