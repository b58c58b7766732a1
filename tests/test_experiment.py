"""Experiments against a real server: figures, sequential stops, limits, resuming, tuning."""

from __future__ import annotations

import json
import math
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import promptlib
from cli.main import cli
from promptlib.errors import ConfigError, ModelError
from promptlib.evaluation.recording import record, write_winner
from promptlib.experiment.asking import Limits
from promptlib.experiment.bootstrapping import bootstrap_examples
from promptlib.experiment.calibrating import calibrate, predictor_of
from promptlib.experiment.examining import examine
from promptlib.experiment.learning import learn, record_learnt
from promptlib.experiment.outcomes import Logged, read_outcomes
from promptlib.experiment.sequential import e_value, is_clear
from promptlib.experiment.showing import answer_rows, result_page, result_table
from promptlib.experiment.tuning import tune_with_model
from promptlib.intervals import wilson
from promptlib.models.cache import AnswerCache
from promptlib.models.scoring import calibrated
from promptlib.project import Project
from tests.conftest import CHECKOUT, INTENTS, write_rows
from tests.model_server import ModelServer, serving


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


ROWS = [
    {"input": f"{text} {extra}", "output": label}
    for label, texts in INTENTS.items()
    for text in texts
    for extra in ("please", "today", "again", "at once", "for me", "as I said")
]
QUERIES = [
    {"input": f"{text} {extra}", "output": label}
    for label, texts in INTENTS.items()
    for text in texts
    for extra in ("now", "quickly", "thanks")
]


@pytest.fixture
def served(root: Path, server: ModelServer) -> Path:
    """A project whose model is the server's, which answers as the nearest example."""
    write_rows(root / "example_stores" / "tickets" / "examples.jsonl", ROWS)
    write_rows(root / "queries.jsonl", QUERIES)
    (root / "promptlib.toml").write_text(
        'model = "gpt-4o-mini"\nembedder.model = "hashing"\n[models.m]\nmodel = "openai:label"\n'
        f'base_url = "{server.url}"\ninput_price = 1.0\noutput_price = 10.0\nretries = 0\n'
        f'timeout = 1.0\n[models.flaky]\nmodel = "openai:broken"\nbase_url = "{server.url}"\n'
        "retries = 0\n"
    )
    return root


@pytest.fixture
def opened(served: Path) -> Iterator[Project]:
    with promptlib.open(served) as project:
        yield project


def source(root: Path, sample: int | None = None) -> promptlib.QuerySource:
    return promptlib.QuerySource(root / "queries.jsonl", sample=sample)


def test_figures_are_those_of_the_answers(opened: Project) -> None:
    found = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    by_name = {result.arm.way.name: result for result in found.results}
    assert {"zero-shot", "random", "similar", "hybrid", "balanced"} <= {*by_name}
    for result in found.results:
        right = sum(judged.score for judged in result.judged)
        assert result.accuracy is not None and result.answered == len(QUERIES)
        assert result.accuracy == wilson(int(right), len(QUERIES))
        # The server answers as the last example: right where that has the label.
        for judged in result.judged:
            assert judged.answer is not None
    assert by_name["zero-shot"].accuracy.value == 0  # type: ignore[union-attr]
    assert by_name["zero-shot"].kinds["format"] == len(QUERIES)
    assert by_name["similar"].accuracy.value > by_name["random"].accuracy.value  # type: ignore
    assert found.metric == "label" and not found.is_partial


def test_cost_and_tokens_add_up_and_a_second_run_costs_nothing(
    opened: Project, server: ModelServer
) -> None:
    first = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    paid = first.calls - first.cached
    assert first.spent == pytest.approx(30e-6 * paid) and paid > 0
    sent = len(server.bodies)
    second = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    assert len(server.bodies) == sent and second.spent == 0 and second.cached == second.calls
    assert [r.accuracy for r in second.results] == [r.accuracy for r in first.results]
    fresh = examine(
        opened, ["tickets/route"], ["m"], queries=source(opened.root, 5), limits=Limits(fresh=True)
    )
    assert len(server.bodies) - sent == fresh.calls - fresh.cached > 0


