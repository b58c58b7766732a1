"""`promptlib store add`, `edit`, `rm`, `approve` and `reject`: rows by id or by condition."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import click

from .output import counted, open_project, parse_json, read_text, say
from .store_change import (
    apply_edits,
    changed,
    chosen_rows,
    dry_option,
    force_option,
    where_option,
    who_options,
)

if TYPE_CHECKING:
    from promptlib.example import Example, Status


@click.command()
@click.argument("name")
@click.option("--input", "input_", metavar="TEXT", help="What goes in.")
@click.option("--output", metavar="TEXT", help="What should come out.")
@click.option("--label", help="Its label, if that isn't the output.")
@click.option("--id", default="", help="Its id; a hash of the content if not given.")
@click.option("--draft", is_flag=True, help="Keep it out of prompts until it is approved.")
@who_options
@click.pass_context
def add(
    ctx: click.Context, /, name: str, input_: str | None, output: str | None, label: str | None,
    id: str, draft: bool, by: str | None, note: str,
) -> None:  # fmt: skip
    """Add an example to store NAME; without --input, a JSON object is read from stdin.

    \b
    promptlib store add banking77 --input "Someone cloned my card" --output compromised_card
    echo '{"input": "Hi", "output": "greeting"}' | promptlib store add banking77
    """
    from promptlib.example import Example

    if input_ is None:
        if output is not None or label is not None or id or draft:
            raise click.UsageError("give --input too; a JSON object on stdin has its own fields")
        if sys.stdin.isatty():
            raise click.UsageError("give --input, or a JSON object on stdin")
        example = Example.from_dict(parse_json(read_text("-"), "stdin"))
    else:
        status: Status = "draft" if draft or output is None else "approved"
        example = Example(input_, output, label, id=id, status=status)
    opened = open_project(ctx).store(name)
    revision = opened.add(example, by=by, note=note)
    say(f"added to {name}, revision {revision}")
    click.echo(example.id)


@click.command()
@click.argument("name")
@click.argument("id", required=False)
@where_option
@click.option("--input", "input_", metavar="TEXT", help="The new input.")
@click.option("--output", metavar="TEXT", help="The new output.")
@click.option("--label", help='The new label; "" removes it.')
@click.option("--status", type=click.Choice(["approved", "draft", "rejected"]))
@dry_option
@force_option
@who_options
@click.pass_context
def edit(
    ctx: click.Context, /, name: str, id: str | None, where: tuple[str, ...], input_: str | None,
    output: str | None, label: str | None, status: str | None, dry_run: bool, **how: Any,
) -> None:  # fmt: skip
    """Change the example ID of store NAME, in $EDITOR or by options; or all that --where says.

    \b
    promptlib store edit banking77 f218b70e7f4ee1a1
    promptlib store edit banking77 f218b70e7f4ee1a1 --output card_swallowed
    promptlib store edit banking77 --where label=card_lost --label lost_card --dry-run
    """
    from promptlib.store.planning import Edit

    options = {"input": input_, "output": output, "label": label, "status": status}
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    if "label" in given:
        given["label"] = given["label"] or None
    if where and not given:
        raise click.UsageError("with --where, give --input, --output, --label or --status")
    if not given and not sys.stdin.isatty() and "EDITOR" not in os.environ:
        raise click.UsageError("give --input, --output, --label or --status: there is no terminal")
    opened = open_project(ctx).store(name)
    chosen = chosen_rows(opened, (id,) if id is not None else (), where)
    settings = opened.settings
    edits = [Edit(row, changed(row, given, settings) if given else edited(row)) for row in chosen]
    apply_edits(opened, edits, dry_run=dry_run, **how)


@click.command()
@click.argument("name")
@click.argument("ids", nargs=-1)
@where_option
@dry_option
@who_options
@click.pass_context
def rm(
    ctx: click.Context, /, name: str, ids: tuple[str, ...], where: tuple[str, ...], dry_run: bool,
    **how: Any,
) -> None:  # fmt: skip
    """Take the examples IDS, or all that --where says, out of store NAME. The log keeps them.

    \b
    promptlib store rm banking77 f218b70e7f4ee1a1
    promptlib store rm banking77 --where source=scraped --why "no licence"
    """
    from promptlib.store.planning import Edit

    opened = open_project(ctx).store(name)
    edits = [Edit(row, None) for row in chosen_rows(opened, ids, where)]
    apply_edits(opened, edits, reason="delete", dry_run=dry_run, **how)


@click.command()
@click.argument("name")
@click.argument("ids", nargs=-1)
@where_option
@dry_option
@who_options
@click.pass_context
def approve(ctx: click.Context, /, name: str, ids: tuple[str, ...], **how: Any) -> None:
    """Let prompts show the examples IDS of store NAME, or all that --where says.

    \b
    promptlib store approve tickets 3f2a9c0d1e4b5a67
    promptlib store approve tickets --where status=draft --where source=bootstrap
    """
    _decide(ctx, name, ids, "approved", **how)


@click.command()
@click.argument("name")
@click.argument("ids", nargs=-1)
@where_option
@dry_option
@who_options
@click.pass_context
def reject(ctx: click.Context, /, name: str, ids: tuple[str, ...], **how: Any) -> None:
    """Keep the examples IDS of store NAME, or all that --where says, out of prompts for good.

    They stay in the store, so that importing their source again doesn't bring them back.

    \b
    promptlib store reject tickets 3f2a9c0d1e4b5a67 --why "wrong language"
    """
    _decide(ctx, name, ids, "rejected", **how)


@click.command()
@click.argument("name")
@click.argument("ids", nargs=-1)
@where_option
@click.option("--yes", is_flag=True, help="Don't ask.")
@who_options
@click.pass_context
def purge(
    ctx: click.Context, /, name: str, ids: tuple[str, ...], where: tuple[str, ...], yes: bool,
    **how: Any,
) -> None:  # fmt: skip
    """Destroy the examples IDS of store NAME, or all that --where says, with their history.

    For privacy requests and leaked secrets: rows leave the database, its log, the index, kept
    answers, and the static examples of published templates. Nothing brings them back but their
    source. That it happened, when and by whom stays in the log; rm only takes rows out of use.

    \b
    promptlib store purge tickets 3f2a9c0d1e4b5a67 --why "request 2026-114"
    promptlib store purge tickets --where customer=4711 --yes
    """
    from promptlib.purge import purge as destroy

    project = open_project(ctx)
    opened = project.store(name)
    if bool(ids) == bool(where):
        raise click.UsageError("name rows: either by ID, or with --where FIELD=VALUE")
    chosen = list(dict.fromkeys(ids)) or [row.id for row in opened.rows(where=where)]
    if not chosen:
        say("no row meets this: nothing to destroy")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("there is no terminal to ask at: give --yes")
        what = counted(len(chosen), "row")
        click.confirm(f"Destroy {what} of {name}, with all history?", abort=True, err=True)
    purged = destroy(project, name, chosen, **how)
    done = purged.done
    say(f"destroyed {counted(len(done.ids), 'row')} of {name}, revision {done.revision}")
    for count, noun in ((done.answers, "kept answer"), (done.outcomes, "outcome")):
        if count:
            say(f"and {counted(count, noun)}")
    for version in done.versions:
        say(f"{version} showed one of them in every prompt: it doesn't any more")
    if done.notes:
        numbers = ", ".join(map(str, done.notes))
        say(f"what was noted of revisions {numbers}, of other rows too, is kept: store log {name}")
    for file in purged.files:
        say(f"{file} still has them, and the next sync would bring them back: edit it")


def _decide(
    ctx: click.Context, /, name: str, ids: tuple[str, ...], status: str, where: tuple[str, ...],
    **how: Any,
) -> None:  # fmt: skip
    from promptlib.store.planning import Edit

    opened = open_project(ctx).store(name)
    rows = chosen_rows(opened, ids, where)
    settings, given = opened.settings, {"status": status}
    edits = [Edit(row, changed(row, given, settings)) for row in rows if row.status != status]
    apply_edits(opened, edits, reason=status, **how)


def edited(example: Example) -> Example:
    """Let the user edit an example; what can't be taken is kept, and its place is told."""
    from promptlib.errors import ExampleError, did_you_mean
    from promptlib.example import ROW_KEYS, Example

    handle, file = tempfile.mkstemp(prefix="promptlib-", suffix=".json")
    with open(handle, "w", encoding="utf-8") as out:
        json.dump(example.to_dict(), out, ensure_ascii=False, indent=2)
    click.edit(filename=file)
    try:
        row = parse_json(read_text(file), "the edited text")
        if isinstance(row, dict) and (unknown := sorted(set(row) - set(ROW_KEYS))):
            near = did_you_mean(unknown[0], ROW_KEYS)
            raise click.ClickException(f"unknown key {unknown[0]!r}; {near}")
        edited = Example.from_dict(row)
        if edited.id != example.id:
            raise click.ClickException(f"the id {example.id} can't be changed")
    except (click.ClickException, ExampleError) as error:
        message = getattr(error, "message", str(error))
        kept = f"; what you wrote is kept in {file}" if os.path.exists(file) else ""
        raise click.ClickException(f"{message}{kept}") from None
    os.unlink(file)
    return edited
