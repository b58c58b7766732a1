"""Advising on real stores, by the library and the command: what is asked for, and bad input."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import promptlib
from cli.main import cli
from promptlib.advice.gates import answers
from promptlib.advice.language import language_facts
from promptlib.advice.outcomes import Outcome, outcome_facts, query_facts
from promptlib.advice.profile import STARTER, read_profile
from promptlib.bundle import make_bundle
from promptlib.errors import BadExamplesError, ConfigError
from promptlib.example import Example
from promptlib.project import Project
from promptlib.store.settings import StoreSettings
from promptlib.usage import Counts, Key
from tests.conftest import write_rows


def run(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-C", str(root), *arguments])


def advised(root: Path, *arguments: str) -> dict[str, Any]:
    done = run(root, "advise", *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def banking(real_root: Path, real_project: Project) -> dict[str, Any]:
    """The whole advice on BANKING77, once."""
    return advised(real_root, "banking77")


def test_banking77_suffices_for_a_classifier(banking: dict[str, Any]) -> None:
    assert banking["recommendation"] == "classifier" and banking["template"] == "banking/intent"
    facts = banking["facts"]
    assert facts["probe_accuracy"]["value"] == pytest.approx(0.923, abs=0.01)
    assert facts["vote_accuracy"]["value"] == pytest.approx(0.92, abs=0.01)
    assert 7_000 < facts["effective_rows"]["value"] < 9_000
    assert facts["prompt_tokens"]["value"] > 2 * facts["zero_shot_tokens"]["value"]
    assert facts["input_price"]["note"].startswith("gpt-4o-mini at openai, genai-prices")


def test_curves_are_measured_at_six_sizes_and_carried_on(banking: dict[str, Any]) -> None:
    vote, head = banking["curves"]
    for curve in (vote, head):
        assert curve["shape"] == "power law" and len(curve["points"]) == 6
        values = [point["value"] for point in curve["points"]]
        assert values == sorted(values)
        assert [band["rows"] for band in curve["ahead"]] == [10_000, 20_000, 40_000]
    assert banking["limits"]


def test_the_advice_has_all_its_parts(banking: dict[str, Any]) -> None:
    numbers = [each["number"] for part in ("evidence", "missing") for each in banking[part]]
    assert sorted(numbers) == list(range(1, 42))
    assert {each["name"] for each in banking["quality"]} == {
        "representative", "diverse", "balanced", "consistent", "relevant",
    }  # fmt: skip
    assert banking["path"][-1]["opened"] and banking["risks"] and banking["next_steps"]
    assert banking["availability"]["checked"] and banking["availability"]["providers"]
    for line in banking["evidence"]:
        assert {"value", "source", "threshold", "reference", "direction", "strength"} <= {*line}


def test_labels_that_look_wrong_are_counted(banking: dict[str, Any]) -> None:
    assert 0.002 < banking["facts"]["suspected_labels"]["value"] < 0.2
    consistent = next(each for each in banking["quality"] if each["name"] == "consistent")
    assert consistent["affected"] and consistent["grade"] == "fair"


def test_a_page_for_a_manager_needs_nothing_else(
    project: Project, root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    words = ["card", "pin", "rate", "fee", "atm", "app", "transfer", "top", "limit", "loan"]
    rows = [{"input": f"{a} {b} case{n} no{n * n}", "output": f"We see your {a}, then {b}."}
            for n, (a, b) in enumerate((a, b) for a in words for b in words)]  # fmt: skip
    project.import_file("replies", write_rows(tmp_path / "r.jsonl", rows))
    page = tmp_path / "advice.html"
    done = run(root, "advise", "replies", "--html", str(page), "--set", "engineer_hour=90",
               "--set", "traffic=5000")  # fmt: skip
    assert done.exit_code == 0, done.output
    html = page.read_text()
    assert html.count("<svg") == 2 and "http-equiv" not in html and "<script" not in html
    assert 'src="' not in html and 'href="http' not in html
    for heading in ("Evidence", "What it costs", "Learning curves", "Risks", "Quality"):
        assert f"{heading}" in html
    assert "accuracy: not measured" in html


def test_generation_is_never_sure_without_outcomes(real_root: Path, real_project: Project) -> None:
    found = advised(real_root, "gsm8k", "--quick", "--set", "target=0.9")
    assert found["confidence"] == "low" and found["curves"] == []
    assert "shortfall" in {each["fact"] for each in found["missing"]}


def test_outcomes_and_queries_are_evidence(
    real_root: Path, real_project: Project, tmp_path: Path
) -> None:
    ids = [row.id for row in real_project.store("snips").list()[:3]]
    outcomes: list[dict[str, Any]] = [
        {"correct": n % 5 > 0, "k": 8, "id": ids[n % 3], "latency_ms": 300 + n,
         "answer": f"I think {n}"}
        for n in range(100)
    ]  # fmt: skip
    for number, wrong in enumerate(each for each in outcomes if not each["correct"]):
        wrong["kind"] = "other" if number % 2 else "knowledge"
    outcomes += [{"correct": n % 2 == 0, "k": 0} for n in range(40)]
    outcomes += [{"correct": n % 20 > 0, "trained": True} for n in range(100)]
    queries = [{"input": f"play a song from {1980 + n % 40}"} for n in range(200)]
    found = advised(
        real_root, "snips", "--quick", "--set", "target=0.9",
        "--outcomes", str(write_rows(tmp_path / "o.jsonl", outcomes)),
        "--queries", str(write_rows(tmp_path / "q.jsonl", queries)),
    )  # fmt: skip
    facts = found["facts"]
    assert facts["accuracy"]["value"] == 0.8 and facts["accuracy"]["source"] == "outcomes"
    assert facts["zero_shot"]["value"] == 0.5 and facts["trained_accuracy"]["value"] == 0.95
    assert facts["wrong_facts"]["value"] == 0.5 and facts["latency_ms"]["value"] > 300
    assert facts["headroom"]["low"] > 0 and facts["style_auc"]["value"] > 0.9
    assert facts["dated_queries"]["value"] >= 0.5
    quality = {each["name"]: each for each in found["quality"]}
    assert quality["representative"]["grade"] is not None
    assert found["recommendation"] == "documents"


def test_a_corpus_is_counted_once(project: Project, root: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("one two three\nfour five\n")
    (tmp_path / "corpus" / "b.md").write_text("one two three\n")
    (tmp_path / "corpus" / "c.bin").write_bytes(b"\xff\xfe")
    found = advised(root, "tickets", "--quick", "--corpus", str(tmp_path / "corpus"))
    assert 5 <= found["facts"]["corpus_tokens"]["value"] <= 8


def test_counted_usage_comes_before_the_profile(root: Path) -> None:
    def key(days_ago: int, **changes: Any) -> Key:
        day = (datetime.now(UTC) - timedelta(days=days_ago)).date().isoformat()
        return Key(day, "tickets/route", "tickets", "gpt-4o-mini", 4)._replace(**changes)

    def asked(told: list[str], what_if: list[str]) -> promptlib.Advice:
        return promptlib.advise(
            project, "tickets", quick=True, profile=read_profile(None, told),
            what_if=read_profile(None, what_if),
        )  # fmt: skip

    told = ["traffic=9", "accuracy=0.99", "target=0.9"]
    with promptlib.open(root) as project:
        project.ledger._write({key(0): Counts(5, 500)})
        few = asked(told, [])
        assert few.facts["traffic"].value == 9 and few.facts["prompt_tokens"].value < 100
        project.ledger._write({
            key(10): Counts(900, 180_000, 9_000, 80, 20), key(2): Counts(100, 20_000, 1_000),
            key(2, model="our-own", k=0): Counts(0, 0, 0, 60, 0),
        })  # fmt: skip
        advice = asked(told, [])
        assert advice.facts["traffic"].value == 100 and advice.facts["accuracy"].value == 0.8
        assert advice.facts["prompt_tokens"].value == pytest.approx(200, rel=0.01)
        assert "zero_shot" not in advice.facts, "another model's answers"
        assert asked(told, ["traffic=9"]).facts["traffic"].value == 9


def test_another_model_has_prices_of_its_own(project: Project) -> None:
    told = read_profile(None, ["input_price=7", "prices_as_of=2026-01-31"])
    own = promptlib.advise(project, "tickets", quick=True, profile=told)
    assert own.facts["input_price"].note.endswith("looked up on 2026-01-31")
    other = promptlib.advise(
        project, "tickets", quick=True, profile=told,
        what_if=read_profile(None, ["model=gpt-4o", "output_price=3"]),
    )  # fmt: skip
    assert "gpt-4o at openai" in other.facts["input_price"].note
    assert other.facts["output_price"].note == ""


def test_few_errors_and_errors_of_no_kind_say_nothing() -> None:
    right = [Outcome(correct=True)] * 999
    assert "wrong_facts" not in outcome_facts([*right, Outcome(correct=False, kind="knowledge")])
    silent = [Outcome(correct=False)] * 40 + [Outcome(correct=False, trained=True, kind="format")]
    assert "invalid_outputs" not in outcome_facts([*right, *silent])
    told = [Outcome(correct=False, kind="format")] * 30 + [Outcome(correct=False)] * 30
    assert outcome_facts([*right, *told])["invalid_outputs"].value == pytest.approx(60 / 1_059)


@pytest.mark.parametrize(
    ("query", "dated"),
    [
        ("what changed in 2026?", True), ("is v2 out", True), ("does 3.12.1 work", True),
        ("on 12.03.2026", True), ("the latest rate", True), ("I paid 12.99 twice", False),
        ("open 24/7", False), ("charged 3.50 extra", False), ("my currency", False),
    ],
)  # fmt: skip
def test_queries_about_dates(query: str, dated: bool) -> None:
    assert query_facts([query] * 20, ["no date"])["dated_queries"].value == float(dated)


def test_texts_without_spaces_have_no_fertility() -> None:
    chinese = ["我想知道我的银行卡什么时候能够寄到家里来谢谢"] * 30
    assert "fertility" not in language_facts(chinese, len, declared="", spoken=None)


def test_quick_advice_does_not_contradict_the_whole(
    real_root: Path, real_project: Project, banking: dict[str, Any]
) -> None:
    quick = advised(real_root, "banking77", "--quick", "--set", "target=0.9")
    for name in ("vote_accuracy", "probe_accuracy"):
        fact = quick["facts"][name]
        assert fact["low"] < banking["facts"][name]["value"] < fact["high"] == 1
        assert "all rows would do better" in fact["note"]
    assert quick["recommendation"] in ("demonstrations", "classifier")
    assert any("3,000 of 10,003" in note for note in quick["notes"])


def test_costs_that_are_zero_can_be_drawn(project: Project, root: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    free = [f"--set={name}=0" for name in ("input_price", "output_price", "engineer_hour")]
    page = tmp_path / "free.html"
    done = run(root, "advise", "tickets", "--quick", "--html", str(page), *free)
    assert done.exit_code == 0, done.output
    assert "<svg" in page.read_text()


def test_what_to_collect_is_counted(project: Project, root: Path) -> None:
    project.create_store("few").add(*(Example(f"w{n} v{n}", f"text {n * n}") for n in range(8)))
    done = run(root, "advise", "few", "--quick")
    assert "42\ta pilot is reasonable" in done.stdout
    project.create_store("thin", StoreSettings(label="output")).add(
        *(Example(f"w{n} v{n}", "ab"[n == 0]) for n in range(9))
    )
    done = run(root, "advise", "thin", "--quick")
    assert "b\t7" in done.stdout.replace("\r", "")


def test_a_profile_is_not_asked_for_twice(project: Project, root: Path, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("target = 0.9\n")
    told = advised(root, "tickets", "--quick", "--profile", str(tmp_path / "p.toml"))
    bare = advised(root, "tickets", "--quick")
    assert any("--init" in step["command"] for step in bare["next_steps"])
    assert not any("--init" in step["command"] for step in told["next_steps"])


def test_nothing_is_added_to_a_bundle(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with promptlib.open(root, usage=True) as project:
        project.build("tickets/route", "lost")
        project.usage()
        make_bundle(project, tmp_path / "bundle")
    monkeypatch.chdir(tmp_path / "bundle")
    done = CliRunner().invoke(cli, ["advise", "--init"])
    assert done.exit_code == 1 and "bundle" in done.output
    served = promptlib.open(tmp_path / "bundle")
    assert served.usage() == [], "the counts of whoever made it"
    assert promptlib.advise(served, "tickets", quick=True).recommendation in answers()


def test_an_interrupt_inside_the_database_is_one(
    project: Project, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise AssertionError("not self.is_active")

    monkeypatch.setattr("promptlib.advice.session.measure", interrupted)
    done = run(root, "advise", "tickets")
    assert done.exit_code == 1 and "Aborted!" in done.output


def test_an_accuracy_that_was_typed_in_is_not_a_judgement(project: Project) -> None:
    told = promptlib.advise(
        project, "tickets", quick=True, profile=read_profile(None, ["accuracy=0.9"])
    )
    assert told.facts["tried"].source == "profile"


def test_one_row_alone_is_shown(project: Project, root: Path) -> None:
    project.create_store("alone").add(Example("only", "row"))
    done = run(root, "advise", "alone", "--quick")
    assert done.exit_code == 0 and "inf" not in done.stdout


def test_one_label_among_many_rows(project: Project, root: Path) -> None:
    rows = [Example(f"w{n} v{n}", f"text {n}", label="only" if n == 0 else None) for n in range(40)]
    project.create_store("odd").add(*rows)
    assert advised(root, "odd")["recommendation"] in answers()


def test_a_row_longer_than_the_budget_is_passed_over(project: Project, root: Path) -> None:
    project.store("tickets").add(Example("long " * 2_000, "card_lost"))
    found = advised(root, "tickets", "--quick")
    assert found["facts"]["prompt_tokens"]["value"] < 300


def test_copies_do_not_make_a_store_larger(project: Project) -> None:
    rows = [Example(f"word{n} thing{n}", "ab"[n % 2], label="ab"[n % 2], id=f"{n}-{m}")
            for n in range(8) for m in range(10)]  # fmt: skip
    project.create_store("copied").add(*rows)
    facts = promptlib.advise(project, "copied", quick=True).facts
    assert facts["effective_rows"].value == 8 and facts["class_median"].value == 4


def test_why_prints_the_path(project: Project, root: Path) -> None:
    done = run(root, "advise", "tickets", "--quick", "--why")
    assert "How the answer was found" in done.stdout and "=> " in done.stdout
    assert "effective_rows < 10" in done.stdout


def test_two_profiles_abreast(project: Project, root: Path, tmp_path: Path) -> None:
    calm, busy = tmp_path / "calm.toml", tmp_path / "busy.toml"
    calm.write_text("traffic = 10\nengineer_hour = 90\nclassifier_hours = 8\n")
    busy.write_text("traffic = 99999\nengineer_hour = 90\nclassifier_hours = 8\n")
    done = run(root, "advise", "tickets", "--quick", "--compare", str(calm), str(busy))
    assert done.exit_code == 0 and "cost of demonstrations" in done.stdout
    done = run(root, "advise", "tickets", "--quick", "--json", "--compare", str(calm), str(busy))
    assert {*json.loads(done.stdout)} == {str(calm), str(busy)}


def test_init_writes_a_profile_that_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["advise", "--init"]).exit_code == 0
    read_profile("usage.toml")
    again = CliRunner().invoke(cli, ["advise", "--init"])
    assert again.exit_code == 1 and "is there already" in again.output
    lines = STARTER.read_text().splitlines()
    told = [line.removeprefix("# ") for line in lines if line.startswith("# ") and " = " in line]
    Path("all.toml").write_text("\n".join(told))
    full = read_profile("all.toml")
    unused = {name for name in type(full).model_fields if getattr(full, name) is None}
    assert unused == set(), "the starter doesn't explain every key"


def test_a_foreign_language_is_noticed(project: Project, root: Path, tmp_path: Path) -> None:
    pytest.importorskip("py3langid")
    words = [
        "hund",
        "katze",
        "straße",
        "morgen",
        "abend",
        "wetter",
        "regen",
        "sonne",
        "haus",
        "garten",
        "fenster",
        "schule",
    ]
    rows = [{"input": f"Ich habe heute {a} und {b} gesehen, nicht wahr?", "output": f"Das ist {a}."}
            for a in words for b in words]  # fmt: skip
    project.import_file("deutsch", write_rows(tmp_path / "d.jsonl", rows))
    found = advised(root, "deutsch", "--quick", "--set", 'languages=["en"]')
    assert found["facts"]["foreign_share"]["value"] > 0.9
    assert found["facts"]["fertility"]["value"] > 1.1
    native = advised(root, "deutsch", "--quick", "--set", 'languages=["de"]')
    assert native["facts"]["foreign_share"]["value"] < 0.1


# -- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ([], "collect"),
        ([("a b", "x"), ("c d", "y"), ("e f", "x")], "collect"),
        ([(f"w{n} v{n}", "same") for n in range(30)], "demonstrations"),
        ([(f"w{n} v{n}", f"free text {n * n}") for n in range(30)], "demonstrations"),
    ],
    ids=["no rows", "three rows", "one class", "no labels"],
)
def test_thin_stores_are_advised_all_the_same(
    rows: list[tuple[str, str]], answer: str, project: Project, root: Path
) -> None:
    project.create_store("thin").add(*(Example(*row) for row in rows))
    for quick in ([], ["--quick"]):
        found = advised(root, "thin", *quick)
        assert found["recommendation"] == answer and found["confidence"] == "low"
        assert found["recommendation"] in answers()
    shown = run(root, "advise", "thin", "--quick")
    assert shown.exit_code == 0 and "headroom of training" in shown.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input_price = -1", "p.toml: input_price: input should be greater than or equal to 0"),
        ("traffic = 0", "p.toml: traffic: input should be greater than 0"),
        ('currency = "EURO"', "p.toml: currency"),
        ('model = "nope-1"', "'nope-1' has no listed prices: set input_price and output_price"),
        ('currency = "EUR"\nmodel = "gpt-4o"', "listed prices are in USD"),
        ("trafic = 1", "unknown key 'trafic'; did you mean 'traffic'"),
        ("traffic = ", "p.toml: not TOML"),
        ("prices_as_of = 2999-01-01", "is still to come"),
        ("target = 1.5", "p.toml: target: input should be less than or equal to 1"),
        (f"traffic = {'9' * 5_001}", "p.toml: not TOML"),
        ("traffic = inf", "p.toml: traffic"),
        ("horizon_months = 1e300", "p.toml: horizon_months"),
    ],
)
def test_bad_profiles(
    text: str, message: str, project: Project, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "p.toml").write_text(text)
    done = run(root, "advise", "tickets", "--quick", "--profile", str(tmp_path / "p.toml"))
    assert done.exit_code == 1 and message in done.output and "Traceback" not in done.output


def test_prices_of_ones_own_make_any_model_known(project: Project, root: Path) -> None:
    found = advised(root, "tickets", "--quick", "--set", "model=nope-1", "--set", "input_price=1",
                    "--set", "output_price=2", "--set", "currency=EUR")  # fmt: skip
    assert found["economics"]["currency"] == "EUR"
    assert "cache_read_price" not in found["facts"]


def test_bad_outcomes_are_all_listed(project: Project, root: Path, tmp_path: Path) -> None:
    file = tmp_path / "o.jsonl"
    file.write_text('{"correct": true, "id": "nobody"}\n\n{"correct": "yes"}\nno\n[1]\n{"k": -1}\n')
    done = run(root, "advise", "tickets", "--quick", "--outcomes", str(file))
    assert done.exit_code == 1
    for part in ("o.jsonl:1: the store has no row 'nobody'", "o.jsonl:3: correct", "o.jsonl:4: not",
                 "o.jsonl:5: not", "o.jsonl:6: k"):  # fmt: skip
        assert part in done.output
    with pytest.raises(BadExamplesError):
        promptlib.advise(project, "tickets", quick=True, outcomes=file)
    file.write_text('{"correct": true, "kind": "format"}\n')
    with pytest.raises(BadExamplesError, match="kind is for wrong answers"):
        promptlib.advise(project, "tickets", quick=True, outcomes=file)
    with pytest.raises(ConfigError, match=r"promptlib.Profile"):
        promptlib.advise(project, "tickets", profile={"traffic": 3})  # type: ignore[arg-type]
    file.write_text("\n")
    with pytest.raises(ConfigError, match="holds no outcomes"):
        promptlib.advise(project, "tickets", quick=True, outcomes=file)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["advise"], 2, "name a STORE"),
        (["advise", "nope"], 1, "no store 'nope'"),
        (["advise", "tickets", "--template", "nope"], 1, "no template 'nope'"),
        (["advise", "tickets", "--corpus", "nowhere"], 1, "can't read nowhere"),
        (["advise", "tickets", "--outcomes", "nowhere"], 1, "can't read nowhere"),
        (["advise", "tickets", "--set", "x"], 1, "is not NAME=VALUE"),
        (["advise", "tickets", "--set", "x=1"], 1, "no 'x'"),
        (["advise", "tickets", "--html", "/no/such/x.html"], 1, "can't write"),
        (["advise", "tickets", "--profile", "a", "--compare", "a", "b"], 2, "not both"),
        (["finetune", "export", "nope", "--out", "x"], 1, "no store 'nope'"),
        (["finetune", "export", "tickets"], 2, "--out"),
        (["finetune", "classifier", "tickets", "--out", "x"], 1, "20 different rows"),
        (["finetune", "predict", "nowhere", "text"], 1, "is no classifier"),
        (["usage", "--days", "0"], 2, "--days"),
        (["usage", "--days", "99999999999"], 2, "--days"),
        (["advise", "tickets", "--compare", "a", "b", "--html", "x"], 2, "leave out --html"),
        (
            ["finetune", "export", "tickets", "--out", "x", "--training-price", "nan"],
            1,
            "training_price",
        ),
    ],
)
def test_misuse(
    arguments: list[str], code: int, message: str, project: Project, root: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = run(root, *arguments)
    assert done.exit_code == code and message in done.output and "Traceback" not in done.output


def test_two_templates_must_be_told_apart(project: Project, root: Path, tmp_path: Path) -> None:
    text = (root / "templates" / "tickets" / "route.j2").read_text()
    (root / "templates" / "other.j2").write_text(text)
    done = run(root, "advise", "tickets", "--quick")
    assert done.exit_code == 1 and "say which one with --template" in done.output
    assert run(root, "advise", "tickets", "--quick", "--template", "other").exit_code == 0


def test_the_commands_that_follow_the_advice_run(
    project: Project, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["card", "pin", "rate", "fee", "atm", "app"]
    rows = [Example(f"my {a} and {b} n{n}", a) for n, (a, b) in
            enumerate((a, b) for a in words for b in words)]  # fmt: skip
    project.store("tickets").add(*rows)
    done = run(root, "finetune", "classifier", "tickets", "--out", "head")
    assert done.exit_code == 0, done.output
    done = run(root, "finetune", "predict", "head", "my card", "--json")
    assert json.loads(done.stdout)[0]["label"]
    done = CliRunner().invoke(
        cli, ["-C", str(root), "finetune", "predict", "head"], input="my pin\n\nmy fee\n"
    )
    assert len(done.stdout.splitlines()) == 3
    done = run(root, "finetune", "export", "tickets", "--sample", "20", "--out", "pilot", "--json")
    assert done.exit_code == 0 and sum(json.loads(done.stdout)["rows"].values()) == 20
    assert run(root, "finetune", "offers", "--json").exit_code == 0
    assert run(root, "usage").exit_code == 0