def test_a_limit_leaves_partial_results_that_say_so(opened: Project) -> None:
    limits = Limits(max_cost=0.002, fresh=True)
    first = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    AnswerCache(opened.database).clear()
    found = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root), limits=limits)
    assert found.is_partial and found.stopped is not None and "may cost" in found.stopped
    assert 0 < found.spent <= 0.002
    assert any(result.answered for result in found.results)
    # What was paid for is kept: the next run goes on from there.
    after = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    paid = 30e-6 * (first.calls - first.cached)
    assert found.spent + after.spent == pytest.approx(paid) and not after.is_partial


def test_nothing_answered_is_an_error(opened: Project) -> None:
    with pytest.raises(ModelError, match="500"):
        examine(opened, ["tickets/route"], ["flaky"], queries=source(opened.root, 3))


def test_the_page_has_all_answers_and_prompts(opened: Project) -> None:
    found = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root, 12))
    page = result_page(found)
    assert "Errors, side by side" in page and "<details>" in page and "<svg" in page
    assert not re.search(r"(src|href)=\"http", page)
    heads, rows = result_table(found)
    assert len(rows) == len(found.results) and all(len(row) == len(heads) for row in rows)
    written = list(answer_rows(found))
    assert len(written) == found.calls and json.dumps(written)
    assert all(row["prompt"] for row in written)


def test_two_templates_and_two_orders_are_compared(opened: Project) -> None:
    folder = opened.root / "templates" / "tickets"
    (folder / "other.j2").write_text((folder / "route.j2").read_text().replace("Answer", "Reply"))
    found = examine(
        opened, ["tickets/route", "tickets/other"], ["m"], strategies=["similar"],
        orders=["nearest-last", "nearest-first"], queries=source(opened.root, 10),
    )  # fmt: skip
    assert {result.arm.template for result in found.results} == {"tickets/route", "tickets/other"}
    orders = [r.arm.way.order for r in found.results if r.arm.way.name.startswith("similar")]
    assert orders.count("nearest-first") == 2
    heads, _ = result_table(found)
    assert heads[0] == "template"


def test_a_sequential_run_asks_less_and_agrees(opened: Project) -> None:
    whole = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    early = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root), sequential=True)
    zero = next(r for r in early.results if r.arm.way.name == "zero-shot")
    assert zero.answered < len(QUERIES) and early.calls < whole.calls
    assert not early.is_partial


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_evidence_is_the_beta_binomial_mixture(wins: int, losses: int) -> None:
    many = wins + losses
    exact = 2**many / ((many + 1) * math.comb(many, wins))
    assert e_value(wins, losses) == pytest.approx(exact)
    assert e_value(wins, losses) == pytest.approx(e_value(losses, wins))


def test_looking_all_the_time_finds_nothing_where_nothing_is() -> None:
    rng, false = np.random.default_rng(0), 0
    for _ in range(400):
        flips = np.cumsum(rng.random(300) < 0.5)
        false += any(is_clear(w, n - w) for n, w in enumerate(flips.tolist(), start=1))
    assert false / 400 <= 0.05 + 0.02


def test_a_real_difference_is_found_early() -> None:
    rng = np.random.default_rng(0)
    flips = np.cumsum(rng.random(300) < 0.85)
    when = next(n for n, wins in enumerate(flips.tolist(), start=1) if is_clear(wins, n - wins))
    assert when < 60


# -- what is logged, and what is learnt from it --------------------------------------------------


def test_outcomes_are_logged_without_a_word_of_text(opened: Project) -> None:
    found = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    rows = read_outcomes(opened.database)
    assert len(rows) == sum(result.answered for result in found.results)
    again = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    assert len(read_outcomes(opened.database)) == len(rows) == again.calls
    with sqlite3.connect(opened.database.path) as raw:
        text = str(raw.execute("SELECT * FROM outcomes").fetchall())
    assert "quickly" not in text and "thanks" not in text


def test_the_advisor_reads_what_was_logged(opened: Project) -> None:
    found = examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    shown = [r for r in found.results if r.arm.way.k and r.arm.way.strategy != "random"]
    best = max(r.accuracy.value for r in shown if r.accuracy is not None)
    advice = promptlib.advise(opened, "tickets", template="tickets/route", quick=True)
    fact = advice.facts["accuracy"]
    assert fact.value == pytest.approx(best) and fact.source == "outcomes"
    assert advice.facts["zero_shot"].value == 0


