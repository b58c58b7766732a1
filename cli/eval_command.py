"""`promptlib eval`: which strategy, k and budget, by proxies or by a language model's answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .asking import MODEL, limit_options, refuse_without_model, tell_experiment
from .evaluating import listed, query_options, way_options, what_is_asked
from .output import check_writable, json_option, open_project, print_json, print_table, say

if TYPE_CHECKING:
    from promptlib.experiment.results import Experiment
    from promptlib.project import Project


@click.command()
@click.argument("templates", nargs=-1)
@query_options
@way_options
@click.option(
    "--order", "orders", multiple=True, metavar="NAME,...", callback=listed(str, "names"),
    help="With --model: nearest-last, nearest-first, edges, shuffled.",
)  # fmt: skip
@click.option(
    "--model", "models", multiple=True, metavar="MODEL,...", callback=listed(str, "names"),
    help=f"Ask it: {MODEL}.",
)  # fmt: skip
@click.option(
    "--metric", metavar="NAME",
    help="With --model: label, exact, contains, json, number, similar, regex:PATTERN, "
    "python:FILE.py:FUNCTION; by default what the template or the rows suggest.",
)  # fmt: skip
@click.option(
    "--scoring", is_flag=True,
    help="Of local models: choose the likeliest of the store's labels, instead of writing one.",
)  # fmt: skip
@click.option(
    "--calibrate", type=click.Choice(["contextual", "batch"]),
    help="With --scoring: correct for labels that the model prefers whatever is asked.",
)  # fmt: skip
@click.option(
    "--sequential", is_flag=True,
    help="With --model: stop asking in a way once its difference to the first row is clear.",
)  # fmt: skip
@limit_options
@click.option("--png", metavar="FILE", help="Draw accuracy against tokens.")
@click.option("--html", metavar="FILE", help="Write table, picture and errors as one page.")
@click.option("--answers", metavar="FILE", help="With --model: write every answer as JSONL.")
@json_option
@click.pass_context
def eval(
    ctx: click.Context, /, templates: tuple[str, ...], models: list[str], png: str | None,
    html: str | None, answers: str | None, as_json: bool, **told: Any,
) -> None:  # fmt: skip
    """Measure which way of choosing examples works, on queries whose answers are known.

    Builds the prompts of TEMPLATE, or of a store by itself, with every strategy, k and budget.
    Without --model no language model is asked: the table says how often the right label is shown
    and wins a vote of the examples. With --model each prompt is asked (once: answers are kept) and
    the answers are judged; zero-shot and random examples are always among the rows. Differences are
    against the first row, on the same queries.

    \b
    promptlib eval banking/intent --sample 200
    promptlib eval banking/intent --queries test.jsonl --strategy hybrid,similar -k 2,4,8
    promptlib eval --store snips --holdout 0.2 --budget 200,400 --html report.html
    promptlib eval banking/intent --model local:smollm2 --sample 50 --html report.html
    promptlib eval banking/intent@production banking/intent --model gpt-4o-mini --max-cost 0.50
    """
    from promptlib.reporting.pictures import check_pictures

    if png is not None or html is not None:
        check_pictures()
    for out in filter(None, (png, html, answers)):
        check_writable(out)
    asks = {name: told.pop(name) for name in _ASKING}
    project = open_project(ctx)
    if models or ctx.get_parameter_source("models") is ParameterSource.COMMANDLINE:
        found = _examined(project, templates, models, told, asks)
        from promptlib.experiment.showing import (
            answer_rows,
            result_page,
            result_picture,
            result_table,
        )

        print_json(found.to_dict()) if as_json else print_table(*result_table(found))
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in answer_rows(found))
        _write([
            (png, lambda: result_picture(found)), (html, lambda: result_page(found).encode()),
            (answers, lambda: "".join(lines).encode()),
        ])  # fmt: skip
        tell_experiment(found)
        if found.is_partial:
            ctx.exit(1)
        return
    refuse_without_model(ctx, (*_ASKING, "answers"))
    if len(templates) > 1:
        raise click.UsageError("several templates can be compared with --model alone")
    from promptlib.evaluation.session import evaluate
    from promptlib.evaluation.showing import page_of, picture_of, table_of

    template = templates[0] if templates else None
    evaluation = evaluate(project, template, **what_is_asked(project, template, told))
    if as_json:
        print_json(evaluation.to_dict())
    else:
        print_table(*table_of(evaluation.outcomes, evaluation.yardstick))
    _write([(png, lambda: picture_of(evaluation)), (html, lambda: page_of(evaluation).encode())])
    say(f"{evaluation.source}; {evaluation.note}")


_ASKING = (
    "orders", "metric", "scoring", "calibrate", "sequential", "fresh", "max_cost", "max_tokens",
)  # fmt: skip
"""Options that say something with --model alone."""


def _examined(
    project: Project, templates: tuple[str, ...], models: list[str], told: dict[str, Any],
    asks: dict[str, Any],
) -> Experiment:  # fmt: skip
    from promptlib.experiment.asking import Limits
    from promptlib.experiment.examining import examine

    if not models:
        raise click.UsageError("--model names no model")
    if not templates:
        raise click.UsageError("name a TEMPLATE: a model is asked with one")
    if asks["calibrate"] and not asks["scoring"]:
        raise click.UsageError("--calibrate needs --scoring")
    limits = Limits(max_cost=asks.pop("max_cost"), fresh=asks.pop("fresh"))
    return examine(
        project, templates, models, **what_is_asked(project, templates[0], told), **asks,
        limits=limits,
    )  # fmt: skip


def _write(files: list[tuple[str | None, Callable[[], bytes]]]) -> None:
    from promptlib.files.writing import replacing

    for file, made in files:
        if file is not None:
            data = made()
            with replacing(Path(file)) as out:
                out.write(data)
