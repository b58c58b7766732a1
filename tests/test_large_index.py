"""Indexes of large stores: cells in place of every vector, likely rows in place of every row."""

import random
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import promptlib.index.base
import promptlib.index.base_files
import promptlib.index.bm25
import promptlib.index.nearest
import promptlib.index.pruning
from promptlib.example import Example
from promptlib.index.bm25 import Corpus, Part, bm25_scores, bm25_scores_at, known_terms
from promptlib.index.lexical import Postings, terms_of
from promptlib.index.nearest import make_flat, make_inverted, probes_for
from promptlib.index.vector import ExampleIndex
from promptlib.index.vector_file import MANY, VectorFile
from promptlib.index.word_scores import TINY, WordScores, _least
from promptlib.store.store import ExampleStore
from tests.test_index import answers, fill, fresh

TEXTS = st.lists(st.lists(st.sampled_from("aabbbccdefgh"), max_size=9).map(" ".join), max_size=40)


def best(words: WordScores, k: int, alive: np.ndarray) -> list[tuple[float, int]]:
    rows, scores = words.best(k, alive)
    assert all(scores > 0) and np.array_equal(scores, words.at(rows))
    return sorted(zip((-scores).tolist(), rows.tolist(), strict=True))[:k]


@given(TEXTS, TEXTS, st.data())
def test_the_likely_rows_hold_the_best(old: list[str], new: list[str], data: st.DataObject) -> None:
    marks = st.lists(st.booleans(), min_size=len(old) + len(new), max_size=len(old) + len(new))
    alive, allowed = (np.array(data.draw(marks), bool) for _ in range(2))
    query = terms_of(data.draw(st.lists(st.sampled_from("abcdefgh"), max_size=6).map(" ".join)))
    base, delta = Postings.of_texts(old), Part(Postings.of_texts(new), alive[len(old) :])
    dense, pruned = (
        Corpus((Part(each, alive[: len(old)]), delta)) for each in (base, base.with_impacts())
    )
    every = WordScores(known_terms(query, dense), dense, 5)
    likely = WordScores(known_terms(query, pruned), pruned, 5)
    with (
        patch.object(promptlib.index.pruning, "FEW", 0),
        patch.object(promptlib.index.pruning, "SEEDING", 5),
        patch.object(promptlib.index.pruning, "SEEDS", 3),
        patch.object(promptlib.index.pruning, "STEP", 2),
    ):
        for k in (1, 3, 10):
            assert best(every, k, alive & allowed) == best(likely, k, alive & allowed)
    everywhere = np.arange(len(alive))
    assert np.array_equal(every.at(everywhere), likely.at(everywhere))


@given(TEXTS, st.data(), st.integers(1, 12), st.sampled_from((1, 2, 5)))
def test_the_best_are_those_of_all_rounded_scores(
    rows: list[str], data: st.DataObject, k: int, digits: int
) -> None:
    marks = st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))
    alive, allowed = (np.array(data.draw(marks), bool) for _ in range(2))
    query = terms_of(data.draw(st.lists(st.sampled_from("abcdefgh"), max_size=6).map(" ".join)))
    corpus = Corpus((Part(Postings.of_texts(rows), alive),))
    known = known_terms(query, corpus)
    scores = np.where(alive & allowed, bm25_scores(known, corpus).round(digits), 0.0)
    least = np.sort(scores)[-k] if len(rows) > k else 0.0
    expected = [at for at, score in enumerate(scores) if score > 0 and score >= least]
    found, theirs = WordScores(known, corpus, digits).best(k, alive & allowed)
    assert found.tolist() == expected and np.array_equal(theirs, scores[expected])


@given(TEXTS, st.data())
def test_many_terms_score_as_all_at_once(rows: list[str], data: st.DataObject) -> None:
    query = terms_of(data.draw(st.lists(st.sampled_from("abcdefgh"), max_size=9).map(" ".join)))
    corpus = Corpus((Part(Postings.of_texts(rows), np.ones(len(rows), bool)),))
    known = known_terms(query, corpus)
    expected = bm25_scores(known, corpus)
    for at_once in (1, 3):
        with patch.object(promptlib.index.bm25, "AT_ONCE", at_once):
            assert np.array_equal(bm25_scores(known, corpus), expected)
    assert np.array_equal(bm25_scores_at(known, corpus, np.arange(len(rows))), expected)


