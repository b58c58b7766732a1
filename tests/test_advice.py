"""The advisor's promises: what may move its answer, and what never does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.advice import gates as gates_module
from promptlib.advice.accounts import economics_of
from promptlib.advice.consequences import next_steps, risks
from promptlib.advice.deriving import derive, with_break_even
from promptlib.advice.economics import break_even, route
from promptlib.advice.factors import factors, known
from promptlib.advice.facts import TRUST, Fact
from promptlib.advice.gates import Condition, answers, decide, gates
from promptlib.advice.measuring import Measured, effective_rows
from promptlib.advice.session import advice_of
from promptlib.advice.weighing import confidence, find_flip, runners_up, sureness, votes
from promptlib.curation.likeness import group_twins
from promptlib.hint import PER_CLASS, PER_TASK
from tests.test_scenarios import (
    CHEAP_TRAINED,
    GOOD,
    HARD,
    PRICES,
    QUESTIONS,
    SCENARIOS,
    SHORT,
    WRITING,
    facts_of,
)

LEVELS = ("low", "medium", "high")

scenarios = st.sampled_from(SCENARIOS).map(lambda each: facts_of(each[1], each[2]))
prices = st.fixed_dictionaries(
    {
        "input_price": st.floats(0.01, 50), "output_price": st.floats(0.01, 50),
        "trained_input_price": st.floats(0, 50), "trained_output_price": st.floats(0, 50),
        "training_price": st.floats(0, 50), "engineer_hours": st.floats(0, 500),
        "engineer_hour": st.floats(0, 300), "hosting_per_hour": st.floats(0, 20),
        "classifier_hours": st.floats(1, 100), "retrains_per_year": st.floats(0, 50),
        "cache_read_price": st.floats(0, 5), "cache_minimum": st.sampled_from([0, 1024]),
        "cacheable_tokens": st.floats(0, 4000), "cache_hit_rate": st.floats(0, 1),
        "prompt_tokens": st.floats(100, 5000), "zero_shot_tokens": st.floats(10, 100),
    }
)  # fmt: skip


# -- what never moves the answer the wrong way -----------------------------------------------------


@given(prices, st.floats(1, 1e6), st.floats(1, 100))
def test_more_traffic_never_moves_cost_towards_demonstrations(
    told: dict[str, float], traffic: float, times: float
) -> None:
    little, much = (
        derive(facts_of({**HARD, **told, "traffic": each})) for each in (traffic, traffic * times)
    )
    for name in ("cost_ratio", "classifier_cost_ratio"):
        assert much[name].value >= little[name].value * (1 - 1e-9)


@given(prices, st.floats(1, 1e6), st.floats(0, 1))
def test_cheaper_cached_reads_never_favour_training(
    told: dict[str, float], traffic: float, share: float
) -> None:
    cheaper = {**told, "cache_read_price": told["cache_read_price"] * share}
    dear, cheap = (
        derive(facts_of({**HARD, **each, "traffic": traffic})) for each in (told, cheaper)
    )
    for name in ("cost_ratio", "classifier_cost_ratio"):
        assert cheap[name].value <= dear[name].value * (1 + 1e-9)


@given(scenarios, st.data())
def test_a_missing_measurement_never_raises_confidence(
    facts: dict[str, Fact], data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(facts))))
    left = derive({name: fact for name, fact in facts.items() if name not in gone})
    everything = derive(facts)
    assert sureness(left) <= sureness(everything) + 1e-9
    assert LEVELS.index(confidence(left)) <= LEVELS.index(confidence(everything))


def test_a_guess_takes_the_place_of_no_measurement() -> None:
    guessed = {
        name: Fact(0.9, "assumed") for name in ("accuracy", "probe_accuracy", "trained_accuracy")
    }
    facts = derive({**guessed, "probe_over_vote": Fact(0.1, "stand-in")})
    assert facts["headroom"].source == facts["probe_gap"].source == "stand-in"


@given(
    st.integers(2, 12), st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2)), max_size=12),
    st.integers(0, 99),
)  # fmt: skip
def test_added_duplicates_never_raise_the_effective_volume(
    rows: int, copies: list[tuple[int, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = rng.integers(-1, 3, rows)
    places = [at % rows for at, _ in copies]
    more = np.concatenate([vectors, vectors[places]])
    more_codes = np.concatenate([codes, [code for _, code in copies]]).astype(np.int64)
    before = effective_rows(group_twins(vectors), codes)
    assert effective_rows(group_twins(more), more_codes) <= before <= rows


@given(
    st.dictionaries(
        st.sampled_from(sorted({name for each in SCENARIOS for name in {**each[1], **each[2]}})),
        st.tuples(
            st.floats(0.01, 1000), st.sampled_from(sorted(TRUST)),
            st.one_of(st.none(), st.floats(0, 10)),
        ),
    ),
    st.data(),
)  # fmt: skip
def test_nor_does_one_among_any_facts(
    told: dict[str, tuple[float, str, float | None]], data: st.DataObject
) -> None:
    facts = {
        name: Fact(value, source, *(() if half is None else (value - half, value + half)))  # type: ignore[arg-type]
        for name, (value, source, half) in told.items()
    }
    gone = data.draw(st.sets(st.sampled_from(sorted(facts) or ["rows"])))
    left = derive({name: fact for name, fact in facts.items() if name not in gone})
    everything = derive(facts)
    assert sureness(left) <= sureness(everything) + 1e-9
    assert LEVELS.index(confidence(left)) <= LEVELS.index(confidence(everything))


# -- the tables ------------------------------------------------------------------------------------


@given(scenarios)
def test_every_factor_is_evidence_or_missing(facts: dict[str, Fact]) -> None:
    evidence, missing = known(with_break_even(derive(facts)), {})
    numbers = [each.factor.number for each in (*evidence, *missing)]
    assert sorted(numbers) == list(range(1, 42))
    assert all(each.factor.supply for each in missing)


def test_conditions_ask_for_facts_that_there_are() -> None:
    there = {factor.fact for factor in factors()} | {
        "is_classification", "classifier_cost_ratio", "classifier_pays", "doubling_gain",
        "conflict_rate", "format_consistency", "freshness_days", "budget_excess",
    }  # fmt: skip
    asked = {condition.fact for gate in gates() for condition in gate.conditions}
    assert asked <= there


def test_factors_speak_for_answers_that_there_are() -> None:
    for factor in factors():
        assert {*factor.more, *factor.less} <= {*answers()}
        assert all(threshold.source and threshold.says for threshold in factor.thresholds)
        assert factor.vary is None or factor.range[0] < factor.range[1]


@pytest.mark.parametrize("gate", gates()[:-1], ids=lambda gate: gate.name)
def test_each_gate_alone_changes_an_answer(
    gate: gates_module.Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [derive(facts_of(shape, changes)) for _, shape, changes, *_ in SCENARIOS]
    before = [decide(facts).answer for facts in cases]
    others = tuple(each for each in gates() if each is not gate)
    monkeypatch.setattr(gates_module, "gates", lambda: others)
    assert [gates_module.decide(facts).answer for facts in cases] != before


@pytest.mark.parametrize("text", ["rows", "rows >= x", "rows => 3", "rows.mid > 1", ""])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="isn't a condition"):
        Condition.parse(text)


def test_conditions_read_the_end_they_name() -> None:
    facts = {"gap": Fact(0.5, "measured", 0.2, 0.8)}
    holds = {
        "gap > 0.4": True, "gap.low > 0.4": False, "gap.high >= 0.8": True, "gap < 0.5": False,
        "other > 1": False, "other > 1 or unknown": True, "gap is unknown": False,
        "other is unknown": True,
    }  # fmt: skip
    assert {text: Condition.parse(text).holds(facts) for text in holds} == holds


# -- economics -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demo_tokens", "caching", "queries"),
    [  # published illustration: 0.40 and 1.60 against 0.80 and 3.20 a million, training 0.90
        (300, {}, 7_031), (1_000, {}, 2_206), (3_000, {}, 745),
        (1_000, {"cache_read_price": 0.10, "cache_write_price": 0.40}, 13_636),
        (300, {"cache_read_price": 0.10, "cache_write_price": 0.40}, None),
        (1_000, {"cache_read_price": 0.04, "cache_write_price": 0.50}, 250_000),
        (300, {"cache_read_price": 0.04, "cache_write_price": 0.50}, None),
    ],
)  # fmt: skip
def test_break_even_as_worked_out_by_hand(
    demo_tokens: int, caching: dict[str, float], queries: int | None
) -> None:
    facts = facts_of({
        **PRICES, "engineer_hours": 0, "effective_rows": 1_000, "output_tokens": 10,
        "prompt_tokens": 40 + 200 + demo_tokens, "cacheable_tokens": 200 + demo_tokens,
        "zero_shot_tokens": 90, "cache_hit_rate": 0.95, **caching,
    })  # fmt: skip
    a_day = break_even("fine-tune", facts, 12)
    if queries is None:
        assert a_day is None
    else:
        assert a_day is not None
        assert a_day * 365.25 == pytest.approx(queries, rel=0.002)


@given(prices)
def test_costs_are_even_at_break_even(told: dict[str, float]) -> None:
    facts = derive(facts_of({**HARD, **told}))
    volume = break_even("fine-tune", facts, 12)
    if volume is None:
        return
    ours, theirs = route("demonstrations", facts, volume), route("fine-tune", facts, volume)
    assert ours is not None and theirs is not None
    assert ours.total(volume, 12) >= theirs.total(volume, 12) * (1 - 1e-6)
    less = route("demonstrations", facts, volume * 0.99)
    assert less is not None
    if volume > 1e-6:
        assert less.total(volume * 0.99, 12) <= theirs.total(volume * 0.99, 12) * (1 + 1e-6)


def test_traffic_makes_the_hit_rate() -> None:
    told = {"cache_read_price": 0.04, "cacheable_tokens": 1_500, "cache_minimum": 1_024}
    few, many = (
        route("demonstrations", facts_of({**WRITING, **PRICES, **told}), traffic)
        for traffic in (10, 100_000)
    )
    assert few is not None and many is not None
    assert many.a_prompt < few.a_prompt
    short = facts_of({**WRITING, **PRICES, **told, "cacheable_tokens": 1_000})
    uncached = route("demonstrations", short, 100_000)
    assert uncached is not None and uncached.a_prompt > few.a_prompt * 0.999


def test_accounts_say_what_they_rest_on_and_what_they_lack() -> None:
    facts = derive(facts_of(HARD, {**GOOD, "input_price": 1, "output_price": 1, "traffic": 10}))
    found = economics_of(facts, "EUR", date(2026, 1, 1))
    assert [each.name for each in found.routes] == ["demonstrations"]
    assert found.missing["classifier"] == ["classifier_hours", "engineer_hour"]
    assert any("undated" in line for line in found.rests_on)
    assert found.break_even == {} and found.pays_on is None
    whole = derive(facts_of(HARD, {**GOOD, **CHEAP_TRAINED, "traffic": 10_000}))
    found = economics_of(whole, "USD", date(2026, 1, 1))
    assert found.missing == {} and 10_000 in found.volumes
    assert found.pays_on is not None and date(2026, 1, 1) < found.pays_on < date(2026, 4, 1)
    assert found.break_even["fine-tune"] is not None


# -- what would change it --------------------------------------------------------------------------


@given(scenarios, st.sampled_from(factors()))
def test_a_flip_is_where_the_answer_changes(facts: dict[str, Fact], factor: object) -> None:
    found = find_flip(facts, factor)  # type: ignore[arg-type]
    if found is None:
        return
    name = found.factor.vary
    assert name is not None
    present = decide(derive(facts)).answer

    def at(value: float) -> str:
        fact = facts.get(name, Fact(value))
        by = value - fact.value
        low, high = (end if end is None else end + by for end in (fact.low, fact.high))
        return decide(derive({**facts, name: Fact(value, fact.source, low, high)})).answer

    assert at(found.at) == found.answer != present
    assert found.answer in answers() and answers()[found.answer] in str(found)


def test_the_traffic_at_which_a_store_should_train() -> None:
    facts = facts_of(HARD, {**GOOD, **CHEAP_TRAINED, "traffic": 10})
    assert decide(derive(facts)).answer == "demonstrations"
    factor = next(each for each in factors() if each.fact == "cost_ratio")
    flip = find_flip(facts, factor)
    assert flip is not None and flip.above and flip.answer == "fine-tune"
    volume = break_even("fine-tune", derive(facts), 12)
    assert volume == pytest.approx(flip.at, rel=1e-3)
    assert str(flip).startswith("fine-tune above ") and "prompts a day" in str(flip)


def test_what_is_not_known_can_flip_too() -> None:
    facts = facts_of(QUESTIONS, SHORT)
    factor = next(each for each in factors() if each.fact == "wrong_facts")
    flip = find_flip(facts, factor)
    assert flip is not None and flip.answer == "documents"
    assert str(flip) == "retrieve documents above 20 % of the errors being wrong facts"


@given(scenarios)
def test_the_next_best_answers_are_others(facts: dict[str, Fact]) -> None:
    derived = derive(facts)
    found = [decide(derived).answer, *(gate.answer for gate in runners_up(derived))]
    assert len({*found}) == len(found)
    shares = [share for _, share in votes(derived)]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1)


@pytest.mark.parametrize("answer", answers())
def test_every_answer_has_next_steps_and_risks(answer: str) -> None:
    steps = next_steps(answer, "tickets", "tickets/route")
    assert all(step.command.startswith("promptlib ") for step in steps) and len(steps) >= 2
    assert risks(answer, {})


def test_generation_without_outcomes_is_never_sure() -> None:
    everything: Mapping[str, float] = {factor.fact: 1.0 for factor in factors()}
    facts = derive(facts_of(WRITING, {**everything, "target": 0.9}))
    assert confidence(facts) == "low"
    told = {**everything, "target": 0.9, "accuracy": (0.95, 0.94, 0.96)}
    facts = derive(facts_of(WRITING, told))
    assert confidence(facts) == "medium"
    judged = {**facts, "accuracy": replace(facts["accuracy"], source="outcomes")}
    assert confidence(judged) == "high"
    unclear = derive(facts_of(WRITING, {**told, "accuracy": (0.91, 0.88, 0.94)}))
    unclear["accuracy"] = replace(unclear["accuracy"], source="outcomes")
    assert confidence(unclear) == "medium"


def test_advice_is_frozen_and_plain() -> None:
    raw = facts_of(QUESTIONS, {**SHORT, **PRICES, "traffic": 5_000})
    measured = Measured(raw, thin_classes={})
    advice = advice_of(
        "trec", None, raw, measured, currency="USD", today=date(2026, 1, 1)
    )  # fmt: skip
    data = advice.to_dict()
    assert data["recommendation"] == "fine-tune" and data["title"] == "fine-tune"
    assert {"evidence", "missing", "economics", "path", "risks", "next_steps"} <= {*data}
    assert any("--sample 300" in step["command"] for step in data["next_steps"])
    with pytest.raises(AttributeError):
        advice.recommendation = "other"  # type: ignore[misc]


def test_the_hint_knows_the_same_thresholds() -> None:
    by_fact = {factor.fact: factor.thresholds for factor in factors()}
    assert [t.at for t in by_fact["class_median"]] == [t.rows for t in PER_CLASS]
    assert {t.rows for t in PER_TASK} <= {t.at for t in by_fact["effective_rows"]}


def test_training_that_is_ruled_out_is_not_the_next_best() -> None:
    facts = derive(facts_of(QUESTIONS, {**SHORT, "training_allowed": 0}))
    assert decide(facts).answer == "demonstrations"
    assert not {gate.answer for gate in runners_up(facts)} & {"fine-tune", "both", "classifier"}


def test_a_flip_is_found_from_beyond_the_usual_range() -> None:
    facts = facts_of(QUESTIONS, {"target": 0.40, "accuracy": 0.45})
    factor = next(each for each in factors() if each.fact == "shortfall")
    flip = find_flip(facts, factor)
    assert flip is not None and flip.at == pytest.approx(0.45, abs=0.001)


def test_whoever_pays_more_for_a_cache_leaves_it() -> None:
    told = {"cacheable_tokens": 1_500, "cache_read_price": 0.04, "cache_write_price": 5}
    plain = route("demonstrations", facts_of({**WRITING, **PRICES}), 1)
    cached = route("demonstrations", facts_of({**WRITING, **PRICES, **told}), 1)
    assert plain is not None and cached is not None and cached.a_prompt == plain.a_prompt


@given(prices, st.floats(1, 1e6))
def test_break_even_and_costs_agree(told: dict[str, float], traffic: float) -> None:
    del told["cache_hit_rate"]  # worked out from traffic
    facts = with_break_even(derive(facts_of({**HARD, **told, "traffic": traffic})))
    if abs(facts["cost_ratio"].value - 1) > 1e-6:
        assert (facts["traffic_share"].value >= 1) == (facts["cost_ratio"].value >= 1)


def test_training_with_examples_inside_costs_their_tokens() -> None:
    facts = facts_of({**WRITING, **PRICES})
    without, inside = route("fine-tune", facts, 1), route("both", facts, 1)
    assert without is not None and inside is not None and inside.upfront > without.upfront


def test_what_never_pays_is_known_to() -> None:
    facts = derive(facts_of(HARD, {**PRICES, "traffic": 1, "hosting_per_hour": 9}))
    assert facts["payback_months"].note == "never paid back"
    assert with_break_even(facts)["traffic_share"].value < 1


def test_costs_are_as_sure_as_the_weakest_of_what_they_rest_on() -> None:
    told = facts_of(HARD, {**PRICES, "traffic": 1})
    assert derive(told)["cost_ratio"].source == "assumed"
    whole = {**told, "retrains_per_year": Fact(1), "hosting_per_hour": Fact(0)}
    assert derive(whole)["cost_ratio"].source == "measured"
    guessed = {**whole, "training_price": Fact(3, "profile")}
    assert derive(guessed)["cost_ratio"].source == "profile"
