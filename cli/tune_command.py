"""`promptlib tune`: the best strategy, k, budget and weights, searched and then judged."""

from __future__ import annotations

from typing import Any

import click

from .evaluating import query_options, tell_auto, verdict, what_is_asked
from .output import counted, json_option, open_project, print_json, print_table, say

SHOWN = 10
"""Ways of choosing that the table shows, of those that were tried."""


@click.command()
@click.argument("template", required=False)
@query_options
@click.option(
    "--write", is_flag=True, help="Write the winner into TEMPLATE, if it is clearly better."
)
@click.option("--dry-run", is_flag=True, help="Change nothing: neither the store nor TEMPLATE.")
@json_option
@click.pass_context
def tune(
    ctx: click.Context, /, template: str | None, write: bool, dry_run: bool, as_json: bool,
    **told: Any,
) -> None:  # fmt: skip
    """Search for the best way to choose examples, and judge it on queries it never saw.

    One half of the queries chooses strategy, k, budget and weights by the accuracy of a vote of
    the examples; the other half compares the winner with the settings in force. Where the best
    strategy is clearly better than the built-in one, the store records it, and `auto` follows.

    \b
    promptlib tune banking/intent --queries dev.jsonl
    promptlib tune banking/intent --budget 200,400 -k 4,8 --write
    promptlib tune --store tickets --sample 300
    """
    from promptlib.evaluation.showing import table_of
    from promptlib.evaluation.tuning import record, write_winner
    from promptlib.evaluation.tuning import tune as search

    if write and template is None:
        raise click.UsageError("--write needs a TEMPLATE")
    if write and dry_run:
        raise click.UsageError("give --write or --dry-run, not both")
    project = open_project(ctx)
    if write and template is not None:
        project.registry.path(template)  # a version can't be written into
        if project.registry.default_label is not None:
            raise click.UsageError("--write edits the working file: unset PROMPTLIB_LABEL")
    if project.database.read_only and not dry_run:
        raise click.ClickException("the project is read-only; --dry-run changes nothing")
    found = search(project, template, **what_is_asked(project, template, told))
    if not as_json:
        print_table(*table_of(found.tried[:SHOWN], found.yardstick))
    recorded = None if dry_run else record(project, found)
    written = write and write_winner(project, found)
    if as_json:
        print_json(found.to_dict() | {"recorded": bool(recorded), "written": written})
    chose, judged = found.queries
    say(f"{counted(chose, 'query')} chose among {len(found.tried)} ways, {judged:,} others judged")
    say(verdict("best", found.winner, found.gain, f"{found.current} as it is", found))
    tell_auto(found, recorded)
    if write:
        say(f"{template}: {'written' if written else 'left as it was'}")
