"""What may be shown, and what is said of it and of the rest."""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import promptlib
from cli.main import cli
from promptlib.budget.fit import DropReason
from promptlib.errors import ConfigError, TooFewExamplesError
from promptlib.project import Project
from promptlib.selection.pool import Pool
from promptlib.selection.strategies import STRATEGIES
from tests.conftest import ROWS, write_rows

ASK = "tickets/route"


def reasons(prompt: promptlib.Prompt) -> list[DropReason]:
    return [dropped.reason for dropped in prompt.dropped]


def test_equal_examples_are_shown_once(project: Project) -> None:
    project.import_file("again", write_rows(project.root / "a.jsonl", [*ROWS, *ROWS, *ROWS]))
    once = project.build(ASK, "I lost my card", k=20)
    thrice = project.build(ASK, "I lost my card", store="again", k=20)
    assert [e.example.input for e in thrice.examples] == [e.example.input for e in once.examples]
    assert reasons(thrice).count(DropReason.DUPLICATE) == 2 * len(ROWS)


def test_enough_are_found_behind_many_equal_ones(project: Project) -> None:
    yes = [{"input": "yes please", "output": "yes"}] * 200
    others = [{"input": f"yes number {n}", "output": f"{n % 5}"} for n in range(30)]
    project.import_file("yes", write_rows(project.root / "y.jsonl", [*yes, *others]))
    for strategy in ("similar", "hybrid", "mmr", "balanced"):
        prompt = project.build(ASK, "yes please", store="yes", k=12, strategy=strategy)
        texts = [example.example.input for example in prompt.examples]
        assert len(texts) == len({*texts}) == 12
        assert len(prompt.dropped) < 150  # a sample of the copies, not all of them


def test_the_same_text_with_another_answer_is_no_copy(project: Project) -> None:
    rows = [{"input": "yes", "output": f"a long answer number {n}"} for n in range(4)]
    rows += [{"input": "yes", "output": "a long answer number 1", "id": "copy"}]
    project.import_file("answers", write_rows(project.root / "y.jsonl", rows))
    prompt = project.build(ASK, "yes", store="answers", k=9)
    assert len({str(example.example.output) for example in prompt.examples}) == 4
    assert reasons(prompt) == [DropReason.DUPLICATE]
    said = [{"input": "reset", "label": "help", "output": f"do {n}"} for n in range(3)]
    project.import_file("help", write_rows(project.root / "h.jsonl", said))
    assert len(project.build(ASK, "reset", store="help", k=9).examples) == 3
    labelled = [{"input": "ok", "output": label} for label in ("a", "b", "a", "b", "a", "b")]
    project.import_file("conflict", write_rows(project.root / "c.jsonl", labelled))
    prompt = project.build(ASK, "ok", store="conflict", k=9)
    assert sorted(str(example.label) for example in prompt.examples) == ["a", "b"]


@dataclass
class Nearest:
    """A strategy that can't be hashed, as those of dataclasses can't."""

    seen: int = 0

    def __call__(self, pool: Pool) -> tuple[np.ndarray, np.ndarray]:
        cosines = pool.vectors.astype(float) @ pool.vectors[0].astype(float)
        self.seen = len(pool.vectors)
        return np.argsort(-cosines), np.sort(cosines)[::-1]


def test_a_strategy_of_ones_own_sees_the_vectors(project: Project) -> None:
    mine = Nearest()
    prompt = project.build(ASK, "I lost my card", k=3, strategy=mine)
    assert mine.seen == len(ROWS) and prompt.examples[-1].score == pytest.approx(1, abs=1e-3)
    (many,) = project.build_many(ASK, ["I lost my card"], k=3, strategy=mine)
    assert many.text == prompt.text


