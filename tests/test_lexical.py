"""Words and BM25, with bm25s as the reference."""

import random
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptlib.index.bm25 import Corpus, Part, bm25_scores, known_terms, word_weights
from promptlib.index.lexical import Postings, terms_of, words_of

FINALISERS = """
import gc
gc.disable()  # what is garbage stays, to be seen
import cli.main, promptlib
from promptlib.index.lexical import words_of
words_of("plain words")
print([type(o) for o in gc.get_objects() if type(o).__module__ == "regex._regex_core"
       and hasattr(type(o), "__del__")])
"""

texts = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8).map(" ".join), max_size=12)


def scores(query: str, rows: list[str], alive: list[bool] | None = None) -> np.ndarray:
    marks = np.array([True] * len(rows) if alive is None else alive, dtype=bool)
    corpus = Corpus((Part(Postings.of_texts(rows), marks),))
    return bm25_scores(known_terms(terms_of(query), corpus), corpus)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What is my PIN?", ["what", "is", "my", "pin"]),
        ("naïve Straße 3.5 foo_bar", ["naïve", "strasse", "3", "5", "foo_bar"]),
        ("我的卡丢了", ["我的", "的卡", "卡丢", "丢了"]),
        ("卡", ["卡"]),
        ("my 卡片 card", ["my", "卡片", "card"]),
        ("カード払い", ["カー", "ード", "ド払", "払い"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("ไทย", ["ไท", "ทย"]),
        ("🙂 — ...", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_plain_words_leave_no_finaliser_that_could_swallow_an_interrupt() -> None:
    done = subprocess.run([sys.executable, "-c", FINALISERS], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_text_is_cut_as_all_text_is(text: str) -> None:
    assert [*words_of(text), "é"] == words_of(f"{text} é")


@given(texts.filter(any), st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5))
def test_scores_are_those_of_the_reference(rows: list[str], query: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bm25s import BM25
    reference = BM25(method="lucene", k1=1.5, b=0.75)
    reference.index([words_of(row) for row in rows], show_progress=False)
    known = [word for word in query if any(word in row.split() for row in rows)]
    expected = reference.get_scores(known) if known else np.zeros(len(rows))
    assert scores(" ".join(query), rows) == pytest.approx(expected, abs=1e-4)


@given(texts, st.data())
def test_base_and_delta_score_as_one_index_of_the_living(
    rows: list[str], data: st.DataObject
) -> None:
    alive = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    cut = data.draw(st.integers(0, len(rows)))
    marks = np.array(alive, dtype=bool)
    parts = (
        Part(Postings.of_texts(rows[:cut]), marks[:cut]),
        Part(Postings.of_texts(rows[cut:]), marks[cut:]),
    )
    corpus = Corpus(parts)
    found = bm25_scores(known_terms(terms_of("a b c b"), corpus), corpus)[marks]
    fresh = scores("a b c b", [row for row, lives in zip(rows, alive, strict=True) if lives])
    assert found.tolist() == fresh.tolist()  # to the last bit


@given(texts, texts, st.data())
def test_joining_is_indexing_what_is_kept_and_what_is_new(
    old: list[str], new: list[str], data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(old), max_size=len(old)))
    joined = Postings.of_texts(old).joined(np.array(kept, dtype=bool), Postings.of_texts(new))
    fresh = Postings.of_texts([row for row, keep in zip(old, kept, strict=True) if keep] + new)
    for name in ("terms", "starts", "rows", "counts", "lengths"):
        assert getattr(joined, name).tolist() == getattr(fresh, name).tolist()


def test_common_words_alone_find_something() -> None:
    rows = ["to be or not to be", "a card", "what is it"]
    assert scores("is it to be", rows).argsort()[::-1][:2].tolist() in ([0, 2], [2, 0])
    assert (scores("is it to be", rows) > 0).tolist() == [True, False, True]


def test_chinese_is_found_by_pairs_of_characters() -> None:
    rows = ["我的卡丢了", "怎么换汇率", "卡片还没到"]
    assert scores("卡丢了怎么办", rows).argmax() == 0
    assert scores("汇率是多少", rows).argmax() == 1


def test_characters_written_in_two_ways_are_one_word() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert words_of(composed) == words_of(decomposed) and words_of("ＡＢＣ") == ["abc"]


def test_an_empty_index_and_an_unknown_word() -> None:
    assert scores("a", []).tolist() == []
    assert scores("zebra", ["a b", "c"]).tolist() == [0, 0]
    chance = random.Random(0)
    long = [" ".join(chance.choices("abc", k=50)) for _ in range(20)]
    assert (scores("a", long) > 0).all()


@given(
    st.lists(st.text("abc ", max_size=6), max_size=6), st.lists(st.text("abc ", max_size=6)),
    st.text("abcd ", max_size=8), st.data(),
)  # fmt: skip
def test_rows_have_the_weights_of_their_words(
    first: list[str], second: list[str], query: str, data: st.DataObject
) -> None:
    texts = [*first, *second]
    marks = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))))
    marks = marks.astype(bool)
    parts = (
        Part(Postings.of_texts(first), marks[: len(first)]),
        Part(Postings.of_texts(second), marks[len(first) :]),
    )
    corpus = Corpus(parts)
    positions = np.flatnonzero(marks)[::-1]
    known = known_terms(terms_of(query), corpus)
    weights = word_weights(known, corpus, positions)
    alive = [set(words_of(texts[at])) for at in positions]
    words = [w for w in {*words_of(query)} if any(w in row for row in alive)]
    assert weights.shape == (len(positions), len(words)) and len(known) == len(words)
    for row, has in zip(weights, alive, strict=True):
        expected = [
            np.log1p((len(alive) - n + 0.5) / (n + 0.5))
            for w in words
            if w in has
            for n in [sum(w in other for other in alive)]
        ]
        assert sorted(row[row > 0]) == pytest.approx(sorted(expected))
