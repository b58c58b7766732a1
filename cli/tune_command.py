"""`promptlib tune`: the best strategy, k, budget and weights, searched and then judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .asking import MODEL, limit_options, refuse_without_model, tell_calls
from .evaluating import listed, query_options, tell_auto, verdict, way_options, what_is_asked
from .output import counted, json_option, open_project, print_json, print_table, say

if TYPE_CHECKING:
    from promptlib.evaluation.recording import Search
    from promptlib.experiment.tuning import ModelTuning
    from promptlib.project import Project

SHOWN = 10
"""Ways of choosing that the table shows, of those that were tried."""

MAX_CALLS = 600


@click.command()
@click.argument("template", required=False)
@query_options
@way_options
@click.option(
    "--order", "orders", multiple=True, metavar="NAME,...", callback=listed(str, "names"),
    help="With --model: orders to try for the best ways, beside the one in force.",
)  # fmt: skip
@click.option("--model", metavar="MODEL", help=f"Search by its answers: {MODEL}.")
@click.option(
    "--max-calls", type=click.IntRange(min=60), default=MAX_CALLS, show_default=True,
    help="With --model: ask it at most so often, kept answers included.",
)  # fmt: skip
@click.option("--metric", metavar="NAME", help="With --model: how answers are judged, as in eval.")
@limit_options
@click.option(
    "--write", is_flag=True, help="Write the winner into TEMPLATE, if it is clearly better."
)
@click.option("--dry-run", is_flag=True, help="Change nothing: neither the store nor TEMPLATE.")
@json_option
@click.pass_context
def tune(
    ctx: click.Context, /, template: str | None, model: str | None, write: bool, dry_run: bool,
    as_json: bool, **told: Any,
) -> None:  # fmt: skip
    """Search for the best way to choose examples, and judge it on queries it never saw.

    One half of the queries chooses strategy, k, budget and weights by the accuracy of a vote of
    the examples; the other half compares the winner with the settings in force. Where the best
    strategy is clearly better than the built-in one, the store records it, and `auto` follows.

    With --model the model's own answers decide, starting from that vote's ranking: many ways are
    asked a few questions, the better half more, also with other orders and other shares of static
    examples; questions that took no part judge. `auto` then follows in prompts for that model.

    \b
    promptlib tune banking/intent --queries dev.jsonl
    promptlib tune banking/intent --budget 200,400 -k 4,8 --write
    promptlib tune --store tickets --sample 300
    promptlib tune banking/intent --model gpt-4o-mini --max-calls 400 --max-cost 1
    """
    if write and template is None:
        raise click.UsageError("--write needs a TEMPLATE")
    if write and dry_run:
        raise click.UsageError("give --write or --dry-run, not both")
    if model is not None and template is None:
        raise click.UsageError("name a TEMPLATE: a model is asked with one")
    if model is None:
        refuse_without_model(ctx, _ASKING)
    project = open_project(ctx)
    if write and template is not None:
        project.registry.path(template)  # a version can't be written into
        if project.registry.default_label is not None:
            raise click.UsageError("--write edits the working file: unset PROMPTLIB_LABEL")
    if project.database.read_only and not dry_run:
        raise click.ClickException("the project is read-only; --dry-run changes nothing")
    asks = {name: told.pop(name) for name in _ASKING}
    asked = what_is_asked(project, template, told)
    if model is not None and template is not None:
        found: Search = _with_model(project, template, model, asked, asks, as_json)
    else:
        found = _by_proxies(project, template, asked, as_json)
    from promptlib.evaluation.recording import record, write_winner

    recorded = None if dry_run or found.stopped is not None else record(project, found)
    written = write and write_winner(project, found)
    if as_json:
        print_json(found.to_dict() | {"recorded": bool(recorded), "written": written})
    if found.stopped is None:
        now = f"{found.current} as it is"
        say(verdict("best", found.winner, found.gain, now, found, found.is_better))
        tell_auto(found, recorded)
    if write:
        say(f"{template}: {'written' if written else 'left as it was'}")
    if found.stopped is not None:
        ctx.exit(1)


_ASKING = ("orders", "metric", "max_calls", "fresh", "max_cost", "max_tokens")
"""Options that say something with --model alone."""


def _by_proxies(
    project: Project, template: str | None, asked: dict[str, Any], as_json: bool
) -> Search:
    from promptlib.evaluation.showing import table_of
    from promptlib.evaluation.tuning import tune as search

    found = search(project, template, **asked)
    if not as_json:
        print_table(*table_of(found.tried[:SHOWN], found.yardstick))
    chose, judged = found.queries
    say(f"{counted(chose, 'query')} chose among {len(found.tried)} ways, {judged:,} others judged")
    return found


def _with_model(
    project: Project, template: str, model: str, asked: dict[str, Any], asks: dict[str, Any],
    as_json: bool,
) -> ModelTuning:  # fmt: skip
    from promptlib.experiment.asking import Limits
    from promptlib.experiment.showing import result_table
    from promptlib.experiment.tuning import tune_with_model

    limits = Limits(max_cost=asks.pop("max_cost"), fresh=asks.pop("fresh"))
    found = tune_with_model(project, template, model, **asked, **asks, limits=limits)
    if not as_json:
        rows = [
            [number, way.name, way.k, way.budget, answered, score if answered else None]
            for number, each in enumerate(found.rounds, start=1)
            for way, score, answered in each.standing
        ]
        print_table(["round", "strategy", "k", "budget", "answered", "score"], rows)
        if found.stopped is None:
            print_table(*result_table(found.judged))
    tell_calls(found.judged)
    if found.stopped is None:
        judged = counted(found.queries[1], "query")
        say(f"{len(found.rounds[0].standing)} ways; {judged} that took no part judged")
    else:
        say(f"partial: {found.stopped}; nothing is recorded, the answers are kept")
    return found
