"""Many random prompts against their budgets: python benchmarks/randomised.py [SET ...]

Rows of all sets, random templates for text and chat, budgets from hopeless to ample, both
encodings, every strategy with random weights, floors and caps. Each prompt is counted afresh from
its final text or messages by tiktoken and the published rule for messages, and each refusal is
checked against the prompt without examples.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
from common import save
from sets import ROOT, add_sets, prepared

import promptlib
from promptlib.budget.tokens import load_encoding
from promptlib.selection.strategies import STRATEGIES

TEMPLATES = 40


class Remembering:
    """An embedder that embeds a query once."""

    def __init__(self, embedder: Any) -> None:
        self.embedder = embedder
        self.fingerprint, self.dim = embedder.fingerprint, embedder.dim
        self._one = cache(lambda text, kind: embedder.embed([text], kind=kind)[0])

    def embed(self, texts: Any, *, kind: Any = "document", progress: Any = None) -> Any:
        return np.stack([self._one(text, kind) for text in texts])


def template(chance: random.Random) -> str:
    """A template with separators that merge, labels in front or not, as text or as messages."""
    join = chance.choice(["\n", "\n\n", " ", "", "###\n", "\t", "  \n", "—"])
    arrow = chance.choice([" -> ", "\nOutput: ", "\n", ": ", "=>", ""])
    lead = chance.choice(["", "Answer like this.\n\n", "é" * 9 + "\n", "# Task\n" * 3])
    shown = f"{{{{ example.input }}}}{arrow}{{{{ example.output }}}}{join}"
    if chance.random() < 0.5:
        body = f"{lead}{{% for example in examples %}}{shown}{{% endfor %}}{{{{ query }}}}{arrow}"
    else:
        role = chance.choice(["assistant", "user"])
        body = (
            f'{{% message "system" %}}{lead or "Answer."}{{% endmessage %}}'
            "{% for example in examples %}"
            '{% message "user" %}{{ example.input }}{% endmessage %}'
            f'{{% message "{role}" %}}{{{{ example.output }}}}{{% endmessage %}}'
            '{% endfor %}{% message "user" %}{{ query }}{% endmessage %}'
        )
    return "---\ninputs:\n  query: {type: string}\n---\n" + body


def options(chance: random.Random) -> dict[str, Any]:
    k = chance.randint(0, 16)
    return {
        "k": k,
        "min_k": chance.choice([0, 0, 0, min(k, chance.randint(0, 3))]),
        "max_example_tokens": chance.choice([None, None, None, chance.randint(5, 200)]),
        "share": chance.choice([1.0, 1.0, 1.0, chance.uniform(0.05, 1)]),
        "strategy": chance.choice(["auto", *STRATEGIES]),
        "lexical_weight": chance.random(),
        "lambda_mult": chance.random(),
        "min_labels": chance.randint(0, 6),
        "max_per_label": chance.choice([None, chance.randint(1, 4)]),
        "encoding": chance.choice(["o200k_base", "cl100k_base"]),
        "order": chance.choice(["nearest-last", "nearest-first", "edges", "shuffled"]),
        "exclude_self": chance.random() < 0.5,
    }


def recounted(prompt: promptlib.Prompt) -> int:
    """Count the final text, or the final messages by the published rule, with tiktoken alone."""
    ranks = load_encoding(prompt.encoding)
    if prompt.messages is None:
        return len(ranks.encode_ordinary(prompt.text))
    texts = (text for message in prompt.messages for text in message.values())
    return 3 + 3 * len(prompt.messages) + sum(len(ranks.encode_ordinary(text)) for text in texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_sets(parser)
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    project, files = prepared(arguments.sets)
    folder = ROOT / "templates" / f"random{arguments.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(TEMPLATES):
        (folder / f"{number}.j2").write_text(template(chance), encoding="utf-8")
    project = promptlib.open(ROOT, embedder=Remembering(project.embedder))
    asked = {}
    for name, file in files.items():
        lines = file.read_text(encoding="utf-8").strip().split("\n")
        asked[name] = chance.sample(lines, min(300, len(lines)))
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    for draw in range(arguments.draws):
        store = chance.choice(list(asked))
        query = json.loads(chance.choice(asked[store]))["input"]
        name = f"random{arguments.seed}/{chance.randrange(TEMPLATES)}"
        told = options(chance)
        reserve = chance.choice([0, 0, 20])
        budget = reserve + int(10 ** chance.uniform(1, 3.5))
        bare = project.build(name, query, store=store, k=0, budget=10**7, encoding=told["encoding"])
        hopeless = bare.tokens > budget - reserve
        try:
            prompt = project.build(name, query, store=store, budget=budget, reserve=reserve, **told)
        except promptlib.BudgetError:
            outcomes["refused"] += 1
            if not hopeless:
                wrong.append(f"draw {draw}: refused, though the fixed part fits")
            continue
        except promptlib.TooFewExamplesError:
            outcomes["too few for min_k"] += 1
            if hopeless:
                wrong.append(f"draw {draw}: too few, though not even the fixed part fits")
            continue
        outcomes["built"] += 1
        outcomes[f"with {prompt.settings['strategy']}"] += 1
        tokens = recounted(prompt)
        if hopeless:
            wrong.append(f"draw {draw}: built, though the fixed part doesn't fit")
        if tokens > budget - reserve or tokens != prompt.tokens:
            wrong.append(f"draw {draw}: {tokens} tokens, {prompt.tokens} said, {budget - reserve}")
    save(
        f"randomised{arguments.seed}",
        {"draws": arguments.draws, "wrong": len(wrong), "first": wrong[:5], **outcomes},
    )


if __name__ == "__main__":
    main()
