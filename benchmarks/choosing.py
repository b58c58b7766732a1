"""Strategies, and rules of fitting, on known queries: python benchmarks/choosing.py [SET ...]

First every strategy at several k. Then, for similar and hybrid, at budgets that hold about 2, 4
and 6 examples: the exact fit against taking the best one by one, going on past one that doesn't
fit (skip) or ending there (stop, the rule of LangChain's length-based selector).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from common import save
from sets import add_sets, prepared

from promptlib.budget.fit import fit_examples
from promptlib.budget.tokens import TokenCounter
from promptlib.evaluation.measures import vote
from promptlib.evaluation.session import QuerySource, evaluate, open_evaluator
from promptlib.intervals import Bootstrap
from promptlib.shortlisted import rank_candidates

K = 8


def strategies(project, name, source):  # type: ignore[no-untyped-def]
    """Label hit and vote accuracy of all strategies, with intervals, and against hybrid."""
    found = evaluate(project, store=name, ks=(2, 4, 8), queries=source)
    rows = []
    for outcome in found.outcomes:
        row = {"strategy": outcome.way.strategy, "k": outcome.way.k}
        for measure in ("label_hit", "vote_accuracy", "output_similarity", "tokens", "latency_ms"):
            if estimate := outcome.estimates.get(measure):
                row[measure] = round(estimate.value, 4)
                if measure not in ("tokens", "latency_ms"):
                    row[f"{measure} 95 %"] = [round(estimate.low, 4), round(estimate.high, 4)]
        rows.append(row)
    return {"queries": found.queries, "yardstick": found.yardstick, "rows": rows}


def skip(costs: Sequence[int], room: int) -> list[int]:
    chosen: list[int] = []
    for rank, cost in enumerate(costs):
        if len(chosen) < K and cost <= room:
            chosen.append(rank)
            room -= cost
    return chosen


def stop(costs: Sequence[int], room: int) -> list[int]:
    chosen: list[int] = []
    for rank, cost in enumerate(costs[:K]):
        if cost > room:
            break
        chosen.append(rank)
        room -= cost
    return chosen


def rules(project, name, source):  # type: ignore[no-untyped-def]
    """Vote accuracy and label hit of the exact fit, less those of the other rules."""
    counter = TokenCounter.for_encoding("o200k_base")
    figures = {}
    with open_evaluator(project, None, name, source) as evaluator:
        cases = []
        for number, question in enumerate(evaluator.questions.items):
            found = evaluator.shortlist(number, evaluator.current, 64).candidates
            texts = [
                counter.count(f"Input: {e.input}\nOutput: {e.output}\n\n")
                for e in evaluator.fetch(found.keys.tolist())
            ]
            cases.append((question.label, found, np.array(texts)))
        mean = np.mean([np.sort(costs[:K]).mean() for _, _, costs in cases])
        bootstrap = Bootstrap(len(cases))
        for strategy in ("similar", "hybrid"):
            for examples in (2, 4, 6):
                room = int(mean * examples)
                outcomes = {rule: np.zeros((2, len(cases))) for rule in ("exact", "skip", "stop")}
                for case, (label, found, costs) in enumerate(cases):
                    ranking = rank_candidates(found, strategy)
                    order = ranking.positions[:64]
                    prices = costs[order].tolist()
                    fit = fit_examples(
                        ranking.scores[:64].tolist(),
                        lambda ranks: sum(prices[rank] for rank in ranks),  # noqa: B023
                        k=K,
                        limit=room,
                    )
                    chosen = {
                        "exact": list(fit.chosen),
                        "skip": skip(prices, room),
                        "stop": stop(prices, room),
                    }
                    for rule, ranks in chosen.items():
                        at = order[ranks]
                        shown = found.labels[at].tolist()
                        outcomes[rule][0, case] = vote(shown, found.similarity[at]) == label
                        outcomes[rule][1, case] = label in shown
                for at, measure in enumerate(("vote_accuracy", "label_hit")):
                    row = {"exact": round(float(outcomes["exact"][at].mean()), 4)}
                    for rule in ("skip", "stop"):
                        gain = bootstrap.difference(outcomes["exact"][at], outcomes[rule][at])
                        row[f"over {rule}"] = [
                            round(x, 4) for x in (gain.value, gain.low, gain.high)
                        ]
                    figures[f"{strategy}, {examples} examples, {measure}"] = row
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_sets(parser)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--rules-only", action="store_true")
    arguments = parser.parse_args()
    project, files = prepared(arguments.sets)
    figures: dict[str, object] = {}
    for name, file in files.items():
        source = QuerySource(file=file, sample=arguments.sample)
        found: dict[str, object] = {}
        if not arguments.rules_only:
            found["strategies"] = strategies(project, name, source)
        if project.index(name).refresh().labels:
            found["rules"] = rules(project, name, source)
        figures[name] = found
        save("choosing", figures)


if __name__ == "__main__":
    main()
