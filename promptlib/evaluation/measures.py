"""What can be said of a prompt's examples when the answer is known. Pure.

Proxies: none of them asks a language model. docs/evaluation.md says what they predict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promptlib.example import output_text
from promptlib.index.lexical import words_of
from promptlib.selection.pool import TEMPERATURE

MEASURES: Mapping[str, str] = {
    "label_hit": "share of queries whose own label is among the examples",
    "vote_accuracy": "share of queries whose label wins a vote of the examples, weighed by "
    "exp(similarity / 0.05)",
    "ndcg": "how many examples have the query's label and how near the top they stand",
    "label_coverage": "distinct labels among the examples, of those that could be",
    "output_similarity": "overlap of the query's output with the most similar output shown "
    "(F1 of words)",
    "word_coverage": "share of the query's words, by rarity, that some example has",
    "redundancy": "mean cosine among the examples",
    "examples": "examples shown",
    "tokens": "tokens of the whole prompt",
    "budget_use": "tokens as a share of the budget less the reserve",
    "failed": "share of queries whose prompt can't be built within the budget; they count as wrong",
    "latency_ms": "choosing, fitting and rendering, without embedding and search",
}


@dataclass(frozen=True)
class Shown:
    """The examples of one prompt, best first, and what the query wanted."""

    labels: Sequence[str | None]
    similarity: NDArray[np.float64]
    vectors: NDArray[np.floating]
    words: NDArray[np.float64]
    """The weight of each of the query's words where an example has it, (n, words)."""
    all_words: NDArray[np.float64]
    """The weight of each of the query's words that any candidate has, (words,)."""
    outputs: Sequence[Any]
    label: str | None
    """The query's own."""
    output: Any
    """What the query's answer is; None where that isn't known."""
    same: int
    """Examples of the store that have the query's label."""
    classes: int
    """Labels of the store."""
    k: int


def measure(shown: Shown) -> dict[str, float]:
    """Measure one prompt; what isn't defined for it is left out."""
    found: dict[str, float] = {}
    if shown.label is not None:
        hits = np.array([label == shown.label for label in shown.labels], dtype=float)
        found["label_hit"] = float(hits.any())
        found["vote_accuracy"] = float(vote(shown.labels, shown.similarity) == shown.label)
        found["ndcg"] = _ndcg(hits, min(shown.k, shown.same))
        if possible := min(shown.k, shown.classes):
            found["label_coverage"] = len({*shown.labels} - {None}) / possible
    elif shown.output is not None:
        mine, others = output_text(shown.output), map(output_text, shown.outputs)
        found["output_similarity"] = max((overlap(mine, other) for other in others), default=0.0)
    if total := shown.all_words.sum():
        covered = shown.words.max(axis=0, initial=0) > 0
        found["word_coverage"] = float(shown.all_words[covered].sum() / total)
    if (n := len(shown.vectors)) > 1:
        vectors = shown.vectors.astype(np.float64)
        cosines = vectors @ vectors.T
        found["redundancy"] = float((cosines.sum() - np.trace(cosines)) / (n * (n - 1)))
    found["examples"] = float(n)
    return found


def vote(labels: Sequence[str | None], similarity: Sequence[float] | NDArray[np.float64]) -> Any:
    """Find the label with most votes exp(similarity / TEMPERATURE); None without labels.

    What a language model answers when it does no more than follow the nearest examples.
    """
    votes: dict[str, float] = {}
    for label, cosine in zip(labels, similarity, strict=True):
        if label is not None:
            votes[label] = votes.get(label, 0.0) + float(np.exp((cosine - 1) / TEMPERATURE))
    return max(votes, key=lambda label: votes[label], default=None)


def overlap(one: str, other: str) -> float:
    """Give the F1 of the words that two texts share (ROUGE-1, Lin 2004)."""
    first, second = Counter(words_of(one)), Counter(words_of(other))
    shared = (first & second).total()
    return 2 * shared / (first.total() + second.total()) if shared else 0.0


def _ndcg(hits: NDArray[np.float64], possible: int) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002), 1 when it can't be
    better with so many examples of the label."""
    if not possible:
        return 0.0
    discounts = 1 / np.log2(np.arange(2, max(len(hits), possible) + 2))
    return float((hits * discounts[: len(hits)]).sum() / discounts[:possible].sum())
