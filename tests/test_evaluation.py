"""Evaluate and tune: whole runs over stores whose best way is known."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import promptlib
from cli.main import cli
from promptlib.errors import ConfigError, InputsError
from promptlib.evaluation.questions import NEAR_DUPLICATE
from promptlib.evaluation.recording import record, write_winner
from promptlib.evaluation.session import QuerySource, evaluate, open_evaluator
from promptlib.evaluation.showing import page_of, picture_of, table_of
from promptlib.evaluation.tuning import _halves, tune
from promptlib.evaluation.ways import Way
from promptlib.project import Project
from promptlib.selection.pool import Weights
from promptlib.selection.strategies import AUTO, STRATEGIES
from tests.conftest import CHECKOUT, DATA, ROWS, write_rows

QUERIES = [
    {"input": "someone took my card", "output": "card_lost"},
    {"input": "forgot the pin", "output": "pin_forgotten"},
    {"input": "where is my top up", "output": "top_up_failed"},
    {"input": "my card is missing", "output": "card_lost"},
]


@pytest.fixture
def queries(root: Path) -> Path:
    return write_rows(root / "queries.jsonl", QUERIES)


def test_every_strategy_k_and_budget_is_measured(project: Project, queries: Path) -> None:
    found = evaluate(
        project, "tickets/route", ks=(1, 3), budgets=(60, 300), queries=QuerySource(file=queries)
    )
    assert found.queries == len(QUERIES) and found.yardstick == "vote_accuracy"
    ways = [outcome.way for outcome in found.outcomes]
    assert len(ways) == len({*ways}) == len(STRATEGIES) * 4 and ways[0] == Way(AUTO, 1, 60)
    for outcome in found.outcomes:
        for name in ("label_hit", "vote_accuracy", "ndcg", "label_coverage", "tokens"):
            estimate = outcome.estimates[name]
            assert estimate.low <= estimate.value <= estimate.high
        assert outcome.estimates["examples"].value <= outcome.way.k
        assert outcome.way.budget is not None
        assert outcome.estimates["tokens"].high <= outcome.way.budget - 10
        assert 0 < outcome.estimates["budget_use"].value <= 1
    assert not found.outcomes[0].against_first
    assert {"difference", "low", "high", "p"} == {
        *found.to_dict()["rows"][1]["against_first"]["ndcg"]
    }


def test_what_is_measured_is_what_build_shows(project: Project, queries: Path) -> None:
    found = evaluate(
        project, "tickets/route", strategies=("similar",), queries=QuerySource(queries)
    )
    prompts = [project.build("tickets/route", q["input"], strategy="similar") for q in QUERIES]
    labels = [[example.label for example in prompt.examples] for prompt in prompts]
    hits = [q["output"] in shown for q, shown in zip(QUERIES, labels, strict=True)]
    estimates = found.outcomes[0].estimates
    assert estimates["label_hit"].value == np.mean(hits)
    assert estimates["tokens"].value == np.mean([prompt.tokens for prompt in prompts])


def test_a_row_is_never_shown_itself_nor_its_copies(project: Project) -> None:
    project.import_file("copies", write_rows(project.root / "c.jsonl", [*ROWS, *ROWS]))
    with open_evaluator(project, None, "copies", QuerySource()) as evaluator:
        assert len(evaluator.questions) == 2 * len(ROWS)
        for number, question in enumerate(evaluator.questions.items):
            for strategy in ("similar", "hybrid", "random", "diverse"):
                found = evaluator.shortlist(number, Way(strategy, 8, None), 64).candidates
                assert question.example.id not in found.ids
                texts = [e.input for e in evaluator.fetch(found.keys.tolist())]
                assert question.example.input not in texts
                assert (found.similarity < NEAR_DUPLICATE).all() and len(found)


def test_held_out_rows_are_shown_to_none(project: Project) -> None:
    source = QuerySource(holdout=0.4, seed=3)
    with open_evaluator(project, "tickets/route", None, source) as evaluator:
        held = {question.example.id for question in evaluator.questions.items}
        assert len(held) == 4
        for number in range(4):
            assert not held & {
                *evaluator.shortlist(number, evaluator.current, 64).candidates.ids.tolist()
            }


def test_queries_of_texts_are_judged_by_their_outputs(project: Project) -> None:
    rows = [{"input": f"sum {n} and {n}", "output": f"{n} plus {n} is {2 * n}"} for n in range(20)]
    project.import_file("sums", write_rows(project.root / "sums.jsonl", rows))
    found = evaluate(project, store="sums", strategies=("similar", "random"), ks=(2,))
    assert found.yardstick == "output_similarity" and found.template is None
    assert "label_hit" not in found.outcomes[0].estimates
    assert table_of(found.outcomes, found.yardstick)[0][3:5] == ["output sim.", "95 %"]


def test_prompts_that_cannot_be_built_count_as_wrong(project: Project, queries: Path) -> None:
    found = evaluate(project, "tickets/route", budgets=(12,), queries=QuerySource(queries))
    estimates = found.outcomes[0].estimates
    assert estimates["failed"].value == 1 and estimates["vote_accuracy"].value == 0
    assert "failed" in table_of(found.outcomes, found.yardstick)[0]


def test_pages_and_pictures_say_it_all(project: Project, queries: Path) -> None:
    found = evaluate(project, "tickets/route", ks=(1, 2), queries=QuerySource(queries))
    assert picture_of(found).startswith(b"\x89PNG")
    page = page_of(found)
    assert page == page_of(found) and page.count("<svg") == 1 and page.count("<tr>") == 19
    for outside in ("<script", "<link", "<img", "url(http"):
        assert outside not in page
    assert "vote acc." in page and "docs/evaluation.md" in page


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["eval"], "name a TEMPLATE, or a store"),
        (["eval", "tickets/route", "--strategy", "similiar"], "did you mean 'similar'"),
        (["eval", "tickets/route", "-k", "two"], "must be whole numbers, 1 or more"),
        (["eval", "tickets/route", "--queries", "none.jsonl"], "none.jsonl"),
        (["eval", "tickets/route", "--queries", "q", "--holdout", "0.1"], "not both"),
        (["eval", "tickets/route", "--holdout", "1.5"], "0<x<1"),
        (["eval", "--store", "ticket"], "did you mean 'tickets'"),
        (["eval", "tickets/rout"], "did you mean 'tickets/route'"),
        (["eval", "tickets/route", "-i", "x=1"], "unknown input 'x'"),
        (["eval", "tickets/route", "-i", "query=1"], "input 'query' is filled by the queries"),
        (["eval", "tickets/route", "--map", "input"], "'input' is not KEY=NAME"),
        (["tune", "tickets/route", "--write", "--dry-run"], "not both"),
        (["tune", "--store", "tickets", "--write"], "--write needs a TEMPLATE"),
    ],
)
def test_misuse_gets_one_line(root: Path, arguments: list[str], problem: str) -> None:
    result = CliRunner().invoke(cli, ["-C", str(root), *arguments])
    assert result.exit_code in (1, 2) and problem in result.stderr
    assert "Traceback" not in result.stderr and result.stdout == ""


def test_queries_need_answers(project: Project) -> None:
    file = write_rows(project.root / "q.jsonl", [{"input": "a"}, {"input": "b"}])
    with pytest.raises(ConfigError, match=r"no row of .* has a label as the store's rows have"):
        evaluate(project, "tickets/route", queries=QuerySource(file))
    with pytest.raises(ConfigError, match="holdout must be a share between 0 and 1, not 2"):
        evaluate(project, "tickets/route", queries=QuerySource(holdout=2))
    with pytest.raises(ConfigError, match="name a template, or a store"):
        evaluate(project)


def test_inputs_that_queries_do_not_fill_can_be_given(
    project: Project, queries: Path, write_template: Any
) -> None:
    name = write_template(
        "---\ninputs: {query: {}, tone: {}}\nexamples: {store: tickets}\n"
        "budget: {tokens: 99}\n---\n"
        "{{ tone }}{% for example in examples %}{{ example.input }}{% endfor %}{{ query }}"
    )
    with pytest.raises(InputsError, match=r"query 1 of 4 rows of queries.jsonl: .* 'tone'"):
        evaluate(project, name, queries=QuerySource(queries))
    found = evaluate(project, name, queries=QuerySource(queries), inputs={"tone": "kind"})
    assert found.queries == 4


def test_conversations_are_filled_in_as_history(project: Project, write_template: Any) -> None:
    rows = [
        {
            "input": [
                {"role": "user", "content": f"hello {n}"},
                {"role": "assistant", "content": "what about?"},
                {"role": "user", "content": f"topic {n % 3}"},
            ],
            "output": f"answer {n % 3} of {n}",
        }
        for n in range(12)
    ]
    project.import_file("talks", write_rows(project.root / "talks.jsonl", rows))
    name = write_template(
        "---\ninputs: {query: {}}\nexamples: {store: talks, query: [history, query]}\n"
        "budget: {tokens: 999}\n---\n"
        "{% for example in examples %}{% turns example %}{% endfor %}{% turns history %}"
        '{% message "user" %}{{ query }}{% endmessage %}'
    )
    with open_evaluator(project, name, None, QuerySource()) as evaluator:
        request, question = evaluator.requests[0], evaluator.questions.items[0]
        assert [m["content"] for m in request.history] == [
            question.example.input[0]["content"], "what about?",
        ]  # fmt: skip
        assert request.inputs["query"] == question.example.input[2]["content"]


def test_the_commands_speak_json_and_tables(root: Path, queries: Path) -> None:
    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(cli, ["-C", str(root), *arguments])
        assert result.exit_code == 0, result.stderr
        return result

    arguments = ["eval", "tickets/route", "--queries", str(queries), "-k", "1,2", "-k", "3"]
    data = json.loads(run(*arguments, "--json").stdout)
    assert {row["k"] for row in data["rows"]} == {1, 2, 3}
    for key in ("strategy", "k", "budget", "label_hit", "vote_accuracy", "tokens", "latency_ms"):
        assert all(key in row for row in data["rows"])
    png, html = root / "a.png", root / "a.html"
    table = run(*arguments, "--strategy", "auto,similar", "--png", str(png), "--html", str(html))
    assert table.stdout.splitlines()[0].startswith("strategy\tk\tbudget\tlabel hit\tvote acc.")
    assert len(table.stdout.splitlines()) == 7 and "no language model was asked" in table.stderr
    assert png.stat().st_size > 10_000 and "<svg" in html.read_text()
    tuned = json.loads(run("tune", "tickets/route", "--json").stdout)
    assert {"winner", "judged", "auto", "recorded", "written"} <= {*tuned} and not tuned["written"]


# -- planted stores: one way is plainly right ----------------------------------------------------

FILLER = (
    "the machine stops after a while please help with this order it is broken again customer wants "
    "a replacement delivery was late our team needs an answer today pump valve motor filter"
)
ASKING = "why where status question number item about tell me something now quick"
PARAPHRASES = {
    "buy_car": ("purchase automobile|acquire vehicle|obtain sedan", "buy car|get a car"),
    "doctor": ("physician appointment|medical consultation", "see doctor|visit my doctor"),
    "rain": ("precipitation forecast|umbrella necessity tomorrow", "will it rain|is it raining"),
    "music": ("play songs|listen to melodies", "put on music|hear musical tracks"),
    "flight": ("airplane ticket reservation|book air travel", "fly to paris|flights to rome"),
    "dog": ("puppy nutrition advice|canine food", "what do dogs eat|my dog is hungry"),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, _cache: None) -> Iterator[Project]:
    """A project with the real model."""
    root = tmp_path_factory.mktemp("planted")
    (root / "templates").mkdir()
    (root / "promptlib.toml").write_text('model = "gpt-4o-mini"\n')
    project = promptlib.open(root)
    yield project
    project.close()


def plant(project: Project, name: str, rows: list[Any], queries: list[Any]) -> QuerySource:
    project.import_file(name, write_rows(project.root / f"{name}.jsonl", rows))
    return QuerySource(file=write_rows(project.root / f"{name}.queries.jsonl", queries))


def test_tune_finds_words_where_only_part_numbers_are_shared(planted: Project) -> None:
    chance, rows, queries = Random(1), [], []
    for _ in range(160):
        label = chance.choice(["returns", "repairs", "billing", "shipping", "warranty"])
        part = f"{chance.choice('ABCDEFGH')}{chance.choice('KLMNP')}{chance.randint(1000, 9999)}"
        rows.append(
            {"input": f"{' '.join(chance.sample(FILLER.split(), 6))} {part}", "output": label}
        )
        queries.append(
            {"input": f"{part} {' '.join(chance.sample(ASKING.split(), 5))}", "output": label}
        )
    found = tune(planted, store="parts", queries=plant(planted, "parts", rows, queries))
    assert found.winner.strategy in ("lexical", "hybrid") and found.is_better
    best = found.judged[-1].estimates
    assert best["vote_accuracy"].value == best["label_hit"].value == 1


def test_tune_finds_meaning_where_no_word_is_shared(planted: Project) -> None:
    chance, rows, queries = Random(2), [], []
    labels = list(PARAPHRASES)
    for label, (stored, asked) in PARAPHRASES.items():
        for text in stored.split("|"):
            rows += [{"input": f"{text} {end}", "output": label} for end in ("urgent", "thanks")]
        for text in asked.split("|"):
            for end in ("again", "mate", "friend", "okay"):
                queries.append({"input": f"{text} {end}", "output": label})
                other = chance.choice([name for name in labels if name != label])
                decoy = PARAPHRASES[other][0].split("|")[0]
                rows.append({"input": f"{decoy} {end} {text.split()[0]}", "output": other})
    found = tune(planted, store="paraphrases", queries=plant(planted, "paraphrases", rows, queries))
    values = {o.way: o.estimates["vote_accuracy"].value for o in found.tried}
    assert values[Way("similar", 4, None)] > values[Way("lexical", 4, None)] + 0.3
    print(
        [
            (
                str(o.way),
                round(o.estimates["vote_accuracy"].value, 3),
                round(o.estimates["label_hit"].value, 3),
            )
            for o in found.tried
        ][:14]
    )
    assert found.winner.strategy == "similar"


def test_tune_finds_balance_where_one_label_drowns_the_others(planted: Project) -> None:
    few = ("card_delivery_estimate", "lost_or_stolen_card", "card_linking", "getting_spare_card")
    store = (CHECKOUT / "example_stores" / "banking77" / "examples.jsonl").read_text()
    by_label: dict[str, list[Any]] = {}
    for row in map(json.loads, store.strip().split("\n")):
        by_label.setdefault(row["output"], []).append(row)
    rows = by_label["card_arrival"] + [row for label in few for row in by_label[label][:4]]
    test = map(json.loads, (DATA / "banking77_test.jsonl").read_text().strip().split("\n"))
    queries = [row for row in test if row["output"] in ("card_arrival", *few)]
    found = tune(planted, store="drowned", queries=plant(planted, "drowned", rows, queries))
    assert found.for_auto[-1].way == Way("balanced", 8, None, Weights(max_per_label=1))
    assert found.moves_auto and record(planted, found)
    tuned = planted.store("drowned").settings.tuned
    assert tuned is not None and tuned.strategy == "balanced" and tuned.low > 0
    labels = [hit.label for hit in planted.search("drowned", "where is it?", 5, strategy="auto")]
    assert len({*labels}) == 5
    with open_evaluator(planted, None, "drowned", QuerySource()) as evaluator:
        assert evaluator.current == Way("balanced", 8, None, Weights(max_per_label=1))


# -- what tune leaves behind -----------------------------------------------------------------------


def test_auto_follows_the_record_of_this_embedder_only(project: Project) -> None:
    from promptlib.store.settings import Tuned
    from promptlib.store.tuning import save_tuned

    def tuned(embedder: str) -> Tuned:
        return Tuned(
            strategy="balanced", weights={"max_per_label": 1}, over="hybrid",
            measure="vote_accuracy", difference=0.1, low=0.05, high=0.15, queries=99, k=8,
            embedder=embedder, at="2026-01-01",
        )  # fmt: skip

    before = project.build("tickets/route", "card")
    assert before.settings["strategy"] == AUTO
    save_tuned(project.store("tickets"), tuned("another"))
    assert project.build("tickets/route", "card").settings["strategy"] == AUTO
    save_tuned(project.store("tickets"), tuned(project.embedder.fingerprint))
    after = project.build("tickets/route", "card")
    assert after.settings["strategy"] == "balanced"
    assert after.settings["weights"] == {"max_per_label": 1}
    labels = [example.label for example in after.examples]
    assert len(labels) == len({*labels}) == 3
    told = project.build("tickets/route", "card", max_per_label=2, strategy="auto")
    assert told.settings["weights"] == {"max_per_label": 2}
    asked = project.build("tickets/route", "card", strategy="similar")
    assert asked.settings["strategy"] == "similar"
    project.sync("tickets")
    assert project.build("tickets/route", "card").settings["strategy"] == "balanced"
    project.import_file("tickets", write_rows(project.root / "more.jsonl", QUERIES))
    assert project.build("tickets/route", "card").settings["strategy"] == "balanced"


FRONT = """\
---
examples: {store: tickets, k: 4, lambda_mult: 0.1}   # beside
inputs:
  query: {type: string}
