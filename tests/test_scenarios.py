"""What the advisor answers, and why: store shapes and profiles as a specification.

Each line changes a few facts of a shape. Reasons come from the published thresholds in
factors.toml and from the sums of the economics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from promptlib.advice.deriving import derive
from promptlib.advice.facts import Fact
from promptlib.advice.gates import answers, decide, gates, path

Shape = Mapping[str, Any]
"""Fact -> value, or (value, low, high)."""

INTENTS: Shape = {  # BANKING77 as it was measured
    "is_classification": 1, "rows": 10_003, "effective_rows": 7_981, "classes": 77,
    "class_median": 127, "vote_accuracy": (0.92, 0.915, 0.925),
    "probe_accuracy": (0.923, 0.918, 0.928), "probe_over_vote": (0.003, -0.002, 0.007),
    "doubling_gain": (0.01, 0.007, 0.012), "prompt_tokens": 245, "zero_shot_tokens": 95,
    "output_tokens": 4, "cacheable_tokens": 20, "complexity": 4, "output_diversity": 0.008,
    "format_consistency": 1, "tasks": 1, "fertility": 1.0, "conflict_rate": (0.012, 0.009, 0.016),
    "bad_criteria": 0, "prompt_gain": (0, -0.02, 0.02),
}  # fmt: skip

QUESTIONS: Shape = {  # TREC: examples alone do poorly, training would help
    **INTENTS, "rows": 5_452, "effective_rows": 5_300, "classes": 6, "class_median": 1_000,
    "vote_accuracy": (0.70, 0.69, 0.71), "probe_accuracy": (0.86, 0.85, 0.87),
    "probe_over_vote": (0.16, 0.15, 0.17),
}  # fmt: skip

HARD: Shape = {  # many long documents of few classes: what is labelled can't be told apart
    **INTENTS, "effective_rows": 900, "classes": 5, "class_median": 180,
    "vote_accuracy": (0.60, 0.57, 0.63), "probe_accuracy": (0.61, 0.58, 0.64),
    "probe_over_vote": (0.01, -0.02, 0.04), "doubling_gain": (0.0, -0.01, 0.01),
    "prompt_tokens": 3_000, "zero_shot_tokens": 400,
}  # fmt: skip

WRITING: Shape = {  # generation: replies to customers
    "is_classification": 0, "rows": 3_000, "effective_rows": 2_900, "prompt_tokens": 1_800,
    "zero_shot_tokens": 300, "output_tokens": 180, "cacheable_tokens": 200, "complexity": 180,
    "output_diversity": 0.99, "format_consistency": 1, "tasks": 1, "fertility": 1.05,
    "conflict_rate": 0, "bad_criteria": 0,
}  # fmt: skip

EXTRACTION: Shape = {  # generation: JSON of one schema
    **WRITING, "rows": 13_000, "effective_rows": 12_000, "output_tokens": 30, "complexity": 30,
    "output_diversity": 0.8, "prompt_tokens": 900, "zero_shot_tokens": 150,
}  # fmt: skip

PRICES: Shape = {  # the illustration of the formulas: a small model and its trained twin
    "input_price": 0.40, "output_price": 1.60, "trained_input_price": 0.80,
    "trained_output_price": 3.20, "training_price": 3, "engineer_hours": 40, "engineer_hour": 90,
    "classifier_hours": 8, "horizon_months": 12,
}  # fmt: skip

CHEAP_TRAINED: Shape = {  # a large model beside an open one of 8B
    **PRICES, "input_price": 3, "output_price": 15, "trained_input_price": 0.2,
    "trained_output_price": 0.2,
}  # fmt: skip

GOOD = {"target": 0.90, "accuracy": (0.93, 0.92, 0.94)}
SHORT = {"target": 0.95, "accuracy": (0.85, 0.83, 0.87)}

SCENARIOS: list[tuple[str, Shape, dict[str, Any], str, str]] = [
    # -- classification: nothing told ----------------------------------------------------------
    ("a store alone", INTENTS, {}, "classifier", "127 a class (SetFit: 8), a head does as well"),
    ("a store of questions", QUESTIONS, {}, "classifier", "a head does far better than a vote"),
    ("seven a class", INTENTS, {"class_median": 7, "effective_rows": 500}, "demonstrations",
     "below 8 a class no head is trusted, and nothing asks for training"),
    ("three rows", INTENTS, {"effective_rows": 3}, "collect", "OpenAI: 10 at the least"),
    ("nine rows", WRITING, {"effective_rows": 9}, "collect", "OpenAI: 10 at the least"),
    ("one class", INTENTS, {"classes": 1, "class_median": None, "probe_accuracy": None,
     "probe_over_vote": None, "vote_accuracy": None}, "demonstrations",
     "nothing can be told apart, nothing asks for training"),
    ("labels the head can't tell", HARD, {"probe_over_vote": (-0.05, -0.08, -0.02)},
     "demonstrations", "the head is clearly worse than the vote, and no target is missed"),
    # -- classification: target met ------------------------------------------------------------
    ("met, nothing told of cost", INTENTS, GOOD, "demonstrations", "the target is clearly met"),
    ("met, little traffic", INTENTS, {**GOOD, **PRICES, "traffic": 100}, "demonstrations",
     "8 hours of a classifier cost more than a year of these prompts"),
    ("met, much traffic, head suffices", INTENTS, {**GOOD, **PRICES, "traffic": 1_000_000},
     "classifier", "a head meets the target for 720 once"),
    ("met, much traffic, head falls short", HARD,
     {**GOOD, **CHEAP_TRAINED, "traffic": 100_000}, "fine-tune",
     "9.00 a thousand prompts against 0.08: paid back within a month"),
    ("met, much traffic, dear hosting", HARD,
     {**GOOD, **PRICES, "traffic": 1_000, "hosting_per_hour": 4.0}, "demonstrations",
     "2,900 a month of hosting for 36 of prompts"),
    ("met, but too slow", HARD,
     {**GOOD, "latency_limit_ms": 300, "prefill_ms_per_1000": 150}, "fine-tune",
     "450 ms to read the prompt, 300 allowed"),
    ("met, and fast enough", HARD,
     {**GOOD, "latency_limit_ms": 500, "prefill_ms_per_1000": 150}, "demonstrations",
     "450 ms to read the prompt, 500 allowed"),
    # -- classification: target missed ---------------------------------------------------------
    ("missed, head meets it", QUESTIONS, {"target": 0.80, "accuracy": (0.72, 0.70, 0.74)},
     "classifier", "86 % by a head, 80 % wanted"),
    ("missed, head meets it, prompts are cheaper", QUESTIONS,
     {**PRICES, "target": 0.80, "accuracy": (0.72, 0.70, 0.74), "traffic": 100}, "classifier",
     "720 buy what no prompt gives: accuracy comes before eight dollars a year"),
    ("missed, head falls short too", QUESTIONS, SHORT, "fine-tune",
     "95 % wanted, 86 % by a head, 16 points of headroom over examples"),
    ("missed, training shows nothing", HARD, {"target": 0.9}, "improve",
     "no headroom and no gain of the last doubling: OpenAI says rethink the task"),
    ("missed, more examples pay", HARD, {"target": 0.9, "doubling_gain": (0.03, 0.02, 0.04)},
     "collect", "no headroom, but 3 points by the last doubling"),
    ("missed, forty rows", QUESTIONS, {**SHORT, "effective_rows": 40, "class_median": 7},
     "collect", "OpenAI: gains begin at 50"),
    ("missed, five a class", QUESTIONS, {**SHORT, "effective_rows": 400, "class_median": 5},
     "collect", "SetFit: 8 a class"),
    ("missed, labels contradict", QUESTIONS, {**SHORT, "conflict_rate": (0.08, 0.06, 0.1)},
     "collect", "8 % of near copies contradict each other, 3 % is bad"),
    ("missed, two bad criteria", QUESTIONS, {**SHORT, "bad_criteria": 2}, "collect",
     "quality gates quantity"),
    ("missed, settings untried", QUESTIONS, {**SHORT, "prompt_gain": (0.05, 0.02, 0.08)},
     "improve", "other settings gain 5 points for nothing"),
    ("missed, outputs don't parse", QUESTIONS, {**SHORT, "invalid_outputs": (0.1, 0.08, 0.12)},
     "improve", "a tenth doesn't parse: a grammar does what training would"),
    ("missed, examples do harm", QUESTIONS, {**SHORT, "zero_shot": (0.92, 0.91, 0.93)},
     "improve", "without examples it is 7 points better"),
    ("missed, wrong facts", QUESTIONS, {**SHORT, "wrong_facts": (0.4, 0.3, 0.5)}, "documents",
     "40 % of the errors are wrong facts"),
    ("missed, unclear by outcomes", QUESTIONS,
     {"target": 0.95, "accuracy": (0.94, 0.91, 0.96)}, "demonstrations",
     "the interval has the target inside: judge more answers first"),
    ("missed, training forbidden", QUESTIONS, {**SHORT, "training_allowed": 0},
     "demonstrations", "parameters may not change"),
    ("missed, due in ten days", QUESTIONS, {**SHORT, "deadline_days": 10}, "demonstrations",
     "no time to train and judge"),
    ("missed, labels change a little", QUESTIONS, {**SHORT, "label_churn": 0.08}, "both",
     "a trained model for the old labels, examples for the new"),
    ("missed, labels never hold still", QUESTIONS, {**SHORT, "label_churn": 0.3},
     "demonstrations", "30 % of the labels a month: training can't follow"),
    ("missed, several tasks on the model", QUESTIONS, {**SHORT, "tasks_on_model": 3}, "both",
     "an adapter and examples, so that others aren't forgotten"),
    ("missed, corrections keep coming", QUESTIONS, {**SHORT, "corrections_per_month": 50},
     "both", "shown at once, trained on later"),
    ("missed, over the budget", QUESTIONS, {**SHORT, **PRICES, "budget": 1_000},
     "demonstrations", "40 hours at 90 are 3,600, 1,000 may be spent"),
    ("missed, within the budget", QUESTIONS, {**SHORT, **PRICES, "budget": 5_000}, "fine-tune",
     "40 hours at 90 and the fee are within 5,000"),
    ("missed, a pilot says no", QUESTIONS,
     {**SHORT, "trained_accuracy": (0.84, 0.82, 0.86), "doubling_gain": (0, -0.01, 0.01)},
     "improve", "the pilot is no better than demonstrations"),
    # -- generation ----------------------------------------------------------------------------
    ("writing alone", WRITING, {}, "demonstrations", "nothing measured asks for more"),
    ("writing, met", WRITING, GOOD, "demonstrations", "the target is met"),
    ("writing, met, much traffic", WRITING, {**GOOD, **CHEAP_TRAINED, "traffic": 50_000},
     "fine-tune", "8.10 a thousand prompts against 0.10"),
    ("writing, met, caching makes it cheap", WRITING,
     {**GOOD, **PRICES, "traffic": 400, "cacheable_tokens": 1_700, "cache_read_price": 0.04,
      "cache_hit_rate": 0.95}, "demonstrations", "cached, a year costs about 60; training 3,600"),
    ("writing, missed, 3,000 rows", WRITING, SHORT, "fine-tune",
     "LIMA: 1,000 curated teach style and task"),
    ("writing, missed, 300 rows", WRITING, {**SHORT, "effective_rows": 300}, "collect",
     "long and varied outputs need a thousand"),
    ("writing, missed, 300 rows and a good pilot", WRITING,
     {**SHORT, "effective_rows": 300, "trained_accuracy": (0.95, 0.93, 0.97)}, "fine-tune",
     "the pilot is 10 points better"),
    ("writing, missed, 30 rows", WRITING, {**SHORT, "effective_rows": 30}, "collect",
     "OpenAI: gains begin at 50"),
    ("writing, of today's facts", WRITING, {**SHORT, "freshness_days": 7}, "documents",
     "what is true changes every week"),
    ("writing, queries about dates", WRITING, {"dated_queries": (0.3, 0.25, 0.35)}, "documents",
     "30 % of the queries ask about dates no example has"),
    ("writing, several tasks", WRITING, {**SHORT, "tasks": 3}, "both", "one store, three tasks"),
    ("writing, in a far language with a corpus", WRITING,
     {**SHORT, "fertility": (1.9, 1.8, 2.0), "corpus_tokens": 2e9}, "pretrain",
     "1.9 times the tokens, and 2 billion to learn from"),
    ("writing, in a far language without one", WRITING, {**SHORT, "fertility": (1.9, 1.8, 2.0)},
     "fine-tune", "nothing to pre-train on"),
    ("writing, a field of its own", WRITING, {**SHORT, "strategic": 1, "corpus_tokens": 5e8},
     "pretrain", "wanted for its own sake, half a billion tokens"),
    ("writing, a corpus that dates", WRITING,
     {**SHORT, "strategic": 1, "corpus_tokens": 5e8, "freshness_days": 7}, "documents",
     "what is pre-trained today is wrong next week"),
    ("extraction, missed", EXTRACTION, SHORT, "fine-tune", "12,000 rows of one schema"),
    ("extraction, missed, 200 rows", EXTRACTION,
     {**SHORT, "effective_rows": 200, "output_diversity": 0.5}, "fine-tune",
     "Gemini: 100 to 500 teach a format"),
    ("extraction, of mixed formats", EXTRACTION,
     {**SHORT, "format_consistency": (0.7, 0.68, 0.72)}, "collect",
     "three outputs in ten are of another form"),
    ("extraction, a schema would do", EXTRACTION,
     {**SHORT, "invalid_outputs": (0.2, 0.17, 0.23)}, "improve", "a grammar first"),
]  # fmt: skip


def facts_of(shape: Shape, changes: Mapping[str, Any] = {}) -> dict[str, Fact]:
    found = {}
    for name, value in {**shape, **changes}.items():
        if isinstance(value, tuple):
            found[name] = Fact(float(value[0]), "measured", float(value[1]), float(value[2]))
        elif value is not None:
            found[name] = Fact(float(value))
    return found


@pytest.mark.parametrize(
    ("shape", "changes", "answer"),
    [
        pytest.param(shape, changes, answer, id=name)
        for name, shape, changes, answer, _ in SCENARIOS
    ],
)
def test_scenario(shape: Shape, changes: dict[str, Any], answer: str) -> None:
    facts = derive(facts_of(shape, changes))
    assert decide(facts).answer == answer, [(s.gate.name, s.held) for s in path(facts)]


def test_the_scenarios_cover_the_table() -> None:
    generating = [each for each in SCENARIOS if not each[1]["is_classification"]]
    assert len(SCENARIOS) >= 48 and len(generating) >= 12
    assert {each[3] for each in SCENARIOS} == {*answers()}
    assert all(reason for *_, reason in SCENARIOS)
    opened = {decide(derive(facts_of(shape, changes))).name for _, shape, changes, *_ in SCENARIOS}
    assert opened == {gate.name for gate in gates()}, "a gate that no scenario opens"
