"""Exports and classifiers: the strings of run time, no leaks, nothing that trainers refuse."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.errors import ConfigError, ExportError, TooFewExamplesError
from promptlib.example import Example
from promptlib.files.folders import whole_folder
from promptlib.finetune.checks import divided, file_problems, message_problems, row_problems
from promptlib.finetune.classifier import Classifier, calibration_picture, train_classifier
from promptlib.finetune.export import Export, ExportOptions, epochs_for, export_rows
from promptlib.finetune.formats import FORMATS
from promptlib.finetune.providers import Provider, caching, providers
from promptlib.finetune.rows import TrainingRow
from promptlib.finetune.splits import split_rows
from promptlib.project import Project
from promptlib.store.settings import StoreSettings
from tests.conftest import INTENTS

WORDS = ["card", "pin", "money", "bank", "lost", "late", "help", "rate", "fee", "atm", "app", "top"]


@pytest.fixture
def filled(project: Project) -> Project:
    """A project whose store has ninety different rows and some near copies."""
    store = project.store("tickets")
    rows = []
    for number in range(90):
        first, second = WORDS[number % 12], WORDS[(number * 5 + number // 12) % 12]
        label = [*INTENTS][number % 3]
        rows.append(Example(f"my {first} {second} case {number} zq{number}", label))
    store.add(*rows)
    return project


def read(export: Export, split: str) -> list[dict[str, Any]]:
    text = (export.folder / f"{split}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.removesuffix("\n").split("\n")]


def everything(export: Export) -> list[dict[str, Any]]:
    return [row for split in export.rows for row in read(export, split)]


def test_messages_are_those_of_run_time(filled: Project, tmp_path: Path) -> None:
    export = export_rows(filled, "tickets", tmp_path / "out")
    store = filled.store("tickets")
    built = {
        json.dumps(
            filled.build("tickets/route", e.input, k=0, exclude_self=True).messages  # type: ignore[arg-type]
        ): e.output
        for e in store.list()
    }
    made = {json.dumps(row["messages"][:-1]): row["messages"][-1] for row in everything(export)}
    assert {*made} == {*built}
    assert all(made[key] == {"role": "assistant", "content": built[key]} for key in made)


def test_without_candidate_labels_messages_are_plain_builds(
    filled: Project, tmp_path: Path, write_template: Callable[..., str]
) -> None:
    name = write_template(
        "---\ninputs: {query: {type: string}}\nexamples: {store: tickets}\n---\n"
        "{% for example in examples %}{{ example.input }}: {{ example.output }}\n{% endfor %}"
        "Ticket: {{ query }}\n"
    )
    export = export_rows(filled, "tickets", tmp_path / "out", template=name)
    texts = {row["messages"][0]["content"] for row in everything(export)}
    assert texts == {
        filled.build(name, e.input, k=0).text  # type: ignore[arg-type]
        for e in filled.store("tickets").list()
    }


def test_objects_are_answered_as_the_template_prints_them(
    project: Project, tmp_path: Path, write_template: Callable[..., str]
) -> None:
    project.create_store("slots")
    project.store("slots").add(*(
        Example(f"play {n}", {"intent": "play", "n": n, "é": [True]}, id=str(n)) for n in range(5)
    ))  # fmt: skip
    name = write_template(
        '---\ninputs: {query: {type: string}}\nexamples: {store: slots}\n---\n'
        '{% for e in examples %}{% message "assistant" %}{{ e.output }}{% endmessage %}{% endfor %}'
        '{% message "user" %}{{ query }}{% endmessage %}'
    )  # fmt: skip
    export = export_rows(project, "slots", tmp_path / "out")
    answers = {row["messages"][-1]["content"] for row in everything(export)}
    shown = project.build(name, "play", k=5).messages
    assert shown is not None and answers == {m["content"] for m in shown[:-1]}


def test_examples_inside_are_of_other_training_rows(filled: Project, tmp_path: Path) -> None:
    options = ExportOptions(with_examples=True)
    export = export_rows(filled, "tickets", tmp_path / "out", options=options)
    trained = {row["messages"][-2]["content"] for row in read(export, "train")}
    inside = 0
    for row in everything(export):
        *shown, query, _ = [m["content"] for m in row["messages"] if m["role"] == "user"] + [""]
        assert {*shown} <= trained and query not in shown
        inside += len(shown)
    assert inside > len(everything(export))


def test_manifest_and_files_agree(filled: Project, tmp_path: Path) -> None:
    options = ExportOptions(form="trl", training_price=2.0)
    export = export_rows(filled, "tickets", tmp_path / "out", options=options)
    manifest = json.loads((export.folder / "manifest.json").read_text())
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((export.folder / name).read_bytes()).hexdigest() == digest
    assert manifest["hash"] == filled.registry.get("tickets/route").hash
    assert manifest["revision"] == filled.store("tickets").revision
    assert export.cost == pytest.approx(export.tokens["total"] * export.epochs * 2 / 1e6)
    assert sum(export.rows.values()) == len(filled.store("tickets"))
    readme = (export.folder / "README.md").read_text()
    assert "trl sft" in readme and "tickets/route" in readme
    for row in read(export, "train"):
        assert [m["role"] for m in row["prompt"]] == ["system", "user"]
        assert [m["role"] for m in row["completion"]] == ["assistant"]


def test_the_same_export_has_the_same_bytes(filled: Project, tmp_path: Path) -> None:
    first, second = (export_rows(filled, "tickets", tmp_path / name) for name in "ab")
    assert first.sha256 == second.sha256
    pilot = export_rows(filled, "tickets", tmp_path / "c", options=ExportOptions(sample=12))
    assert pilot.rows == {"train": 12}


def test_corrections_become_preferences(filled: Project, tmp_path: Path) -> None:
    store = filled.store("tickets")
    with pytest.raises(ExportError, match="no corrected answers"):
        export_rows(filled, "tickets", tmp_path / "none", options=ExportOptions(form="dpo"))
    row = store.list()[0]
    store.update(replace(row, output="card_lost" if row.output != "card_lost" else "pin_forgotten"))
    export = export_rows(filled, "tickets", tmp_path / "out", options=ExportOptions(form="dpo"))
    (pair,) = read(export, "train")
    assert pair["rejected"] != pair["chosen"]
    assert pair["rejected"] == [{"role": "assistant", "content": row.output}]
    assert pair["chosen"] == [{"role": "assistant", "content": store.get(row.id).output}]


def test_setfit_is_a_table_of_texts_and_labels(filled: Project, tmp_path: Path) -> None:
    export = export_rows(filled, "tickets", tmp_path / "out", options=ExportOptions(form="setfit"))
    with (export.folder / "train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {*rows[0]} == {"text", "label"} and {row["label"] for row in rows} == {*INTENTS}


def test_a_bad_row_is_listed_and_left_out_on_request(
    filled: Project, tmp_path: Path, write_template: Callable[..., str]
) -> None:
    filled.store("tickets").add(Example({"other": "field"}, "card_lost", id="odd"))
    name = write_template(
        "---\ninputs: {query: {type: string}, extra: {type: string}}\n"
        "examples: {store: tickets, query: query}\n---\n{{ query }} {{ extra }}"
    )
    with pytest.raises(ExportError, match="extra") as caught:
        export_rows(filled, "tickets", tmp_path / "out", template=name)
    assert len(caught.value.problems) == len(filled.store("tickets"))
    assert not (tmp_path / "out").exists() and "skip" in str(caught.value)
    with pytest.raises(ExportError, match="no row is left"):
        export_rows(
            filled, "tickets", tmp_path / "out", template=name,
            options=ExportOptions(skip_bad=True),
        )  # fmt: skip
    assert [*tmp_path.glob("out*")] == []
    made = export_rows(filled, "tickets", tmp_path / "out", template=name, inputs={"extra": "now"})
    assert made.unfit == []


def test_a_folder_is_never_replaced(filled: Project, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="is there already"):
        export_rows(filled, "tickets", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "opnai"}, "did you mean 'openai'"),
        ({"provider": "Vertx AI"}, "did you mean 'Vertex AI'"),
        ({"provider": "vertex ai"}, "Vertex AI reads vertex, not openai"),
        ({"sample": 0}, "1 or more"),
    ],
)
def test_wrong_options(
    filled: Project, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export_rows(filled, "tickets", tmp_path / "out", options=ExportOptions(**options))


# -- what trainers read ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["openai", "trl"])
def test_files_load_with_datasets(
    form: str, filled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    from datasets import load_dataset

    options = ExportOptions(form=form)
    export = export_rows(filled, "tickets", tmp_path / "out", options=options)
    loaded = load_dataset(str(export.folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == export.rows
    keys = {"messages"} if form == "openai" else {"prompt", "completion"}
    assert {*loaded["train"].column_names} == keys
    assert loaded["train"][0] == read(export, "train")[0]


def test_trl_rows_pass_through_a_chat_template(filled: Project, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    chatml = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), chat_template=chatml
    )
    export = export_rows(filled, "tickets", tmp_path / "out", options=ExportOptions(form="trl"))
    for row in read(export, "train"):
        prompt = tokenizer.apply_chat_template(
            row["prompt"], tokenize=False, add_generation_prompt=True
        )
        whole = tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=False)
        assert whole.startswith(prompt)
        assert whole == f"{prompt}{row['completion'][0]['content']}<|im_end|>\n"


def row_of(*roles: str, answer: str = "yes", **changes: Any) -> TrainingRow:
    prompt = [{"role": role, "content": f"says {role}"} for role in roles]
    made = TrainingRow("r", prompt, [{"role": "assistant", "content": answer}], "text", "label", 10)
    return replace(made, **changes)


def test_formats_hold_system_and_turns() -> None:
    row = row_of("developer", "user", "assistant", "user")
    made = {name: make(row) for name, make in FORMATS.items()}
    assert made["openai"]["messages"][0]["role"] == "developer"
    assert made["trl"]["prompt"][0]["role"] == "system"
    assert made["vertex"]["systemInstruction"]["parts"] == [{"text": "says developer"}]
    assert [c["role"] for c in made["vertex"]["contents"]] == ["user", "model", "user", "model"]
    assert made["alpaca"]["instruction"] == "says developer" and made["alpaca"]["output"] == "yes"
    assert made["setfit"] == {"text": "text", "label": "label"}
    assert FORMATS["alpaca"](row_of("user"))["input"] == ""


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([{"role": "robot", "content": "x"}, {"role": "assistant", "content": "y"}], "'robot'"),
        ([{"role": "user", "content": ""}, {"role": "assistant", "content": "y"}], "1 is empty"),
        ([{"role": "user", "content": "x"}], "doesn't end with the assistant"),
        ([{"role": "assistant", "content": "x"}], "no message of a user"),
        ([{"role": "user", "content": "x", "mood": 1}, {"role": "assistant", "content": "y"}],
         "unknown key 'mood'"),
        ([{"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": "y"}],
         "parts that aren't text"),
        ([], "doesn't end with the assistant"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_messages(messages: list[Any], problem: str) -> None:
    assert any(problem in each for each in message_problems(messages))


def test_roles_must_alternate_where_a_provider_says_so() -> None:
    row = row_of("user", "user")
    assert divided("openai", [row], named("Together"))[1][0].reason.startswith("has two messages")
    assert divided("openai", [row], None)[0] == [row]


def named(name: str) -> Provider:
    return next(offer for offer in providers() if offer.name == name)


@pytest.mark.parametrize(
    ("form", "row", "problem"),
    [
        ("setfit", row_of("user", label=None), "no label"),
        ("setfit", row_of("user", text=" "), "no text"),
        ("dpo", row_of("user"), "no other answer"),
        ("alpaca", row_of("user", "assistant", "user"), "can't tell apart"),
        ("alpaca", row_of("user", answer=" "), "output is empty"),
        ("vertex", row_of("user", prompt=[{"role": "user", "content": "x", "tool_calls": []}]),
         "calls tools"),
        ("openai", row_of("user", answer=""), "2 is empty"),
        ("trl", row_of("system"), "no message of a user"),
    ],
)  # fmt: skip
def test_rows_that_a_format_cannot_hold(form: str, row: TrainingRow, problem: str) -> None:
    assert any(problem in each for each in row_problems(form, row, FORMATS[form](row), None))


@pytest.mark.parametrize("offer", providers(), ids=lambda offer: offer.name)
def test_every_limit_of_every_provider_is_checked(offer: Provider, tmp_path: Path) -> None:
    form = (offer.formats or ("openai",))[0]
    file = tmp_path / "train.jsonl"
    file.write_text("x" * 100)
    good = row_of("system", "user")
    enough = max(offer.min_rows, 1)
    assert not list(file_problems({"train": [good] * enough}, {"train": file}, offer))
    assert not list(row_problems(form, good, FORMATS[form](good), offer))
    if offer.min_rows > 1:
        few = {"train": [good] * (offer.min_rows - 1)}
        assert "at least" in next(file_problems(few, {}, offer))
    if offer.max_rows is not None:
        tight = replace(offer, max_rows=enough)
        assert "at most" in next(file_problems({"train": [good] * (enough + 1)}, {}, tight))
    if offer.max_row_tokens is not None:
        long = replace(good, tokens=offer.max_row_tokens + 1)
        assert "tokens" in next(row_problems(form, long, FORMATS[form](long), offer))
    if offer.max_file_bytes is not None:
        tight = replace(offer, max_file_bytes=99)
        assert "MB" in next(file_problems({"train": [good] * enough}, {"train": file}, tight))
    if offer.max_validation_rows is not None:
        parts = {"train": [good] * enough, "validation": [good] * (offer.max_validation_rows + 1)}
        assert "to validate" in next(file_problems(parts, {}, offer))
    assert offer.source and {*offer.formats} <= {*FORMATS}


def test_offers_begin_with_open_weights_and_end_when_they_say() -> None:
    kinds = [offer.open_weights for offer in providers()]
    assert kinds == sorted(kinds, reverse=True) and kinds[0]
    closing = named("OpenAI")
    assert closing.is_open(date(2027, 1, 6)) and not closing.is_open(date(2027, 1, 7))
    assert not named("Cohere").is_open(date(2026, 1, 1))
    rule = caching("openai")
    assert rule is not None and rule.minimum == 1024 and caching("nobody") is None


# -- splits ----------------------------------------------------------------------------------------


@given(st.integers(30, 400), st.integers(1, 4), st.integers(1, 5), st.integers(0, 5))
def test_splits_keep_copies_together_and_lose_nothing(
    rows: int, size: int, classes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    groups = np.arange(rows) // size
    codes = rng.integers(0, classes, rows)
    parts = split_rows(codes, groups, seed)
    assert sorted(np.concatenate([*parts.values()]).tolist()) == list(range(rows))
    sides = [{*groups[at].tolist()} for at in parts.values()]
    assert sum(map(len, sides)) == len({*groups.tolist()})
    if len(parts) == 3:
        assert 0.5 * rows < len(parts["train"]) < 0.95 * rows


def test_splits_keep_the_shares_of_classes() -> None:
    codes = np.repeat([0, 1, 2], [600, 300, 100])
    parts = split_rows(codes, np.arange(1_000))
    for at in parts.values():
        assert np.abs(np.bincount(codes[at]) / len(at) - [0.6, 0.3, 0.1]).max() < 0.02


@pytest.mark.parametrize(("rows", "epochs"), [(1, 25), (10, 10), (50, 3), (8_000, 3), (25_000, 1)])
def test_epochs(rows: int, epochs: int) -> None:
    assert epochs_for(rows) == epochs


# -- the small classifier --------------------------------------------------------------------------


def test_a_classifier_is_saved_without_pickle_and_predicts_the_same(
    real_project: Project, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    store = real_project.create_store("small", StoreSettings(label="output"))
    rows = [e for e in real_project.store("banking77").list() if str(e.output) < "card_b"]
    store.add(*rows)
    made = train_classifier(real_project, "small")
    assert made.report.accuracy.value > 0.9 and made.report.calibration_error < 0.05
    assert {*made.labels} == {str(row.output) for row in rows}
    made.save(tmp_path / "saved")
    assert sorted(f.name for f in (tmp_path / "saved").iterdir()) == ["classifier.json", "head.npz"]
    again = Classifier.load(tmp_path / "saved")
    texts = ["how do I activate my card", "why is the atm broken"]
    ours, theirs = (c.predict(texts, real_project.embedder) for c in (made, again))
    assert ours == theirs and ours[0].label == "activate_my_card"
    assert again.report == made.report and again.predict([], real_project.embedder) == []
    assert calibration_picture(made.report).startswith(b"\x89PNG")


def test_a_changed_classifier_is_refused(filled: Project, tmp_path: Path) -> None:
    made = train_classifier(filled, "tickets")
    made.save(tmp_path / "saved")
    with pytest.raises(ConfigError, match="is there already"):
        made.save(tmp_path / "saved")
    facts = tmp_path / "saved" / "classifier.json"
    whole = facts.read_text()
    (tmp_path / "saved" / "head.npz").write_bytes(b"other")
    with pytest.raises(ConfigError, match="isn't as it was made"):
        Classifier.load(tmp_path / "saved")
    for broken in ("", "[]", "{}", '{"format": 1}'):
        facts.write_text(broken)
        with pytest.raises(ConfigError, match="train it again"):
            Classifier.load(tmp_path / "saved")
    facts.write_text(whole.replace('"format": 1', '"format": 9'))
    with pytest.raises(ConfigError, match="newer"):
        Classifier.load(tmp_path / "saved")
    with pytest.raises(ConfigError, match="is no classifier"):
        Classifier.load(tmp_path / "nowhere")


def test_a_classifier_wants_its_own_embedder(filled: Project, real_project: Project) -> None:
    made = train_classifier(filled, "tickets")
    with pytest.raises(ConfigError, match="another embedder"):
        made.predict(["x"], real_project.embedder)


def test_a_classifier_needs_two_labels(project: Project) -> None:
    project.create_store("one").add(*(Example(f"a{n} b{n}", "x", label="x") for n in range(30)))
    with pytest.raises(TooFewExamplesError, match="30 labelled rows of 1 label;"):
        train_classifier(project, "one")


# -- leaks, races and limits -----------------------------------------------------------------------


def test_a_neighbouring_folder_is_left_alone(filled: Project, tmp_path: Path) -> None:
    (tmp_path / "out.old").mkdir()
    (tmp_path / "out.old" / "precious").write_text("x")
    export_rows(filled, "tickets", tmp_path / "out")
    assert (tmp_path / "out.old" / "precious").read_text() == "x"


def test_rows_that_the_template_may_not_show_are_not_exported(
    filled: Project, tmp_path: Path, write_template: Callable[..., str]
) -> None:
    store = filled.store("tickets")
    store.add(*(Example(f"autre chose {n} xx{n}", "card_lost", metadata={"lang": "fr"})
                for n in range(20)))  # fmt: skip
    text = (filled.root / "templates" / "tickets" / "route.j2").read_text()
    name = write_template(text.replace("k: 4}", "k: 4, where: {lang: fr}}"))
    for options in (ExportOptions(), ExportOptions(with_examples=True)):
        out = tmp_path / f"out{options.with_examples}"
        export = export_rows(filled, "tickets", out, template=name, options=options)
        said = json.dumps(everything(export))
        assert sum(export.rows.values()) == 20 and "zq" not in said


def test_copies_of_held_out_rows_are_not_shown_either(project: Project, tmp_path: Path) -> None:
    store = project.store("tickets")
    for number in range(120):
        words = f"{WORDS[number % 12]} {WORDS[number * 7 % 12]} q{number} r{number} s{number}"
        store.add(*(Example(f"{words} {end}", f"answer {number}", id=f"{number}-{len(end)}",
                            label="x") for end in ("", "" + " ")))  # fmt: skip
    options = ExportOptions(with_examples=True, sample=100)
    export = export_rows(project, "tickets", tmp_path / "out", options=options)
    assert len(export.rows) == 3
    held_out = {row["messages"][-1]["content"]
                for split in ("validation", "test") for row in read(export, split)}  # fmt: skip
    shown = [m["content"] for row in read(export, "train") for m in row["messages"][:-1]
             if m["role"] == "assistant"]  # fmt: skip
    own = {answer for answer in held_out if answer.startswith("answer")}
    assert shown and own and not own & {*shown}


def test_a_correction_that_was_corrected_again_is_no_pair(filled: Project, tmp_path: Path) -> None:
    store = filled.store("tickets")
    first, second = store.list()[:2]
    for row in (first, second):
        store.update(replace(row, output="other"))
    store.update(replace(first, input="a wholly different question", output="other"))
    export = export_rows(filled, "tickets", tmp_path / "out", options=ExportOptions(form="dpo"))
    assert export.rows == {"train": 1}
    store.update(replace(second, output=second.output))
    export = export_rows(filled, "tickets", tmp_path / "back", options=ExportOptions(form="dpo"))
    (pair,) = read(export, "train")
    assert pair["rejected"][0]["content"] == "other"


def test_offers_that_have_ended_are_refused(filled: Project, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no new jobs since 2025-09-15"):
        export_rows(filled, "tickets", tmp_path / "x", options=ExportOptions(provider="Cohere"))


def test_what_cannot_be_written_says_so(filled: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="can't write"):
        export_rows(filled, "tickets", tmp_path / "file" / "out")
    with pytest.raises(ConfigError, match="can't write"):
        train_classifier(filled, "tickets").save(tmp_path / "file" / "out")


def test_whoever_is_second_fails(filled: Project, tmp_path: Path) -> None:
    with (
        pytest.raises(FileExistsError), whole_folder(tmp_path / "out") as work,
    ):  # fmt: skip
        (work / "mine").write_text("second")
        export_rows(filled, "tickets", tmp_path / "out")
    assert (tmp_path / "out" / "train.jsonl").is_file()
    assert [path.name for path in tmp_path.glob("out*")] == ["out"]


def test_a_classifier_whose_labels_were_changed_is_refused(filled: Project, tmp_path: Path) -> None:
    train_classifier(filled, "tickets").save(tmp_path / "saved")
    facts = tmp_path / "saved" / "classifier.json"
    found = json.loads(facts.read_text())
    for change in ({"labels": found["labels"][::-1]}, {"temperature": -1}):
        facts.write_text(json.dumps({**found, **change}))
        with pytest.raises(ConfigError, match="isn't as it was made"):
            Classifier.load(tmp_path / "saved")


def test_a_store_without_a_template_is_exported_as_it_is_measured(
    project: Project, tmp_path: Path
) -> None:
    project.create_store("bare").add(*(Example(f"q{n} w{n}", f"a{n}") for n in range(5)))
    export = export_rows(project, "bare", tmp_path / "out")
    contents = {row["messages"][0]["content"] for row in read(export, "train")}
    assert "Input: q0 w0\nOutput:" in contents
    assert json.loads((export.folder / "manifest.json").read_text())["template"] == "plain"


def test_a_small_export_speaks_of_the_files_it_has(filled: Project, tmp_path: Path) -> None:
    for form in ("vertex", "openai"):
        options = ExportOptions(form=form, sample=5)
        export = export_rows(filled, "tickets", tmp_path / form, options=options)
        readme = (export.folder / "README.md").read_text()
        assert "`test`" not in readme and "validation" not in readme