def logged(**changes: Any) -> Logged:
    row = Logged(
        "m", "t", None, "hash", "s", "hybrid", {}, 4, "nearest-last", None, "label", "q", 1.0,
        "right", {"label_hit": 1.0, "ndcg": 0.5}, 100, 0.1,
    )  # fmt: skip
    return Logged(**{**vars(row), **changes})


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_the_predictor_is_two_shares(pairs: list[tuple[bool, bool]]) -> None:
    rows = [
        logged(question=str(n), score=float(right), proxies={"label_hit": float(shown)})
        for n, (shown, right) in enumerate(pairs)
    ]
    found = predictor_of(rows)
    shown = [right for present, right in pairs if present]
    if not shown:
        assert found is None
        return
    assert found is not None and found.present == wilson(sum(shown), len(shown))
    expected = found.predict(1.0)
    assert (expected.value, expected.low) == (found.present.value, found.present.low)
    if found.absent is not None:
        hits = len(shown) / len(pairs)
        right = sum(right for _, right in pairs) / len(pairs)
        assert found.predict(hits).value == pytest.approx(right)


def test_what_helps_and_what_hurts_is_told_apart() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(120):
        base = rng.random() < 0.7
        for name, score in (("hybrid", base), ("similar", True), ("balanced", base and number % 2)):
            hit = 1.0 if name == "balanced" else float(score)
            rows.append(
                logged(strategy=name, question=str(number), score=float(score),
                       proxies={"label_hit": hit, "ndcg": float(score)})
            )  # fmt: skip
    found = calibrate("m", rows)
    assert found.preferred["s"].strategy == "similar" and [*found.harmful] == ["balanced"]
    assert found.rankings[0].proxy == "ndcg" and found.rankings[0].correlation == pytest.approx(1)
    assert found.rankings[-1].proxy == "label_hit" and json.dumps(found.to_dict())


def test_auto_leaves_what_hurts_a_model_for_that_model_alone(opened: Project) -> None:
    from promptlib.store.settings import Tuned
    from promptlib.store.tuning import save_tuned

    store, index = opened.store("tickets"), opened.index("tickets")
    print_ = index.embedder.fingerprint
    tuned = Tuned(
        strategy="balanced", over="hybrid", measure="vote_accuracy", difference=0.1, low=0.05,
        high=0.2, queries=100, k=4, embedder=print_, at="2026-11-01",
    )  # fmt: skip
    save_tuned(store, tuned)
    rows = [
        logged(
            model="label",
            strategy=name,
            question=str(number),
            store="other",
            score=float(name == "hybrid"),
        )
        for number in range(60)
        for name in ("hybrid", "balanced")
    ]
    learnt = [calibrate("label", rows)]
    assert record_learnt(opened, learnt) == [("label", "tickets", "hybrid")]
    build = opened.build
    assert build("tickets/route", "my card is gone").settings["strategy"] == "balanced"
    for_model = build("tickets/route", "my card is gone", model="m")
    assert for_model.settings["strategy"] == "hybrid" and for_model.settings["model"] == "label"
    assert record_learnt(opened, learnt) == []


