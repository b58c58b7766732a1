"""`promptlib eval`: which strategy, k and budget, measured without a language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .evaluating import query_options, what_is_asked
from .output import check_writable, json_option, open_project, print_json, print_table, say


@click.command()
@click.argument("template", required=False)
@query_options
@click.option("--png", metavar="FILE", help="Draw accuracy against tokens.")
@click.option("--html", metavar="FILE", help="Write table and picture as one page.")
@json_option
@click.pass_context
def eval(
    ctx: click.Context, /, template: str | None, png: str | None, html: str | None, as_json: bool,
    **told: Any,
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
    from promptlib.reporting.pictures import check_pictures

    if png is not None or html is not None:
        check_pictures()
        for out in filter(None, (png, html)):
            check_writable(out)
    project = open_project(ctx)
    evaluation = evaluate(project, template, **what_is_asked(project, template, told))
    if as_json:
        print_json(evaluation.to_dict())
    else:
        print_table(*table_of(evaluation.outcomes, evaluation.yardstick))
    for file, made in ((png, picture_of), (html, page_of)):
        if file is not None:
            data = made(evaluation)
            with replacing(Path(file)) as written:
                written.write(data if isinstance(data, bytes) else data.encode())
    say(f"{evaluation.source}; {evaluation.note}")
