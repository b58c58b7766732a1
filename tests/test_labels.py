"""Labels of a store: counts, other names, definitions, and several annotators' opinions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.curation.annotators import choose_labels, majority, measure_agreement
from promptlib.curation.labels import define_label, label_counts, rename_labels
from promptlib.errors import ConfigError, StoreError
from promptlib.example import Example
from promptlib.store.database import Database
from promptlib.store.settings import StoreSettings
from promptlib.store.store import ExampleStore
from tests.test_store import exported

PLACES = {
    "output": lambda label, n: Example(f"text {n}", label),
    "output.intent": lambda label, n: Example(f"text {n}", {"intent": label, "slots": ["x"]}),
    "topic": lambda label, n: Example(f"text {n}", "yes", metadata={"topic": label, "n": n}),
    "": lambda label, n: Example(f"text {n}", "yes", label),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_label_gets_another_name_where_it_is(
    store: ExampleStore, place: str, tmp_path: Path
) -> None:
    settings = StoreSettings(label=place, label_definitions={"a": "The first."})
    other = ExampleStore.create(store.database, "other", store.embedder, settings)
    other.add(*(PLACES[place](label, n) for n, label in enumerate("aabcc")))
    before = exported(other)
    rename_labels(other, {"a": "z"})
    assert [(c.label, c.approved) for c in label_counts(other)] == [("c", 2), ("z", 2), ("b", 1)]
    assert other.settings.label_definitions == {"z": "The first."}
    rename_labels(other, {"z": "c", "b": "c"}, merge=True)
    assert [(c.label, c.approved, c.definition) for c in label_counts(other)] == [
        ("c", 5, "The first.")
    ]
    other.undo()
    other.undo(2)
    assert exported(other) == before and other.settings == settings


def test_an_output_that_is_the_label_follows_it(store: ExampleStore) -> None:
    store.add(Example("x", "a", "a", id="same"), Example("y", "an answer", "a", id="other"))
    rename_labels(store, {"a": "b"})
    assert (store.get("same").output, store.get("same").label) == ("b", "b")
    assert (store.get("other").output, store.get("other").label) == ("an answer", "b")


def test_a_name_that_cannot_be_given_says_why(store: ExampleStore) -> None:
    store.add(Example("x", "1", "spam"), Example("y", "1", "ham"))
    for names, reason in (
        ({"spma": "x"}, "no row has the label 'spma'; did you mean 'spam'"),
        ({"spam": "ham"}, "there are rows with 'ham' already: to make them one, merge"),
        ({"spam": " "}, "a label can't be empty"),
    ):
        with pytest.raises(StoreError, match=reason):
            rename_labels(store, names)
    with pytest.raises(StoreError, match="no row has the label 'eggs'"):
        define_label(store, "eggs", "From hens.")
    assert store.revision == 1
    rename_labels(store, {"spam": "ham", "ham": "spam"})  # at once, so both are free
    assert {c.label: c.approved for c in label_counts(store)} == {"spam": 1, "ham": 1}


def test_a_definition_is_a_change_like_any_other(store: ExampleStore) -> None:
    store.add(Example("x", "1", "spam"))
    define_label(store, "spam", "  Nobody\nasked for it. ")
    assert store.settings.label_definitions == {"spam": "Nobody asked for it."}
    define_label(store, "spam", "")
    assert not store.settings.label_definitions
    store.undo()
    assert label_counts(store)[0].definition == "Nobody asked for it."


def annotated(*said: dict[str, str]) -> list[Example]:
    return [
        Example(f"text {n}", "x", "a", {"annotations": labels}, id=f"r{n}")
        for n, labels in enumerate(said)
    ]


def test_agreement_is_krippendorffs() -> None:
    # Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C (nominal): .743.
    coders = {
        "A": "1 2 3 3 2 1 4 1 2 . . .", "B": "1 2 3 3 2 2 4 1 2 5 . 3",
        "C": ". 3 3 3 2 3 4 2 2 5 1 .", "D": "1 2 3 3 2 4 4 1 2 5 1 .",
    }  # fmt: skip
    units = zip(*(line.split() for line in coders.values()), strict=True)
    rows = annotated(
        *({who: said for who, said in zip(coders, unit, strict=True) if said != "."}
          for unit in units)
    )  # fmt: skip
    found = measure_agreement(rows)
    assert found.alpha == pytest.approx(0.743, abs=0.001)
    assert (found.rows, found.shared) == (12, 11) and set(found.disputed) == {"r1", "r5", "r7"}
    assert [each.name for each in found.annotators] == list("ABCD")


def test_agreement_on_one_label_alone_is_perfect_and_alone_it_is_unknown() -> None:
    assert measure_agreement(annotated({"a": "x", "b": "x"})).alpha == 1
    found = measure_agreement(annotated({"a": "x"}, {"b": "y"}))
    assert found.alpha is None and found.annotators[0].agrees is None
    with pytest.raises(ConfigError, match="no row has annotations: its metadata needs 'annota"):
        measure_agreement([Example("x", "y")])


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1))
def test_the_majority_is_more_than_any_other(said: list[dict[str, str]]) -> None:
    rows, settings = annotated(*said), StoreSettings()
    chosen = {edit.before.id: edit.after for edit in choose_labels(rows, settings)}
    for row, labels in zip(rows, said, strict=True):
        votes = list(labels.values())
        most = majority(votes)
        if most is not None:
            assert all(votes.count(most) > votes.count(x) for x in set(votes) - {most})
        after = chosen.get(row.id)
        assert (after.label if after else row.label) == (most or row.label)


def test_one_annotator_can_be_chosen() -> None:
    rows = annotated({"ada": "x", "bo": "y"}, {"bo": "z"})
    [edit] = choose_labels(rows, StoreSettings(), "ada")
    assert edit.after is not None and edit.after.label == "x"
    with pytest.raises(ConfigError, match="no annotator 'adda'; did you mean 'ada'"):
        choose_labels(rows, StoreSettings(), "adda")


def test_a_thousand_classes_of_two_rows_can_be_renamed(tmp_path: Path, store: ExampleStore) -> None:
    database = Database("sqlite:///many.db", root=tmp_path)
    many = ExampleStore.create(database, "many", store.embedder)
    many.add(*(Example(f"t {n}", "x", f"class {n // 2}") for n in range(2000)))
    rename_labels(many, {f"class {n}": f"kind {n % 10}" for n in range(1000)}, merge=True)
    assert [c.approved for c in label_counts(many)] == [200] * 10