@given(st.integers(0, 2_000), st.integers(1, 30), st.integers(0, 9), st.integers(0, 10**6))
def test_a_look_at_some_scores_changes_nothing(
    count: int, k: int, distinct: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, distinct + 1, count) / 7 if distinct else rng.random(count)
    expected = np.sort(scores)[-k] if count > k else 0.0
    assert _least(scores, k) == max(expected, TINY)


def test_an_index_of_cells_answers_like_one_of_all_vectors(
    store: ExampleStore, tmp_path: Path, small_is_large: None
) -> None:
    fill(store, 400)
    folder, every_cell = tmp_path / "index", 2.0
    index = ExampleIndex(store, folder=folder, recall=every_cell)
    assert index.refresh().base.finder.kind == "inverted file"
    for step in range(6):
        with patch.object(promptlib.index.base, "FLAT_ROWS", 10**6):
            expected = fresh(store)
        assert answers(index) == expected
        assert answers(ExampleIndex(store, folder=folder, recall=every_cell)) == expected
        chance = random.Random(step)
        store.add(Example(f"lost card {step}", "x", "new", id=f"n{step}"))
        store.delete(chance.choice([row.id for row in store.rows()]))
        row = store.get(chance.choice([row.id for row in store.rows()]))
        store.update(Example("a new pin code", "y", "u", id=row.id))


def test_probes_reach_the_recall_that_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3_000, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    index = make_inverted(vectors)
    few, low = probes_for(index, vectors, 0.5)
    many, high = probes_for(index, vectors, 0.95)
    assert 0.5 <= low < 0.95 <= high and few < many < index.nlist
    assert probes_for(index, vectors, 2.0)[0] == index.nlist


def test_vectors_in_a_file_are_those_of_the_array(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(2 * MANY, 8)).astype(np.float16)
    (tmp_path / "v").write_bytes(rows.tobytes())
    file = VectorFile(tmp_path / "v", len(rows), 8)
    assert len(file) == len(rows) and file.shape == rows.shape
    marks = np.arange(len(rows)) % 3 == 0
    for at in (slice(None), slice(5, 9), slice(9, 5), slice(1, 50, 7), [3, 1, 3], [], marks,
               np.arange(MANY + 5)):  # fmt: skip
        assert np.array_equal(file[at], rows[np.array(at, int) if isinstance(at, list) else at])


def test_files_that_were_copied_are_read_once_and_damage_is_seen(
    store: ExampleStore, tmp_path: Path, small_is_large: None, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, 120)
    folder = tmp_path / "index"
    expected = answers(ExampleIndex(store, folder=folder, recall=2.0))
    here = folder / (folder / "current").read_text()
    for file in here.iterdir():
        file.write_bytes(file.read_bytes())  # another time, the same content
    assert answers(ExampleIndex(store, folder=folder, recall=2.0)) == expected
    with patch.object(promptlib.index.base_files, "_checksum", None):  # reading would fail
        assert answers(ExampleIndex(store, folder=folder, recall=2.0)) == expected
    assert not caplog.text
    data = bytearray((here / "vectors.f16").read_bytes())
    data[len(data) // 2] ^= 0x40
    (here / "vectors.f16").write_bytes(data)
    assert answers(ExampleIndex(store, folder=folder, recall=2.0)) == expected
    assert "vectors.f16 damaged" in caplog.text


VECTORS = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 120), st.just(6)), elements=st.floats(-1, 1, width=32)
)


@settings(max_examples=60)
@given(VECTORS, st.integers(1, 130), st.integers(0, 119))
def test_no_other_row_is_nearer_than_a_flat_search_says(
    drawn: np.ndarray, count: int, one: int
) -> None:
    lengths = np.linalg.norm(drawn, axis=1, keepdims=True)
    rows = np.where(lengths > 1e-3, drawn / np.maximum(lengths, 1e-3), np.eye(6)[0])
    halves, queries = rows.astype(np.float16), rows[one % len(rows) :][:3].astype(np.float32)
    with patch.object(promptlib.index.nearest, "FURTHER", 2):
        scans = make_flat(halves).find(
            queries, min(count, len(rows)), np.ones(len(rows), bool), None
        )
    for query, (_, found, ceiling) in zip(queries, scans, strict=True):
        others = np.delete(np.arange(len(rows)), found)
        assert len(found) >= min(count, len(rows)) and ceiling is not None
        assert all(halves[others].astype(np.float64) @ query.astype(np.float64) <= ceiling)
