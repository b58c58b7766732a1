"""How far a store's language is from what a model has mostly read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from promptlib.advice.facts import Fact
from promptlib.curation.criteria import separation
from promptlib.curation.general import general_texts
from promptlib.intervals import mean_of, wilson

LOOKED_AT = 500
"""Texts that are looked at."""

LONGEST_WORDS = 14
"""Characters between two spaces, on average, beyond which they part no words: in Chinese, URLs."""


def language_facts(
    texts: Sequence[str],
    count: Callable[[str], int],
    *,
    declared: str,
    spoken: Sequence[str] | None,
) -> dict[str, Fact]:
    """Measure how finely texts are tokenized, and whether the model speaks their language.

    `declared` is the language that the store says it has, `spoken` those that the model knows well.
    """
    texts = texts[:LOOKED_AT]
    facts: dict[str, Fact] = {}
    if sum(map(len, texts)) <= LONGEST_WORDS * sum(len(text.split()) for text in texts):
        everyday = [_tokens_a_word(text, count) for text in general_texts()[:LOOKED_AT]]
        ratios = np.array([_tokens_a_word(text, count) for text in texts]) / np.mean(everyday)
        note = "tokens a word, beside everyday English"
        facts["fertility"] = Fact.of(mean_of(ratios), note=note)
    if not spoken:
        return facts
    if declared:
        foreign = declared.partition("-")[0].lower() not in spoken
        note = f"store.toml says {declared}"
        facts["foreign_share"] = Fact(float(foreign), "profile", note=note)
    elif find_spec("py3langid") is not None:
        import py3langid

        codes = [py3langid.classify(text)[0] for text in texts]
        share = wilson(sum(code not in spoken for code in codes), len(codes))
        most = max(set(codes), key=codes.count)
        facts["foreign_share"] = Fact.of(share, note=f"by py3langid, most often {most}")
    return facts


def distance_facts(vectors: NDArray[np.float32], general: NDArray[np.float32]) -> dict[str, Fact]:
    """Measure how well a classifier tells the store from everyday English."""
    auc = separation(vectors, general)
    note = "nearly any store is told apart from general text"
    return {} if auc is None else {"domain_auc": Fact.of(auc, note=note)}


def _tokens_a_word(text: str, count: Callable[[str], int]) -> float:
    return count(text) / max(1, len(text.split()))
