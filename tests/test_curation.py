"""The five criteria, suspects, history: each on data whose answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from promptlib.curation.criteria import (
    balanced,
    consistent,
    diverse,
    relevant,
    representative,
    separation,
)
from promptlib.curation.diversity import vendi_score
from promptlib.curation.general import general_texts, general_vectors
from promptlib.curation.history import read_history
from promptlib.curation.sample import Sample, read_sample
from promptlib.curation.suspects import suspects
from promptlib.embedding.embedder import HashingEmbedder
from promptlib.example import Example
from promptlib.index.candidates import Candidates
from promptlib.index.vector import ExampleIndex
from promptlib.project import Project
from promptlib.store.store import ExampleStore
from promptlib.store.tables import revisions


def sample_of(vectors: np.ndarray, codes: Sequence[int]) -> Sample:
    vectors = np.asarray(vectors, np.float32)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    count = len(vectors)
    found = Candidates.none(vectors.shape[1])
    found = Candidates(**{
        **vars(found), "positions": np.arange(count), "keys": np.arange(count),
        "ids": np.array([str(at) for at in range(count)]),
        "read_vectors": lambda positions: vectors[positions].astype(np.float16),
    })  # fmt: skip
    examples = [Example(f"input {at}", f"output {at}", id=str(at)) for at in range(count)]
    labels = [f"label {code}" for code in range(max(codes, default=-1) + 1)]
    return Sample(found, np.array(codes), labels, examples, count)


def noise(rows: int, seed: int = 0, middle: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(middle, 1, size=(rows, 24)).astype(np.float32)


def test_a_store_like_its_queries_is_representative() -> None:
    sample = sample_of(noise(200), [0] * 200)
    alike = representative(sample, sample_of(noise(200, 1), [0]).vectors)
    other = representative(sample, sample_of(noise(200, 2, middle=1.5), [0]).vectors)
    assert alike.grade == "good" and alike.score is not None and alike.score.low < 0.6
    assert other.grade == "bad" and other.score is not None and other.score.value > 0.9
    assert other.beside["uncovered_queries"] > alike.beside["uncovered_queries"]
    assert representative(sample, None).missing and representative(sample, None).grade is None


def test_copies_make_a_store_less_diverse() -> None:
    general = sample_of(noise(300, 5), [0]).vectors
    rows = noise(100)
    varied, copied = (
        sample_of(rows, [0] * 100),
        sample_of(np.repeat(rows[:50], 2, axis=0), [0] * 100),
    )
    assert diverse(varied, general).grade == "good"
    found = diverse(copied, general)
    assert found.grade == "bad" and found.score is not None and found.score.value == 0.5
    assert len(found.affected) == 50


def test_even_classes_are_balanced() -> None:
    even, uneven = [0, 1, 2, 3] * 25, [0] * 97 + [1, 2, 3]
    good, bad = (balanced(sample_of(noise(100), codes)) for codes in (even, uneven))
    assert good.grade == "good" and good.score is not None and good.score.value == pytest.approx(1)
    assert bad.grade == "bad" and bad.affected == ["97", "98", "99"]
    assert balanced(sample_of(noise(9), [-1] * 9)).missing


def test_near_copies_of_other_labels_contradict() -> None:
    rows = np.repeat(noise(40), 2, axis=0)
    agreeing = sample_of(rows, np.repeat(np.arange(40) % 4, 2))
    codes = np.repeat(np.arange(40) % 4, 2)
    codes[1] = (codes[1] + 1) % 4
    clashing = consistent(sample_of(rows, codes), None)
    assert consistent(agreeing, None).grade == "good"
    assert clashing.affected == ["0", "1"] and clashing.beside["pairs"] == 40
    assert clashing.score is not None and clashing.score.value == pytest.approx(1 / 40)


def test_rows_that_no_query_reaches_are_irrelevant() -> None:
    rows = noise(200)
    sample = sample_of(rows, [0] * 200)
    log = sample_of(np.repeat(rows[:5], 12, axis=0) + 0.01 * noise(60, 3), [0]).vectors
    found = relevant(sample, log)
    assert found.score is not None and found.score.value > 0.5 and found.grade == "bad"
    assert not {*found.affected} & {str(at) for at in range(5)}
    assert "at least 50 real queries" in relevant(sample, log[:20]).missing


@given(st.integers(1, 12), st.integers(1, 4))
def test_the_vendi_score_counts_different_rows(different: int, times: int) -> None:
    vectors = np.repeat(np.eye(16, dtype=np.float32)[:different], times, axis=0)
    assert vendi_score(vectors) == pytest.approx(different, rel=1e-5)


def test_suspects_are_rows_that_look_like_another_class() -> None:
    rng = np.random.default_rng(0)
    codes = np.arange(300) % 3
    truth = codes.copy()
    truth[:9] = (truth[:9] + 1) % 3
    shares = rng.dirichlet([1, 1, 1], 300) * 0.2
    shares[np.arange(300), truth] += 0.8
    marked = suspects(shares, codes)
    assert marked[:9].sum() >= 6 and not marked[9:].any()


def test_the_general_sample_is_embedded_once(project: Project) -> None:
    first = general_vectors(project.database, project.embedder)
    assert first.shape == (len(general_texts()), project.embedder.dim)

    class Counting(HashingEmbedder):
        def embed(self, texts, *, kind="document"):  # type: ignore[no-untyped-def]
            raise AssertionError("embedded again")

    assert np.array_equal(general_vectors(project.database, Counting()), first)


def test_a_sample_has_every_row_once_in_any_order(project: Project) -> None:
    index = project.index("tickets")
    with index.store.database.read() as connection:
        state = index.refresh(connection)
        whole = read_sample(index, state, connection, 99)
        part = read_sample(index, state, connection, 4)
    assert sorted(e.id for e in whole.examples) == sorted(e.id for e in index.store.list())
    assert [e.id for e in part.examples] == [e.id for e in whole.examples[:4]]
    for example, code in zip(whole.examples, whole.codes.tolist(), strict=True):
        assert whole.labels[code] == example.output
    assert part.rows == len(whole)


# -- history ---------------------------------------------------------------------------------------


def aged(store: ExampleStore, days: dict[int, float]) -> None:
    """Move revisions into the past: number -> days ago."""
    with store.database.write() as connection:
        for number, ago in days.items():
            at = (datetime.now(UTC) - timedelta(days=ago)).isoformat()
            step = update(revisions).where(revisions.c.number == number)
            connection.execute(step.values(at=at))


def test_history_tells_new_labels_and_corrections(store: ExampleStore) -> None:
    rows = [Example(f"text {at}", label, label=label, id=f"{label}{at}")
            for label in "abcd" for at in range(3)]  # fmt: skip
    store.add(*rows)
    young = read_history(store)
    assert young.is_young and young.corrections == []
    store.add(Example("new", "e", label="e", id="e0"))
    store.delete("a0", "a1", "a2")
    store.update(Example("text 0", "better", label="b", id="b0"))
    store.update(Example("changed text", "c", label="c", id="c0"))
    aged(store, {1: 61, 2: 10, 3: 9, 4: 8, 5: 7})
    found = read_history(store)
    assert not found.is_young and found.months == pytest.approx(2, abs=0.01)
    assert found.churn == pytest.approx(2 / 5 / 2, abs=0.01)  # one came, one went
    assert found.new_labels == pytest.approx(1 / 5)
    assert [(c.id, c.rejected, c.chosen) for c in found.corrections] == [("b0", "b", "better")]


def test_an_empty_store_has_no_history(store: ExampleStore) -> None:
    found = read_history(store)
    assert found.is_young and found.churn is None and found.new_labels is None


def test_an_index_of_nothing_gives_an_empty_sample(store: ExampleStore) -> None:
    index = ExampleIndex(store)
    with store.database.read() as connection:
        sample = read_sample(index, index.refresh(connection), connection, 10)
    assert len(sample) == 0 and len(sample.twins) == 0


def test_copies_do_not_tell_samples_apart() -> None:
    distinct, copied = noise(120), np.repeat(noise(60, 1), 5, axis=0)
    auc = separation(sample_of(distinct, [0]).vectors, sample_of(copied, [0]).vectors)
    assert auc is not None and auc.low < 0.6
    assert separation(sample_of(distinct, [0]).vectors, sample_of(copied[:5], [0]).vectors) is None


def test_a_sample_without_a_label_has_no_balance() -> None:
    sample = replace(sample_of(noise(9), [-1] * 9), labels=["a", "b"])
    assert balanced(sample).missing


def test_doubtful_rows_are_to_be_looked_at() -> None:
    suspected = np.array([True] + [False] * 29)
    found = consistent(sample_of(noise(30), [0, 1] * 15), suspected)
    assert found.affected == ["0"] and found.beside["suspected_labels"] == pytest.approx(1 / 30)


def test_one_pair_of_copies_says_nothing() -> None:
    rows = noise(40)
    rows[1] = rows[0]
    found = consistent(sample_of(rows, [0, 1] * 20), None)
    assert found.grade is None and found.affected == ["0", "1"] and "20 pairs" in found.missing
