"""2,000 random prompts against their budgets: python benchmarks/budgets.py

Each is counted afresh from its final messages, with tiktoken and the published rule alone.
"""

from __future__ import annotations

import argparse
import random

from common import PROJECT, TEMPLATE, median, prepared_project, queries, save

import promptlib
from promptlib.budget.fit import DropReason
from promptlib.budget.tokens import load_encoding


def recount(prompt: promptlib.Prompt) -> int:
    encoding = load_encoding(prompt.encoding)
    messages = prompt.messages or ()
    texts = (text for message in messages for text in message.values())
    return 3 + 3 * len(messages) + sum(len(encoding.encode_ordinary(text)) for text in texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    prepared_project()
    project = promptlib.open(PROJECT)
    texts = queries()
    over = refused = 0
    use: list[float] = []
    for _ in range(arguments.draws):
        reserve = chance.choice([0, 20, 50])
        budget = chance.randint(60, 700)
        options = {
            "k": chance.randint(0, 24),
            "strategy": chance.choice(["auto", "similar", "random"]),
            "encoding": chance.choice(["o200k_base", "cl100k_base"]),
            "order": chance.choice(["nearest-last", "nearest-first", "edges", "shuffled"]),
        }
        try:
            prompt = project.build(
                TEMPLATE, chance.choice(texts), budget=budget, reserve=reserve, **options
            )
        except promptlib.BudgetError:
            refused += 1  # the fixed part alone is over
            continue
        tokens = recount(prompt)
        over += tokens > budget - reserve or tokens != prompt.tokens
        if any(dropped.reason is DropReason.OVER_BUDGET for dropped in prompt.dropped):
            use.append(tokens / (budget - reserve))
    save(
        "budgets",
        {
            "draws": arguments.draws,
            "over_budget_or_miscounted": over,
            "refused_because_the_fixed_part_is_over": refused,
            "with_examples_left_out_for_room": len(use),
            "mean_use_of_the_budget_there": round(sum(use) / len(use), 4),
            "median_use": round(median(use), 4),
            "lowest_use": round(min(use), 4),
        },
    )


if __name__ == "__main__":
    main()