@given(st.integers(2, 5), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_calibration_takes_away_what_is_preferred_anyway(labels: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    baseline = rng.normal(size=(rows, labels))
    # A question that says nothing is answered by no label more than by another.
    assert np.allclose(
        calibrated(baseline[:1], baseline[:1]), calibrated(baseline[:1], baseline[:1])[0, 0]
    )
    # A shift of all scores of a row changes nothing.
    scores = rng.normal(size=(rows, labels))
    shifted = calibrated(scores + 3.0, baseline + rng.normal(size=(rows, 1)))
    assert (shifted.argmax(1) == calibrated(scores, baseline).argmax(1)).all()


# -- tuning and bootstrapping --------------------------------------------------------------------


def test_tuning_keeps_a_third_untouched_and_to_its_calls(opened: Project) -> None:
    found = tune_with_model(
        opened, "tickets/route", "m", max_calls=120, ks=[2, 4], queries=source(opened.root)
    )
    assert found.calls <= 120 and found.rounds[0].questions >= 1
    chose = {row.question for row in read_outcomes(opened.database)}
    judged = {j.trial.question for r in found.judged.results for j in r.judged}
    assert judged and found.queries[1] == len(judged) and len(chose) > len(judged)
    sizes = [len(each.standing) for each in found.rounds]
    assert sizes == sorted(sizes, reverse=True)
    assert json.dumps(found.to_dict())
    again = tune_with_model(
        opened, "tickets/route", "m", max_calls=120, ks=[2, 4], queries=source(opened.root)
    )
    assert again.spent == 0 and again.winner == found.winner


def first_answer(messages: list[dict[str, Any]]) -> str:
    return next((m["content"] for m in messages if m["role"] == "assistant"), "")


def test_tuning_finds_what_the_model_does_best_with(opened: Project, server: ModelServer) -> None:
    """A model that answers as the first example, and a template that puts the nearest last."""
    route = opened.root / "templates" / "tickets" / "route.j2"
    route.write_text(route.read_text().replace("k: 4", "k: 3, strategy: balanced"))
    with serving(first_answer) as first:
        config = opened.root / "promptlib.toml"
        config.write_text(config.read_text().replace(server.url, first.url))
        with promptlib.open(opened.root) as project:
            found = tune_with_model(
                project, "tickets/route", "m", max_calls=300, strategies=["balanced"], ks=[3],
                queries=promptlib.QuerySource(sample=72),
            )  # fmt: skip
            scores = {way: score for way, score, _ in found.rounds[0].standing}
            turned = next(way for way in scores if way.order == "nearest-first")
            assert scores[turned] > 0.9 and scores[found.current] < 0.2
            assert scores[found.winner] > 0.9 and found.is_better
            assert write_winner(project, found) and "label by the model" in route.read_text()
            assert (
                project.template("tickets/route").front.examples.strategy
                == (  # type: ignore
                    found.winner.to_dict()["strategy"]
                )
            )
            record(project, found)
            assert project.store("tickets").settings.tuned is None


def test_a_search_that_was_stopped_changes_nothing(opened: Project) -> None:
    queries = promptlib.QuerySource(sample=72)
    whole = tune_with_model(opened, "tickets/route", "m", max_calls=300, queries=queries)
    record(opened, whole)
    before = opened.store("tickets").settings.tuned_for
    AnswerCache(opened.database).clear()
    part = tune_with_model(
        opened, "tickets/route", "m", max_calls=300, queries=queries, limits=Limits(max_cost=0.003)
    )
    assert part.stopped is not None and not record(opened, part) and not write_winner(opened, part)
    assert opened.store("tickets").settings.tuned_for == before


def test_a_question_that_stands_twice_and_a_version_of_the_same_text(opened: Project) -> None:
    write_rows(opened.root / "queries.jsonl", [*QUERIES[:5], QUERIES[0]])
    opened.registry.publish("tickets/route")
    found = examine(
        opened, ["tickets/route@1", "tickets/route"], ["m", "m"], queries=source(opened.root)
    )
    assert not found.is_partial and len({r.arm.template for r in found.results}) == 2


def test_two_ways_of_asking_one_model_are_two(opened: Project, server: ModelServer) -> None:
    config = opened.root / "promptlib.toml"
    more = "".join(
        f'[models.{name}]\nmodel = "openai:label"\nbase_url = "{server.url}"\n'
        f"temperature = {heat}\n" for name, heat in (("cold", 0.0), ("hot", 1.5))
    )  # fmt: skip
    config.write_text(config.read_text() + more)
    sent = len(server.bodies)
    with promptlib.open(opened.root) as project:
        found = examine(
            project, ["tickets/route"], ["cold", "hot"], strategies=["similar"],
            queries=source(opened.root, 4),
        )  # fmt: skip
        assert {result.arm.model for result in found.results} == {"cold", "hot"}
        heats = [body["temperature"] for body in server.bodies[sent:]]
        assert heats.count(0.0) == heats.count(1.5) > 0
        assert project.build("tickets/route", "my pin", model="hot").settings["model"] == "label"


def test_prompts_over_their_budget_are_said(opened: Project) -> None:
    found = examine(opened, ["tickets/route"], ["m"], budgets=[12], queries=source(opened.root, 4))
    assert found.results[0].kinds["unbuilt"] == 4 and found.calls == 0
    assert "4 over the budget" in str(result_table(found)[1][0])


def test_too_few_calls_or_questions_are_refused(opened: Project) -> None:
    with pytest.raises(ConfigError, match="60 or more"):
        tune_with_model(opened, "tickets/route", "m", max_calls=10)
    with pytest.raises(ConfigError, match="needs 30"):
        tune_with_model(opened, "tickets/route", "m", queries=source(opened.root, 20))


def test_right_answers_become_drafts_that_no_prompt_shows(opened: Project) -> None:
    queries = promptlib.QuerySource(sample=12)
    dry = bootstrap_examples(opened, "tickets/route", "m", queries=queries, dry_run=True)
    before = opened.store("tickets").stats().statuses
    assert dry.revision is None and dry.drafts
    found = bootstrap_examples(opened, "tickets/route", "m", queries=queries)
    after = opened.store("tickets").stats().statuses
    assert after["draft"] == len(found.drafts) and after["approved"] == before["approved"]
    for draft in found.drafts:
        origin = opened.store("tickets").get(draft.metadata["bootstrapped_from"])
        assert draft.input == origin.input and draft.status == "draft"
    again = bootstrap_examples(opened, "tickets/route", "m", queries=queries)
    assert again.drafts == () and again.revision is None


def test_learning_reads_the_log(opened: Project) -> None:
    examine(opened, ["tickets/route"], ["m"], queries=source(opened.root))
    [found] = learn(opened, ["m"], "tickets")
    assert found.model == "label" and found.predictor is not None
    assert {arm.strategy for arm in found.arms} >= {"similar", "hybrid", "random"}


def test_static_and_tailored_examples_share_the_room(opened: Project) -> None:
    route = opened.root / "templates" / "tickets" / "route.j2"
    both = (
        route.read_text()
        .replace("k: 4", "k: 3, static: {k: 1}")
        .replace("in examples %}", "in static_examples + examples %}")
    )
    route.write_text(both)
    queries = promptlib.QuerySource(sample=72)
    found = tune_with_model(
        opened, "tickets/route", "m", max_calls=400, strategies=["similar"], ks=[3],
        queries=queries,
    )  # fmt: skip
    shares = {way.static: way.k for way, *_ in found.rounds[0].standing if way.static is not None}
    assert shares.keys() >= {0, 2, 4} and all(way + k == 4 for way, k in shares.items())
    some = examine(opened, ["tickets/route"], ["m"], strategies=["similar"], queries=queries)
    for judged in some.results[0].judged:
        assert judged.trial.ask is not None and len(judged.trial.ask.chat) == 2 + 2 * 4


# -- interrupted ---------------------------------------------------------------------------------


def started(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "-C", str(root), "eval", "tickets/route", "--model", "m",
         "--queries", str(root / "queries.jsonl")],
        cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(server: ModelServer, calls: int) -> None:
    end = time.monotonic() + 60
    while sum(server.answered.values()) < calls and time.monotonic() < end:
        time.sleep(0.02)


@pytest.fixture
def slow(served: Path, server: ModelServer) -> Iterator[tuple[Path, ModelServer]]:
    with serving() as other:
        other.delay = 0.2
        config = served / "promptlib.toml"
        config.write_text(config.read_text().replace(server.url, other.url))
        yield served, other


def test_a_killed_run_goes_on_where_it_was(slow: tuple[Path, ModelServer]) -> None:
    root, server = slow
    process = started(root)
    wait_for(server, 40)
    process.kill()
    process.communicate()
    server.delay = 0.0
    done = started(root)
    out, err = done.communicate()
    assert done.returncode == 0, err
    # Only what was under way when it was killed had to be asked again.
    again = {asked: count for asked, count in server.answered.items() if count > 1}
    assert len(again) <= 8 + 2 and max(server.answered.values()) <= 2
    assert "hybrid" in out and "answers from the cache" in err


def test_an_interrupted_run_shows_what_there_is_as_partial(
    slow: tuple[Path, ModelServer],
) -> None:
    root, server = slow
    process = started(root)
    wait_for(server, 40)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "partial: interrupted" in err, err
    assert "hybrid" in out and "Traceback" not in err
    kept = sum(server.answered.values())
    server.delay = 0.0
    done = started(root)
    _, err = done.communicate()
    assert done.returncode == 0 and kept >= 40, err


# -- the command ---------------------------------------------------------------------------------


def run(root: Path, *arguments: str) -> Any:
    return CliRunner().invoke(cli, ["-C", str(root), *arguments])


def test_run_prints_the_answer_and_nothing_else(served: Path) -> None:
    done = run(served, "run", "tickets/route", "my card is gone today", "--model", "m")
    assert done.exit_code == 0, done.output
    assert done.stdout == "card_lost\n"
    assert "10 tokens in, 2 out" in done.stderr and "$0.00003" in done.stderr
    again = run(served, "run", "tickets/route", "my card is gone today", "--model", "m")
    assert again.stdout == done.stdout and "from the cache" in again.stderr
    whole = json.loads(
        run(
            served, "run", "tickets/route", "my card is gone today", "--model", "m", "--json"
        ).stdout
    )
    assert whole["answer"]["text"] == "card_lost" and whole["answer"]["cached"]
    assert whole["prompt"]["text"] and whole["model"] == "openai:label"


def test_eval_with_a_model_writes_all_that_is_asked_for(served: Path) -> None:
    done = run(
        served, "eval", "tickets/route", "--model", "m", "--queries", str(served / "queries.jsonl"),
        "--html", str(served / "r.html"), "--answers", str(served / "a.jsonl"), "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert len((served / "a.jsonl").read_text().splitlines()) == found["calls"]
    assert "zero-shot" in (served / "r.html").read_text()
    assert found["rows"][0]["interval"][0] <= found["rows"][0]["accuracy"]


def test_tune_with_a_model_says_what_it_found_and_what_it_took(served: Path) -> None:
    asked = ["tune", "tickets/route", "--model", "m", "--max-calls", "100", "--sample", "60"]
    done = run(served, *asked, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "round" in done.stdout and "took no part judged" in done.stderr
    assert "best: " in done.stderr and "auto: " in done.stderr
    found = json.loads(run(served, *asked, "--json").stdout)
    assert found["model"] == "label" and found["calls"] <= 100 and found["spent"] == 0
    assert run(served, "calibrate", "--json").exit_code == 0
    lines = run(served, "calibrate", "--write")
    assert lines.exit_code == 0 and "label:" in lines.stderr and "strategy" in lines.stdout


def test_a_partial_run_exits_one_and_prints_what_there_is(served: Path) -> None:
    done = run(
        served, "eval", "tickets/route", "--model", "m", "--max-cost", "0.002",
        "--queries", str(served / "queries.jsonl"),
    )  # fmt: skip
    assert done.exit_code == 1 and "partial: another call may cost" in done.stderr
    assert "similar" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["eval", "--store", "tickets", "--model", "m"], "name a TEMPLATE"),
        (["eval", "tickets/route", "--scoring"], "--scoring needs --model"),
        (["eval", "tickets/route", "--answers", "x"], "--answers needs --model"),
        (["eval", "tickets/route", "tickets/route@1"], "with --model alone"),
        (["eval", "tickets/route", "--model", "m", "--calibrate", "batch"], "needs --scoring"),
        (["eval", "tickets/route", "--model", "m", "--scoring"], "local models do"),
        (["eval", "tickets/route", "--model", "m", "--metric", "labell"], "no metric"),
        (["eval", "tickets/route", "--model", "m", "--order", "up"], "no order"),
        (["eval", "tickets/route", "--model", "nobody"], "no language model"),
        (["tune", "tickets/route", "--max-calls", "100"], "--max-calls needs --model"),
        (["tune", "--store", "tickets", "--model", "m"], "name a TEMPLATE"),
        (["run", "tickets/route", "x", "--model", "flaky"], "busy or broken (500"),
        (["run", "tickets/route", "x", "--model", "m", "--max-cost", "0"], "may cost"),
        (["run", "tickets/route", "x", "--model", "local:nothing"], "no local model"),
        (["bootstrap", "tickets/nothing"], "no template"),
    ],
)
def test_misuse_gets_one_line(served: Path, arguments: list[str], problem: str) -> None:
    done = run(served, *arguments)
    assert done.exit_code in (1, 2) and problem in done.stderr, done.output
    assert "Traceback" not in done.output