def test_the_query_itself_is_dropped_and_said(project: Project) -> None:
    prompt = project.build(ASK, "I lost my card", exclude_self=True, strategy="similar")
    (own,) = [d for d in prompt.dropped if d.reason is DropReason.EQUALS_QUERY]
    assert own.similarity == 1 and own.score is None and own.label == "card_lost"
    assert any("the query's own text left out" in note for note in prompt.notes)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_candidate_is_explained(project: Project, strategy: str) -> None:
    prompt = project.build(ASK, "card", strategy=strategy, explain=True, budget=110, k=8)
    assert {e.tokens for e in prompt.examples} and reasons(prompt)
    facts = [candidate.to_dict() for candidate in prompt.candidates]
    assert [row["rank"] for row in facts] == list(range(1, len(ROWS) + 1))
    assert len({row["id"] for row in facts}) == len(ROWS)
    posteriors = {row["label"]: row["posterior"] for row in facts}
    assert sum(posteriors.values()) == pytest.approx(1, abs=1e-4)
    for row in facts:
        assert row["tokens"] > 0 and 0 <= row["value"] <= 1 and row["lexical"] is not None
        assert row["value_per_token"] == pytest.approx(row["value"] / row["tokens"])
    shared = [row["lexical"] for row in facts]
    assert max(shared) > 0 == min(shared)  # some have the word, some don't


def test_what_was_not_measured_is_left_open(project: Project) -> None:
    prompt = project.build(ASK, "card", strategy="similar", k=2)
    assert all(dropped.tokens is None and dropped.lexical is None for dropped in prompt.dropped)
    assert all(row["value_per_token"] is None for row in (d.to_dict() for d in prompt.dropped))


def test_a_prompt_with_its_reasons_can_be_kept(project: Project) -> None:
    prompt = project.build(ASK, "card", k=2, budget=100)
    again = pickle.loads(pickle.dumps(prompt))
    assert again.to_dict() == prompt.to_dict() and again.dropped == prompt.dropped


def test_floors_and_caps_stand_in_front_matter(
    project: Project, write_template: Callable[..., str]
) -> None:
    body = "{% for e in examples %}{{ e.input }} {{ e.output }}\n{% endfor %}{{ query }}"

    def built(examples: str, budget: str = "{tokens: 400}", **options: Any) -> promptlib.Prompt:
        head = (
            f"examples: {{store: tickets, {examples}}}\nbudget: {budget}\ninputs: {{query: {{}}}}"
        )
        return project.build(
            write_template(f"---\n{head}\n---\n{body}"), **{"query": "card", **options}
        )

    capped = built("strategy: balanced, max_per_label: 1, min_labels: 2, border: 0.1, k: 9")
    labels = [example.label for example in capped.examples]
    assert len(labels) == 3 == len({*labels}) and DropReason.LABEL_CAP in reasons(capped)
    assert capped.settings["weights"] == {"min_labels": 2, "max_per_label": 1, "border": 0.1}
    long = built("max_example_tokens: 7, k: 3", explain=True)
    assert all(example.tokens <= 7 for example in long.examples)
    assert DropReason.TOO_LONG in reasons(long)
    shared = built("share: 0.1, k: 9", explain=True)
    assert sum(example.tokens for example in shared.examples) <= 40
    assert len(shared.examples) < 9 and DropReason.OVER_BUDGET in reasons(shared)
    with pytest.raises(TooFewExamplesError, match=r"min_k asks for 5 examples, . fit into "):
        built("min_k: 5, k: 9", "{tokens: 30}")
    with pytest.raises(TooFewExamplesError, match="min_k asks for 5 examples, there are only 4"):
        built("min_k: 5, k: 9, where: {label: card_lost}")
    with pytest.raises(ConfigError, match=r"min_k \(5\) is more than k \(2\)"):
        built("min_k: 5, k: 9", k=2)
    with pytest.raises(promptlib.BudgetError):
        built("min_k: 5, k: 9", "{tokens: 1}", query="which card is it?")


def test_turns_give_way_to_the_examples_that_there_must_be(
    project: Project, write_template: Callable[..., str]
) -> None:
    name = write_template(
        "---\ninputs: {query: {}}\nexamples: {store: tickets, k: 4, min_k: 2}\n"
        "budget: {tokens: 80}\n---\n"
        "{% for e in examples %}{% turns e %}{% endfor %}{% turns history %}"
        '{% message "user" %}{{ query }}{% endmessage %}'
    )
    talk = [
        {"role": role, "content": f"{role} says something of some length {n}"}
        for n in range(5)
        for role in ("user", "assistant")
    ]
    prompt = project.build(name, "card", history=talk)
    assert len(prompt.examples) >= 2 and prompt.tokens <= 80
    assert prompt.settings["kept_turns"] < 5


