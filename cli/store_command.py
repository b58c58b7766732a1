"""`promptlib store`: make, fill, look at and change example stores."""

from __future__ import annotations

import json
from typing import Any

import click

from .output import json_option, open_project, print_json, print_table, say
from .store_audit import audit, dedupe, fix
from .store_edit import add, approve, edit, purge, reject, rm
from .store_files import export, import_, sync
from .store_history import at_option, diff, log, print_history, undo
from .store_labels import annotators, labels
from .store_review import review
from .store_shape import label_next, merge, reduce, split
from .store_stats import stats


@click.group()
def store() -> None:
    """Make, fill, look at and change example stores.

    \b
    promptlib store import tickets tickets.jsonl
    promptlib store stats tickets
    promptlib store export tickets tickets.jsonl
    """


@store.command()
@click.argument("name")
@click.option("--label", help='Where labels are: "output", or a metadata field.')
@click.option("--description", default="", help="What the examples are.")
@click.pass_context
def create(ctx: click.Context, name: str, label: str | None, description: str) -> None:
    """Make an empty store called NAME.

    \b
    promptlib store create tickets --label output
    """
    from promptlib.store.settings import StoreSettings

    open_project(ctx).create_store(name, StoreSettings(description=description, label=label))
    say(f"made store {name}")


@store.command("list")
@json_option
@click.pass_context
def list_stores(ctx: click.Context, as_json: bool) -> None:
    """List the stores of the project, starters that wait for their first use too.

    \b
    promptlib store list --json
    """
    project = open_project(ctx)
    rows: list[list[Any]] = []
    for name in project.store_names():
        existing = project.find_store(name)
        if existing is None:
            rows.append([name, None, None, None, "starter, imported on first use"])
            continue
        stats = existing.stats()
        text = existing.state().settings.description
        count = sum(stats.statuses.values())
        rows.append([name, count, len(stats.volume.classes), stats.revision, text])
    columns = ["name", "rows", "labels", "revision", "description"]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows, free="description")


@store.command("show")
@click.argument("name")
@click.argument("id", required=False)
@click.option(
    "-n",
    "limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many rows to list.",
)
@click.option("--label", help="List rows with this label only.")
@click.option("--where", multiple=True, metavar="FIELD=VALUE", help="List rows that meet this.")
@click.option("--history", is_flag=True, help="With ID: what was done to it, by whom and why.")
@at_option
@json_option
@click.pass_context
def show_examples(
    ctx: click.Context, name: str, id: str | None, limit: int, label: str | None,
    where: tuple[str, ...], history: bool, at: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Show the example ID of store NAME, or list the store's first rows.

    \b
    promptlib store show banking77 -n 5
    promptlib store show banking77 --where status=draft
    promptlib store show banking77 f218b70e7f4ee1a1
    promptlib store show banking77 f218b70e7f4ee1a1 --history
    """
    from promptlib.example import retrieval_text

    if history and id is None:
        raise click.UsageError("--history needs an ID; promptlib store log is of the whole store")
    opened = open_project(ctx).store(name)
    if history and id is not None:
        print_history(opened, id, as_json)
        return
    if id is not None:
        row = opened.get(id, at=at).to_dict()
        click.echo(json.dumps(row, ensure_ascii=False, indent=None if as_json else 2))
        return
    wanted = [*where, *([f"label={label}"] if label is not None else [])]
    rows = list(opened.rows(where=wanted, at=at))
    examples = [row.example for row in rows[:limit]]
    if as_json:
        print_json([example.to_dict() for example in examples])
        return
    table = [
        [row.id, row.status, row.label, retrieval_text(example.input)]
        for row, example in zip(rows, examples, strict=False)
    ]
    print_table(["id", "status", "label", "input"], table, free="input")
    if len(rows) > limit:
        say(f"{limit} of {len(rows):,} rows; -n shows more")


for command in (
    add, edit, rm, approve, reject, purge, export, import_, sync, log, undo, diff, labels,
    annotators, audit, fix, dedupe, review, reduce, label_next, split, merge,
    stats,
):  # fmt: skip
    store.add_command(command)
