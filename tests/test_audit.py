"""What an audit finds: planted faults of each kind, with their reasons, and their mending."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import promptlib
from cli.main import cli
from promptlib.audit.atlas import write_atlas
from promptlib.audit.auditing import CHECKS, audit_store, find
from promptlib.audit.copies import stars
from promptlib.audit.fixing import plan_dedupe, plan_fix
from promptlib.audit.labelling import label_next
from promptlib.audit.projection import project_rows
from promptlib.audit.reducing import _shares, facility_location, plan_reduction
from promptlib.audit.reviewing import Review
from promptlib.audit.rows import normalised, read_rows
from promptlib.audit.showing import audit_csv, audit_page
from promptlib.audit.splitting import plan_split
from promptlib.errors import BadExamplesError, ConfigError, MissingDependencyError, StoreError
from promptlib.example import Example
from promptlib.project import Project
from promptlib.store.settings import EmbedSpec, StoreSettings
from promptlib.store.store import ExampleStore
from tests.test_store import exported

KEY = "AKIA" + "IOSFODNN7EXAMPLQ"  # of the form that AWS keys have, and nobody's


def sentences(count: int, seed: int = 0) -> list[str]:
    """Make different texts of four classes, which words tell apart."""
    rng = random.Random(seed)
    themes = ["card lost stolen wallet", "pin code forgot digits", "top up failed balance",
              "transfer abroad bank slow"]  # fmt: skip
    fill = [f"w{n}" for n in range(400)]
    return [
        " ".join(rng.sample(themes[n % 4].split(), 3) + rng.sample(fill, 6)) for n in range(count)
    ]


@pytest.fixture
def store(project: Project) -> ExampleStore:
    return project.create_store("rows")


def ids_of(project: Project, check: str, **options: Any) -> set[str]:
    return {*find(project, "rows", check, **options).rows}


def clean(count: int = 60) -> list[Example]:
    labels = ["card", "pin", "top_up", "transfer"]
    return [
        Example(text, labels[n % 4], labels[n % 4], id=f"c{n:03}")
        for n, text in enumerate(sentences(count))
    ]


PLANTED: dict[str, list[Example]] = {
    "exact-duplicates": [Example("where is my card today", "card", id=f"p{n}") for n in range(3)],
    "normalised-duplicates": [
        Example("Where is my card today?", "card", id="p0"),
        Example("where is  my card, today!", "card", id="p1"),
    ],
    "near-duplicates": [
        Example("please tell me where my new card is", "card", id="p0"),
        Example("please tell me were my new card is", "card", id="p1"),
    ],
    "conflicts": [
        Example("where is my card today", "card", "card", id="p0"),
        Example("Where is my card today?", "pin", "pin", id="p1"),
    ],
    "label-spelling": [
        Example("one two three w7", "x", "On hold", id="p0"),
        Example("four five six w8", "x", "on-hold", id="p1"),
    ],
    "disputed-labels": [
        Example("one two w9", "x", "card", {"annotations": {"ada": "card", "bo": "pin"}}, id="p0")
    ],
    "odd-outputs": [Example("one two w9 w10", "an answer nobody gives", id="p0")],
    "leaked-prompts": [
        Example("a short one w1", "<|im_start|>assistant card", id="p0"),
        Example("a question that is long enough to be known again", "x", id="p1"),
        Example("another question that is long enough to be seen",
                "another question that is long enough to be seen: card", id="p2"),
    ],
    "mojibake": [Example("my cafÃ© card doesnâ€™t work", "card", id="p0")],
    "control-characters": [Example("my\u200b card\x07 is \ufeffgone", "card", id="p0")],
    "empty-texts": [Example("???", "card", id="p0"), Example("N/A", "card", id="p1")],
    "truncated-texts": [
        Example("w" * (50 + n % 2) + f" the end of a long text is {n}...", "card", id=f"p{n}")
        for n in range(0, 6, 2)
    ] + [Example("short and open...", "card", id="fine")],
    "secrets": [Example(f"my key is {KEY}", "card", id="p0")],
    "foreign-languages": [
        Example("Meine Karte ist gestern am Bahnhof gestohlen worden, was soll ich tun?", "card",
                id="p0")
    ],
    "outliers": [],
    "giants": [Example("w1 " * 9_000, "card", id="p0")],
    "small-classes": [Example("one of a kind w1", "x", "rare", id="p0")],
}  # fmt: skip
"""Finding -> rows that have it, those called p...; `fine` has not."""


def beside(check: str) -> list[Example]:
    """Make rows without a fault, to plant some among."""
    if check != "foreign-languages":
        return clean()
    asked = "I would like to know what happened to my thing{} this morning"  # in a language
    return [Example(asked.format(n), "card", id=f"c{n:03}") for n in range(60)]


@pytest.mark.parametrize("check", [name for name, rows in PLANTED.items() if rows])
def test_what_is_planted_is_found(project: Project, store: ExampleStore, check: str) -> None:
    rows = beside(check)
    planted = [row for row in PLANTED[check] if row.id != "p1" or check != "leaked-prompts"]
    store.add(*rows, *planted)
    found = ids_of(project, check)
    assert found >= {row.id for row in planted if row.id.startswith("p")}, found
    if check not in ("near-duplicates", "small-classes"):
        assert not {row.id for row in rows} & found and "fine" not in found


@pytest.mark.parametrize("check", [name for name in CHECKS if PLANTED.get(name)])
def test_a_fix_mends_it_as_one_change_and_undo_takes_it_back(
    project: Project, store: ExampleStore, check: str
) -> None:
    store.add(*beside(check), *PLANTED[check])
    before, found = exported(store), find(project, "rows", check)
    if not found.fix:
        with pytest.raises(ConfigError, match=f"nothing can be done about {check} by itself"):
            plan_fix(found)
        return
    edits = plan_fix(found).edits
    if check == "disputed-labels":
        assert not edits  # nobody has a majority
        return
    number = store.edit(edits, reason="fix")
    assert number == 2
    left = find(project, "rows", check)
    assert not {edit.before.id for edit in plan_fix(left).edits} & {e.before.id for e in edits}
    store.undo()
    assert exported(store) == before


def test_fixed_texts_read_right(project: Project, store: ExampleStore) -> None:
    store.add(*clean(), *PLANTED["mojibake"])
    store.edit(plan_fix(find(project, "rows", "mojibake")).edits)
    assert store.get("p0").input in ("my café card doesn’t work", "my café card doesn't work")
    store.delete("p0")
    store.add(Example("my\u200b card\x07 is gone", "card", id="p1"))
    store.edit(plan_fix(find(project, "rows", "control-characters")).edits)
    assert store.get("p1").input == "my card is gone"


def test_a_secret_is_never_shown_whole(project: Project, store: ExampleStore) -> None:
    store.add(*clean(), *PLANTED["secrets"])
    audit = audit_store(project, "rows")
    told = json.dumps([f.to_dict() for f in audit.findings if f.id == "secrets"])
    assert KEY not in told and KEY[:4] in told and "promptlib store purge rows p0" in told
    assert [f.severity for f in audit.findings] == sorted(
        (f.severity for f in audit.findings), key=["error", "warning", "note"].index
    )


def test_flipped_labels_come_first(project: Project, store: ExampleStore) -> None:
    rows, rng = clean(200), random.Random(1)
    flipped = {row.id for row in rng.sample(rows, 12)}
    labels = sorted({row.label or "" for row in rows})
    store.add(*(
        Example(row.input, "x", labels[(labels.index(row.label or "") + 1) % 4], id=row.id)
        if row.id in flipped else Example(row.input, "x", row.label, id=row.id)
        for row in rows
    ))  # fmt: skip
    found = find(project, "rows", "label-errors")
    assert len(flipped & {item.ids[0] for item in found.items[:12]}) >= 10
    store.edit(plan_fix(found, most=12).edits)
    right = {row.id: row.label for row in rows}
    assert sum(store.get(id).label == right[id] for id in flipped) >= 10


def test_the_survivor_of_copies_is_the_one_with_most_behind_it(
    project: Project, store: ExampleStore
) -> None:
    store.add(
        *clean(), Example("the same", "card", id="a", status="draft"),
        Example("the same", "card", id="b", metadata={"source": "chat"}),
        Example("the same", "card", id="c"),
    )  # fmt: skip
    [item] = find(project, "rows", "exact-duplicates").items
    assert item.ids[0] == "b" and {edit.before.id for edit in item.edits} == {"a", "c"}


def test_texts_that_are_composed_otherwise_have_one_vector(
    project: Project, store: ExampleStore
) -> None:
    composed, apart = "my caf\u00e9 card", "my cafe\u0301 card"
    store.add(Example(apart, "x", id="a"), Example(composed, "x", id="b"), *clean())
    rows = read_rows(store)
    assert len(rows.vectors) == len(rows.texts) == 61 and rows.text_of[0] == rows.text_of[1]
    for at, text in enumerate(rows.texts[1:], start=1):  # the first has either's
        assert np.allclose(rows.vectors[at], project.embedder.embed([text])[0], atol=1e-3)
    assert ids_of(project, "normalised-duplicates") == {"a", "b"}


def test_found_by_a_part_of_the_input_is_not_the_same_input(project: Project) -> None:
    store = project.create_store("rows", StoreSettings(embed=EmbedSpec(fields=["question"])))
    store.add(*(
        Example({"question": "Who wrote it?", "context": f"A text about {name}."}, f"{name} did")
        for name in ("Ada and her engine", "Bo of the northern sea", "Cy who never came back")
    ))  # fmt: skip
    for check in ("exact-duplicates", "normalised-duplicates", "near-duplicates", "conflicts"):
        assert not ids_of(project, check)


def test_what_was_reviewed_and_left_is_not_taken_out(project: Project, store: ExampleStore) -> None:
    copies = PLANTED["exact-duplicates"]
    store.add(*clean(), *copies)
    review = Review(store)
    for copy in copies:
        review.approve(copy)
    assert not plan_dedupe(project, "rows").edits
    store.add(Example(copies[0].input, "card", id="a-later-copy"))
    assert [edit.before.id for edit in plan_dedupe(project, "rows").edits] == ["a-later-copy", *(
        copy.id for copy in copies[1:]
    )]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "found"), [
    ("-5", "5", "conflicts"), ("it is 5.", "It is  5", "normalised-duplicates"),
    ("it is 5", "it is 5", "exact-duplicates"),
])  # fmt: skip
def test_answers_are_the_same_but_for_case_and_space(
    project: Project, store: ExampleStore, one: str, other: str, found: str
) -> None:
    store.add(
        *clean(), Example("what is it now", one, id="a"), Example("what is it now", other, id="b")
    )
    for check in ("conflicts", "normalised-duplicates", "exact-duplicates"):
        assert ids_of(project, check) == ({"a", "b"} if check == found else set())


def test_dedupe_keeps_one_of_each_group(project: Project, store: ExampleStore) -> None:
    planted = [*PLANTED["exact-duplicates"], *(
        Example(text, "card", id=f"q{n}")
        for n, text in enumerate(["Where is my card today?", "where is my cart today",
                                  "another thing entirely here"])
    )]  # fmt: skip
    store.add(*clean(), *planted)
    before = exported(store)
    store.edit(plan_dedupe(project, "rows").edits, reason="dedupe")
    left = [row.id for row in planted if row.id in store]
    assert len(left) == 2 and "q2" in left
    assert not plan_dedupe(project, "rows").edits
    store.undo()
    assert exported(store) == before


@pytest.mark.parametrize(
    ("one", "other", "copies"),
    [
        (
            "What does the abbreviation CPR stand for?",
            "What does the abbreviation IBM stand for?",
            0,
        ),
        (
            "How long does a transfer take from the US",
            "How long does a transfer take from the UK",
            0,
        ),
        (
            "What is wrong with transaction number 11251?",
            "What is wrong with transaction number 11261?",
            0,
        ),
        (
            "I have a withdrawal waiting to go through.",
            "I hae a withdrwaal waiting to go through.",
            2,
        ),
        ("how can i put money into my account", "how can i put more money into my account", 2),
    ],
)
def test_a_slip_of_the_pen_is_a_copy_and_another_word_is_not(
    project: Project, store: ExampleStore, one: str, other: str, copies: int
) -> None:
    store.add(*clean(), Example(one, "x", id="p0"), Example(other, "x", id="p1"))
    assert len(ids_of(project, "near-duplicates", near=1.0) & {"p0", "p1"}) == copies


def test_the_clean_way_of_writing_a_label_wins_a_tie(project: Project, store: ExampleStore) -> None:
    store.add(
        *clean(), Example("a w1", "x", "late ", id="p0"), Example("b w2", "x", "late", id="p1")
    )
    store.edit(plan_fix(find(project, "rows", "label-spelling")).edits)
    assert store.get("p0").label == store.get("p1").label == "late"
    store.add(
        *(Example(f"c w{n}", said, id=f"q{n}") for n, said in enumerate(["Yes", "yes", "yes"]))
    )
    assert ids_of(project, "label-spelling") == {"q0", "q1", "q2"}


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ("sk-ant-api03-" + "a1B2" * 10, True), ("sk-proj-" + "a1B2" * 10, True),
        ("AIza" + "Sy1-_" * 7, True), ("password: correcthorse", True),
        ("my password is hunter2hunter2", True), ("my password is wrong again", False),
        ("I asked about sk-something", False),
    ],
)  # fmt: skip
def test_what_is_a_secret(
    project: Project, store: ExampleStore, text: str, is_secret: bool
) -> None:
    store.add(*clean(5), Example(text, "x", id="p0"))
    assert ids_of(project, "secrets") == ({"p0"} if is_secret else set())


def test_guesses_are_not_followed_all_at_once(project: Project, store: ExampleStore) -> None:
    store.add(*clean(80), Example("card lost stolen wallet", "x", "pin", id="p0"))
    with pytest.raises(ConfigError, match="guesses: say how many of the likeliest, with --most N"):
        plan_fix(find(project, "rows", "label-errors"))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30))
def test_nothing_goes_that_is_not_near_what_stays(pairs: list[tuple[int, int]]) -> None:
    linked = {frozenset(pair) for pair in pairs if pair[0] != pair[1]}
    seen: set[int] = set()
    for centre, members in stars([tuple(pair) for pair in linked]):  # type: ignore[misc]
        assert all(frozenset((centre, row)) in linked for row in members)
        assert not seen & {centre, *members}
        seen |= {centre, *members}
    rest = {row for pair in linked for row in pair} - seen
    assert not any(pair <= rest for pair in linked)  # no two copies are left beside each other


@pytest.mark.parametrize("rows", [1, 2, 60])
def test_stores_of_few_rows_or_equal_rows_are_audited(
    project: Project, store: ExampleStore, rows: int
) -> None:
    store.add(*(Example("all the same", "x", "one", id=f"r{n}") for n in range(rows)))
    audit = audit_store(project, "rows")
    copies = {f.id: len(f.rows) for f in audit.findings if "duplicates" in f.id}
    assert copies == ({"exact-duplicates": rows} if rows > 1 else {})
    assert "<svg" in audit_page(audit) and audit.rows == rows


def test_a_store_without_rows_or_an_unknown_finding_says_so(
    project: Project, store: ExampleStore
) -> None:
    with pytest.raises(StoreError, match="store 'rows' has no rows to look at"):
        audit_store(project, "rows")
    store.add(*clean(3))
    with pytest.raises(ConfigError, match="no finding 'conflict'; did you mean 'conflicts'"):
        audit_store(project, "rows", only=["conflict"])
    with pytest.raises(ConfigError, match="near must lie between"):
        audit_store(project, "rows", near=0.1)


def test_a_missing_extra_is_told_before_anything_is_embedded(
    project: Project, store: ExampleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(*clean(3))
    monkeypatch.setattr("promptlib.audit.auditing.find_spec", lambda name: None)
    monkeypatch.setattr("promptlib.audit.auditing.look_at", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'promptlib\[audit\]'"):
        audit_store(project, "rows")


def test_a_store_of_one_row_without_a_label_is_audited(
    project: Project, store: ExampleStore
) -> None:
    store.add(Example("where is my card", "it is on its way", id="r0"))
    audit = audit_store(project, "rows")
    assert audit.rows == 1 and not any(finding.items for finding in audit.findings)


def test_a_thousand_classes_of_two_rows(project: Project, store: ExampleStore) -> None:
    texts = sentences(2_000)
    store.add(*(Example(text, "x", f"class {n // 2}", id=f"r{n}") for n, text in enumerate(texts)))
    audit = audit_store(project, "rows")
    assert audit.economy["classes"] == 1_000
    assert len(next(f for f in audit.findings if f.id == "small-classes").rows) == 2_000
    parts = plan_split(read_rows(store), {"train": 0.8, "test": 0.2}).parts
    assert [part.rows for part in parts] == pytest.approx([1_600, 400], abs=150)


def test_a_store_that_is_too_large_is_refused_with_the_reason(
    project: Project, store: ExampleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(*clean(40))
    monkeypatch.setattr("promptlib.audit.rows.MOST", 39)
    with pytest.raises(StoreError, match="'rows' has 40 rows: an audit compares all with all"):
        audit_store(project, "rows")


def test_an_interrupted_audit_has_written_nothing(
    project: Project, store: ExampleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(*clean())
    before, revision = exported(store), store.revision

    def interrupted(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(project, "progress", lambda what, done, total: interrupted(done, total))
    with pytest.raises(KeyboardInterrupt):
        audit_store(project, "rows")
    monkeypatch.undo()
    assert (exported(store), store.revision) == (before, revision)
    assert audit_store(project, "rows").rows == 60


# -- by retrieval --------------------------------------------------------------------------------


def test_queries_show_gaps_and_what_is_asked_for(
    project: Project, store: ExampleStore, tmp_path: Path
) -> None:
    store.add(*clean(200))
    log = tmp_path / "log.jsonl"
    asked = [*sentences(30, seed=9), "quantum chromodynamics of hadrons"]
    log.write_text("".join(json.dumps({"input": text}) + "\n" for text in asked))
    audit = audit_store(project, "rows", queries=log)
    found = {finding.id: finding for finding in audit.findings}
    assert any("quantum" in item.reason for item in found["gaps"].items)
    assert "label-next rows" in found["gaps"].command
    with pytest.raises((BadExamplesError, StoreError)):
        audit_store(project, "rows", queries=tmp_path / "missing.jsonl")


def test_copies_on_both_sides_of_a_split_are_told(project: Project, store: ExampleStore) -> None:
    store.add(
        *clean(), Example("where is my card today", "card", id="a", metadata={"split": "train"}),
        Example("Where is my card today?", "card", id="b", metadata={"split": "test"}),
    )  # fmt: skip
    assert ids_of(project, "split-leakage") == {"a", "b"}
    planned = plan_split(read_rows(store), {"train": 0.7, "test": 0.3})
    store.edit(planned.edits, reason="split")
    assert [part.rows for part in planned.parts] == [
        sum(e.metadata["split"] == part for e in store) for part in ("train", "test")
    ]
    assert not ids_of(project, "split-leakage")
    sides = [e.metadata["split"] for e in store]
    assert abs(sides.count("test") / len(sides) - 0.3) < 0.1
    by_label = [sides[n] for n, e in enumerate(store) if e.label == "pin"]
    assert 0.1 < by_label.count("test") / len(by_label) < 0.5


def test_shares_of_a_split_must_make_one(project: Project, store: ExampleStore) -> None:
    store.add(*clean(20))
    rows = read_rows(store)
    for shares, reason in (
        ({"a": 0.5, "b": 0.6}, "must make 1, not 1.1"),
        ({"a": 1.0}, "two parts"),
        ({"a": 1.2, "b": -0.2}, "above 0"),
        ({"a": float("nan"), "b": 1}, "above 0"),
        ({"a": 1e-9, "b": 1 - 1e-9}, "too few rows to give some to a"),
    ):
        with pytest.raises(ConfigError, match=reason):
            plan_split(rows, shares)
    for field in ("", "label", "a=b", "a.b"):
        with pytest.raises(ConfigError, match="can't be the name"):
            plan_split(rows, {"a": 0.5, "b": 0.5}, field=field)


# -- smaller, and larger -------------------------------------------------------------------------


def test_a_reduced_store_answers_like_the_whole_one(project: Project, store: ExampleStore) -> None:
    store.add(*clean(400))
    before, planned = exported(store), plan_reduction(read_rows(store), 100)
    assert len(planned.kept) == 100 and len(planned.edits) == 300 and planned.classes == (100, 25)
    assert planned.before is not None and planned.after is not None
    assert planned.after.value > planned.before.value - 0.05
    store.edit(planned.edits, reason="reduce")
    assert len(store) == 100
    store.undo()
    assert exported(store) == before
    for size in (3, 400, 1000):
        with pytest.raises(ConfigError, match="a size must be 4, one of each label, or more"):
            plan_reduction(read_rows(store), size)


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=20).flatmap(
        lambda sizes: st.tuples(st.just(sizes), st.integers(len(sizes), sum(sizes)))
    )
)
def test_shares_add_up_and_none_is_too_large(case: tuple[list[int], int]) -> None:
    sizes, total = case
    shares = _shares(sizes, total)
    assert sum(shares) == total
    assert all(1 <= share <= size for share, size in zip(shares, sizes, strict=True))


def test_facility_location_is_greedy_and_distinct() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = facility_location(vectors, 10)
    assert len({*chosen.tolist()}) == 10
    cosine = np.maximum(vectors @ vectors.T, 0)
    assert chosen[0] == cosine.sum(axis=0).argmax()
    assert len(facility_location(vectors, 99)) == 40


def test_what_no_example_covers_is_labelled_first(project: Project, store: ExampleStore) -> None:
    store.add(*(row for row in clean(80) if row.label != "transfer"))
    candidates = [Example(text, status="draft") for text in sentences(80, seed=5)]
    chosen = label_next(candidates, read_rows(store), project.embedder, 6)
    assert len(chosen) == 6
    texts = [str(each.example.input) for each in chosen]
    assert sum(bool({"abroad", "bank", "slow", "transfer"} & {*t.split()}) for t in texts) >= 3
    assert [each.votes for each in chosen] == sorted((each.votes for each in chosen), reverse=True)
    with pytest.raises(ConfigError, match="nothing to choose from"):
        label_next(list(store), read_rows(store), project.embedder, 1)


# -- shown ---------------------------------------------------------------------------------------


def test_a_spreadsheet_brings_decisions_back(
    project: Project, store: ExampleStore, tmp_path: Path
) -> None:
    store.add(*clean(), *PLANTED["conflicts"])
    audit = audit_store(project, "rows", only=["conflicts"])
    table = [*csv.DictReader(io.StringIO(audit_csv(audit)))]
    assert {row["id"] for row in table} == {"p0", "p1"} and table[0]["audit:finding"] == "conflicts"
    for row in table:
        row["status"] = "rejected" if row["id"] == "p1" else row["status"]
    file = tmp_path / "decided.csv"
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    preview = store.import_file(file, update=True, dry_run=True)
    assert preview.updated == 1 and preview.samples == {"updated": ["p1"]}
    store.update(Example("somebody changed it", "pin", "pin", id="p1"), by="Bo")
    with pytest.raises(BadExamplesError, match=r"changed at revision 2 by Bo, after 1"):
        store.import_file(file, update=True)
    store.import_file(file, update=True, force=True)
    assert store.get("p1").status == "rejected" and "audit:finding" not in store.get("p1").metadata


def test_a_spreadsheet_changes_what_was_changed_in_it(project: Project, tmp_path: Path) -> None:
    store = project.create_store("rows", StoreSettings(label="output"))
    store.add(Example("my card", "crad", id="a"), Example("a pin", "pin", id="b"))
    file = tmp_path / "decided.csv"
    head = "id,input,output,label,store:revision\n"
    file.write_text(f"{head}a,my card,crad,card,1.0\nb,a pin,pin,pin,1\n")
    assert store.import_file(file, update=True).updated == 1
    assert store.import_file(file, update=True).updated == 0  # the same again
    assert store.get("a").output == "card"
    store.delete("b")
    store.undo()
    file.write_text(f"{head}b,a pin,pins,pin,1\n")  # b is as it was then
    assert store.import_file(file, update=True).updated == 1
    for revision in ("abc", "1.5", "-1", "99"):
        file.write_text(f"{head}b,a pin,other,pins,{revision}\n")
        with pytest.raises(BadExamplesError, match=rf":2: store:revision is '{revision}', not a r"):
            store.import_file(file, update=True)
    file.write_text(f"{head}b,a pin,other,pins,\n")
    assert store.import_file(file, update=True).updated == 1


def test_a_label_in_a_spreadsheet_goes_where_the_store_looks_for_it(
    project: Project, tmp_path: Path
) -> None:
    store = project.create_store("rows", StoreSettings(label="output"))
    store.add(Example("my card", "crad", id="a"), Example("a pin", "pin", id="b"))
    file = tmp_path / "decided.csv"
    file.write_text("id,input,output,label,status\na,my card,crad,card,approved\n"
                    "b,a pin,pins,pin,approved\n")  # fmt: skip
    store.import_file(file, update=True)
    assert (store.get("a").output, store.get("a").label) == ("card", None)
    assert (store.get("b").output, store.get("b").label) == ("pins", None)
    run = CliRunner().invoke(cli, ["-C", str(project.root), "store", "edit", "rows", "--where",
                                   "label=pins", "--label", "pin"])  # fmt: skip
    assert run.exit_code == 0 and project.store("rows").get("b").output == "pin"


def test_an_export_with_its_revision_tells_later_changes(
    project: Project, store: ExampleStore, tmp_path: Path
) -> None:
    store.add(Example("my card", "card", id="a"), Example("a pin", "pin", id="b"))
    file = tmp_path / "rows.csv"
    run = CliRunner().invoke(cli, ["-C", str(project.root), "store", "export", "rows", str(file),
                                   "--revision"])  # fmt: skip
    assert run.exit_code == 0, run.output
    store.update(replace(store.get("a"), output="lost"), by="Bo")
    assert store.import_file(file, update=True).unchanged == 2  # it says nothing new of the rows
    file.write_text(file.read_text().replace(",card,", ",crad,"))
    with pytest.raises(BadExamplesError, match="changed at revision 2 by Bo"):
        store.import_file(file, update=True)
    assert (
        store.import_file(file).conflicts == ["a"]
        and "store:revision" not in store.get("b").metadata
    )


def test_the_page_needs_nothing_else(project: Project, store: ExampleStore) -> None:
    rows = [row for name in ("conflicts", "secrets", "mojibake") for row in PLANTED[name]]
    store.add(
        *clean(), *(Example(r.input, r.output, r.label, id=f"{n}") for n, r in enumerate(rows))
    )
    page = audit_page(audit_store(project, "rows"))
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", page) and page.count("<svg") >= 2
    assert "conflicts" in page and "promptlib store" in page and KEY not in page


def test_a_table_for_an_atlas_has_places_and_neighbours(
    project: Project, store: ExampleStore, tmp_path: Path
) -> None:
    from pyarrow.parquet import read_table

    store.add(*clean(), *PLANTED["exact-duplicates"])
    file = tmp_path / "rows.parquet"
    assert write_atlas(audit_store(project, "rows", only=["exact-duplicates"]), file) == 63
    rows = read_table(file).to_pylist()
    by_id = {row["id"]: row for row in rows}
    assert by_id["p0"]["findings"] == "exact-duplicates" and by_id["c000"]["findings"] == ""
    for row in rows:
        near = [rows[at] for at in row["neighbors"]["ids"]]
        assert row["text"] not in {other["text"] for other in near}
        cosine = [float(np.dot(row["vector"], other["vector"])) for other in near]
        assert np.allclose(row["neighbors"]["distances"], 1 - np.array(cosine), atol=1e-5)


def test_places_are_the_same_for_the_same_vectors() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((50, 16)).astype(np.float32)
    assert np.allclose(project_rows(vectors), project_rows(vectors))
    assert project_rows(np.ones((9, 4), np.float32)).shape == (9, 2)


@pytest.fixture
def command(project: Project, store: ExampleStore) -> Iterator[Any]:
    store.add(*clean(), *PLANTED["exact-duplicates"], replace(PLANTED["conflicts"][1], id="q1"))
    project.close()

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["-C", str(project.root), "store", *arguments])

    yield run


def test_the_commands(command: Any, project: Project, tmp_path: Path) -> None:
    page, table = tmp_path / "a.html", tmp_path / "a.csv"
    done = command("audit", "rows", "--html", str(page), "--csv", str(table))
    assert done.exit_code == 0, done.output
    assert "exact-duplicates" in done.stdout and page.stat().st_size and table.stat().st_size
    assert "nothing found: secrets" in done.stderr
    listed = json.loads(command("audit", "rows", "--only", "conflicts", "--json").stdout)
    assert listed["findings"][0]["id"] == "conflicts"
    dry = command("fix", "rows", "--finding", "exact-duplicates", "--dry-run")
    assert "a dry run" in dry.stderr and project.store("rows").revision == 1
    assert "mended 2 rows" in command("fix", "rows", "--finding", "exact-duplicates").stderr
    assert "nothing to mend" in command("fix", "rows", "--finding", "exact-duplicates").stderr
    assert "took revision 2 back" in command("undo", "rows").stderr
    assert "removed" not in command("dedupe", "rows", "--dry-run").stderr
    assert command("reduce", "rows", "--to", "1").exit_code == 1
    assert "before" in command("reduce", "rows", "--to", "20", "--dry-run").stdout
    assert command("split", "rows", "--into", "a=x,b=1").exit_code == 2
    assert command("audit", "rows", "--html", "/nowhere/a.html").exit_code == 1
    other = promptlib.open(project.root).create_store("other")
    other.add(Example("a new one", "card", id="new"))
    assert "1 added" in command("merge", "rows", "other").stderr
    assert command("merge", "rows", "rows").exit_code == 2
    log = tmp_path / "log.jsonl"
    log.write_text('{"input": "where do I find my statement"}\n')
    chosen = command("label-next", "rows", "1", "--from", str(log), "--add")
    assert (
        json.loads(chosen.stdout)["input"].startswith("where do I") and "1 draft" in chosen.stderr
    )


def test_normalised_texts_keep_their_words() -> None:
    assert normalised("  Where's my CARD?! ") == "where s my card"
    assert normalised("ﬁne １２") == "fine 12" and normalised("?!") == ""
    assert normalised("我的卡丢了。") == "我的卡丢了"
