"""`promptlib bootstrap`: demonstrations that a model makes itself."""

from __future__ import annotations

from typing import Any

import click

from .asking import limit_options, model_option, tell_experiment
from .evaluating import query_options, what_is_asked
from .output import counted, json_option, open_project, print_json, print_table, say


@click.command()
@click.argument("template")
@query_options
@model_option
@click.option("--metric", metavar="NAME", help="How answers are judged, as in eval.")
@limit_options
@click.option("--dry-run", is_flag=True, help="Show the drafts, and add none.")
@json_option
@click.pass_context
def bootstrap(
    ctx: click.Context, /, template: str, model: str | None, metric: str | None, fresh: bool,
    max_cost: float | None, max_tokens: int | None, dry_run: bool, as_json: bool, **told: Any,
) -> None:  # fmt: skip
    """Let a model solve rows of TEMPLATE's store; right answers become drafts of new rows.

    For tasks with reasoning: an answer that came out right shows the steps that lead there. A row
    is never among the examples of its own prompt. Drafts are shown in no prompt until somebody has
    read and approved them (promptlib store edit STORE ID --status approved).

    \b
    promptlib bootstrap math/solve --model local:smollm2 --sample 20
    promptlib bootstrap math/solve --model gpt-4o-mini --sample 200 --max-cost 1 --dry-run
    """
    from promptlib.experiment.asking import Limits
    from promptlib.experiment.bootstrapping import bootstrap_examples

    project = open_project(ctx)
    asked = what_is_asked(project, template, told)
    found = bootstrap_examples(
        project, template, model, **asked, metric=metric, max_tokens=max_tokens,
        limits=Limits(max_cost=max_cost, fresh=fresh), dry_run=dry_run,
    )  # fmt: skip
    if as_json:
        print_json(found.to_dict())
    else:
        rows = [[d.id, d.metadata["bootstrapped_from"], str(d.output)] for d in found.drafts]
        print_table(["id", "from", "answer"], rows, free="answer")
    tell_experiment(found.experiment)
    result = found.experiment.results[0]
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(result.kinds.items()))
    say(f"{counted(result.answered, 'answer')}: {kinds or 'none'}")
    if found.revision is not None:
        say(
            f"store {found.store}: {counted(len(found.drafts), 'draft')} added (revision "
            f"{found.revision}); approve one with promptlib store edit {found.store} ID "
            "--status approved"
        )
    elif found.drafts:
        say(f"store {found.store}: {counted(len(found.drafts), 'draft')} not added (--dry-run)")
    else:
        say(f"store {found.store}: no new drafts")
    if found.experiment.is_partial:
        ctx.exit(1)