budget:
  tokens: 300   # the limit
---
{% for example in examples %}{{ example.input }} {{ example.output }}
{% endfor %}{{ query }}
"""
LABELS = "abcdef"


@pytest.fixture
def easy(project: Project) -> QuerySource:
    """A store in which the first of k examples is right, and all others of one wrong label."""
    rows = [{"input": f"{name} {name}{n} word", "output": name} for name in LABELS for n in (1, 2)]
    rows += [{"input": f"word {n} word", "output": "wrong"} for n in range(60)]
    project.import_file("easy", write_rows(project.root / "easy.jsonl", rows))
    queries = [{"input": f"{name} word {n}", "output": name} for name in LABELS for n in range(6)]
    return QuerySource(write_rows(project.root / "easy.queries.jsonl", queries))


def test_a_winner_is_written_with_its_evidence(
    project: Project, easy: QuerySource, write_template: Callable[..., str]
) -> None:
    name = write_template(FRONT.replace("store: tickets", "store: easy, strategy: random"))
    found = tune(project, name, queries=easy)
    assert found.is_better and found.gain is not None and found.gain.p < 0.05
    assert write_winner(project, found)
    written, front = project.registry.source(name), project.registry.get(name).front
    assert front.examples is not None and front.examples.strategy == found.winner.strategy
    assert front.examples.k == found.winner.k
    evidence = [line for line in written.splitlines() if line.startswith("# tuned by promptlib: ")]
    assert len(evidence) == 1 and f"vote accuracy {found.gain.value:+.3f}" in evidence[0]
    assert "against random, k 4, 300 tokens, on 18 queries" in evidence[0]
    assert project.build(name, "a word 1").settings["k"] == found.winner.k
    (project.root / "templates" / f"{name}.j2").write_bytes(
        b"\xef\xbb\xbf" + FRONT.replace("tickets", "easy").replace("\n", "\r\n").encode()
    )
    write_winner(project, replace(found, template=name))
    raw = (project.root / "templates" / f"{name}.j2").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf---\r\n") and raw.count(b"\n") == raw.count(b"\r\n")


def test_nothing_is_written_without_a_clear_gain(
    project: Project, easy: QuerySource, write_template: Callable[..., str]
) -> None:
    front = FRONT.replace("store: tickets", "store: easy")
    name = write_template(front)
    found = tune(project, name, queries=easy, strategies=("auto",), ks=(4,))
    if found.gain is None:
        assert not found.is_better and not write_winner(project, found)
        assert project.registry.source(name) == front
    assert not found.moves_auto or record(project, found)


def test_a_floor_is_kept_in_the_search(
    project: Project, easy: QuerySource, write_template: Callable[..., str]
) -> None:
    name = write_template(FRONT.replace("store: tickets", "store: easy, min_k: 3"))
    found = tune(project, name, queries=easy)
    assert min(outcome.way.k for outcome in found.tried) == 4
    with pytest.raises(ConfigError, match=r"min_k \(3\) is more than k \(2\)"):
        evaluate(project, name, queries=easy, ks=(2,))


def test_a_search_needs_queries_to_judge_by(project: Project, queries: Path) -> None:
    with pytest.raises(ConfigError, match="there are 4 queries, tune needs 10"):
        tune(project, "tickets/route", queries=QuerySource(queries))


def test_outputs_that_are_objects_are_compared_too(project: Project) -> None:
    rows = [{"input": f"make {n}", "output": {"made": n, "of": "wood"}} for n in range(12)]
    project.import_file("made", write_rows(project.root / "made.jsonl", rows))
    found = evaluate(project, store="made", strategies=("similar",), ks=(2,))
    assert found.yardstick == "output_similarity"
    assert found.outcomes[0].estimates["output_similarity"].value > 0.5


def test_auto_is_what_auto_would_be(
    project: Project, queries: Path, write_template: Callable[..., str]
) -> None:
    name = write_template(FRONT.replace("store: tickets", "store: tickets, strategy: similar"))
    found = evaluate(project, name, strategies=("auto", "similar"), queries=QuerySource(queries))
    assert [outcome.way.strategy for outcome in found.outcomes] == [AUTO, "similar"]


def test_own_strategies_are_measured_too(project: Project, queries: Path) -> None:
    def farthest(pool: promptlib.Pool) -> Any:
        order = np.argsort(pool.similarity, kind="stable")
        return order, -pool.similarity[order]

    found = evaluate(
        project, "tickets/route", strategies=("similar", farthest), queries=QuerySource(queries)
    )
    rows = found.to_dict()["rows"]
    assert [row["strategy"] for row in rows] == ["similar", "farthest"]
    assert rows[1]["label_hit"] <= rows[0]["label_hit"]


def test_static_blocks_are_measured_by_what_needs_no_query(
    project: Project, write_template: Callable[..., str]
) -> None:
    head = "---\nexamples: {store: tickets, k: 3, strategy: diverse}\nbudget: {tokens: 99}\n---\n"
    name = write_template(head + "{% for e in examples %}{{ e.input }}\n{% endfor %}")
    found = evaluate(project, name)
    assert [outcome.way.strategy for outcome in found.outcomes] == ["diverse", "random"]
    with pytest.raises(ConfigError, match="has no query: similar can't be measured"):
        evaluate(project, name, strategies=("similar",))


def test_copies_are_hidden_where_the_query_is_a_part_of_the_row(
    project: Project, write_template: Callable[..., str]
) -> None:
    rows = [
        {"input": {"question": f"what is {n}", "context": f"words {n * 7}"}, "output": f"is {n}"}
        for n in range(10)
    ]
    project.import_file("parts", write_rows(project.root / "parts.jsonl", [*rows, *rows]))
    name = write_template(
        "---\ninputs: {question: {}, context: {}}\n"
        "examples: {store: parts, query: question}\nbudget: {tokens: 999}\n---\n"
        "{% for e in examples %}{{ e.input }}{% endfor %}{{ question }}"
    )
    with open_evaluator(project, name, None, QuerySource()) as evaluator:
        for number, question in enumerate(evaluator.questions.items):
            found = evaluator.shortlist(number, evaluator.current, 64).candidates
            shown = [example.input for example in evaluator.fetch(found.keys.tolist())]
            assert question.example.input not in shown and shown


def test_conditions_hold_for_queries_and_examples(project: Project) -> None:
    found = evaluate(
        project, "tickets/route", ks=(1, 4), strategies=("similar",),
        options={"where": ["label=card_lost"]},
    )  # fmt: skip
    assert found.queries == 4 and found.outcomes[0].estimates["label_hit"].value == 1
    assert found.outcomes[1].estimates["ndcg"].value == 1


def test_pictures_of_awkward_figures(project: Project, queries: Path) -> None:
    odd = queries.rename(queries.with_name("a$\\q$.jsonl"))
    found = evaluate(project, "tickets/route", budgets=(12, 300), queries=QuerySource(odd))
    assert picture_of(found).startswith(b"\x89PNG") and "a$" in page_of(found)


def test_what_cannot_be_written_is_told_before_the_work(root: Path) -> None:
    for arguments in (["--png", "no/such/a.png"], ["--html", str(root)]):
        result = CliRunner().invoke(cli, ["-C", str(root), "eval", "tickets/route", *arguments])
        assert result.exit_code == 1 and "can't write" in result.stderr and not result.stdout
    few = write_rows(root / "few.jsonl", ROWS[:2])
    done = CliRunner().invoke(cli, ["-C", str(root), "store", "import", "few", str(few), "--tune"])
    assert done.exit_code == 0 and "not tuned: " in done.stderr
    dry = ["store", "import", "few", str(few), "--tune", "--dry-run"]
    assert CliRunner().invoke(cli, ["-C", str(root), *dry]).exit_code == 2


def test_the_two_halves_share_no_query(project: Project) -> None:
    one, other = _halves(21, seed=3)
    assert sorted([*one, *other]) == list(range(21)) and abs(len(one) - len(other)) == 1
    assert _halves(21, seed=4) != (one, other)
    found = tune(project, "tickets/route", ks=(2,))
    chose, judges = (
        len(next(iter(outcomes[0].values.values()))) for outcomes in (found.tried, found.judged)
    )
    assert (chose, judges) == found.queries and chose + judges == len(ROWS)


def test_queries_of_another_form_and_unknown_labels(project: Project, root: Path) -> None:
    table = root / "asked.csv"
    table.write_bytes(
        "text;class\nfür card;card_lost\npin;pin_forgotten\nx;new\ny;\n".encode("cp1252").replace(
            b";", b","
        )
    )
    source = QuerySource(table, rename={"input": "text", "output": "class"}, charset="cp1252")
    found = evaluate(project, "tickets/route", strategies=("similar",), queries=source)
    assert found.queries == 3
    assert found.source == (
        "3 rows of asked.csv, 1 without a label left out, "
        "1 with a label that the store doesn't have"
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"ks": [-1]}, "ks must be a list of whole numbers, 1 or more, not"),
        ({"ks": 4}, "ks must be a list"),
        ({"budgets": ["x"]}, "budgets must be a list"),
        ({"queries": "file"}, "queries must be a QuerySource, not 'file'"),
        ({"strategies": ["similiar"]}, "did you mean 'similar'"),
    ],
)
def test_arguments_that_cannot_be(project: Project, arguments: Any, problem: str) -> None:
    for work in (evaluate, tune):
        with pytest.raises(ConfigError, match=problem):
            work(project, "tickets/route", **arguments)
    for wrong in ({"sample": 0}, {"sample": 2.5}, {"seed": -1}):
        with pytest.raises(ConfigError, match="must be a whole number"):
            QuerySource(**wrong)


def test_a_search_without_queries_leaves_auto_alone(
    project: Project, write_template: Callable[..., str]
) -> None:
    head = "---\nexamples: {store: tickets, k: 3, strategy: random}\nbudget: {tokens: 99}\n---\n"
    name = write_template(head + "{% for e in examples %}{{ e.input }}\n{% endfor %}")
    found = tune(project, name, ks=(2, 3))
    assert {outcome.way.strategy for outcome in found.tried} == {"diverse", "random"}
    assert not found.for_auto and not record(project, found)
    assert project.store("tickets").revision == 1