def test_static_blocks_need_no_query(project: Project, write_template: Callable[..., str]) -> None:
    head = "---\nexamples: {store: tickets, k: 3, strategy: diverse}\nbudget: {tokens: 99}\n---\n"
    name = write_template(head + "{% for e in examples %}{{ e.input }}\n{% endfor %}")
    block = project.build(name)
    assert len(block.examples) == 3 == len({example.label for example in block.examples})
    assert project.build(name).text == block.text
    assert project.build(name, strategy="random", seed=1).text != block.text
    with pytest.raises(promptlib.InputsError, match="has no input to choose examples by"):
        project.build(name, strategy="similar")


def test_strategies_without_a_query_show_the_same_for_all(project: Project) -> None:
    for strategy in ("diverse", "random"):
        one, two = (project.build(ASK, text, strategy=strategy) for text in ("card", "pin"))
        assert [e.id for e in one.examples] == [e.id for e in two.examples]


def test_callables_see_the_words_of_the_query(project: Project) -> None:
    seen: list[promptlib.Pool] = []

    def by_words(pool: promptlib.Pool) -> Any:
        seen.append(pool)
        scores = pool.words.sum(axis=1)
        return np.argsort(-scores, kind="stable"), -np.sort(-scores)

    project.build(ASK, "lost card", strategy=by_words)
    assert seen[0].words.shape == (len(ROWS), 2) and (seen[0].words > 0).any()


def test_options_of_the_command(root: Path) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["-C", str(root), "build", ASK, "card", *arguments])

    told = run("--weight", "max_per_label=1", "--strategy", "balanced", "-k", "9", "--json")
    assert len(json.loads(told.stdout)["examples"]) == 3
    for arguments, problem in [
        (("--weight", "max_label=1"), "no weight 'max_label'; did you mean 'max_per_label'"),
        (("--weight", "border"), "'border' is not NAME=VALUE"),
        (("--weight", "border=high"), "border must be a number, not 'high'"),
        (("--share", "0"), "0<x<=1"),
        (("--min-k", "-1"), "-1 is not in the range"),
    ]:
        refused = run(*arguments)
        assert refused.exit_code == 2 and problem in refused.stderr
    few = run("--min-k", "4", "--budget", "60", "--reserve", "0")
    assert few.exit_code == 1 and "min_k asks for 4 examples" in few.stderr


def test_random_stays_random_behind_many_equal_ones(project: Project) -> None:
    same = [{"input": "lost card", "output": "x"}] * 150
    others = [{"input": f"thing number {n}", "output": f"{n % 5}"} for n in range(300)]
    others += [{"input": f"lost card {n}", "output": "near"} for n in range(20)]
    project.import_file("many", write_rows(project.root / "m.jsonl", [*same, *others]))
    near = 0
    for seed in range(12):
        prompt = project.build(
            ASK, "lost card", store="many", k=8, strategy="random", seed=seed, budget=2000
        )
        assert len(prompt.examples) == 8
        near += sum(example.label == "near" for example in prompt.examples)
    assert near < 20  # of 96; some 6 would be expected, all of them if the nearest were kept


def test_a_weight_that_is_asked_for_stands_though_it_is_the_default(project: Project) -> None:
    from promptlib.store.settings import Tuned
    from promptlib.store.tuning import save_tuned

    tuned = Tuned(
        strategy="hybrid", weights={"lexical_weight": 0.25, "not_known_yet": 1}, over="hybrid",
        measure="vote_accuracy", difference=0.1, low=0.05, high=0.15, queries=99, k=8,
        embedder=project.embedder.fingerprint, at="2026-01-01",
    )  # fmt: skip
    save_tuned(project.store("tickets"), tuned)
    assert project.build(ASK, "card").settings["weights"] == {"lexical_weight": 0.25}
    assert project.build(ASK, "card", lexical_weight=0.5).settings["weights"] == {}
