"""`promptlib store add`, `edit` and `rm`: single examples."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from .output import counted, open_project, parse_json, read_text, say

if TYPE_CHECKING:
    from promptlib.example import Example, Status


@click.command()
@click.argument("name")
@click.option("--input", "input_", metavar="TEXT", help="What goes in.")
@click.option("--output", metavar="TEXT", help="What should come out.")
@click.option("--label", help="Its label, if that isn't the output.")
@click.option("--id", default="", help="Its id; a hash of the content if not given.")
@click.option("--draft", is_flag=True, help="Keep it out of prompts until it is approved.")
@click.option("--by", help="Who adds it.")
@click.pass_context
def add(
    ctx: click.Context, name: str, input_: str | None, output: str | None, label: str | None,
    id: str, draft: bool, by: str | None,
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
    revision = opened.add(example, by=by)
    say(f"added to {name}, revision {revision}")
    click.echo(example.id)


@click.command()
@click.argument("name")
@click.argument("id")
@click.option("--input", "input_", metavar="TEXT", help="The new input.")
@click.option("--output", metavar="TEXT", help="The new output.")
@click.option("--label", help='The new label; "" removes it.')
@click.option("--status", type=click.Choice(["approved", "draft", "rejected"]))
@click.option("--by", help="Who edits.")
@click.pass_context
def edit(
    ctx: click.Context, name: str, id: str, input_: str | None, output: str | None,
    label: str | None, status: str | None, by: str | None,
) -> None:  # fmt: skip
    """Change the example ID of store NAME; without options, in $EDITOR.

    \b
    promptlib store edit banking77 f218b70e7f4ee1a1 --output card_swallowed
    promptlib store edit banking77 f218b70e7f4ee1a1 --status rejected
    """
    opened = open_project(ctx).store(name)
    before = opened.get(id)
    options = {"input": input_, "output": output, "label": label, "status": status}
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    if "label" in given:
        given["label"] = given["label"] or None
    if not given and not sys.stdin.isatty() and "EDITOR" not in os.environ:
        raise click.UsageError("give --input, --output, --label or --status: there is no terminal")
    after = replace(before, **given) if given else _edited(before)
    revision = opened.revision
    if opened.update(after, by=by) == revision:
        say("nothing to change")
    else:
        say(f"changed {id} in {name}, revision {revision + 1}")


@click.command()
@click.argument("name")
@click.argument("ids", nargs=-1, required=True)
@click.option("--by", help="Who removes them.")
@click.pass_context
def rm(ctx: click.Context, name: str, ids: tuple[str, ...], by: str | None) -> None:
    """Take the examples IDS out of store NAME. The change log keeps them.

    \b
    promptlib store rm banking77 f218b70e7f4ee1a1
    """
    revision = open_project(ctx).store(name).delete(*ids, by=by)
    say(f"removed {counted(len(set(ids)), 'example')} from {name}, revision {revision}")


def _edited(example: Example) -> Example:
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
