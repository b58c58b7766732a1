"""`promptlib eval`: which strategy, k and budget, measured without a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .build_command import read_inputs
from .evaluating import query_options, query_source
from .output import json_option, open_project, print_json, print_table, say


@click.command()
@click.argument("template", required=False)
@query_options
@click.option("--png", metavar="FILE", help="Draw accuracy against tokens.")
@click.option("--html", metavar="FILE", help="Write table and picture as one page.")
@json_option
@click.pass_context
def eval(
    ctx: click.Context, /, template: str | None, store: str | None, queries: str | None,
    holdout: float | None, sample: int | None, strategies: list[str], ks: list[int],
    budgets: list[int], inputs: tuple[str, ...], seed: int, png: str | None, html: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Measure how well examples are chosen, on queries whose answers are known.

    Builds the prompts of TEMPLATE, or of a store by itself, with every strategy, k and budget,
    and says how often the right label is shown and wins a vote of the examples. No language model
    is asked. Differences are against the first row, on the same queries.

    \b
    promptlib eval banking/intent --sample 200
    promptlib eval banking/intent --queries test.jsonl --strategy hybrid,similar -k 2,4,8
    promptlib eval --store snips --holdout 0.2 --budget 200,400 --html report.html
    promptlib eval --store gsm8k --json | jq '.rows[] | {strategy, output_similarity}'
    """
    from promptlib.evaluation.session import evaluate
    from promptlib.evaluation.showing import page_of, picture_of, table_of
    from promptlib.files.writing import replacing

    if template is None and store is None:
        raise click.UsageError("name a TEMPLATE, or a store with --store")
    source = query_source(queries, holdout, sample, seed)
    project = open_project(ctx, unit="query")
    values: dict[str, Any] = read_inputs(
        inputs, project.registry.get(template) if template else None
    )
    evaluation = evaluate(
        project, template, store=store, strategies=strategies, ks=ks, budgets=budgets,
        queries=source, inputs=values,
    )  # fmt: skip
    for file, made in ((png, picture_of), (html, page_of)):
        if file is not None:
            data = made(evaluation)
            with replacing(Path(file)) as out:
                out.write(data if isinstance(data, bytes) else data.encode())
    if as_json:
        print_json(evaluation.to_dict())
    else:
        print_table(*table_of(evaluation.outcomes, evaluation.yardstick))
    say(f"{evaluation.source}; {evaluation.note}")
