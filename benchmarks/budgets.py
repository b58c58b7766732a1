"""2,000 random prompts against their budgets: python benchmarks/budgets.py

Over the four starters, with history where the template takes it, in both encodings and with a
Hugging Face tokenizer and its chat template. Each prompt is counted afresh from its final messages,
with the tokenizer and the published rule alone.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter

from common import CHECKOUT, PROJECT, RESULTS, median, prepared_project, queries, save

import promptlib
from promptlib.budget.fit import DropReason
from promptlib.selection.strategies import STRATEGIES

sys.path.insert(0, str(CHECKOUT))
from tests.test_huggingface import make_tokenizer, reference_of
from tests.test_starters import STARTERS, TALK, recounted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    prepared_project()
    project = promptlib.open(PROJECT)
    tokenizer = make_tokenizer(RESULTS / "tokenizer")
    reference = reference_of(tokenizer)
    texts = queries()
    over = refused = 0
    use: list[float] = []
    drawn: Counter[str] = Counter()
    for _ in range(arguments.draws):
        template = chance.choice(list(STARTERS))
        reserve = chance.choice([0, 20, 50])
        budget = chance.randint(60, 1500)
        talk = TALK[: chance.randint(0, len(TALK))] if template == "support/reply" else None
        options = {
            "k": chance.randint(0, 24),
            "strategy": chance.choice(["auto", *STRATEGIES]),
            "encoding": chance.choice(["o200k_base", "cl100k_base", str(tokenizer)]),
            "order": chance.choice(["nearest-last", "nearest-first", "edges", "shuffled"]),
        }
        try:
            prompt = project.build(
                template,
                chance.choice(texts),
                history=talk,
                budget=budget,
                reserve=reserve,
                **options,
            )
        except promptlib.BudgetError:
            refused += 1  # the fixed part alone is over
            continue
        tokens = recounted(prompt, reference)
        drawn[f"{template}, {prompt.encoding.partition('@')[0]}"] += 1
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
            "prompts_counted": dict(sorted(drawn.items())),
        },
    )


if __name__ == "__main__":
    main()
