"""`promptlib usage`: what the ledger has counted."""

from __future__ import annotations

import click

from .output import json_option, open_project, print_json, print_table, say


@click.command()
@click.option("--days", type=click.IntRange(min=1, max=36_500), help="Only the last so many days.")
@json_option
@click.pass_context
def usage(ctx: click.Context, days: int | None, as_json: bool) -> None:
    """Show how many prompts were built, with how many tokens, and how they were judged.

    Prompts are counted where promptlib.toml says usage = true: numbers by day, never text.

    \b
    promptlib usage
    promptlib usage --days 7 --json
    """
    project = open_project(ctx)
    rows = [row.to_dict() for row in project.usage(days)]
    if as_json:
        print_json(rows)
        return
    columns = ["day", "template", "store", "model", "k", "prompts", "tokens", "cacheable",
               "correct", "wrong"]  # fmt: skip
    print_table(columns, [[row[name] for name in columns] for row in rows])
    if not rows and not project.config.usage:
        say("nothing was counted: put usage = true into promptlib.toml")
