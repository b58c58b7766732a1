"""What the outputs of a store are like: their kind, length, variety. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from promptlib.advice.facts import Fact
from promptlib.example import Example, output_text
from promptlib.intervals import mean_of, wilson

IS_LABEL = 0.9
"""Share of outputs that must be their label for a store to be one of classification."""

PART = 0.1
"""Share of the examples from which on a kind of output counts as a task."""


def output_facts(
    examples: Sequence[Example], labels: Sequence[str | None], count: Callable[[str], int]
) -> dict[str, Fact]:
    """Describe outputs; `labels` are those in effect, `count` counts tokens of a text."""
    import numpy as np

    texts = [output_text(example.output) for example in examples]
    is_label = [text == label for text, label in zip(texts, labels, strict=True)]
    kinds = [
        "label" if plain else kind_of_output(text)
        for text, plain in zip(texts, is_label, strict=True)
    ]
    tasks = Counter(
        str(example.metadata.get("task") or kind.partition(":")[0])
        for example, kind in zip(examples, kinds, strict=True)
    )
    tokens = np.array([count(text) for text in texts], dtype=np.float64)
    name, most = Counter(kinds).most_common(1)[0]
    large = [task for task, number in tasks.items() if number >= PART * len(texts)]
    return {
        "is_classification": Fact(float(sum(is_label) / len(texts) >= IS_LABEL)),
        "unexplained_outputs": Fact.of(wilson(is_label.count(False), len(texts))),
        "format_consistency": Fact.of(wilson(most, len(texts)), note=f"most are {name}"),
        "output_diversity": Fact.of(wilson(len(set(texts)), len(texts))),
        "complexity": Fact.of(mean_of(tokens), note=f"tokens of an output, {name}"),
        "output_tokens": Fact.of(mean_of(tokens)),
        "tasks": Fact(float(max(1, len(large))), note=", ".join(sorted(large))),
        "top_task_share": Fact.of(wilson(tasks.most_common(1)[0][1], len(texts))),
    }


def kind_of_output(text: str) -> str:
    """Name the form of an output: "object: key, key", "list", "number" or "text"."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "text"
    if isinstance(value, Mapping):
        return f"object: {', '.join(sorted(value))}"
    if isinstance(value, list):
        return "list"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "text"
